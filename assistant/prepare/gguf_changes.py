"""Puts other numbers into the tensors of a GGUF file, in their place: types and shapes stay as they are.

So no writer of GGUF files is needed: llama.cpp makes the file, and a method changes what is in it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant.errors import ModelCorrupt
from assistant.gguf import Tensor, read_header
from assistant.prepare.block_numbers import BLOCK, Blocks
from assistant.prepare.gguf_weights import GgufWeights
from assistant.prepare.rounding import Rounding
from assistant.store.disk import require, writing
from assistant.store.progress import Meter, Watcher

Bytes = npt.NDArray[np.uint8]


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


def round_again(made: Path, plain: Path, rounding: Rounding, watcher: Watcher) -> int:
    """Round the tensors of ``made`` that have a type of AGAIN by another method; how many there were.

    ``plain`` is the model that ``made`` was made of. Raises ModelCorrupt, StorageFull.
    """
    tensors = [
        tensor
        for tensor in read_header(made).tensors
        if tensor.type in AGAIN and tensor.name.startswith("blk.") and len(tensor.shape) == 2
    ]
    weights = GgufWeights(plain)
    meter = Meter("Rounding", sum(tensor.size_bytes for tensor in tensors), watcher)
    with writing(made.parent), made.open("r+b") as file:
        for tensor in tensors:
            bits, as_bytes = AGAIN[tensor.type]
            data = as_bytes(rounding(tensor.name, weights.tensor(tensor.name), bits))
            if data.size != tensor.size_bytes:
                raise ModelCorrupt(
                    f"The tensor {tensor.name!r:.80} has another length than it should.", "Choose q4_k_m."
                )
            file.seek(tensor.offset)
            file.write(data.tobytes())
            meter.add(tensor.size_bytes)
    return len(tensors)


def q4_0_bytes(blocks: Blocks) -> Bytes:
    """As ggml's ``block_q4_0``: a scale of 16 bits, then 16 bytes with the numbers i and i + 16."""
    numbers = (blocks.numbers.reshape(-1, BLOCK) + np.int8(8)).astype(np.uint8)
    return np.concatenate([_scale_bytes(blocks), _halves(numbers)], axis=1)


def q5_0_bytes(blocks: Blocks) -> Bytes:
    """As ggml's ``block_q5_0``: a scale, the fifth bits of all numbers, then their halves as in Q4_0."""
    numbers = (blocks.numbers.reshape(-1, BLOCK) + np.int8(16)).astype(np.uint8)
    fifths = np.packbits(numbers >> 4, axis=1, bitorder="little")
    return np.concatenate([_scale_bytes(blocks), fifths, _halves(numbers & 15)], axis=1)


AGAIN: dict[str, tuple[int, Callable[[Blocks], Bytes]]] = {"Q4_0": (4, q4_0_bytes), "Q5_0": (5, q5_0_bytes)}
"""Type of a tensor -> its bits, and how it lies in a file."""


def _scale_bytes(blocks: Blocks) -> Bytes:
    return blocks.scales.reshape(-1, 1).astype(np.float16).view(np.uint8)


def _halves(numbers: npt.NDArray[Any]) -> Bytes:
    halves: Bytes = numbers[:, : BLOCK // 2] | numbers[:, BLOCK // 2 :] << np.uint8(4)
    return halves


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
