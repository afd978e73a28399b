"""``make messages``: brings the catalogue of translations up to date with the code.

Run as ``python -m voicebot.messages``. Django's own commands for this need the gettext programs
on the system; Babel, a package of ``requirements-dev.txt``, does without.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from babel.messages import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir, extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent
PO = ROOT / "locale" / "fr" / "LC_MESSAGES" / "django.po"
LAZY = ("gettext", "ngettext", "pgettext", "npgettext")
KEYWORDS = {**DEFAULT_KEYWORDS, **{f"{name}_lazy": DEFAULT_KEYWORDS[name] for name in LAZY}}
INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)


def extract_template(
    file: IO[bytes], keywords: Mapping[str, Any], tags: Collection[str], options: Mapping[str, Any]
) -> Iterable[tuple[int, Any, list[str], str | None]]:
    """Babel's way to read a Django template: as the calls of gettext that it amounts to."""
    calls = INDENTATION.sub("", templatize(file.read().decode()))  # HTML's would be a syntax error
    return extract_python(BytesIO(calls.encode()), keywords, tags, {"encoding": "utf-8"})


METHODS: list[tuple[str, Any]] = [
    ("tests/**", "ignore"),
    ("var/**", "ignore"),
    ("**.py", "python"),
    ("**/templates/**.html", extract_template),
]


def extract(root: Path = ROOT) -> Catalog:
    """Every string the code marks for translation."""
    found = Catalog()
    for path, line, message, comments, context in extract_from_dir(root, METHODS, {}, KEYWORDS):
        found.add(message, locations=[(path, line)], auto_comments=comments, context=context)
    return found


def catalogue(po: Path = PO) -> Catalog:
    with po.open("rb") as file:
        return read_po(file, locale="fr")


def update(marked: Catalog, po: Path = PO) -> None:
    """Add what is new, drop what is gone, and compile; what was translated stays as it is."""
    translations = catalogue(po)
    translations.update(marked, no_fuzzy_matching=True, update_creation_date=False)
    with po.open("wb") as file:
        # No line numbers: they would change with every edit of the code.
        write_po(file, translations, ignore_obsolete=True, sort_by_file=True, include_lineno=False)
    with po.with_suffix(".mo").open("wb") as file:
        write_mo(file, translations)


if __name__ == "__main__":
    update(extract())
