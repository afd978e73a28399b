"""English as it is said: the essentials (money, percentages, units, times, ordinals, titles)."""

from __future__ import annotations

import re
from collections.abc import Callable

from num2words import num2words

from pipeline.speakable.numbers import decimal

__all__ = ["spell_out"]

_Match = re.Match[str]

UNITS = {
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "mph": ("mile per hour", "miles per hour"),
    "km": ("kilometer", "kilometers"),
    "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"),
    "m": ("meter", "meters"),
    "ft": ("foot", "feet"),
    "kg": ("kilogram", "kilograms"),
    "mg": ("milligram", "milligrams"),
    "g": ("gram", "grams"),
    "lbs": ("pound", "pounds"),
    "lb": ("pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "ml": ("milliliter", "milliliters"),
    "L": ("liter", "liters"),
    "kWh": ("kilowatt hour", "kilowatt hours"),
    "kW": ("kilowatt", "kilowatts"),
    "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"),
    "Hz": ("hertz", "hertz"),
    "MB": ("megabyte", "megabytes"),
    "GB": ("gigabyte", "gigabytes"),
    "TB": ("terabyte", "terabytes"),
    "°C": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"),
    "%": ("percent", "percent"),
}

CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
}

ABBREVIATIONS = (
    (r"Mr\b\.?", "Mister"),
    (r"Mrs\b\.?", "Missus"),
    (r"Ms\.(?=\s[A-Z])", "Miz"),
    (r"Dr\b\.?(?=\s[A-Z])", "Doctor"),
    (r"Prof\.(?=\s[A-Z])", "Professor"),
    (r"St\.(?=\s[A-Z])", "Saint"),
    (r"[Ee]\.g\.,?", "for example,"),
    (r"[Ii]\.e\.,?", "that is,"),
    (r"[Ee]tc\b(?:\.(?!\s?(?:\Z|[A-Z])))?", "et cetera"),
    (r"vs\b\.?(?=\s)", "versus"),
    (r"[Nn]o\.\s?(?=\d)", "number "),
)


def spell_out(text: str) -> str:
    """``text`` (one line, no markup) with its numbers, symbols and abbreviations in words."""
    for pattern, said in _COMPILED:
        text = pattern.sub(said, text)
    return text


def _count(number: str) -> str:
    whole, _, fraction = number.replace(",", "").partition(".")
    return decimal(whole, fraction, "en")


def _quantity(number: str, one: str, many: str) -> str:
    return f"{_count(number)} {one if number == '1' else many}"


def _money(match: _Match) -> str:
    one, many, cent, cents = CURRENCIES[match["symbol"]]
    number = match["number"]
    if match["size"]:
        return f"{_count(number)} {match['size']} {many}"
    if not re.search(r"\.\d\d\Z", number):
        return _quantity(number, one, many)
    whole, fraction = number[:-3], number[-2:].lstrip("0")
    if not fraction:
        return _quantity(whole, one, many)
    small = _quantity(fraction, cent, cents)
    return small if whole == "0" else f"{_quantity(whole, one, many)} and {small}"


def _unit(match: _Match) -> str:
    return f"{_quantity(match['number'], *UNITS[match['unit']])} "


def _time(match: _Match) -> str:
    hour, minutes = _count(match["hour"].lstrip("0") or "0"), match["minutes"]
    half = f" {match['half'][0]} m".upper() if match["half"] else ""
    if minutes in ("", "00"):
        return f"{hour}{half}" if half else f"{hour} o'clock"
    small = f"oh {_count(minutes[1])}" if minutes[0] == "0" else _count(minutes)
    return f"{hour} {small}{half}"


def _nth(match: _Match) -> str:
    return str(num2words(int(match["number"].replace(",", "")), lang="en", to="ordinal"))


def _plain(match: _Match) -> str:
    number = match["number"]
    if re.fullmatch(r"1[1-9]\d\d|20\d\d", number):
        return str(num2words(int(number), lang="en", to="year"))
    return _count(number)


_START = r"(?<![^\W_])(?<![^\W_][.,:/-])"
_END = r"(?![^\W_])"
_NUMBER = r"(?P<number>(?:\d{1,3}(?:,\d{3}){1,6}(?!\d)|\d+)(?:\.\d+)?)"
_UNIT = "|".join(re.escape(unit) for unit in UNITS)
_HALF = r"(?P<half>[APap]\.?[Mm]\b(?:\.(?!\s?(?:\Z|[A-Z])))?)"

_RULES: list[tuple[str, str | Callable[[_Match], str]]] = [
    *((rf"(?<![\w.]){written}", said) for written, said in ABBREVIATIONS),
    (rf"{_START}24/7{_END}", "twenty-four seven"),
    (
        rf"{_START}(?P<hour>[01]?\d|2[0-4]):(?P<minutes>[0-5]\d)(?![\w:])(?:\s?{_HALF})?",
        _time,
    ),
    (rf"{_START}(?P<hour>1?\d)(?P<minutes>)\s?{_HALF}", _time),
    (r"(?<=\d)[-–—](?=\d)|(?<=\d)\s[–—]\s(?=\d)", " to "),
    (r"(?<![^\s(\"])[-−](?=\d)", "minus "),
    (
        rf"(?<![\w$])(?P<symbol>[$€£¥])\s?{_NUMBER}(?:\s(?P<size>[mb]illion|trillion)\b)?{_END}",
        _money,
    ),
    (rf"{_START}{_NUMBER}\s?(?P<unit>{_UNIT}){_END}", _unit),
    (rf"{_START}(?P<number>\d{{1,3}}(?:,\d{{3}}){{1,3}}|\d{{1,9}})(?:st|nd|rd|th){_END}", _nth),
    (r"(?<=\d)\s?×\s?(?=\d)", " times "),
    (r"(?<=\d)\s?÷\s?(?=\d)", " divided by "),
    (r"(?<=\d)\s?\+\s?(?=\d)|\s\+\s", " plus "),
    (r"\s?=+\s?", " equals "),
    (rf"{_START}1/2{_END}", "one half"),
    (rf"{_START}{_NUMBER}(?![^\W_]|[.,:/]\d)", _plain),
    (r"\s?&\s?", " and "),
    (r"\s?@\s?", " at "),
    (r"(?<!\w)#(?=\w)", "number "),
    (r"(?<=\w)/(?=\w)", " "),
    (r"\s?%", " percent"),
]
_COMPILED = [(re.compile(pattern), said) for pattern, said in _RULES]
