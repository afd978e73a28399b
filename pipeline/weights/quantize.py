"""Numbers of few bits, written as ggml reads them.

The `gguf` package writes no K-quants. The library that xllamacpp brings has ggml's own functions,
under the names of its public header, so what is written here is what llama.cpp itself would write
(https://github.com/ggml-org/ggml/blob/master/include/ggml.h, ``ggml_quantize_chunk``).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType as Kind
from gguf.quants import quant_shape_to_byte_shape
from numpy.typing import NDArray

PIECE_ROWS = 1024


def quantized(rows: NDArray[np.float32], kind: Kind) -> NDArray[Any]:
    """``rows``, a matrix, as ``kind``: float32, float16, or rows of packed bytes.

    :raises ValueError: the rows do not divide into blocks of ``kind``.
    """
    if kind in (Kind.F32, Kind.F16):
        return rows.astype(np.float16 if kind == Kind.F16 else np.float32)
    rows = np.ascontiguousarray(rows, np.float32)
    packed = np.empty(quant_shape_to_byte_shape(rows.shape, kind), np.uint8)
    quantize_chunk = _library()

    def piece(start: int) -> None:
        these, those = rows[start : start + PIECE_ROWS], packed[start : start + PIECE_ROWS]
        size_bytes = quantize_chunk(
            int(kind), these.ctypes.data, those.ctypes.data, 0, *these.shape, None
        )
        if size_bytes != those.nbytes:
            raise RuntimeError(f"ggml wrote {size_bytes} bytes of {kind.name}, not {those.nbytes}")

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the library is called without the GIL
        for _done in pool.map(piece, range(0, len(rows), PIECE_ROWS)):
            pass
    return packed


@cache
def _library() -> Callable[..., int]:
    """size_t ggml_quantize_chunk(type, src, dst, start, nrows, n_per_row, imatrix)"""
    from xllamacpp import xllamacpp

    function = ctypes.CDLL(xllamacpp.__file__).ggml_quantize_chunk
    function.restype = ctypes.c_size_t
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    function.argtypes = [ctypes.c_int, pointer, pointer, number, number, number, pointer]
    return function
