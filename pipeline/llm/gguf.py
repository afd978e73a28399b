"""Reads what a GGUF file says of itself.

The `gguf` package maps every tensor and decodes every token of the vocabulary, which takes
seconds; a few strings at the head of the file are all that is wanted here. The format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

MAGIC = b"GGUF"
# Value types by number; each but string and array is one fixed-size number.
FORMATS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
STRING, ARRAY = 8, 9
MAX_VALUE_BYTES = 1 << 26  # far beyond any; a damaged length must not fill the memory

Scalar = str | int | float | bool


def metadata(path: Path) -> dict[str, Scalar]:
    """Every key of the file but the arrays (the vocabulary).

    :raises ValueError: not a GGUF file, or cut short.
    """
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            raise ValueError(f"{path} is not a GGUF file")
        try:
            _version, _tensors, count = struct.unpack("<IQQ", _take(file, 20))
            pairs = ((_string(file), _value(file)) for _ in range(count))
            return {key: value for key, value in pairs if value is not None}
        except (struct.error, UnicodeDecodeError) as exc:
            raise ValueError(f"{path} is cut short or damaged") from exc


def _take(file: BinaryIO, size_bytes: int) -> bytes:
    if size_bytes > MAX_VALUE_BYTES or len(taken := file.read(size_bytes)) < size_bytes:
        raise struct.error(f"{size_bytes} bytes")
    return taken


def _number(file: BinaryIO, code: str) -> int | float | bool:
    number: int | float | bool
    [number] = struct.unpack(f"<{code}", _take(file, struct.calcsize(code)))
    return number


def _string(file: BinaryIO) -> str:
    return _take(file, int(_number(file, "Q"))).decode()


def _value(file: BinaryIO) -> Scalar | None:
    kind = int(_number(file, "I"))
    if kind == STRING:
        return _string(file)
    if kind == ARRAY:
        _skip_array(file)
        return None
    if kind not in FORMATS:
        raise struct.error(f"value type {kind}")
    return _number(file, FORMATS[kind])


def _skip_array(file: BinaryIO) -> None:
    kind, length = struct.unpack("<IQ", _take(file, 12))
    if kind == STRING:
        for _ in range(length):
            _take(file, int(_number(file, "Q")))
    elif kind in FORMATS:
        _take(file, length * struct.calcsize(FORMATS[kind]))
    else:
        raise struct.error(f"array of type {kind}")
