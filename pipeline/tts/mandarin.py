"""Mandarin words to phonemes: characters to pinyin by dictionary, pinyin to IPA by rule.

Words are told apart by rjieba, since the reading of a character depends on its word: 行 is háng in
银行 and xíng elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import cn2an
import rjieba
from pypinyin import Style, lazy_pinyin

__all__ = ["reader"]

_INITIALS = {
    "b": "p",
    "p": "pʰ",
    "m": "m",
    "f": "f",
    "d": "t",
    "t": "tʰ",
    "n": "n",
    "l": "l",
    "g": "k",
    "k": "kʰ",
    "h": "x",
    "j": "ʨ",
    "q": "ʨʰ",
    "x": "ɕ",
    "zh": "ꭧ",
    "ch": "ꭧʰ",
    "sh": "ʂ",
    "r": "ɻ",
    "z": "ʦ",
    "c": "ʦʰ",
    "s": "s",
    "": "",
}
# The sound up to the tone, then what follows it. v is ü.
_FINALS = {
    "a": ("a", ""),
    "ai": ("ai", ""),
    "an": ("a", "n"),
    "ang": ("a", "ŋ"),
    "ao": ("au", ""),
    "e": ("ɤ", ""),
    "ei": ("ei", ""),
    "en": ("ə", "n"),
    "eng": ("ə", "ŋ"),
    "er": ("ɚ", ""),
    "ê": ("ɛ", ""),
    "i": ("i", ""),
    "ia": ("ja", ""),
    "ian": ("jɛ", "n"),
    "iang": ("ja", "ŋ"),
    "iao": ("jau", ""),
    "ie": ("je", ""),
    "in": ("i", "n"),
    "ing": ("i", "ŋ"),
    "io": ("jɔ", ""),
    "iong": ("jʊ", "ŋ"),
    "iou": ("jou", ""),
    "m": ("m", ""),
    "n": ("n", ""),
    "ng": ("ŋ", ""),
    "o": ("wo", ""),
    "ong": ("ʊ", "ŋ"),
    "ou": ("ou", ""),
    "u": ("u", ""),
    "ua": ("wa", ""),
    "uai": ("wai", ""),
    "uan": ("wa", "n"),
    "uang": ("wa", "ŋ"),
    "uei": ("wei", ""),
    "uen": ("wə", "n"),
    "ueng": ("wə", "ŋ"),
    "uo": ("wo", ""),
    "v": ("y", ""),
    "van": ("ɥɛ", "n"),
    "ve": ("ɥe", ""),
    "vn": ("y", "n"),
}
_BUZZING = frozenset({"zh", "ch", "sh", "r", "z", "c", "s"})  # i after these is not an i
_TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}

_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_CODE = re.compile(r"\d{10,}")  # a telephone number, an order: read digit by digit
_NAMES_OF_DIGITS = str.maketrans("0123456789", "零一二三四五六七八九")


def reader() -> Callable[[str], str]:
    """A function from Mandarin words, without punctuation, to phonemes."""
    read("你好")  # the dictionaries are read on first use
    return read


def read(words: str) -> str:
    words = _CODE.sub(lambda code: code[0].translate(_NAMES_OF_DIGITS), _GROUPED.sub("", words))
    words = cn2an.transform(words, "an2cn")
    return " ".join(_say(word) for word in rjieba.cut(words))


def _say(word: str) -> str:
    initials = lazy_pinyin(word, Style.INITIALS, errors="ignore")
    finals = lazy_pinyin(word, Style.FINALS_TONE3, errors="ignore", neutral_tone_with_five=True)
    wholes = lazy_pinyin(word, Style.TONE3, errors="ignore", neutral_tone_with_five=True)
    # 嗯 has neither an initial nor a final.
    finals = [final or whole for final, whole in zip(finals, wholes, strict=True)]
    return "".join(map(_syllable, initials, finals))


def _syllable(initial: str, final: str) -> str:
    final, tone = final[:-1], final[-1:]
    if final == "i" and initial in _BUZZING:
        vowel, coda = "ɨ", ""
    elif final == "o" and not initial:
        vowel, coda = "ɔ", ""
    else:
        vowel, coda = _FINALS.get(final, ("", ""))
    return _INITIALS.get(initial, "") + vowel + _TONES.get(tone, "") + coda
