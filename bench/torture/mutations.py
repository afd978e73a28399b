"""Valid recordings, damaged in ways that a seed decides."""

from __future__ import annotations

import random
import struct
from functools import cache
from typing import Final

from tests.uploads import UPLOADS

HEADER_BYTES: Final = 600
EXTREMES: Final = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


@cache
def originals() -> dict[str, bytes]:
    return {name: make() for name, make in UPLOADS.items()}


def mutation(seed: int, number: int) -> tuple[str, bytes]:
    """The ``number``-th of a ``seed``, and what it was made of: every container in turn."""
    names = list(originals())
    name = names[number % len(names)]
    chance = random.Random(f"{seed} {number}")
    data = bytearray(originals()[name])
    for _wound in range(chance.choice((1, 1, 2, 5))):
        _wound_at(data, chance)
    return name, bytes(data)


def _wound_at(data: bytearray, chance: random.Random) -> None:
    # Headers are where structure is: half of the damage goes there.
    span = chance.choice((min(HEADER_BYTES, len(data)), len(data))) or 1
    at, length = chance.randrange(span), chance.randrange(1, 200)
    match chance.randrange(7):
        case 0:  # a few bytes
            for _byte in range(chance.choice((1, 3, 30))):
                data[at : at + 1] = bytes([chance.randrange(256)])
                at = chance.randrange(span)
        case 1:  # a bit
            if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
        case 2:  # a number
            order = chance.choice("<>")
            data[at : at + 4] = struct.pack(f"{order}I", chance.choice(EXTREMES))
        case 3:  # the end
            del data[at:]
        case 4:  # a hole
            del data[at : at + length]
        case 5:  # the same twice
            data[at:at] = data[at : at + length]
        case 6:  # a piece of another container
            other = chance.choice(list(originals().values()))
            start = chance.randrange(len(other))
            data[at : at + length] = other[start : start + length]
