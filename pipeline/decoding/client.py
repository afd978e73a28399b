"""The server's side of decoding: hands an upload to a child, and believes nothing it says."""

from __future__ import annotations

import atexit
import io
import json
import logging
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Collection, Generator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Final

import numpy as np
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from numpy.typing import NDArray

from pipeline.decoding import nursery
from pipeline.decoding.nursery import FRAME, ORDER
from pipeline.decoding.refusals import Reason, Refused
from pipeline.decoding.samples import SAMPLE_RATE
from pipeline.errors import (
    AudioDecodeError,
    AudioTooLong,
    EngineBusy,
    EngineUnavailable,
    InputError,
)

__all__ = ["Decoder", "Upload", "decoder", "error"]

logger = logging.getLogger(__name__)

Upload = bytes | IO[bytes]
"""All of it, or the file it is in."""

AT_ONCE: Final = 4
"""Children at a time: what hostile uploads can take of memory and processors is bounded by it."""

WAIT_S: Final = 20.0
"""How long an upload waits for others."""

BIRTH_S: Final = 10.0
"""A child comes to life within milliseconds; after this the nursery is taken for dead."""

TIME_S, TIME_PER_S = 3.0, 1 / 40
"""A child may take ``TIME_S``, and more for each second of the longest sound it may find. An hour
of real speech takes it ten seconds."""

MEMORY_BYTES = 32_000_000
"""A child may take so much more than its upload. Two hours of any container take a quarter of it.
"""

_REFUSAL_BYTES: Final = 1_000
_ROOT: Final = Path(__file__).resolve().parent.parent.parent

_TEXTS: Final = {
    Reason.UNKNOWN: gettext_lazy(
        "This is not a recording we can read. Send WebM, Ogg, MP4, MP3, AAC, FLAC or WAV audio."
    ),
    Reason.TRUNCATED: gettext_lazy("The recording is cut short or damaged. Send it again."),
    Reason.DAMAGED: gettext_lazy("The recording is damaged and cannot be read."),
    Reason.NO_SOUND: gettext_lazy("The recording holds no sound."),
    Reason.CODEC: gettext_lazy(
        "This codec is not accepted. Send Opus, Vorbis, AAC, MP3, FLAC or PCM audio."
    ),
    Reason.LAYOUT: gettext_lazy(
        "Audio of %(channels)d channels at %(sample_rate)d Hz is not accepted."
    ),
    Reason.TOO_MUCH: gettext_lazy(
        "The recording is damaged, or takes too much time or memory to read."
    ),
}


def error(refused: Refused, max_duration: float) -> InputError:
    """What people are told. ``max_duration`` in seconds.

    Raises ``KeyError`` or ``ValueError`` when the values are not those of the reason.
    """
    match refused.reason:
        case Reason.TOO_LONG:
            return AudioTooLong(refused.values["duration"], max_duration)
        case Reason.NO_END:
            return AudioTooLong(max_duration, max_duration, at_least=True)
    return AudioDecodeError(str(_TEXTS[refused.reason]) % refused.values)


class Decoder:
    """The nursery of this process: started when it is first needed, and again should it die."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._nursery: _Nursery | None = None
        self.confined: Collection[str] = ()
        """What the last child was cut off from, besides what each is: see ``confinement``."""

    def start(self) -> None:
        """Already now, so that the first upload need not wait, and what cannot work is seen.

        Raises ``EngineUnavailable``.
        """
        self._child(ORDER.pack(TIME_S, MEMORY_BYTES, 0, 0.0)).close()
        logger.info("Uploads are read apart, cut off from: %s", ", ".join(self.confined) or "-")

    @property
    def pid(self) -> int | None:
        """Of the nursery, if there is one."""
        with self._lock:
            return None if self._nursery is None else self._nursery.pid

    def close(self) -> None:
        """End the nursery and its children."""
        with self._lock:
            if self._nursery is not None:
                self._nursery.close()
                self._nursery = None

    def decode(self, upload: Upload, max_duration: float) -> NDArray[np.float32]:
        """Of shape ``(n,)``, finite and in [-1, 1]; see ``pipeline.audio.decode``."""
        return np.concatenate(list(self.pieces(upload, max_duration)))

    def pieces(
        self, upload: Upload, max_duration: float
    ) -> Generator[NDArray[np.float32], None, None]:
        """The same, piece by piece: what is long need not fit into memory. The errors come last."""
        if not self._places.acquire(timeout=WAIT_S):
            raise EngineBusy(retry_after_s=round(WAIT_S))
        try:
            for samples in self._read(upload, max_duration):
                yield samples.clip(-1, 1)
        except Refused as refused:
            raise error(refused, max_duration) from refused
        finally:
            self._places.release()

    def _read(self, upload: Upload, max_duration: float) -> Iterator[NDArray[np.float32]]:
        file = io.BytesIO(upload) if isinstance(upload, bytes) else upload
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(0)
        time_s = TIME_S + TIME_PER_S * max_duration
        order = ORDER.pack(time_s, MEMORY_BYTES + size_bytes, size_bytes, max_duration)
        with self._child(order) as conversation:
            conversation.settimeout(time_s + 1)  # it has been killed by then
            try:
                with suppress(BrokenPipeError):  # it has answered already, or has died: read on
                    # From a file on the disk without passing through our memory.
                    conversation.sendfile(file)
                yield from _answer(conversation, max_duration)
            except Refused:
                raise
            except Exception as exc:  # the end of a conversation, or nonsense of any kind
                logger.warning("An upload of %d bytes ended its reader: %r", size_bytes, exc)
                raise Refused(Reason.TOO_MUCH) from exc

    def _child(self, order: bytes) -> socket.socket:
        """The conversation with a new child, which has come to life."""
        for _attempt in range(2):
            ours, theirs = socket.socketpair()
            asked = None
            try:
                with theirs, self._lock:
                    asked = self._started()
                    asked.hand(theirs, order)
                ours.settimeout(BIRTH_S)
                kind, size_bytes = FRAME.unpack(ours.recv(FRAME.size, socket.MSG_WAITALL))
                if kind == nursery.READY:
                    self.confined = ours.recv(size_bytes, socket.MSG_WAITALL).decode().split()
                    return ours
            except (OSError, struct.error) as exc:
                logger.warning("The nursery does not answer: %r", exc)
            ours.close()
            with self._lock:
                if asked is not None and self._nursery is asked:
                    asked.close()
                    self._nursery = None
        raise EngineUnavailable(_("Recordings cannot be read at the moment."))

    def _started(self) -> _Nursery:
        if self._nursery is None:
            self._nursery = _Nursery()
        return self._nursery

    def after_fork(self) -> None:
        """In a server's worker: the nursery is that of the process it was forked from."""
        self.__init__()  # type: ignore[misc]


class _Nursery:
    """The process, and the socket it takes orders from."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair()
        self._orders.settimeout(BIRTH_S)
        # Nothing of the environment but where libraries are: keys lie in it.
        environment = {"OPENBLAS_NUM_THREADS": "1"}
        if "LD_LIBRARY_PATH" in os.environ:
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        with ExitStack() as unless_it_starts:
            unless_it_starts.enter_context(self._orders)
            with theirs:
                # By vfork and exec: nothing of the engines is copied or goes on running there.
                self._process = subprocess.Popen(
                    [sys.executable, "-s", "-m", nursery.__name__, str(theirs.fileno())],
                    cwd=_ROOT,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            unless_it_starts.pop_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    def hand(self, conversation: socket.socket, order: bytes) -> None:
        socket.send_fds(self._orders, [order], [conversation.fileno()])

    def close(self) -> None:
        self._orders.close()
        try:
            self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _answer(conversation: socket.socket, max_duration: float) -> Iterator[NDArray[np.float32]]:
    """What a child says: samples, finite, ``max_duration`` of them at most.

    Raises ``Refused``; anything else when a child does not speak as it should, which it may do
    after an upload has taken it over.
    """
    most = left = round(max_duration * SAMPLE_RATE)
    while True:
        kind, size_bytes = FRAME.unpack(nursery.hear(conversation, FRAME.size))
        if size_bytes > (4 * left if kind == nursery.SAMPLES else _REFUSAL_BYTES):
            raise ValueError(f"{size_bytes} bytes are too many")
        content = nursery.hear(conversation, size_bytes)
        match kind:
            case nursery.SAMPLES:
                samples = np.frombuffer(content, np.float32)
                if not len(samples):  # it could go on like that
                    raise ValueError("no samples are nothing to say")
                if not np.isfinite(samples).all():
                    raise Refused(Reason.DAMAGED)
                left -= len(samples)
                yield samples
            case nursery.REFUSED:
                told = json.loads(content)
                refused = Refused(Reason(told["reason"]), **told["values"])
                error(refused, max_duration)  # it can be told
                raise refused
            case nursery.END if left < most:
                return
            case _:
                raise ValueError(f"{kind!r} means nothing")


decoder = Decoder()
atexit.register(decoder.close)
os.register_at_fork(after_in_child=decoder.after_fork)
