"""A Whisper checkpoint in OpenAI's format, made from the same weights in CTranslate2's.

``model.bin`` is what CTranslate2's converters write (``ModelSpec.save``, binary version 6),
little-endian::

    u32 version · str specification · u32 revision
    u32 count   · count × (str name · u8 rank · rank × u32 · u8 type · u32 size · bytes)
    u32 count   · count × (str alias · str name)

where ``str`` is a u16 length, then that many bytes, the last one zero. ``/`` separates the names
of layers. Projections that read the same input are joined, in the order query, key, value.

A checkpoint is ``{"dims": …, "model_state_dict": …}``, as ``whisper.load_model`` reads it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

VERSION = 6
TYPES = ("<f4", "i1", "<i2", "<i4", "<f2")  # by number; the sixth, bfloat16, numpy does not know

Variables = Mapping[str, NDArray[np.generic]]

LAYER_NORM = {"gamma": "weight", "beta": "bias"}
LAYERS = {
    "encoder/conv1": "encoder.conv1",
    "encoder/conv2": "encoder.conv2",
    "encoder/layer_norm": "encoder.ln_post",
    "decoder/layer_norm": "decoder.ln",
    "decoder/embeddings": "decoder.token_embedding",
}
"""Outside the blocks, CTranslate2's name → OpenAI's."""

BLOCK_LAYERS = {
    "self_attention/layer_norm": ["attn_ln"],
    "self_attention/linear_0": ["attn.query", "attn.key", "attn.value"],
    "self_attention/linear_1": ["attn.out"],
    "attention/layer_norm": ["cross_attn_ln"],
    "attention/linear_0": ["cross_attn.query"],
    "attention/linear_1": ["cross_attn.key", "cross_attn.value"],
    "attention/linear_2": ["cross_attn.out"],
    "ffn/layer_norm": ["mlp_ln"],
    "ffn/linear_0": ["mlp.0"],
    "ffn/linear_1": ["mlp.2"],
}
"""Inside a block: CTranslate2's name → those of OpenAI's that it joins."""


def convert(source: Path, target: Path) -> None:
    """Write the checkpoint of ``source`` (a ``model.bin`` of Whisper) to ``target`` (``.pt``).

    :raises ValueError: it is not one, or holds what a checkpoint has no place for.
    """
    with source.open("rb") as file:
        variables = dict(_variables(file))
    state = {
        name: torch.from_numpy(array.copy())
        for path, variable in variables.items()
        if variable.ndim
        for name, array in _tensors(path, variable)
    }
    torch.save({"dims": _dims(variables), "model_state_dict": state}, target)


def _variables(file: BinaryIO) -> Iterator[tuple[str, NDArray[np.generic]]]:
    version, specification = _u32(file), _string(file)
    if (version, specification) != (VERSION, "WhisperSpec"):
        raise ValueError(f"{specification} of version {version} is not Whisper of {VERSION}")
    _revision, count = _u32(file), _u32(file)
    for _ in range(count):
        name, rank = _string(file), _u8(file)
        shape = [_u32(file) for _ in range(rank)]
        dtype, size_bytes = np.dtype(TYPES[_u8(file)]), _u32(file)
        yield name, np.frombuffer(file.read(size_bytes), dtype).reshape(shape)
    # What follows are aliases. The only one, the output projection, is the token embedding,
    # which OpenAI's decoder uses for both.


def _u8(file: BinaryIO) -> int:
    return file.read(1)[0]


def _u32(file: BinaryIO) -> int:
    return int.from_bytes(file.read(4), "little")


def _string(file: BinaryIO) -> str:
    [length] = struct.unpack("<H", file.read(2))
    return file.read(length)[:-1].decode()


def _tensors(path: str, variable: NDArray[np.generic]) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """The entries of a state dict that are joined in ``variable``."""
    if found := re.fullmatch(r"(encoder|decoder)/position_encodings/encodings", path):
        yield f"{found[1]}.positional_embedding", variable
        return
    layer, _separator, kind = path.rpartition("/")
    kind = LAYER_NORM.get(kind, kind)
    if found := re.fullmatch(r"(encoder|decoder)/layer_(\d+)/(.+)", layer):
        names = [f"{found[1]}.blocks.{found[2]}.{name}" for name in BLOCK_LAYERS[found[3]]]
    else:
        names = [LAYERS[layer]]
    for name, part in zip(names, np.split(variable, len(names)), strict=True):
        if kind == "bias" and name.endswith(".key"):
            if part.any():
                raise ValueError(f"{path}: OpenAI's keys have no bias")
        else:
            yield f"{name}.{kind}", part


def _dims(variables: Variables) -> dict[str, int]:
    n_audio_state, n_mels, _width = variables["encoder/conv1/weight"].shape
    n_vocab, n_text_state = variables["decoder/embeddings/weight"].shape
    return {
        "n_mels": n_mels,
        "n_audio_ctx": len(variables["encoder/position_encodings/encodings"]),
        "n_audio_state": n_audio_state,
        "n_audio_head": int(variables["encoder/num_heads"]),
        "n_audio_layer": _blocks(variables, "encoder"),
        "n_vocab": n_vocab,
        "n_text_ctx": len(variables["decoder/position_encodings/encodings"]),
        "n_text_state": n_text_state,
        "n_text_head": int(variables["decoder/num_heads"]),
        "n_text_layer": _blocks(variables, "decoder"),
    }


def _blocks(variables: Variables, part: str) -> int:
    block = re.compile(rf"{part}/layer_(\d+)/")
    return len({found[1] for found in map(block.match, variables) if found})
