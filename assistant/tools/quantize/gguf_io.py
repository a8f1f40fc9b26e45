"""Reads the tensors of a GGUF file, replaces their numbers in place, and writes adapter files.

Formats of fewer than 16 bits are first unpacked by llama.cpp (``quantizer``), which supports all of them.
Models are also written by llama.cpp: a method changes the numbers in its file; types and shapes stay the
same. Only adapters are written here, with the package ``gguf``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant.core.errors import EngineUnavailable, ModelCorrupt
from assistant.store.disk import require, writing
from assistant.store.formats.gguf import GgufHeader, Tensor, read_header
from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize.block_numbers import BLOCK, Blocks, Float32s, from_bfloat16
from assistant.tools.quantize.gguf_grids import Bytes, grid_of, nibbles
from assistant.tools.quantize.importance import Correlations
from assistant.tools.quantize.rounding import LastSpread, gptq_on_grid

PLAIN = {"F32", "F16", "BF16"}
"""Formats that need no unpacking."""


def is_plain(header: GgufHeader) -> bool:
    """True if all tensors can be read here."""
    return {tensor.type for tensor in header.tensors} <= PLAIN


class GgufWeights:
    """Reads tensors of the one file by name. Raises ModelMissing or ModelCorrupt."""

    def __init__(self, file: Path) -> None:
        self.header = read_header(file, keep_long=True)
        self._tensors = {tensor.name: tensor for tensor in self.header.tensors}
        self._data = np.memmap(file, dtype=np.uint8, mode="r")
        self._used: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def array(self, name: str, shape: tuple[int, ...]) -> Float32s:
        """Return the tensor as float32; it must have this ``shape``, contiguous dimension last."""
        tensor = self._tensors.get(name)
        if tensor is None or tensor.shape[::-1] != shape or tensor.type not in PLAIN:
            found = "is missing" if tensor is None else f"has the shape {tensor.shape[::-1]}, not {shape}"
            raise ModelCorrupt(
                f"The tensor {name!r:.80} of the model {found}.", "Use a different source, or a GGUF format."
            )
        self._used.add(name)
        raw = self._data[tensor.offset : tensor.offset + tensor.size_bytes]
        if tensor.type == "BF16":
            return from_bfloat16(raw.view(np.uint16)).reshape(shape)
        kind = np.float32 if tensor.type == "F32" else np.float16
        return raw.view(kind).astype(np.float32).reshape(shape)

    def shape(self, name: str) -> tuple[int, ...]:
        """Use a different source, or a GGUF format."""
        return self._tensors[name].shape[::-1] if name in self else ()

    def tensor(self, name: str) -> Float32s:
        """Return the tensor as float32 in its own shape. Raises ModelCorrupt if it is missing."""
        return self.array(name, self.shape(name))

    @property
    def unused(self) -> list[str]:
        """Return tensors that were never read: a model made from this file would lack them."""
        return sorted(self._tensors.keys() - self._used)


def copy_with(source: Path, target: Path, arrays: Mapping[str, npt.NDArray[np.floating[Any]]]) -> None:
    """Copy a plain model with new values for the tensors in ``arrays``. Raises StorageFull, ModelCorrupt."""
    require(source.stat().st_size, target.parent)
    tensors = {tensor.name: tensor for tensor in read_header(source).tensors}
    with writing(target.parent):
        shutil.copyfile(source, target)
        with target.open("r+b") as file:
            for name, array in arrays.items():
                file.seek(tensors[name].offset)
                file.write(_plain_bytes(array, tensors[name]))


Again = Callable[[Tensor, Bytes, Float32s], Bytes]
"""(tensor, its data, the original weights [rows, columns]) -> its new data."""


def round_again(made: Path, plain: Path, types: Collection[str], again: Again, watcher: Watcher) -> int:
    """Round the matrices of ``made`` that have one of ``types`` again, with ``again``. Returns how many there
    were.

    ``plain`` is the model that ``made`` was made from. Raises ModelCorrupt, StorageFull.
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
                raise ModelCorrupt(f"The tensor {tensor.name!r:.80} has the wrong length.", "Choose q8_0.")
            file.seek(tensor.offset)
            file.write(data.tobytes())
            meter.add(tensor.size_bytes)
    return len(tensors)


def with_feedback(correlations: Correlations, *, by_importance: bool) -> Again:
    """Return GPTQ on the grid that llama.cpp chose, for matrices whose inputs are known."""
    spread = LastSpread(correlations, by_importance=by_importance)

    def again(tensor: Tensor, before: Bytes, weights: Float32s) -> Bytes:
        if tensor.name not in correlations:
            return before
        grid = grid_of(tensor.type, before, tensor.shape[0])
        numbers = gptq_on_grid(weights, grid.steps, grid.bases, grid.highest, *spread.of(tensor.name))
        return grid.packed(numbers)

    return again


def q4_0_bytes(blocks: Blocks) -> Bytes:
    """Pack as ggml's ``block_q4_0``: a 16-bit scale, then the numbers."""
    numbers = (blocks.numbers.reshape(-1, BLOCK) + np.int8(8)).astype(np.uint8)
    scales = blocks.scales.reshape(-1, 1).astype(np.float16).view(np.uint8)
    return np.concatenate([scales, nibbles(numbers)], axis=1)


def _plain_bytes(array: npt.NDArray[np.floating[Any]], tensor: Tensor) -> bytes:
    if tensor.shape[::-1] != array.shape:
        raise ModelCorrupt(
            f"The tensor {tensor.name!r:.80} has a different shape.", "Use a different source."
        )
    if tensor.type == "F32":
        return array.astype(np.float32).tobytes()
    if tensor.type == "F16":
        return array.astype(np.float16).tobytes()
    rounded = array.astype(np.float32).view(np.uint32)
    rounded = rounded + (0x7FFF + (rounded >> 16 & 1))  # Rounds to the nearest BF16 value.
    return (rounded >> 16).astype(np.uint16).tobytes()


def write_adapter(
    file: Path, architecture: str, alpha: float, tensors: Mapping[str, npt.NDArray[np.float16]]
) -> None:
    """Write a LoRA adapter. Raises OSError, EngineUnavailable without the package gguf."""
    try:
        from gguf import GGUFWriter  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise EngineUnavailable(
            f"Writing an adapter needs the Python package '{error.name}', which is not installed.",
            "Install the assistant with the `prepare` extra.",
        ) from error
    writer = GGUFWriter(str(file), architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for name, array in tensors.items():
        writer.add_tensor(name, array)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
