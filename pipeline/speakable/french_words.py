"""The tables of French: symbols and abbreviations, as they are written and as they are said."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ABBREVIATIONS",
    "CURRENCIES",
    "FEMININE",
    "FRACTIONS",
    "KINGS",
    "MAGNITUDES",
    "MONTHS",
    "NUMBERED",
    "PLAIN",
    "SHORT_MONTHS",
    "SYMBOLS",
    "UNITS",
    "Noun",
]


@dataclass(frozen=True)
class Noun:
    """A counted noun; ``plural`` is the singular and an s unless told."""

    singular: str
    plural: str = ""
    feminine: bool = False
    cents: tuple[str, str] = ("centime", "centimes")  # a hundredth of a currency

    @property
    def many(self) -> str:
        return self.plural or f"{self.singular}s"


UNITS = {
    # length, area, volume
    "km": Noun("kilomètre"),
    "m": Noun("mètre"),
    "dm": Noun("décimètre"),
    "cm": Noun("centimètre"),
    "mm": Noun("millimètre"),
    "µm": Noun("micromètre"),
    "nm": Noun("nanomètre"),
    "km²": Noun("kilomètre carré", "kilomètres carrés"),
    "m²": Noun("mètre carré", "mètres carrés"),
    "cm²": Noun("centimètre carré", "centimètres carrés"),
    "mm²": Noun("millimètre carré", "millimètres carrés"),
    "km³": Noun("kilomètre cube", "kilomètres cubes"),
    "m³": Noun("mètre cube", "mètres cubes"),
    "cm³": Noun("centimètre cube", "centimètres cubes"),
    "ha": Noun("hectare"),
    "l": Noun("litre"),
    "L": Noun("litre"),
    "hl": Noun("hectolitre"),
    "dl": Noun("décilitre"),
    "cl": Noun("centilitre"),
    "cL": Noun("centilitre"),
    "ml": Noun("millilitre"),
    "mL": Noun("millilitre"),
    # mass
    "t": Noun("tonne", feminine=True),
    "kg": Noun("kilogramme"),
    "g": Noun("gramme"),
    "mg": Noun("milligramme"),
    "µg": Noun("microgramme"),
    # time
    "h": Noun("heure", feminine=True),
    "min": Noun("minute", feminine=True),
    "mn": Noun("minute", feminine=True),
    "s": Noun("seconde", feminine=True),
    "ms": Noun("milliseconde", feminine=True),
    "j": Noun("jour"),
    # heat, energy, electricity, sound
    "°C": Noun("degré Celsius", "degrés Celsius"),
    "°F": Noun("degré Fahrenheit", "degrés Fahrenheit"),
    "°": Noun("degré"),
    "cal": Noun("calorie", feminine=True),
    "kcal": Noun("kilocalorie", feminine=True),
    "kJ": Noun("kilojoule"),
    "W": Noun("watt"),
    "kW": Noun("kilowatt"),
    "MW": Noun("mégawatt"),
    "GW": Noun("gigawatt"),
    "Wh": Noun("wattheure"),
    "kWh": Noun("kilowattheure"),
    "MWh": Noun("mégawattheure"),
    "TWh": Noun("térawattheure"),
    "V": Noun("volt"),
    "mA": Noun("milliampère"),
    "mAh": Noun("milliampère-heure", "milliampères-heures"),
    "hPa": Noun("hectopascal"),
    "dB": Noun("décibel"),
    "Hz": Noun("hertz", "hertz"),
    "kHz": Noun("kilohertz", "kilohertz"),
    "MHz": Noun("mégahertz", "mégahertz"),
    "GHz": Noun("gigahertz", "gigahertz"),
    # data
    "ko": Noun("kilooctet"),
    "Ko": Noun("kilooctet"),
    "Mo": Noun("mégaoctet"),
    "Go": Noun("gigaoctet"),
    "To": Noun("téraoctet"),
    # rates
    "%": Noun("pour cent", "pour cent"),
    "‰": Noun("pour mille", "pour mille"),
}

CURRENCIES = {
    "€": Noun("euro"),
    "EUR": Noun("euro"),
    "$": Noun("dollar", cents=("cent", "cents")),
    "USD": Noun("dollar", cents=("cent", "cents")),
    "£": Noun("livre", feminine=True, cents=("penny", "pence")),
    "GBP": Noun("livre", feminine=True, cents=("penny", "pence")),
    "¥": Noun("yen"),
    "JPY": Noun("yen"),
    "CHF": Noun("franc suisse", "francs suisses"),
}

# Before a currency: 12,5 M€.
MAGNITUDES = {"k": "mille", "M": "million", "Md": "milliard", "Mds": "milliard"}

FRACTIONS = {2: "demi", 3: "tiers", 4: "quart"}

# fmt: off
# Counted often: une fois, vingt et une personnes.
FEMININE = (
    "heure", "minute", "seconde", "semaine", "année", "journée", "fois", "personne", "femme",
    "fille", "page", "tonne", "goutte", "tasse", "cuillère", "étape", "question", "chose",
)
MONTHS = (
    "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre",
    "octobre", "novembre", "décembre",
)
# fmt: on

SHORT_MONTHS = {
    "janv": "janvier",
    "févr": "février",
    "avr": "avril",
    "juil": "juillet",
    "sept": "septembre",
    "oct": "octobre",
    "nov": "novembre",
    "déc": "décembre",
}

SYMBOLS = {
    "%": "pour cent",
    "‰": "pour mille",
    "€": "euros",
    "$": "dollars",
    "£": "livres",
    "¥": "yens",
    "°C": "degrés Celsius",
    "°": "degrés",
    "×": "fois",
    "÷": "divisé par",
    "=": "égale",
    "≠": "différent de",
    "≈": "environ",
    "±": "plus ou moins",
    "≤": "inférieur ou égal à",
    "≥": "supérieur ou égal à",
    "√": "racine de",
    "∞": "infini",
    "π": "pi",
    "&": "et",
    "@": "arobase",
    "§": "paragraphe",
}

# (written, said): patterns. What follows tells an abbreviation from a word, and a point that
# only shortens from one that also ends the sentence, which stays.
_CAPITAL = "[A-ZÀ-ÖØ-Þ]"
_NAME = rf"(?=\s?{_CAPITAL})"
_NUMBER = r"(?=\s?\d)"
_POINT = rf"(?:\.(?!\s?(?:\Z|{_CAPITAL})))?"
ABBREVIATIONS = (
    (rf"M\.(?=\s(?:{_CAPITAL}|l[ea]\s|l'|de\s|et\s))", "Monsieur"),
    (rf"MM\.{_NAME}", "Messieurs"),
    (rf"Mme\b(?:\.{_NAME})?", "Madame"),
    (rf"Mmes\b(?:\.{_NAME})?", "Mesdames"),
    (rf"Mlle\b(?:\.{_NAME})?", "Mademoiselle"),
    (rf"Mlles\b(?:\.{_NAME})?", "Mesdemoiselles"),
    (rf"Mgr\b\.?{_NAME}", "Monseigneur"),
    (rf"Dr\b\.?{_NAME}", "Docteur"),
    (rf"Drs\b\.?{_NAME}", "Docteurs"),
    (rf"Pr\b\.?{_NAME}", "Professeur"),
    (rf"Me\b\.?{_NAME}", "Maître"),
    (rf"St\b\.?(?=[\s-]{_CAPITAL})", "Saint"),
    (rf"Ste\b\.?(?=[\s-]{_CAPITAL})", "Sainte"),
    (rf"av\.\s?J\.?-C\b{_POINT}", "avant Jésus-Christ"),
    (rf"app?r?\.\s?J\.?-C\b{_POINT}", "après Jésus-Christ"),
    (rf"J\.-C\b{_POINT}", "Jésus-Christ"),
    (r"[Pp](?:\.|ar)\s?ex\.", "par exemple"),
    (rf"[Cc](?:\.-?à-?d\b|-à-d\b|àd\b){_POINT}", "c'est-à-dire"),
    (rf"[Ee]tc\b(?:\.{{3}}|…|{_POINT})", "et cetera"),
    (rf"c\.\s?à\s?s\b{_POINT}", "cuillères à soupe"),
    (rf"c\.\s?à\s?c\b{_POINT}", "cuillères à café"),
    (r"[Ee]nv\.(?=\s)", "environ"),
    (r"min\.(?=\s[a-zà-ÿ])", "min"),
    (r"[Tt]él\.", "téléphone"),
    (r"[Cc]f\b\.?(?=\s)", "voir"),
    (r"[Vv]s\b\.?(?=\s)", "contre"),
    (r"(?:[Ss]\.[Vv]\.[Pp]\.|svp\b|SVP\b)", "s'il vous plaît"),
    (rf"[Nn]°{_NUMBER}", "numéro "),
    (rf"[Nn]°s{_NUMBER}", "numéros "),
    (rf"[Aa]v\.{_NAME}", "avenue"),
    (rf"(?:[Bb]l?d|[Bb]oul)\b\.?(?=\s{_CAPITAL})", "boulevard"),
    (rf"[Aa]rt\.{_NUMBER}", "article"),
    (rf"[Cc]hap\.{_NUMBER}", "chapitre"),
    (rf"[Vv]ol\.{_NUMBER}", "volume"),
    (rf"[Ff]ig\.{_NUMBER}", "figure"),
    (rf"[Pp]p\.{_NUMBER}", "pages"),
    (rf"[Pp]\.{_NUMBER}", "page"),
)

# Patterns of the words that a Roman numeral follows.
KINGS = (
    "Albert|Alexandre|Alphonse|Amédée|Baudouin|Benoît|Catherine|Charles|Christian|Clément|Clovis|"
    "Édouard|Elizabeth|Élisabeth|Ferdinand|François|Frédéric|George|Georges|Grégoire|Guillaume|"
    "Gustave|Hassan|Henri|Humbert|Innocent|Jacques|Jean|Jean-Paul|Jules|Léon|Léopold|Louis|Mohammed|"
    "Napoléon|Nicolas|Othon|Paul|Philippe|Pie|Pierre|Ptolémée|Ramsès|Richard|Sixte|Urbain"
)
NUMBERED = (
    "[Aa]cte|[Aa]nnexe|Apollo|[Aa]rticle|[Cc]hapitre|[Ff]igure|[Ll]ivre|[Pp]artie|[Pp]hase|"
    "[Ss]cène|[Ss]ection|[Tt]ableau|[Tt]itre|[Tt]ome|[Tt]ype|Vatican|[Vv]olume"
)

# Characters that have a plainer way to be written.
PLAIN = str.maketrans(
    {
        "ᵉ": "e",
        "ʳ": "r",
        "ˢ": "s",
        "ᵐ": "m",
        "º": "°",
        "−": "-",
        "μ": "µ",
        "№": "n°",
        "℃": "°C",
        "₂": "2",
    }
    | {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4"}
)
