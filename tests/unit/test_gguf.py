"""GGUF heads, written by hand after the format's description."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.llm.gguf import metadata

UINT8, INT32, FLOAT32, BOOL, STRING, ARRAY, UINT64 = 0, 5, 6, 7, 8, 9, 10


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def pair(key: str, kind: int, value: bytes) -> bytes:
    return string(key) + struct.pack("<I", kind) + value


def array(kind: int, items: Sequence[bytes]) -> bytes:
    return struct.pack("<IQ", kind, len(items)) + b"".join(items)


PAIRS = [
    pair("general.name", STRING, string("Modèle")),
    pair("tokenizer.tokens", ARRAY, array(STRING, [string("<s>"), string("é"), string("")])),
    pair("tokenizer.scores", ARRAY, array(FLOAT32, [struct.pack("<f", -1.5)] * 3)),
    pair("quantization", UINT64, struct.pack("<Q", 2**40)),
    pair("offset", INT32, struct.pack("<i", -7)),
    pair("theta", FLOAT32, struct.pack("<f", 0.5)),
    pair("add_bos", BOOL, b"\x01"),
    pair("empty", ARRAY, array(UINT8, [])),
    pair("tokenizer.chat_template", STRING, string("{{ messages }}")),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "weights.gguf"


def head(*pairs: bytes, magic: bytes = b"GGUF") -> bytes:
    return magic + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(pairs)


def test_reads_all_but_arrays(file: Path) -> None:
    file.write_bytes(head(*PAIRS) + b"tensors follow")
    assert metadata(file) == {
        "general.name": "Modèle",
        "quantization": 2**40,
        "offset": -7,
        "theta": 0.5,
        "add_bos": True,
        "tokenizer.chat_template": "{{ messages }}",
    }


def test_no_pairs(file: Path) -> None:
    file.write_bytes(head())
    assert metadata(file) == {}


@pytest.mark.parametrize("contents", [b"", b"GG", b"ggml" + bytes(20), head(magic=b"FUGG")])
def test_another_format(file: Path, contents: bytes) -> None:
    file.write_bytes(contents)
    with pytest.raises(ValueError, match=r"weights\.gguf is not a GGUF file"):
        metadata(file)


def test_cut_short_anywhere(file: Path) -> None:
    whole = head(*PAIRS)
    for size_bytes in range(len(b"GGUF"), len(whole)):
        file.write_bytes(whole[:size_bytes])
        with pytest.raises(ValueError, match=r"weights\.gguf is cut short or damaged"):
            metadata(file)


@pytest.mark.parametrize(
    "damaged",
    [
        pair("nested", ARRAY, array(ARRAY, [array(UINT8, [b"\x00"])])),
        pair("unknown", 13, b"\x00" * 8),
        pair("not UTF-8", STRING, struct.pack("<Q", 2) + b"\xff\xfe"),
        pair("endless", STRING, struct.pack("<Q", 2**64 - 1)),
        pair("endless", ARRAY, struct.pack("<IQ", FLOAT32, 2**62)),
        pair("endless", ARRAY, struct.pack("<IQ", STRING, 2**62)),
    ],
    ids=["nested", "unknown type", "not UTF-8", "string", "array of numbers", "array of strings"],
)
def test_damaged(file: Path, damaged: bytes) -> None:
    file.write_bytes(head(damaged) + bytes(64))
    with pytest.raises(ValueError, match="cut short or damaged"):
        metadata(file)
