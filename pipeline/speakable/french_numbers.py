"""French numbers in words: cardinals, agreement with what they count, ordinals, Roman numerals."""

from __future__ import annotations

import re

from num2words import num2words

from pipeline.speakable.french_words import Noun
from pipeline.speakable.numbers import cardinal, digits

__all__ = ["count", "nth", "of", "parts", "quantity", "roman"]


def parts(number: str) -> tuple[str, str]:
    """The digits before and after the decimal mark of a number as written."""
    number = re.sub(r"\s", "", number)
    if "." in number and "," in number:
        number = number.replace("." if number.rfind(".") < number.rfind(",") else ",", "")
    elif number.count(".") + number.count(",") > 1:
        number = re.sub("[.,]", "", number)
    whole, _, fraction = number.replace(",", ".").partition(".")
    return whole, fraction


def count(number: str, *, feminine: bool = False) -> str:
    """A number in words; one of something feminine is ``une``."""
    whole, fraction = parts(number)
    words = cardinal(whole, "fr")
    if not fraction:
        return f"{words}e" if feminine and re.search(r"(?:^|[ -])un\Z", words) else words
    rest = fraction.lstrip("0")
    if not rest or len(rest) > 3:
        return f"{words} virgule {digits(fraction, 'fr')}"
    return f"{words} virgule {'zéro ' * (len(fraction) - len(rest))}{cardinal(rest, 'fr')}"


def quantity(number: str, noun: Noun) -> str:
    """``number`` and its noun in words: une heure, deux tonnes, un million d'euros."""
    words = count(number, feminine=noun.feminine)
    name = noun.singular if parts(number)[0].lstrip("0") in ("", "1") else noun.many
    round_number = re.search(r"illi(?:on|ard)s?\Z", words)
    return f"{words} {of(name) if round_number else name}"


def of(name: str) -> str:
    """``name`` after a million: d'euros, de kilomètres."""
    return f"d'{name}" if name[0] in "aeéiou" or name.startswith("heure") else f"de {name}"


def nth(number: int, suffix: str) -> str:
    """An ordinal in words; ``suffix`` as written (1re, 3es) tells gender and number."""
    plural = "s" if suffix.endswith("s") else ""
    if number == 1:
        return ("première" if suffix.startswith(("r", "èr", "ere")) else "premier") + plural
    if number == 2 and suffix.startswith("n"):
        return ("seconde" if "e" in suffix else "second") + plural
    words = str(num2words(number, lang="fr", to="ordinal"))
    return re.sub(r"(vingt|cent|on|ard)s(?=ième\Z)", r"\1", words) + plural


def roman(numeral: str) -> int:
    """The value of a Roman numeral below forty."""
    values = [{"I": 1, "V": 5, "X": 10}[letter] for letter in numeral]
    return sum(
        -value if value < after else value
        for value, after in zip(values, [*values[1:], 0], strict=True)
    )
