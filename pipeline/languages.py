"""Which language a text is written in, of those there are to choose from."""

from __future__ import annotations

import threading
from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

SURE: Final = 0.7
"""Of 1. A word or a name alone is below it, most sentences of three words are above."""

MAX_CHARS: Final = 2_000
"""More text tells no more."""

_lock = threading.Lock()


def written_in(text: str, among: Collection[str]) -> str | None:
    """The language of ``text``, as its ISO 639-1 code; None where it is not sure."""
    with _lock:
        identifier = _identifier()
    known = {code: float(p) for code, p in identifier.rank(text[:MAX_CHARS]) if code in among}
    if not known:
        return None
    code = max(known, key=lambda code: known[code])
    total = sum(known.values())
    return code if total and known[code] / total >= SURE else None


@cache
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
