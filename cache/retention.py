"""What is left on the disk of speech that is not kept any more, or never was."""

from __future__ import annotations

from cache import files
from cache.models import CachedSpeech
from files import atomic
from files.store import Place


def orphans() -> list[Place]:
    """Files without a row, old enough not to wait for theirs. A crash leaves them, between a file
    and its row."""
    # Files are listed before rows: what is stored in between is no orphan.
    old = [file for file in files.stored() if atomic.is_stale(file)]
    known = set(CachedSpeech.objects.values_list("key", flat=True))
    return [file for file in old if file.stem not in known]
