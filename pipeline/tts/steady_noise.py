"""Makes the noise inside an ONNX graph the same every time.

The voices of Piper (VITS, https://arxiv.org/abs/2106.06103) draw noise while they speak: for the
rhythm and for the timbre. ONNX Runtime draws it from a generator that goes on from call to call, so
no seed makes one sentence sound the same twice; and with the noise turned off a voice is flat. Here
the nodes that draw are replaced by nodes that read a table, which becomes part of the graph: the
voice stays lively, and the same sentence is the same samples, from any thread.

A graph is a protobuf message (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Two nodes
out of thousands are written anew; all else is copied as it is, which takes no package.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

NOISE = 1_000_003
"""Numbers in the table, which is read in a circle: more than Piper draws in a minute of speech."""

# Fields of the messages.
GRAPH, NODE, INITIALIZER = 7, 1, 5
INPUT, OUTPUT, OP_TYPE = 1, 2, 4
DIMS, DATA_TYPE, NAME, RAW_DATA = 1, 2, 8, 9

FLOAT, INT64 = 1, 7
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # kinds of fields
FIXED_BYTES = {FIXED64: 8, FIXED32: 4}

PREFIX = "steady_noise"


def with_steady_noise(model: bytes) -> bytes:
    """``model``, a serialised ``ModelProto``, with every ``RandomNormalLike`` reading the table.

    :raises ValueError: not such a message.
    """
    try:
        parts = [
            _field(GRAPH, _graph(value)) if number == GRAPH else bytes(field)
            for number, value, field in _fields(memoryview(model))
        ]
    except IndexError:
        raise ValueError("not an ONNX model, or cut short") from None
    return b"".join(parts)


def _graph(graph: memoryview) -> bytes:
    parts: list[bytes | memoryview] = []
    replaced = 0
    for number, value, field in _fields(graph):
        if number == NODE and (ends := _drawing(value)):
            parts += _reading(*ends, f"{PREFIX}/{replaced}")
            replaced += 1
        else:
            parts.append(field)
    table = np.random.default_rng(0).standard_normal(NOISE, np.float32)
    parts += [
        _tensor("table", FLOAT, table, (NOISE,)),
        *(_tensor(str(n), INT64, np.array(n, np.int64), ()) for n in (0, 1, NOISE)),
    ]
    return b"".join(parts)


def _drawing(node: memoryview) -> tuple[bytes, bytes] | None:
    """Names of what goes in and comes out, if ``node`` draws noise."""
    known = {number: bytes(value) for number, value, _field in _fields(node)}
    if known.get(OP_TYPE) != b"RandomNormalLike":
        return None
    return known[INPUT], known[OUTPUT]


def _reading(like: bytes, output: bytes, name: str) -> Iterator[bytes]:
    """Nodes that make ``output``, of the shape of ``like``, from the table."""

    def node(op_type: str, *ends: bytes) -> bytes:
        *inputs, made = ends
        fields = [*(_field(INPUT, end) for end in inputs), _field(OUTPUT, made)]
        return _field(NODE, b"".join(fields) + _field(OP_TYPE, op_type.encode()))

    def made(what: str) -> bytes:
        return f"{name}/{what}".encode()

    def shared(what: object) -> bytes:
        return f"{PREFIX}/{what}".encode()

    yield node("Shape", like, made("shape"))
    yield node("Size", like, made("size"))
    yield node("Range", shared(0), made("size"), shared(1), made("range"))
    yield node("Mod", made("range"), shared(NOISE), made("places"))
    yield node("Gather", shared("table"), made("places"), made("values"))
    yield node("Reshape", made("values"), made("shape"), output)


def _tensor(name: str, data_type: int, values: np.ndarray, dims: tuple[int, ...]) -> bytes:
    return _field(
        INITIALIZER,
        b"".join(_number(DIMS, dim) for dim in dims)
        + _number(DATA_TYPE, data_type)
        + _field(NAME, f"{PREFIX}/{name}".encode())
        + _field(RAW_DATA, values.astype(values.dtype.newbyteorder("<")).tobytes()),
    )


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Number, value and whole encoding of each field of ``message``."""
    start = 0
    while start < len(message):
        key, at = _read_varint(message, start)
        kind = key & 7
        if kind == BYTES:
            size_bytes, at = _read_varint(message, at)
            end = at + size_bytes
        elif kind == VARINT:
            _value, end = _read_varint(message, at)
        elif kind in FIXED_BYTES:
            end = at + FIXED_BYTES[kind]
        else:
            raise ValueError("not an ONNX model")
        if end > len(message):
            raise IndexError
        yield key >> 3, message[at:end], message[start:end]
        start = end


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number at ``at``, seven bits a byte, and where it ends."""
    number = shift = 0
    while True:
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | BYTES) + _varint(len(value)) + value


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | VARINT) + _varint(value)
