"""Cuts text into sentences, as it streams out of the language engine.

Speech starts with the first sentence, so a sentence leaves as soon as nothing that may follow can
change where it ends: usually at the blank after its last mark. Every decision looks at no more than
``WINDOW_CHARS`` characters, which bounds the work, the memory, and the text given to a voice.

A splitter that is ``eager`` does not wait for the end of the first sentence: the first clause is
enough to begin with, or in a long one without any, what comes before a word that people take a
breath at. What follows must last while its own successor is made, which takes a slow
machine half as long, so each clause that leaves early is twice as long as what left before it;
after three or four of them, whole sentences are shorter than that.
"""

from __future__ import annotations

import re

__all__ = ["MAX_SENTENCE_CHARS", "SentenceSplitter", "split"]

MAX_SENTENCE_CHARS = 220
LOOKAHEAD_CHARS = 20  # enough to see closing marks, blanks and the next letter
WINDOW_CHARS = MAX_SENTENCE_CHARS + LOOKAHEAD_CHARS

# fmt: off
# A point after these never ends a sentence.
NEVER_FINAL = frozenset((
    "MM", "Mr", "Mrs", "Ms", "Mme", "Mmes", "Mlle", "Mlles", "Mgr", "Dr", "Drs", "Dra", "Pr",
    "Prof", "St", "Ste", "Sr", "Sra", "Srta", "Sig", "Ud", "Uds", "ap", "apr", "av", "bd", "boul",
    "c.-à-d", "cf", "e.g", "ex", "i.e", "p", "pp", "tél", "vs",
))
# A point after these ends a sentence when what follows does not go on with it.
SOMETIMES_FINAL = frozenset((
    "a.m", "art", "chap", "co", "corp", "déc", "env", "etc", "fig", "févr", "hab", "inc", "janv",
    "J.-C", "jr", "juil", "ltd", "max", "min", "no", "nov", "oct", "p.m", "réf", "sec", "sept",
    "vol", "éd",
))
# fmt: on

_MARK = re.compile(r"(?P<line>[\n\r\u2028\u2029])|(?P<wide>[。！？｡।॥]+)|[.!?…]+")
_CLOSERS = re.compile(r"[\"”’')\]}»›*_`」』）】〉》]*")
_CLOSERS_IN_QUOTE = re.compile(r"(?:[^\S\n\r]*[»›]|[\"”’')\]}*_`])*")
_LIST_MARK = re.compile(r"[(\"«*_]*(?:\d{1,2}|[a-z])\Z")
_INITIALS = re.compile(r"(?:[^\W\d_]\.-?)*[^\W\d_]\Z")  # J, R.R, J.-P

# Where a sentence that is too long is cut: the first pattern found late enough wins.
_CLAUSE_ENDS = (
    re.compile(r"(?:;|(?<!\d):|(?<!\d) :|\s[–—])(?=\s)|[；：]"),
    re.compile(r",(?=\s)|[、，]"),
    re.compile(r"(?<![\s\d.])(?=[ \t](?![\s\d.!?;:…»%€]))"),
    re.compile(r"(?=\s)"),
)
_MIN_CLAUSE_CHARS = MAX_SENTENCE_CHARS // 3

# Where one is cut that only could be heard earlier: where people pause, too.
_PAUSE = re.compile("|".join(pattern.pattern for pattern in _CLAUSE_ENDS[:2]))
_FIRST_CLAUSE_CHARS = 12
_FIRST_CLAUSE_WORDS = 3
# And where nobody pauses in so many characters: before one of these words.
_BREATHLESS_CHARS = 40
_BREATH = re.compile(
    r"\s(?=(?:afin|alors|and|at|because|but|car|chez|comme|con|dans|depuis|donc|dont|during|e|en|est|"
    r"et|for|from|in|is|lorsque|mais|nella?|on|or|ou|où|parce|para|pendant|per|pero|por|porque|pour|"
    r"puis|qu['’]\w+|quand|que|qui|sans|si|sin|sont|sous|sur|that|vers|which|while|who|"
    r"with|without|y)\s)",
    re.IGNORECASE,
)


class SentenceSplitter:
    """Takes text in pieces of any size and gives its sentences, each as early as is safe.

    The sentences do not depend on how the text was cut into pieces.
    """

    def __init__(self, *, eager: bool = False) -> None:
        """``eager``: the first sentences may be given clause by clause."""
        self._eager = eager
        self._pending = ""
        self._start_anew()

    def _start_anew(self) -> None:
        self._in_quote = False  # inside « … » at the start of what is pending
        # From so many characters on, a clause may leave on its own.
        self._enough_chars = _FIRST_CLAUSE_CHARS if self._eager else WINDOW_CHARS

    def feed(self, delta: str) -> list[str]:
        """The sentences that ``delta`` completes: stripped, each with a letter or a digit,
        of at most ``MAX_SENTENCE_CHARS`` characters."""
        self._pending += delta
        return self._take(final=False)

    def flush(self) -> list[str]:
        """The sentences left at the end of the text. The splitter is then as new."""
        sentences = self._take(final=True)
        self._start_anew()
        return sentences

    def _take(self, *, final: bool) -> list[str]:
        sentences = []
        rest = self._pending.lstrip()
        start = 0
        while end := self._end(rest[start : start + WINDOW_CHARS], final=final):
            sentence = rest[start : start + end].strip()
            self._in_quote = _in_quote(sentence, self._in_quote)
            if any(char.isalnum() for char in sentence):
                sentences.append(sentence)
                self._enough_chars = max(self._enough_chars, 2 * len(sentence))
            start += end
            while start < len(rest) and rest[start].isspace():
                start += 1
        self._pending = rest[start:]
        return sentences

    def _end(self, window: str, *, final: bool) -> int:
        """Where to cut the text that opens with ``window``; 0 when more of it is needed to tell."""
        ends = (
            self._sentence_end(window, final=final),
            _pause(window, self._enough_chars),
            _breath(window, self._enough_chars),
        )
        return min(filter(None, ends), default=0)

    def _sentence_end(self, window: str, *, final: bool) -> int:
        """Where the sentence that opens ``window`` ends; 0 when more text is needed to tell."""
        decided = final or len(window) == WINDOW_CHARS
        for mark in _MARK.finditer(window):
            if mark["line"]:
                end: int | None = mark.start()
            else:
                end = self._end_after(mark, window, decided=decided)
            if end == 0:
                return 0
            if end is not None and end <= MAX_SENTENCE_CHARS:
                return end
        if not decided or not window:
            return 0
        return len(window) if len(window) <= MAX_SENTENCE_CHARS else _clause_end(window)

    def _end_after(self, mark: re.Match[str], window: str, *, decided: bool) -> int | None:
        """Where the sentence ends if ``mark`` ends one, None if it does not, 0 if unknown yet."""
        in_quote = _in_quote(window[: mark.end()], self._in_quote)
        closers = (_CLOSERS_IN_QUOTE if in_quote else _CLOSERS).match(window, mark.end())
        assert closers is not None  # both patterns match the empty string
        end = closers.end()
        if end == len(window):
            return end if decided else 0
        if mark["wide"]:
            return end
        if not window[end].isspace():
            return None
        surely = mark.group() != "…" and ".." not in mark.group() and not closers.group()
        if mark.group() == ".":
            before = window[: mark.start()]
            if _LIST_MARK.match(before):
                return None
            word = re.split(r"[\s'’(\[«\"*_]", before)[-1]
            names = {word, word[:1].lower() + word[1:]}
            initials = _INITIALS.match(word)
            if names & NEVER_FINAL:
                return None
            if names & SOMETIMES_FINAL or (initials and word.islower()):
                surely = False
            elif initials:
                return None
        if surely and not in_quote:
            return end
        following = window[end:].lstrip(" \t\u00a0\u202f")
        if not following:
            return end if decided else 0
        goes_on = following[0].islower() or following[0].isdigit() or following[0] in ",;:"
        return end if surely or not goes_on else None


def split(text: str) -> list[str]:
    """The sentences of a whole text, as ``SentenceSplitter`` gives them."""
    splitter = SentenceSplitter()
    return splitter.feed(text) + splitter.flush()


def _in_quote(text: str, before: bool) -> bool:
    opened, closed = text.rfind("«"), text.rfind("»")
    return before if opened == closed else opened > closed


def _clause_end(window: str) -> int:
    """The best place to cut a sentence with no end in sight, in characters from its start."""
    for pattern in _CLAUSE_ENDS:
        ends = [end.end() for end in pattern.finditer(window[: MAX_SENTENCE_CHARS + 1])]
        ends = [end for end in ends if _MIN_CLAUSE_CHARS <= end <= MAX_SENTENCE_CHARS]
        if ends:
            return ends[-1]
    return MAX_SENTENCE_CHARS


def _pause(window: str, enough_chars: int) -> int:
    """Where the first clause of ``enough_chars`` ends that something is seen to follow, else 0."""
    for mark in _PAUSE.finditer(window):
        end = mark.end()
        clause, following = window[:end], window[end:].lstrip()
        if (
            enough_chars <= end <= MAX_SENTENCE_CHARS
            and (len(clause.split()) >= _FIRST_CLAUSE_WORDS or clause[-1] in "、，；：")
            and (following[:1].isalnum() or following.startswith(("«", "“", "(")))
            # Neither between two numbers nor in the text of a link.
            and not (following[0].isdigit() and _ends_in_digit(clause))
            and clause.count("[") <= clause.count("]")
        ):
            return end
    return 0


def _breath(window: str, enough_chars: int) -> int:
    """Where a first sentence is cut that goes on for long without a pause, else 0."""
    seen = window[:_BREATHLESS_CHARS]
    if not enough_chars < _BREATHLESS_CHARS <= len(window):  # as of every later sentence
        return 0
    if _MARK.search(seen) or _PAUSE.search(seen):
        return 0
    for gap in _BREATH.finditer(seen):
        words = len(seen[: gap.start()].split())
        if enough_chars <= gap.start() and words >= _FIRST_CLAUSE_WORDS:
            return gap.start()
    return 0


def _ends_in_digit(clause: str) -> bool:
    return clause.rstrip(",;:–— \u00a0\u202f")[-1:].isdigit()
