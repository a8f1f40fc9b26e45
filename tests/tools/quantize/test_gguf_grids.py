"""The grids as llama.cpp has them: what it rounded and unpacked itself lies on them, number for number."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import pytest

from assistant.store.formats.gguf import Tensor
from assistant.tools.quantize.gguf_grids import KINDS, Bytes, grid_of
from assistant.tools.quantize.gguf_io import with_feedback
from assistant.tools.quantize.importance import Correlations
from assistant.tools.quantize.recipe import TENSOR_NUMBERS
from assistant.tools.quantize.rounding import error_spread, gptq_on_grid

ROWS, COLUMNS = 6, 512
Array = np.ndarray[Any, Any]


def _library() -> ctypes.CDLL:
    folder = Path(llama_cpp.__file__).parent / "lib"
    return ctypes.CDLL(str(next(iter(sorted(folder.glob("libggml-base.*"))))))


def rounded_by_ggml(kind: str, matrix: Array) -> tuple[Bytes, Array]:
    """The data of a tensor, and what it stands for."""
    library, floats = _library(), ctypes.POINTER(ctypes.c_float)
    data = np.zeros(matrix.size, np.uint8)
    source, target = matrix.ctypes.data_as(floats), data.ctypes.data_as(ctypes.c_void_p)
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [
        *(ctypes.c_int, floats, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, floats),
    ]
    used = library.ggml_quantize_chunk(
        TENSOR_NUMBERS[kind.lower()], source, target, 0, len(matrix), matrix.shape[1], None
    )
    values = np.empty_like(matrix)
    unpack = getattr(library, f"dequantize_row_{kind.lower().replace('_k', '_K')}")
    unpack.argtypes, unpack.restype = [ctypes.c_void_p, floats, ctypes.c_int64], None
    unpack(target, values.ctypes.data_as(floats), matrix.size)
    return data[:used], values


def random_matrix(seed: int = 1) -> Array:
    random = np.random.default_rng(seed)
    return (random.normal(size=(ROWS, COLUMNS)) * random.lognormal(size=(ROWS, 1))).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_what_ggml_rounded_lies_on_the_grid_and_is_packed_alike(kind: str) -> None:
    data, values = rounded_by_ggml(kind, random_matrix())
    grid = grid_of(kind, data, COLUMNS)
    numbers = np.rint((values - grid.bases) / grid.steps)
    assert numbers.min() >= 0
    assert numbers.max() <= grid.highest
    assert np.allclose(grid.bases + numbers * grid.steps, values, atol=1e-5)
    assert np.array_equal(grid.packed(numbers.astype(np.uint8)).reshape(-1), data)


@pytest.mark.parametrize("kind", KINDS)
def test_gptq_on_the_grid_changes_the_outputs_less(kind: str, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    inputs = random.normal(size=(2000, COLUMNS // 4)) @ random.normal(size=(COLUMNS // 4, COLUMNS))
    correlation = (inputs.T @ inputs / len(inputs)).astype(np.float32)
    np.save(tmp_path / "blk.0.ffn_down.weight.npy", correlation)
    known = Correlations(tmp_path, {"blk.0.ffn_down.weight": COLUMNS})
    matrix = random_matrix(3)
    before, plain = rounded_by_ggml(kind, matrix)
    tensor = Tensor("blk.0.ffn_down.weight", (COLUMNS, ROWS), kind, 0, before.size)
    after = with_feedback(known, by_importance=True)(tensor, before, matrix)
    assert after.size == before.size
    library, made = _library(), np.empty_like(matrix)
    unpack = getattr(library, f"dequantize_row_{kind.lower().replace('_k', '_K')}")
    unpack.argtypes, unpack.restype = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64], None
    after = np.ascontiguousarray(after)
    unpack(after.ctypes.data, made.ctypes.data, matrix.size)
    losses = [float(np.sum((values - matrix) @ correlation * (values - matrix))) for values in (plain, made)]
    assert losses[1] < 0.5 * losses[0]


def test_what_is_not_known_stays_as_it_is() -> None:
    before, _ = rounded_by_ggml("Q4_K", random_matrix())
    tensor = Tensor("blk.9.attn_q.weight", (COLUMNS, ROWS), "Q4_K", 0, before.size)
    again = with_feedback(Correlations(Path(), {}), by_importance=True)
    assert again(tensor, before, random_matrix()) is before


def test_a_block_of_nothing_stays_nothing() -> None:
    matrix = random_matrix()
    matrix[:, :256] = 0
    data, _ = rounded_by_ggml("Q4_K", matrix)
    grid = grid_of("Q4_K", data, COLUMNS)
    order, factor = error_spread(np.eye(COLUMNS, dtype=np.float32), by_importance=False)
    numbers = gptq_on_grid(matrix, grid.steps, grid.bases, grid.highest, order, factor)
    assert not (grid.bases + numbers * grid.steps)[:, :256].any()
