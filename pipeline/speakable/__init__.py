"""Makes text fit to be read aloud: what a voice would stumble on becomes words.

Three passes, each pure, deterministic and linear in the length of the text:

1. ``markup``: Markdown, HTML, emoji, addresses and stray characters, the same for all languages;
2. the language's own words: all of French (``french``), the essentials of English (``english``),
   numbers elsewhere (``numbers``);
3. ``markup.tidy``: blanks and punctuation.

Equal speech should come from equal text, so that the speech cache finds it: the result is
normalised (NFC, plain apostrophes and blanks), and stable: ``speakable(speakable(x)) ==
speakable(x)``. What one rule writes may be what another reads (9² is nine once the ² is a word), so
the passes run again until nothing changes; text that people write needs one run and its check.
"""

from __future__ import annotations

from pipeline.speakable import english, french, markup, numbers

__all__ = ["speakable"]

MAX_RUNS = 8  # a guard: no text was found that needs more than 4


def speakable(text: str, language: str) -> str:
    """``text`` as one line to be read aloud, empty when nothing in it can be.

    ``language`` is an ISO 639-1 code. A language without rules of its own gets the rules that hold
    for all of them.
    """
    for _run in range(MAX_RUNS):
        said = _run_once(text, language)
        if said == text:
            break
        text = said
    return text


def _run_once(text: str, language: str) -> str:
    text = markup.strip(text, language)
    if language == "fr":
        text = french.spell_out(text)
    elif language == "en":
        text = english.spell_out(text)
    else:
        text = numbers.spell_out(text, language)
    return markup.tidy(text)
