"""Checks every weight of a model before it is used: NaN, infinity, all-zero matrices.

In blocks of few bits, the scales are checked: a scale that is not a number invalidates the whole block, and
if all are 0, the matrix is zero whatever its numbers are (ggml writes an 8 in Q4_0, for example).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant.core.errors import ModelCorrupt
from assistant.store.formats.gguf import TENSOR_TYPES, Tensor, read_header
from assistant.tools.quantize.block_numbers import from_bfloat16

BLOCK_BYTES = {name: size for name, _, size in TENSOR_TYPES.values()}

SCALES_AT = {
    **dict.fromkeys(("Q4_0", "Q5_0", "Q8_0", "IQ4_NL", "IQ4_XS", "Q1_0", "Q2_0"), (0,)),
    **dict.fromkeys(("IQ1_S", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S"), (0,)),
    **dict.fromkeys(("Q4_1", "Q5_1", "Q4_K", "Q5_K"), (0, 2)),
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q6_K": (208,),
    "TQ1_0": (52,),
    "TQ2_0": (64,),
}
"""Type -> positions of the 16-bit floats in a block (ggml-common.h): its scales and offsets, so that a
block is zero if these are. A tensor of another type is zero if every byte is.
"""

ONNX_FLOATS = {1: np.float32, 10: np.float16}
"""TensorProto.DataType in onnx.proto."""


def check_weights(folder: Path) -> None:
    """Raises ModelCorrupt with the tensor's name if the model in ``folder`` is damaged."""
    for file in sorted(folder.glob("*.gguf")):
        data = np.memmap(file, dtype=np.uint8, mode="r")
        for tensor in read_header(file).tensors:
            raw = data[tensor.offset : tensor.offset + tensor.size_bytes]
            floats = _floats(tensor, raw)
            something = floats if floats.size else raw
            _check(file, tensor.name, floats, zeros=len(tensor.shape) > 1 and not something.any())
    for file in sorted(folder.glob("*.onnx")):
        for name, array in _constants(file):
            floats = array if array.dtype.kind == "f" else np.zeros(0, np.float32)
            _check(file, name, floats, zeros=array.ndim > 1 and not array.any())


def _check(file: Path, name: str, floats: npt.NDArray[np.floating[Any]], *, zeros: bool) -> None:
    again = "The file is damaged. Fetch it again, or make it again."
    if not np.isfinite(floats).all():
        raise ModelCorrupt(f"The tensor {name!r:.80} of {file.name} contains NaN or infinity.", again)
    if zeros:
        raise ModelCorrupt(f"The tensor {name!r:.80} of {file.name} contains only zeros.", again)


def _floats(tensor: Tensor, raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.floating[Any]]:
    """Return the floats stored in a tensor; empty for unknown types."""
    if tensor.type == "F32":
        return raw.view(np.float32)
    if tensor.type == "F16":
        return raw.view(np.float16)
    if tensor.type == "BF16":
        return from_bfloat16(raw.view(np.uint16))
    places = SCALES_AT.get(tensor.type, ())
    blocks = raw.reshape(-1, BLOCK_BYTES[tensor.type]) if places else raw.reshape(-1, 1)
    parts = [np.ascontiguousarray(blocks[:, at : at + 2]).view(np.float16).reshape(-1) for at in places]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _constants(file: Path) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yield the weights stored outside an ONNX file, in their stored form."""
    import onnx  # noqa: PLC0415  an extra; a user who wrote such a file has it

    for tensor in onnx.load(str(file), load_external_data=False).graph.initializer:
        place = {entry.key: entry.value for entry in tensor.external_data}
        if place:
            kind = ONNX_FLOATS.get(tensor.data_type, np.uint8)
            count = int(place["length"]) // np.dtype(kind).itemsize
            array = np.memmap(file.with_name(place["location"]), kind, "r", int(place["offset"]), (count,))
            whole = math.prod(tensor.dims) == count
            yield tensor.name, array.reshape(tuple(tensor.dims) if whole else (1, -1))
