"""The weights of a GGUF model as plain arrays, one at a time, from a file of 16 or 32 bits.

Formats of fewer bits are unpacked by llama.cpp before (``quantizer``), which knows them all. A tensor
that nobody asked for is one that the new model would lack: ``unused`` names it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from assistant.core.errors import ModelCorrupt
from assistant.store.formats.gguf import GgufHeader, read_header

Float32s = npt.NDArray[np.float32]

PLAIN = {"F32", "F16", "BF16"}
"""Formats that need no unpacking."""


def is_plain(header: GgufHeader) -> bool:
    """Whether all tensors can be read here."""
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
        """The tensor as float32, which must have this ``shape``, the contiguous dimension last."""
        tensor = self._tensors.get(name)
        if tensor is None or tensor.shape[::-1] != shape or tensor.type not in PLAIN:
            found = "is missing" if tensor is None else f"has the shape {tensor.shape[::-1]}, not {shape}"
            raise ModelCorrupt(
                f"The tensor {name!r:.80} of the model {found}.", "Use another source, or a GGUF format."
            )
        self._used.add(name)
        raw = self._data[tensor.offset : tensor.offset + tensor.size_bytes]
        if tensor.type == "BF16":  # the upper half of a float32
            return (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(shape)
        kind = np.float32 if tensor.type == "F32" else np.float16
        return raw.view(kind).astype(np.float32).reshape(shape)

    def shape(self, name: str) -> tuple[int, ...]:
        """The tensor's, the contiguous dimension last; empty when it is missing."""
        return self._tensors[name].shape[::-1] if name in self else ()

    def tensor(self, name: str) -> Float32s:
        """The tensor as float32 in its own shape. Raises ModelCorrupt when it is missing."""
        return self.array(name, self.shape(name))

    @property
    def unused(self) -> list[str]:
        """Tensors that were never read."""
        return sorted(self._tensors.keys() - self._used)
