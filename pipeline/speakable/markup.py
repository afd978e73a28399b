"""What is the same in every language: markup, emoji, addresses, blanks and punctuation."""

from __future__ import annotations

import html
import re
import unicodedata

from pipeline.speakable.numbers import WORDS

__all__ = ["strip", "tidy"]

_LINE_END = re.compile(r"[\n\r\v\f\x85\u2028\u2029]+")
# Controls, soft hyphen, zero-width and direction marks, unassigned halves of pairs, private use.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\ufe00-\ufe0f\ufeff\ufff9-\ufffd\ud800-\udfff\ue000-\uf8ff\U000e0000-\U0010ffff]"
)
_PICTOGRAPH = re.compile(
    r"[\u20d0-\u20f0\u2117\u2122\xa9\xae\u2190-\u21ff\u2300-\u23ff\u2460-\u27bf\u2900-\u297f"
    r"\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
_EMOTICON = re.compile(r"(?<!\S)[:;]-?[()DPp](?!\w)")
_PLAIN = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "‑": "-"})

_COMMENT_OR_TAG = re.compile(r"<(/?[a-zA-Z]|!)[^<>]*>")
_BREAKING_TAGS = re.compile(r"</?(?:br|p|div|li|ul|ol|tr|table|h[1-6])\b[^<>]*>", re.IGNORECASE)
_FENCE = re.compile(r"\s*(?:`{3,}|~{3,})[\w+#.-]*\s*\Z")
_LINE_MARKS = re.compile(r"(?:\s|[-*+•◦–—](?=\s)|#{1,6}(?=\s)|>(?!\d)|\[[ xX]\](?=\s))+")
_HEADING_END = re.compile(r"\s#+\Z")
_FOOTNOTE = re.compile(r"\[\^?\d{1,3}\](?!\()")
_LINK_TARGET = r"\((?:[^()\n]{0,400}\([^()\n]{0,200}\))?[^()\n]{0,400}\)"
_LINK = re.compile(rf"!?\[([^\[\]\n]*)\](?:{_LINK_TARGET}|\[[^\[\]\n]*\])")
_TIMES = re.compile(r"(?<=\d)\s?\*{1,2}\s?(?=\d)")
_SYNTAX = re.compile(r"[*`\\]|~~|(?<![^\W_])_|_(?![^\W_])")

_URL = re.compile(r"(?:https?://|(?<!\w)www\.)([^\s<>\"«»()\[\]{}|]+)", re.IGNORECASE)
_EMAIL = re.compile(r"(?<![\w.+-])([\w.+-]{1,64})@([\w-]{1,63}(?:\.[\w-]{1,63}){1,8})")
_DOMAIN = re.compile(
    r"(?<![\w.@/-])((?:[a-zA-Z0-9-]{1,63}\.){1,4}(?:com|org|net|fr|eu|io|info|be|ch|ca|uk))"
    r"(?![\w-]|\.\w)(?:/[^\s<>\"«»()|,;]*)?"
)

_RESIDUE = re.compile(r"[<>\[\]{}|~^_\\*`#@&]+")
_ONE_BLANK = re.compile(r"\s+")
_DASH = re.compile(r"(?<=\S)(?:\s+[-–—]+\s+|\s?—+\s?)(?=\S)")
_MARKS = re.compile(r"[.,;:!?…](?:\s?[.,;:!?…])+")
_BLANK_BEFORE_MARK = re.compile(r"\s+(?=[.,;:!?…)»](?!\d))|(?<=[(«])\s+")
_EMPTY_BRACKETS = re.compile(r"\(\s*\)|«\s*»|\"\s*\"")
_LEADING = re.compile(r"(?:[-–—+•](?=\s)|[\s,;:.!?…)»](?!\d))+")


def strip(text: str, language: str) -> str:
    """``text`` on one line with no markup, no emoji, and addresses as they are said."""
    words = WORDS.get(language, WORDS["en"])
    text = html.unescape(_tags(text))
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text)).translate(_PLAIN)
    text = _EMOTICON.sub(" ", _PICTOGRAPH.sub(" ", text))
    full_stop = {"ja": "。", "zh": "。", "hi": "।"}.get(language, ".")
    lines = [_line(line) for line in _LINE_END.split(text) if not _FENCE.match(line)]
    lines = [line for line in lines if any(char.isalnum() for char in line)]
    ended = [
        line if line[-1] in ".!?…:;,。！？।、，：；" else line + full_stop for line in lines[:-1]
    ]
    text = " ".join(ended + lines[-1:])
    text = _EMAIL.sub(lambda m: f"{m[1]} {words.at} {m[2]}".replace(".", f" {words.dot} "), text)
    text = _URL.sub(lambda m: _address(m[1], words.dot), text)
    text = _DOMAIN.sub(lambda m: _address(m[0], words.dot), text)
    return _ONE_BLANK.sub(" ", text)


def tidy(text: str) -> str:
    """``text`` with no stray symbol, one blank between words and one mark at a time."""
    text = _ONE_BLANK.sub(" ", _RESIDUE.sub(" ", text))
    text = _DASH.sub(_pause, _EMPTY_BRACKETS.sub(" ", text))
    text = _MARKS.sub(_one_mark, _ONE_BLANK.sub(" ", text))
    text = _BLANK_BEFORE_MARK.sub("", text)
    text = text[_end(_LEADING, text) :].strip()
    return text if any(char.isalnum() for char in text) else ""


def _tags(text: str) -> str:
    return _COMMENT_OR_TAG.sub(" ", _BREAKING_TAGS.sub("\n", text))


def _line(line: str) -> str:
    if line.lstrip().startswith("|"):
        cells = [cell.strip() for cell in line.split("|")]
        line = ", ".join(cell for cell in cells if any(char.isalnum() for char in cell))
    line = _HEADING_END.sub("", line[_end(_LINE_MARKS, line) :])
    line = _LINK.sub(r"\1", _FOOTNOTE.sub("", line))
    return _SYNTAX.sub("", _TIMES.sub(" × ", line)).strip()


def _address(address: str, dot: str) -> str:
    """The host of ``address`` as it is said, then the marks that ended the sentence."""
    bare = address.rstrip(".,;:!?'…")
    host = re.split(r"[/?#]", bare, maxsplit=1)[0].rpartition("@")[2]
    host = re.sub(r":\d*\Z", "", host).removeprefix("www.")
    return f" {host.replace('.', f' {dot} ')}{address[len(bare) :]} "


def _pause(dash: re.Match[str]) -> str:
    before, after = dash.string[dash.start() - 1], dash.string[dash.end()]
    return f" {dash.group().strip()} " if before.isdigit() and after.isdigit() else ", "


def _one_mark(marks: re.Match[str]) -> str:
    """The strongest of several marks in a row."""
    found = marks.group()
    if ".." in found and not set(found) & set("!?"):
        return "…"
    return next(mark for mark in "?!….:;," if mark in found)


def _end(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.match(text)
    return match.end() if match else 0
