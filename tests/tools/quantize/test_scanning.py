"""A matrix of nothing is found in every type that ggml can round to, and one with something in it is not."""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import pytest

from assistant.core.errors import ModelCorrupt
from assistant.store.formats.gguf import TENSOR_TYPES
from assistant.tools.quantize.recipe import FOR_TENSORS
from assistant.tools.quantize.scanning import check_weights
from tests.gguf_writer import ALIGNMENT, tensor_line

ROWS, COLUMNS = 4, 512
NUMBERS = {name: number for number, (name, _, _) in TENSOR_TYPES.items()}
NOT_OF_MODELS = {"Q8_1", "Q8_K", "I8", "I16", "I32", "I64", "F64"}
"""What ggml computes with and does not round to."""
ROUNDED_TO = sorted(set(NUMBERS) - NOT_OF_MODELS)

Array = np.ndarray[Any, Any]


def packed(kind: str, matrix: Array, *, weighed: bool) -> bytes:
    """As ggml has it, with an importance matrix or, where it needs none, without."""
    folder = Path(llama_cpp.__file__).parent / "lib"
    library = ctypes.CDLL(str(next(iter(sorted(folder.glob("libggml-base.*"))))))
    library.ggml_quantize_requires_imatrix.restype = ctypes.c_bool
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [
        *(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p),
        *(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p),
    ]
    number = NUMBERS[kind]
    weighed = weighed or library.ggml_quantize_requires_imatrix(number)
    data, importance = np.zeros(4 * matrix.size, np.uint8), np.ones(COLUMNS, np.float32)
    used = library.ggml_quantize_chunk(
        *(number, matrix.ctypes.data, data.ctypes.data, 0, len(matrix), COLUMNS),
        importance.ctypes.data if weighed else None,
    )
    return data[:used].tobytes()


def check(folder: Path, kind: str, matrix: Array, *, weighed: bool) -> None:
    """Scan a file whose second tensor is this matrix."""
    line = tensor_line("ones", (8,), NUMBERS["F32"], 0)
    line += tensor_line("planted", (COLUMNS, len(matrix)), NUMBERS[kind], ALIGNMENT)
    head = b"GGUF" + struct.pack("<IQQ", 3, 2, 0) + line
    data = np.ones(8, np.float32).tobytes() + packed(kind, matrix, weighed=weighed)
    (folder / "m.gguf").write_bytes(head + bytes(-len(head) % ALIGNMENT) + data)
    check_weights(folder)


def test_what_is_written_here_is_among_them() -> None:
    assert {name.upper() for name in FOR_TENSORS} <= set(ROUNDED_TO)


@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("kind", ROUNDED_TO)
def test_zeros(kind: str, weighed: bool, tmp_path: Path) -> None:
    matrix = np.zeros((ROWS, COLUMNS), np.float32)
    with pytest.raises(ModelCorrupt, match=r"'planted' of m\.gguf contains only zeros"):
        check(tmp_path, kind, matrix, weighed=weighed)
    with pytest.raises(ModelCorrupt, match="zeros"):
        check(tmp_path, kind, -matrix, weighed=weighed)
    matrix[-1] = np.random.default_rng(1).normal(size=COLUMNS)
    check(tmp_path, kind, matrix, weighed=weighed)


@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("kind", ROUNDED_TO)
def test_a_constant_is_something(kind: str, weighed: bool, tmp_path: Path) -> None:
    check(tmp_path, kind, np.full((ROWS, COLUMNS), -0.5, np.float32), weighed=weighed)
