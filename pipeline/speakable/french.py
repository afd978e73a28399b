"""French as it is said: numbers and what stands around them, ordinals, abbreviations, symbols.

The rules run in the order of ``_RULES``: what has a shape of its own (a telephone number, a date)
goes before what it is made of. Repetitions that could be tried from many places are bounded, so
the work stays linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from pipeline.speakable.french_numbers import count, nth, of, parts, quantity, roman
from pipeline.speakable.french_words import (
    ABBREVIATIONS,
    CURRENCIES,
    FEMININE,
    FRACTIONS,
    KINGS,
    MAGNITUDES,
    MONTHS,
    NUMBERED,
    PLAIN,
    SHORT_MONTHS,
    SYMBOLS,
    UNITS,
    Noun,
)
from pipeline.speakable.numbers import cardinal

__all__ = ["spell_out"]

_Match = re.Match[str]


def spell_out(text: str) -> str:
    """``text`` (one line, no markup) with its numbers, symbols and abbreviations in words.

    Names with digits in them (A4, COVID-19) stay as they are.
    """
    text = text.translate(PLAIN)
    for pattern, said in _COMPILED:
        text = pattern.sub(said, text)
    return text


# Counted things


def _money(match: _Match) -> str:
    groups = match.groupdict()
    number, noun = match["number"], CURRENCIES[match["symbol"]]
    whole, fraction = parts(number)
    size = MAGNITUDES.get(groups["size"] or "", groups["named"] or "")
    if size == "mille":
        said = f"{'' if number == '1' else count(number)} mille {noun.many}"
    elif size:
        said = f"{quantity(number, Noun(size.removesuffix('s')))} {of(noun.many)}"
    elif len(fraction) != 2:
        said = quantity(number, noun)
    elif whole == "0" and fraction != "00":
        said = quantity(fraction.lstrip("0"), Noun(*noun.cents))
    else:
        cents = fraction.lstrip("0")
        said = f"{quantity(whole, noun)} {count(cents) if cents else ''}"
    return f" {said}{_per(groups.get('per'))} "


def _unit(match: _Match) -> str:
    return f"{quantity(match['number'], UNITS[_raised(match['unit'])])}{_per(match['per'])} "


def _raised(unit: str) -> str:
    return f"{unit[:-1]}{'²³'[int(unit[-1]) - 2]}" if unit[-1] in "23" else unit


def _per(per: str | None) -> str:
    if not per:
        return ""
    unit = UNITS.get(_raised(per))
    return f" par {unit.singular if unit else per}"


def _bare_unit(match: _Match) -> str:
    unit = UNITS[_raised(match["unit"])]
    return f"{unit.many if match['per'] else unit.singular}{_per(match['per'])}"


def _fraction(match: _Match) -> str:
    above, below = int(match["above"]), int(match["below"])
    noun = UNITS[_raised(match["unit"])] if match["unit"] else None
    if above == 1 and below == 2 and noun:
        return f"{'une' if noun.feminine else 'un'} demi-{noun.singular}"
    if not 0 < above < below < 10:
        said = f"{count(match['above'])} sur {count(match['below'])}"
        return f"{said} {noun.many}" if noun else said
    name = FRACTIONS.get(below) or nth(below, "e")
    plural = "s" if above > 1 and not name.endswith("s") else ""
    return f"{count(match['above'])} {name}{plural}{' ' + of(noun.singular) if noun else ''}"


def _version(match: _Match) -> str:
    """3.11.4, or 1,2,3: a list or a version, unless it is one number in groups of three."""
    if re.fullmatch(_NUMBER, match.group()):
        return count(match.group())
    joint = ", " if match["mark"] in ",-" else " point "
    return joint.join(cardinal(part, "fr") for part in re.split("[.,-]", match.group()))


def _range(match: _Match) -> str:
    """10-15 is a range; 747-400, which goes down, is a name."""
    joint = "à" if int(match["low"]) < int(match["high"]) else "tiret"
    return f"{match['low']} {joint} {match['high']}"


# Ordinals


def _ordinal(match: _Match) -> str:
    return nth(int(match["number"]), match["suffix"])


def _roman_ordinal(match: _Match) -> str:
    return nth(roman(match["roman"]), match["suffix"])


def _king(match: _Match) -> str:
    number = roman(match["roman"])
    return f"{match['name']} {'premier' if number == 1 else cardinal(str(number), 'fr')}"


def _numbered(match: _Match) -> str:
    return f"{match['name']} {cardinal(str(roman(match['roman'])), 'fr')}"


# Times and telephones


def _hour(match: _Match) -> str:
    said = quantity(match["hour"].lstrip("0") or "0", UNITS["h"])
    if minutes := (match["minutes"] or "").lstrip("0"):
        said += f" {count(minutes, feminine=True)}"
    if seconds := (match.groupdict().get("seconds") or "").lstrip("0"):
        said += f" et {quantity(seconds, UNITS['s'])}"
    return f"{said} "


def _date(match: _Match) -> str:
    day, month, year = int(match["day"]), int(match["month"]), match.groupdict().get("year")
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return match.group()
    number = "premier" if day == 1 else cardinal(str(day), "fr")
    return f"{number} {MONTHS[month - 1]} {cardinal(year, 'fr') if year else ''}".rstrip()


def _phone(match: _Match) -> str:
    """By pairs, with commas: soixante, douze is not soixante-douze."""
    first = cardinal(match["first"], "fr")
    first = f"plus trente-trois, {first}" if match["abroad"] else f"zéro {first}"
    pairs = re.findall(r"\d\d", re.sub(r"\D", "", match["rest"]))
    return ", ".join([first, *(cardinal(pair, "fr") for pair in pairs)])


# Abbreviations


def _abbreviation(said: str) -> Callable[[_Match], str]:
    capitalised = said[0].upper() + said[1:]
    return lambda match: capitalised if match.group()[0].isupper() else said


def _any_of(symbols: Iterable[str]) -> str:
    """A pattern for any of ``symbols``, in which m² can also be written m2."""
    names = [re.escape(symbol) for symbol in sorted(symbols, key=len, reverse=True)]
    return "|".join(names).replace("²", "[²2]").replace("³", "[³3]")


_START = r"(?<![^\W_])(?<![^\W_][.,-])(?<!\d/)"  # not in a word, a version, or a name like COVID-19
_END = r"(?![^\W_]|'[^\W\d_]|-[^\W\d_])"
_NUMBER = (
    r"(?:\d{1,3}(?:(?:\s\d{3}){1,6}|(?:\.\d{3}){2,6}|(?:,\d{3}){2,6}"
    r"|(?:\.\d{3}){1,6}(?=,\d)|(?:,\d{3}){1,6}(?=\.\d))(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)?)"
)
_AMOUNT = rf"{_START}(?P<number>{_NUMBER})"
_PER = r"(?:/(?P<per>[^\W\d_]{1,12}[²³]?))?"
_SIZE = r"(?:\s?(?P<size>k|Mds?|M)|\s(?P<named>millions?|milliards?)\s?)?"
_UNIT = rf"(?P<unit>{_any_of(UNITS)})"
_HOUR = r"(?P<hour>\d{1,3})\s?[hH]"
_MINUTES = r"(?P<minutes>[0-5]\d)"
_DAY = r"(?P<day>\d{1,2})"
_ROMAN = r"(?=[IVX])(?P<roman>X{0,3}(?:IX|IV|V?I{0,3}))"
_RULES: list[tuple[str, str | Callable[[_Match], str]]] = [
    *((rf"(?<![\w.]){written}", _abbreviation(said)) for written, said in ABBREVIATIONS),
    # numbers with a shape of their own
    (
        r"(?<![\w+.,/-])(?:(?P<abroad>(?:\+|00)33[\s.-]?(?:\(0\)\s?)?)|0)"
        r"(?P<first>[1-9])(?P<rest>(?:[\s.-]?\d\d){4})(?!\d)",
        _phone,
    ),
    (rf"{_START}24/7{_END}", "vingt-quatre heures sur vingt-quatre, sept jours sur sept"),
    (rf"{_START}24\s?h(?:eures)?/24{_END}", "vingt-quatre heures sur vingt-quatre"),
    (rf"{_START}7\s?j(?:ours)?/7{_END}", "sept jours sur sept"),
    (rf"{_START}{_DAY}(?P<mark>[/.-])(?P<month>\d\d?)(?P=mark)(?P<year>\d{{4}})(?!\w)", _date),
    (rf"{_START}(?P<year>\d{{4}})-(?P<month>\d\d)-{_DAY}(?!\w)", _date),
    (rf"(?:(?<=\b[Ll]e\s)|(?<=\b[ad]u\s)){_DAY}/(?P<month>\d\d)(?![\w/])", _date),
    (rf"{_START}1(?=\s(?:{'|'.join(MONTHS)})\b)", "premier"),
    *((rf"(?<=\d\s){short}\.", month) for short, month in SHORT_MONTHS.items()),
    # ranges and signs
    (r"(?<![\w-])(?P<low>\d{3})-(?P<high>\d{1,3})(?![\w-])", _range),
    (r"(?<![\w-])\d+(?P<mark>-)\d+(?:-\d+)+(?![\w-])", _version),
    (
        rf"{_START}(?P<low>{_NUMBER}(?:\s?(?:h(?:\s?[0-5]\d)?|[%€°]))?)(?:-|\s?[–—]\s?)(?=\d)",
        r"\g<low> à ",
    ),
    (r"(?<=\b\d{4})\s-\s(?=\d{4}\b)", " à "),
    (r"(?<=\d)\s-\s(?=\d)", " moins "),
    (r"(?<![^\s(«\"])-(?=\d)", "moins "),
    (r"(?<![\w+])\+\s?(?=\d)|(?<=\w)\s?\+\s?(?=\d)|\s\+\s", " plus "),
    (r"(?<=\d)\s[x*]\s(?=\d)", " fois "),
    (r"(?<=\d)\s?<\s?(?=\d)", " inférieur à "),
    (r"(?<=\d)\s?>\s?(?=\d)", " supérieur à "),
    # numbers and what they count
    (r"(?<=[a-zA-Z])/(?=100\s?(?:g|ml|mL|km)\b)", " aux "),
    (rf"{_START}{_HOUR}(?:\s?{_MINUTES}(?!\d|\s?mi?n|\s?[%€]))?(?![^\W\d_])", _hour),
    (
        rf"{_START}(?<!\d:)(?P<hour>[01]?\d|2[0-4]):{_MINUTES}(?::(?P<seconds>[0-5]\d))?(?![\w:])",
        _hour,
    ),
    (rf"{_AMOUNT}{_SIZE}\s?(?P<symbol>{_any_of(CURRENCIES)}){_PER}{_END}", _money),
    (rf"(?<![\w$])(?P<symbol>[€$£¥])\s?(?P<number>{_NUMBER}){_SIZE}(?![\w])", _money),
    (rf"{_AMOUNT}\s?{_UNIT}{_PER}{_END}", _unit),
    (rf"(?<![^\W_])(?P<unit>[kcm]?m[²³]|k?m(?=/[hs](?!\w))){_PER}(?!\w)", _bare_unit),
    (r"²", " au carré "),
    (r"³", " au cube "),
    # ordinals
    (
        rf"{_START}(?P<number>\d{{1,9}})"
        r"(?P<suffix>ers?|[èe]?res?|i?[èe]mes?|es?|è|nde?s?)(?![^\W_])",
        _ordinal,
    ),
    (r"(?<!\w)(?P<roman>I)(?P<suffix>er|[èe]?re)(?!\w)", _roman_ordinal),
    (rf"(?<!\w)(?!Ie){_ROMAN}(?P<suffix>i?[èe]mes?|e)(?!\w)", _roman_ordinal),
    (rf"(?<![\w-])(?P<name>{KINGS})\s{_ROMAN}(?![\w'-]|\.\w)", _king),
    (rf"\b(?P<name>{NUMBERED})\s{_ROMAN}(?![\w'-]|\.\w)", _numbered),
    # what is left: fractions, versions, plain numbers, symbols
    (rf"{_START}1/2\s(?=heure\b)", "une demi-"),
    (
        rf"{_START}(?P<above>\d{{1,4}})/(?P<below>\d{{1,4}})(?!\d|[.,]\d)(?:\s?{_UNIT})?{_END}(?!/)",
        _fraction,
    ),
    (r"(?<=\w)\^(?=\w)", " puissance "),
    (r"\s?/\s?|(?<=\d)\s?:\s?(?=\d)", " "),
    (r"(?<!\w)#\s?(?=\d)", "numéro "),
    (r"(?<!\w)#(?=[^\W\d_])", "hashtag "),
    (r"\b([A-G])#", r"\1 dièse"),
    (rf"{_START}\d+(?P<mark>[.,])\d+(?:(?P=mark)\d+)+(?![^\W_])", _version),
    (
        rf"{_AMOUNT}(?=\s(?:{'|'.join(FEMININE)})s?\b)",
        lambda match: count(match["number"], feminine=True),
    ),
    (rf"{_AMOUNT}(?![^\W_]|[.,]\d)", lambda match: count(match["number"])),
    *((rf"\s?{re.escape(symbol)}+\s?", f" {said} ") for symbol, said in SYMBOLS.items()),
]
_COMPILED = [(re.compile(pattern), said) for pattern, said in _RULES]
