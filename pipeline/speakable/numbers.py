"""Numbers in words, and the few words that every language needs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from num2words import num2words

__all__ = ["WORDS", "Words", "cardinal", "decimal", "digits", "spell_out"]

MAX_DIGITS = 15  # longer numbers are codes: they are read digit by digit


@dataclass(frozen=True)
class Words:
    """The words of a language for symbols; ``""`` where num2words lacks the language."""

    dot: str
    at: str
    ampersand: str
    percent: str
    point: str = ""  # between the whole and the fraction of a number
    minus: str = ""


WORDS = {
    "fr": Words("point", "arobase", "et", "pour cent", "virgule", "moins"),
    "en": Words("dot", "at", "and", "percent", "point", "minus"),
    "es": Words("punto", "arroba", "y", "por ciento", "coma", "menos"),
    "it": Words("punto", "chiocciola", "e", "per cento", "virgola", "meno"),
    "pt": Words("ponto", "arroba", "e", "por cento", "vírgula", "menos"),
    "ja": Words("ドット", "アットマーク", "アンド", "パーセント", "点", "マイナス"),
    "hi": Words("डॉट", "एट", "और", "प्रतिशत"),
    "zh": Words("点", "艾特", "和", "%"),
}

# Neither in a word (MP3, H2O), nor after a hyphen (COVID-19), nor in a version or an address.
_NUMBER = re.compile(
    r"(?<![A-Za-z\d.,:/-])(-?)(\d{1,3}(?:(?P<sep>[.,])\d{3})(?:(?P=sep)\d{3})*|\d+)"
    r"(?:[.,](\d+))?(?![\d:/-]|[.,]\d|[A-Za-z])(\s?%)?"
)
# Languages that write 1.000 for a thousand; the others write 1,000.
_POINT_GROUPS = frozenset({"es", "it", "pt"})


def cardinal(number: str, language: str) -> str:
    """A run of digits in words; codes (leading zeros, too many digits) are read by the digit."""
    if len(number) > MAX_DIGITS or (len(number) > 1 and number[0] == "0"):
        return digits(number, language)
    return str(num2words(int(number), lang=language)).replace(",", "")


def digits(number: str, language: str) -> str:
    """A run of digits, each in words."""
    return " ".join(str(num2words(int(digit), lang=language)) for digit in number)


def decimal(whole: str, fraction: str, language: str) -> str:
    """``whole`` and what follows the decimal mark, digit by digit, in words."""
    if not fraction:
        return cardinal(whole, language)
    blank = "" if language == "ja" else " "
    parts = (cardinal(whole, language), WORDS[language].point, digits(fraction, language))
    return blank.join(parts)


def spell_out(text: str, language: str) -> str:
    """Plain numbers and percentages of ``text`` in words, where num2words has the language."""
    words = WORDS.get(language)
    if words is None:
        return text
    text = text.replace("&", f" {words.ampersand} ")
    if not words.point:
        return re.sub(r"(?<=\d)\s?%", f" {words.percent}", text)
    group = "." if language in _POINT_GROUPS else ","

    def say(number: re.Match[str]) -> str:
        sign, whole, sep, fraction, percent = number.groups()
        if sep and sep != group:
            if len(whole) > 7 or fraction:
                return number.group()
            whole, fraction = whole.split(sep)
        whole = whole.replace(group, "")
        said = decimal(whole, fraction or "", language)
        said = f"{words.minus} {said}" if sign else said
        return f"{said} {words.percent}" if percent else said

    return _NUMBER.sub(say, text)
