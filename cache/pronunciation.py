"""The dictionary of pronunciation: words that voices say wrong, and how to write them instead.

It is applied to what is written, before it is made speakable and before the key of the speech is
made: whoever changes an entry hears the difference at once, as the speech is another one.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator

from cache.models import Pronunciation

APOSTROPHES = "['\u2019]"
COLUMNS = ("word", "say", "language", "whole_word", "match_case")
"""Of its CSV; booleans are 1 or 0."""


def pronounced(text: str, language: str) -> str:
    """``text`` with the words of the dictionary as they are to be said in ``language``.

    Where two entries would fit, it is the longer one, then the language's own, then the one whose
    case matters. What one entry writes is not read by another.

    :raises django.db.Error: the dictionary cannot be read.
    """
    known = Pronunciation.objects.filter(language__in=["", language]).values_list(
        "word", "say", "whole_word", "match_case", "language"
    )
    plain = _plain(unicodedata.normalize("NFC", text))
    # Most words of a large dictionary are not in the text: finding that out is cheap.
    near = [entry for entry in known if _plain(entry[0]).split()[0] in plain]
    if not near:
        return text
    near.sort(key=lambda entry: (-len(entry[0]), not entry[4], not entry[3]))
    pattern = "|".join(f"({_pattern(word, *how)})" for word, _say, *how, _language in near)
    return re.sub(
        pattern,
        lambda match: near[(match.lastindex or 1) - 1][1],
        unicodedata.normalize("NFC", text),
    )


def _plain(text: str) -> str:
    """``text`` as two of the same word have it in common."""
    return text.replace("\u2019", "'").lower()


def _pattern(word: str, whole_word: bool, match_case: bool) -> str:
    pattern = re.sub(APOSTROPHES, APOSTROPHES, r"\s+".join(map(re.escape, word.split())))
    if whole_word:
        pattern = rf"(?<!\w){pattern}(?!\w)"
    return pattern if match_case else f"(?i:{pattern})"


# --- as CSV ----------------------------------------------------------------------------------


def to_csv(entries: Iterable[Pronunciation]) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for entry in entries:
        values = (getattr(entry, name) for name in COLUMNS)
        writer.writerow([int(v) if isinstance(v, bool) else v for v in values])
    return file.getvalue()


def from_csv(text: str) -> Iterator[tuple[int, Pronunciation]]:
    """The entries of a table, unsaved and unchecked, each with the number of its line.

    Commas or semicolons part the columns, the first line names them; of those left out, and of
    empty cells, the default holds. ``ValueError`` when ``word`` or ``say`` is not among them.
    """
    head = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text), delimiter=";" if ";" in head else ",")
    if not {"word", "say"} <= set(rows.fieldnames or []):
        raise ValueError("word, say")
    for row in rows:
        values = {name: (row.get(name) or "").strip() for name in COLUMNS}
        entry = Pronunciation(
            word=values["word"], say=values["say"], language=values["language"].lower()
        )
        for name in ("whole_word", "match_case"):
            if values[name]:
                setattr(entry, name, values[name].lower() in ("1", "true", "yes"))
        yield rows.line_num, entry
