"""The program that reads uploads: ``python -m pipeline.decoding.nursery DESCRIPTOR``.

It is small, has one thread, and loads all a child needs before it takes its own rights away. Then
it waits on the socket DESCRIPTOR. Each message brings the end of another socket, on which a child,
forked for it, hears one upload and answers. A child that takes too long is killed. When the server
is gone, by whatever death, the socket says so, and the nursery goes with its children.

The words are fixed and few, as a child may say anything: an answer is a sequence of ``FRAME``
headers, each followed by as many bytes as it announces.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline import memory
from pipeline.decoding import confinement
from pipeline.decoding.refusals import Refused
from pipeline.decoding.samples import SAMPLE_RATE, chunks

ORDER: Final = struct.Struct("<dQQd")
"""What brings a child to life: seconds it may take, bytes it may take beyond what the nursery
holds, bytes of the upload, longest sound in seconds."""

FRAME: Final = struct.Struct("<cI")
"""Kind and size in bytes."""

READY, SAMPLES, REFUSED, END = b"!", b"s", b"r", b"."
"""Kinds: alive, and how it is confined; samples as float32; a refusal as JSON; that was all."""

_LOOK_S = 0.2  # how often it is looked whether a child is done


def main(descriptor: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the server may finish its turns; see above
    _warm_up()
    held_bytes = confinement.address_space_bytes()
    confined = " ".join(confinement.confine())
    memory.settle()  # or a child's first collection would copy every page
    with socket.socket(fileno=descriptor) as orders:
        _wait(orders, held_bytes, confined.encode())


def _warm_up() -> None:
    """Read something, so that all is loaded that is loaded on first use."""
    silence = bytes(2_000)
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8_000, 16_000, 2, 16)
    data = struct.pack("<4sI", b"data", len(silence)) + silence
    wav = struct.pack("<4sI4s", b"RIFF", 4 + len(fmt + data), b"WAVE") + fmt + data
    list(_seconds(chunks(wav, 1.0)))
    json.dumps({"reason": "none"})


def _wait(orders: socket.socket, held_bytes: int, confined: bytes) -> None:
    ends: dict[int, float] = {}  # process id → when it is killed
    while True:
        ready, _, _ = select.select([orders], [], [], _LOOK_S if ends else None)
        if ready:
            order, descriptors, _, _ = socket.recv_fds(orders, ORDER.size, 1)
            if not order:
                for child in ends:
                    os.kill(child, signal.SIGKILL)
                return
            time_s, memory_bytes, upload_bytes, max_duration = ORDER.unpack(order)
            child = os.fork()
            if child == 0:
                with _alone(descriptors[0]) as conversation:
                    most_bytes = held_bytes + memory_bytes
                    confinement.limit(time_s, most_bytes, conversation.fileno() + 1)
                    conversation.sendall(FRAME.pack(READY, len(confined)) + confined)
                    answer(conversation, upload_bytes, max_duration)
            os.close(descriptors[0])
            ends[child] = time.monotonic() + time_s
        for child, end in list(ends.items()):
            if os.waitpid(child, os.WNOHANG)[0]:
                del ends[child]
            elif time.monotonic() > end:
                os.kill(child, signal.SIGKILL)


@contextmanager
def _alone(descriptor: int) -> Iterator[socket.socket]:
    """A child's whole life: it keeps its conversation, and no other tie to the world."""
    try:
        os.dup2(descriptor, 3)
        os.dup2(1, 2)
        os.closerange(4, 1 << 16)
        yield socket.socket(fileno=3)
    finally:
        os._exit(0)


def answer(conversation: socket.socket, upload_bytes: int, max_duration: float) -> None:
    """Hear one upload and say what is in it. Dying on the way is an answer, too."""
    upload = hear(conversation, upload_bytes)
    try:
        for second in _seconds(chunks(upload, max_duration)):
            conversation.sendall(FRAME.pack(SAMPLES, second.nbytes))
            conversation.sendall(second.data)
        conversation.sendall(FRAME.pack(END, 0))
    except Refused as refused:
        body = json.dumps({"reason": refused.reason, "values": refused.values}).encode()
        conversation.sendall(FRAME.pack(REFUSED, len(body)) + body)


def hear(conversation: socket.socket, size_bytes: int) -> bytes:
    """So much, in one piece as a rule: then it is in memory once.

    Raises ``EOFError`` when the conversation ends before.
    """
    heard = conversation.recv(size_bytes, socket.MSG_WAITALL)
    while len(heard) < size_bytes:
        more = conversation.recv(size_bytes - len(heard))
        if not more:
            raise EOFError
        heard += more
    return heard


def _seconds(pieces: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """``pieces`` joined to about a second each: a message for every frame would cost more."""
    held: list[NDArray[np.float32]] = []
    length = 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        if length >= SAMPLE_RATE:
            yield np.concatenate(held)
            held, length = [], 0
    if length:
        yield np.concatenate(held)


if __name__ == "__main__":
    main(int(sys.argv[1]))
