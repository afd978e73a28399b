"""Cached speech as a ZIP, written while it is sent: ``speech/<key>.wav`` and ``index.json``."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncGenerator, Generator, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from cache import files
from cache.models import CachedSpeech, CachedSpeechQuerySet

BATCH = 200  # rows read at a time

TOLD = (
    *("key", "tenant", "text", "corrected_text", "language", "voice", "corrected_voice", "engine"),
    *("identity", "speed", "duration", "hits", "pinned", "sha256"),
)
"""What the index says of each speech; moments are added to it."""


def response(request: HttpRequest, selected: CachedSpeechQuerySet) -> StreamingHttpResponse:
    """``selected`` as a file to download."""
    chunks = archive(selected)
    return StreamingHttpResponse(
        _async(chunks) if isinstance(request, ASGIRequest) else chunks,
        content_type="application/zip",
        headers={
            "Content-Disposition": 'attachment; filename="speech.zip"',
            "X-Accel-Buffering": "no",
        },
    )


async def _async(chunks: Generator[bytes, None, None]) -> AsyncGenerator[bytes, None]:
    """Django would make all of a plain iterator before it sends any."""
    step = sync_to_async(lambda: next(chunks, b""))
    while chunk := await step():
        yield chunk


class _Pipe(io.RawIOBase):
    """What is written to it is taken from it; it cannot be wound back."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: Any) -> int:
        self._written.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self._written = b"".join(self._written), []
        return taken


def archive(selected: CachedSpeechQuerySet) -> Generator[bytes, None, None]:
    """The pieces of the ZIP. Speech whose file is gone or damaged is left out, of the index, too.

    Samples hardly shrink, so nothing is compressed: the disk sets the pace, not the processor.
    """
    pipe, sent = _Pipe(), []
    with zipfile.ZipFile(pipe, "w") as zipped:
        for row in _rows(selected.order_by("pk").values_list("pk", flat=True)):
            wav = files.read(row.key, row.sha256)
            if wav is not None:
                zipped.writestr(f"speech/{row.key}.wav", wav)
                sent.append(row.pk)
                yield pipe.take()
        with zipped.open("index.json", "w") as index:
            index.write(b"[")
            for place, row in enumerate(_rows(sent)):
                index.write(b",\n" if place else b"\n")
                index.write(json.dumps(_told(row), ensure_ascii=False).encode())
                if place % BATCH == BATCH - 1:
                    yield pipe.take()
            index.write(b"\n]\n")
    yield pipe.take()


def _rows(pks: Any) -> Iterator[CachedSpeech]:
    """In that order, a batch at a time: those that are still there."""
    pks = list(pks)
    for start in range(0, len(pks), BATCH):
        batch = CachedSpeech.objects.in_bulk(pks[start : start + BATCH])
        yield from (batch[pk] for pk in sorted(batch))


def _told(row: CachedSpeech) -> dict[str, Any]:
    return {
        "file": f"speech/{row.key}.wav",
        **{name: getattr(row, name) for name in TOLD},
        "created_at": row.created_at.isoformat(),
        "last_used_at": row.last_used_at.isoformat(),
    }
