"""Writes a safetensors file tensor by tensor: a header in JSON that says where each lies, then all of them.

The format is https://huggingface.co/docs/safetensors; knows nothing of what the tensors are.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant.store.disk import require, writing

TYPES = {np.dtype(np.float16): "F16", np.dtype(np.int32): "I32", np.dtype(np.int64): "I64"}

HEADER_ALIGNMENT = 8


@dataclass(frozen=True, slots=True)
class Planned:
    """A tensor that will be written."""

    type: npt.DTypeLike
    shape: tuple[int, ...]
    make: Callable[[], npt.NDArray[Any]]
    """Called once, when it is its turn: never more than one is in memory."""

    @property
    def size_bytes(self) -> int:
        return int(np.prod(self.shape)) * np.dtype(self.type).itemsize


def write(file: Path, tensors: Mapping[str, Planned], add: Callable[[int], None]) -> None:
    """Write all ``tensors``; ``add`` is told the bytes of each. Raises StorageFull, SettingsError."""
    require(sum(tensor.size_bytes for tensor in tensors.values()), file.parent)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.size_bytes
        kind = TYPES[np.dtype(tensor.type)]
        header[name] = {"dtype": kind, "shape": tensor.shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % HEADER_ALIGNMENT)
    with writing(file.parent), file.open("wb") as opened:
        opened.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            array = np.ascontiguousarray(tensor.make(), dtype=tensor.type)
            assert array.shape == tensor.shape  # noqa: S101  the header says so already
            opened.write(array.tobytes())
            add(tensor.size_bytes)
