"""Writes small GGUF files: the format as its specification has it, for tests to break."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt


class Float32(float):
    """Written with 32 bits; a plain float has 64."""


Scalar: TypeAlias = "bool | int | float | str"
Value: TypeAlias = "Scalar | Sequence[Scalar]"

ALIGNMENT = 32


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _typed(value: Scalar) -> tuple[int, bytes]:
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, int):
        return (10, struct.pack("<Q", value)) if value >= 0 else (11, struct.pack("<q", value))
    if isinstance(value, Float32):
        return 6, struct.pack("<f", value)
    if isinstance(value, float):
        return 12, struct.pack("<d", value)
    return 8, text(value)


def entry(key: str, value: Value) -> bytes:
    """One metadata entry; the elements of a list have the type of its first."""
    if isinstance(value, (bool, int, float, str)):
        kind, data = _typed(value)
        return text(key) + struct.pack("<I", kind) + data
    kinds = {_typed(element)[0] for element in value} or {8}
    assert len(kinds) == 1, "a list in GGUF has one type"
    data = b"".join(_typed(element)[1] for element in value)
    return text(key) + struct.pack("<IIQ", 9, kinds.pop(), len(value)) + data


def tensor_line(name: str, shape: Sequence[int], kind: int, offset: int) -> bytes:
    return text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}QIQ", *shape, kind, offset)


def gguf(
    metadata: Mapping[str, Value] | None = None,
    tensors: Mapping[str, Sequence[int] | npt.NDArray[np.float32]] | None = None,
    version: int = 3,
) -> bytes:
    """A whole file; its tensors are F32: arrays, or a shape (contiguous dimension first) full of ones."""
    lines, data = b"", b""
    for name, given in (tensors or {}).items():
        values = given if isinstance(given, np.ndarray) else np.ones(given[::-1], np.float32)
        data += bytes(-len(data) % ALIGNMENT)
        lines += tensor_line(name, values.shape[::-1], 0, len(data))
        data += values.astype("<f4").tobytes()
    entries = [entry(key, value) for key, value in (metadata or {}).items()]
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors or {}), len(entries))
    head += b"".join(entries) + lines
    return head + bytes(-len(head) % ALIGNMENT) + data
