"""Writes a small GGUF file: an adapter's. Models of that format are llama.cpp's to write.

The layout is that of the format's specification, version 3: magic, counts, metadata, a line for each tensor,
and the numbers, each tensor at a multiple of 32 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

VERSION = 3
ALIGNMENT = 32
"""What readers assume where the file names none."""

_FLOAT32, _TEXT = 6, 8
"""Types of metadata."""
_F16 = 1
"""ggml's number of the type of tensors."""


def write(
    file: Path, metadata: Mapping[str, str | float], tensors: Mapping[str, npt.NDArray[np.float16]]
) -> None:
    """Numbers in ``metadata`` get 32 bits. Raises OSError."""
    head = [b"GGUF", struct.pack("<IQQ", VERSION, len(tensors), len(metadata))]
    for key, value in metadata.items():
        head.append(_text(key) + _value(value))
    offset = 0
    for name, array in tensors.items():
        sizes = array.shape[::-1]  # the dimension that lies together comes first
        head.append(_text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, _F16, offset))
        offset += _aligned(array.nbytes)
    with file.open("wb") as opened:
        opened.write(_padded(b"".join(head)))
        for array in tensors.values():
            opened.write(_padded(array.astype("<f2").tobytes()))


def _value(value: str | float) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", _TEXT) + _text(value)
    return struct.pack("<If", _FLOAT32, value)


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _aligned(count: int) -> int:
    return count + -count % ALIGNMENT


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)
