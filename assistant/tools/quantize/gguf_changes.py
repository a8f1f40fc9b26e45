"""Puts other numbers into the tensors of a GGUF file, in their place: types and shapes stay as they are.

So no writer of GGUF files is needed: llama.cpp makes the file, and a method changes what is in it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant.core.errors import ModelCorrupt
from assistant.store.disk import require, writing
from assistant.store.formats.gguf import Tensor, read_header
from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize import gptq
from assistant.tools.quantize.block_numbers import BLOCK, Blocks, Float32s
from assistant.tools.quantize.correlations import Correlations
from assistant.tools.quantize.gguf_grids import Bytes, grid_of, nibbles
from assistant.tools.quantize.gguf_weights import GgufWeights
from assistant.tools.quantize.rounding import LastSpread


def copy_with(source: Path, target: Path, arrays: Mapping[str, npt.NDArray[np.floating[Any]]]) -> None:
    """Copy a plain model with other values in the tensors ``arrays``. Raises StorageFull, ModelCorrupt."""
    require(source.stat().st_size, target.parent)
    tensors = {tensor.name: tensor for tensor in read_header(source).tensors}
    with writing(target.parent):
        shutil.copyfile(source, target)
        with target.open("r+b") as file:
            for name, array in arrays.items():
                file.seek(tensors[name].offset)
                file.write(_plain_bytes(array, tensors[name]))


Again = Callable[[Tensor, Bytes, Float32s], Bytes]
"""Told a tensor, its data and the weights [rows, columns] that it was made of; its new data."""


def round_again(made: Path, plain: Path, types: Collection[str], again: Again, watcher: Watcher) -> int:
    """Round the matrices of ``made``'s layers that have one of ``types`` another way; how many there were.

    ``plain`` is the model that ``made`` was made of. Raises ModelCorrupt, StorageFull.
    """
    tensors = [
        tensor
        for tensor in read_header(made).tensors
        if tensor.type in types and tensor.name.startswith("blk.") and len(tensor.shape) == 2
    ]
    weights = GgufWeights(plain)
    meter = Meter("Rounding", sum(tensor.size_bytes for tensor in tensors), watcher)
    with writing(made.parent), made.open("r+b") as file:
        for tensor in tensors:
            file.seek(tensor.offset)
            before = np.frombuffer(file.read(tensor.size_bytes), np.uint8)
            data = again(tensor, before, weights.tensor(tensor.name))
            if data.size != tensor.size_bytes:
                raise ModelCorrupt(
                    f"The tensor {tensor.name!r:.80} has another length than it should.", "Choose q8_0."
                )
            file.seek(tensor.offset)
            file.write(data.tobytes())
            meter.add(tensor.size_bytes)
    return len(tensors)


def with_feedback(correlations: Correlations, *, by_importance: bool) -> Again:
    """GPTQ on the grid that llama.cpp chose, where the inputs of a matrix are known."""
    spread = LastSpread(correlations, by_importance=by_importance)

    def again(tensor: Tensor, before: Bytes, weights: Float32s) -> Bytes:
        if tensor.name not in correlations:
            return before
        grid = grid_of(tensor.type, before, tensor.shape[0])
        numbers = gptq.on_grid(weights, grid.steps, grid.bases, grid.highest, *spread.of(tensor.name))
        return grid.packed(numbers)

    return again


def q4_0_bytes(blocks: Blocks) -> Bytes:
    """As ggml's ``block_q4_0``: a scale of 16 bits, then the numbers."""
    numbers = (blocks.numbers.reshape(-1, BLOCK) + np.int8(8)).astype(np.uint8)
    scales = blocks.scales.reshape(-1, 1).astype(np.float16).view(np.uint8)
    return np.concatenate([scales, nibbles(numbers)], axis=1)


def _plain_bytes(array: npt.NDArray[np.floating[Any]], tensor: Tensor) -> bytes:
    if tensor.shape[::-1] != array.shape:
        raise ModelCorrupt(f"The tensor {tensor.name!r:.80} has another shape.", "Use another source.")
    if tensor.type == "F32":
        return array.astype(np.float32).tobytes()
    if tensor.type == "F16":
        return array.astype(np.float16).tobytes()
    rounded = array.astype(np.float32).view(np.uint32)
    rounded = rounded + (0x7FFF + (rounded >> 16 & 1))  # to the nearest that BF16 has
    return (rounded >> 16).astype(np.uint16).tobytes()
