"""Text to the phonemes Kokoro was trained on.

Kokoro reads IPA with a few symbols of its own: one letter for an affricate (``ʧ``) or an English
diphthong (``A`` for the sound of *day*), arrows for the tones of Mandarin. espeak-ng gives the IPA
of alphabetic languages and `Japanese` and `Mandarin` that of their own; this module brings all of
it to Kokoro's symbols, listed at https://huggingface.co/hexgrad/Kokoro-82M (``config.json``).

Nothing is imported or read before ``load`` or the first ``phonemize``, and nothing is downloaded.
"""

from __future__ import annotations

import importlib
import logging
import re
import threading
import unicodedata
from collections.abc import Callable, Container
from typing import NamedTuple

from django.utils.translation import gettext as _

from pipeline.errors import EngineUnavailable, UnsupportedLanguage

__all__ = ["LANGUAGES", "load", "phonemize"]

Reader = Callable[[str], str]
"""Words without punctuation to phonemes."""


class _Asian(NamedTuple):
    module: str
    requirements: str  # what to give pip when an import fails


_ESPEAK_VOICES = {
    "en-gb": "en-gb",
    "en-us": "en-us",
    "es": "es",
    "fr": "fr-fr",
    "hi": "hi",
    "it": "it",
    "pt": "pt-br",
}
_ASIAN = {
    "ja": _Asian("pipeline.tts.japanese", "lindera-python-ipadic"),
    "zh": _Asian("pipeline.tts.mandarin", "cn2an pypinyin rjieba"),
}
LANGUAGES = tuple(sorted([*_ESPEAK_VOICES, *_ASIAN]))
"""ISO 639-1, with the variety where voices differ by it."""

# espeak-ng keeps its state in globals of the process, and its voices are built once.
_lock = threading.Lock()
_readers: dict[str, Reader] = {}

# What espeak-ng says about foreign words at WARNING is handled here.
_espeak_log = logging.getLogger(f"{__name__}.espeak")
_espeak_log.setLevel(logging.ERROR)

_PUNCTUATION = str.maketrans(
    {
        **dict.fromkeys("、，", ", "),
        **dict.fromkeys("。．।॥", ". "),
        **dict.fromkeys("«《〈「『【", " “"),
        **dict.fromkeys("»》〉」』】", "” "),
        **dict.fromkeys("–―〜～", "—"),
        **dict.fromkeys("’‘ʼ", "'"),
        "！": "! ",
        "？": "? ",
        "：": ": ",
        "；": "; ",
        "（": " (",
        "）": ") ",
        "・": " ",
    }
)
_ELLIPSIS = re.compile(r"\.{2,}")
# Between digits, a point, a comma and a colon belong to the number.
_MARKS = re.compile(r'((?: ?(?:[;!?…—"“”()]|(?<!\d)[.,:]|[.,:](?!\d)))+ ?)')
_LATIN = re.compile(r"([A-Za-zÀ-ɏ]+(?:['-][A-Za-zÀ-ɏ]+)*)")
_LETTERS = frozenset({"Ll", "Lu", "Lo"})  # Unicode's; a stress mark is none
_STRAY_BLANK = re.compile(r" (?=[;:,.!?…)”])|(?<=[(“]) ")

_TIE = "\u0361"
_SYLLABIC = re.compile("(.)\u0329")
# espeak-ng's tied sounds, and the single symbols Kokoro learnt for them.
_SOUNDS = {
    "t͡ʃ": "ʧ",
    "d͡ʒ": "ʤ",
    "t͡s": "ʦ",
    "d͡z": "ʣ",
    "a͡ɪ": "I",
    "a͡ʊ": "W",
    "e͡ɪ": "A",
    "ɔ͡ɪ": "Y",
    "o͡ʊ": "O",
    "ə͡ʊ": "Q",
}
_ENGLISH_SOUNDS = {"ə͡l": "ᵊl", "ɐ": "ə", "r": "ɹ"}
_MORE_SOUNDS = {
    "en-gb": _ENGLISH_SOUNDS | {"e͡ə": "ɛː"},
    # American vowels have no length; a flapped t is T, a glottal one t.
    "en-us": _ENGLISH_SOUNDS
    | {"ɚɹ": "əɹ", "ɚ": "əɹ", "ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ː": "", "ɾ": "T", "ʔ": "t"},
}


def load(language: str) -> None:
    """Read what ``language`` needs, so that the first sentence does not wait for it.

    :raises UnsupportedLanguage: it is not one of ``LANGUAGES``.
    :raises EngineUnavailable: a package it needs is not installed.
    """
    with _lock:
        _reader(language)


def phonemize(text: str, language: str, *, vocabulary: Container[str]) -> str:
    """The phonemes of ``text``, each one character of ``vocabulary``; safe to call from threads.

    Punctuation stays, as the voice breathes by it. The result is empty when nothing in ``text``
    can be said. ``language`` is one of ``LANGUAGES``.

    :raises UnsupportedLanguage: it is not.
    :raises EngineUnavailable: a package it needs is not installed.
    """
    text = text.translate(_PUNCTUATION)
    # Full-width digits and half-width kana only exist in Asian text.
    text = unicodedata.normalize("NFKC" if language in _ASIAN else "NFC", text)
    pieces = _MARKS.split(_ELLIPSIS.sub("…", " ".join(text.split())))
    with _lock:
        read = _reader(language)
        pieces[::2] = [read(words) for words in pieces[::2]]
    said = "".join(char for char in "".join(pieces) if char in vocabulary)
    said = _STRAY_BLANK.sub("", " ".join(said.split()))
    return said if any(unicodedata.category(char) in _LETTERS for char in said) else ""


def _reader(language: str) -> Reader:
    """The reader of ``language``, built once. To be called under the lock."""
    if language not in _readers:
        if language in _ESPEAK_VOICES:
            _readers[language] = _espeak(language)
        elif language in _ASIAN:
            _readers[language] = _asian(language)
        else:
            raise UnsupportedLanguage(language, LANGUAGES)
    return _readers[language]


def _espeak(language: str) -> Reader:
    import espeakng_loader
    from phonemizer.backend import EspeakBackend
    from phonemizer.backend.espeak.wrapper import EspeakWrapper

    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    espeak = EspeakBackend(
        _ESPEAK_VOICES[language],
        # Marks were set apart already; with none of its own it leaves 3.5 in one piece.
        punctuation_marks="¿¡",
        with_stress=True,
        tie=True,
        language_switch="remove-flags",
        logger=_espeak_log,
    )
    sounds = _SOUNDS | _MORE_SOUNDS.get(language, {})
    spelling = re.compile("|".join(sorted(map(re.escape, sounds), key=len, reverse=True)))

    def read(words: str) -> str:
        said = "".join(espeak.phonemize([words], strip=True)) if words else ""
        said = spelling.sub(lambda sound: sounds[sound[0]], said)
        return _SYLLABIC.sub(r"ᵊ\1", said).replace(_TIE, "")

    return read


def _asian(language: str) -> Reader:
    module, requirements = _ASIAN[language]
    try:
        native: Reader = importlib.import_module(module).reader()
    except ImportError as error:
        text = _("Speaking “%(language)s” needs packages that are missing: pip install %(names)s")
        raise EngineUnavailable(text % {"language": language, "names": requirements}) from error
    foreign = _reader("en-us")

    def read(words: str) -> str:
        runs = _LATIN.split(words)
        runs[::2] = [native(run) for run in runs[::2]]
        runs[1::2] = [f" {foreign(run)} " for run in runs[1::2]]
        return "".join(runs)

    return read
