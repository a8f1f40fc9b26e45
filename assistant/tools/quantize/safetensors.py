"""Reads and writes a checkpoint's tensors in the safetensors format, without any package.

A file consists of an 8-byte length, that many bytes of JSON (name -> dtype, shape, position), and the numbers
(https://huggingface.co/docs/safetensors); a large checkpoint has several files. Reading trusts nothing in the
files and returns float32; writing holds one tensor in memory at a time.
"""

from __future__ import annotations

import json
import math
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant.core.errors import ModelCorrupt
from assistant.store.disk import require, writing
from assistant.tools.quantize.block_numbers import Float32s, from_bfloat16

MAX_HEADER_BYTES = 100_000_000
"""The format's own limit."""

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
"""Float types; BF16 is the upper half of a float32, which NumPy lacks."""

PACKED = {"I64": "<i8", "I32": "<i4", "I8": "|i1", "U8": "|u1"}
"""Types in packed checkpoints: numbers that need their scales, lengths, and text."""

KINDS = {**DTYPES, **PACKED}

SCALES = ("_scale", "absmax", ".SCB")
"""Suffixes of the names of scales, by which packed numbers are multiplied."""


@dataclass(frozen=True, slots=True)
class _Place:
    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int


class SafetensorsFolder:
    """All tensors in the ``*.safetensors`` files of a folder. Raises ModelCorrupt."""

    def __init__(self, folder: Path) -> None:
        self._places: dict[str, _Place] = {}
        for file in sorted(folder.glob("*.safetensors")):
            for name, place in _places(file).items():
                if place.dtype not in DTYPES:
                    raise _damaged(
                        file, f"the tensor {name!r:.80} has the type {place.dtype}, which is not a float"
                    )
                if name in self._places:
                    raise _damaged(file, f"it holds {name!r:.80} a second time")
                self._places[name] = place

    @property
    def names(self) -> set[str]:
        return set(self._places)

    @property
    def elements(self) -> int:
        """Return the total number of elements."""
        return sum(math.prod(place.shape) for place in self._places.values())

    def shape(self, name: str) -> tuple[int, ...]:
        return self._places[name].shape

    def read(self, name: str) -> Float32s:
        """Read a tensor. Raises ModelCorrupt for NaN, infinity, or an all-zero matrix."""
        place = self._places[name]
        numbers = _numbers(place)
        _check(place.file, name, numbers)
        return numbers.reshape(place.shape)


def counted(folder: Path) -> Counter[str]:
    """Count the elements of each dtype, including unsupported ones. Raises ModelCorrupt."""
    counts: Counter[str] = Counter()
    for file in sorted(folder.glob("*.safetensors")):
        for name, said in _header(file)[0].items():
            if not isinstance(said, Mapping) or not _counts(said.get("shape")):
                raise _damaged(file, f"the shape of the tensor {name!r:.80} cannot be read")
            counts[str(said.get("dtype"))] += math.prod(said["shape"])
    return counts


def check_weights(folder: Path) -> None:
    """Raises ModelCorrupt with the tensor's name if a checkpoint is damaged; its weights may be packed."""
    for file in sorted(folder.glob("*.safetensors")):
        for name, place in _places(file).items():
            _check(file, name, _numbers(place))


def _numbers(place: _Place) -> npt.NDArray[Any]:
    """Return the numbers as float32, or as they are if packed."""
    raw = np.memmap(place.file, KINDS[place.dtype], "r", place.start, place.shape or (1,))
    if place.dtype == "BF16":
        return from_bfloat16(raw)
    if place.dtype in PACKED:
        return raw
    with np.errstate(over="ignore"):  # A float64 out of range becomes infinite and is detected.
        return raw.astype(np.float32)


def _check(file: Path, name: str, numbers: npt.NDArray[Any]) -> None:
    if not np.isfinite(numbers).all():
        raise _damaged(file, f"the tensor {name!r:.80} contains NaN or infinity")
    if (numbers.ndim > 1 or name.endswith(SCALES)) and not numbers.any():
        raise _damaged(file, f"the tensor {name!r:.80} contains only zeros")


def _places(file: Path) -> dict[str, _Place]:
    header, begin = _header(file)
    size = file.stat().st_size
    return {name: _place(file, name, said, begin, size) for name, said in header.items()}


def _header(file: Path) -> tuple[dict[str, object], int]:
    """Return the description of each tensor, and the offset of the numbers."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if size < 8 or length > min(MAX_HEADER_BYTES, size - 8):
            raise _damaged(file, "it was cut off")
        try:
            header = json.loads(opened.read(length))
        except (ValueError, RecursionError):
            header = None
    if not isinstance(header, dict):
        raise _damaged(file, "its header cannot be read")
    header.pop("__metadata__", None)
    return header, 8 + length


def _place(file: Path, name: str, said: object, begin: int, size: int) -> _Place:
    if not isinstance(said, Mapping) or said.get("dtype") not in KINDS:
        dtype = said.get("dtype") if isinstance(said, Mapping) else None
        raise _damaged(file, f"the tensor {name!r:.80} has the unknown type {dtype!r:.20}")
    shape, offsets = said.get("shape"), said.get("data_offsets")
    if not _counts(shape) or not _counts(offsets):
        raise _damaged(file, f"the position of the tensor {name!r:.80} cannot be read")
    assert isinstance(shape, list) and isinstance(offsets, list)  # noqa: S101, PT018  as was just seen
    bytes_each = np.dtype(KINDS[said["dtype"]]).itemsize
    if len(offsets) != 2 or offsets[1] - offsets[0] != math.prod(shape) * bytes_each:
        raise _damaged(file, f"the tensor {name!r:.80} has a length that doesn't match its shape")
    if begin + offsets[1] > size:
        raise _damaged(file, f"the tensor {name!r:.80} was cut off")
    return _Place(file, said["dtype"], tuple(shape), begin + offsets[0])


def _counts(value: object) -> bool:
    """True for a list of counts."""
    return isinstance(value, list) and all(type(one) is int and one >= 0 for one in value)


def _damaged(file: Path, why: str) -> ModelCorrupt:
    return ModelCorrupt(
        f"{file.name} cannot be used: {why}.", "Fetch the checkpoint again, or make it again."
    )


TYPES = {np.dtype(np.float16): "F16", np.dtype(np.int32): "I32", np.dtype(np.int64): "I64"}

HEADER_ALIGNMENT = 8


@dataclass(frozen=True, slots=True)
class Planned:
    """A tensor to be written."""

    type: npt.DTypeLike
    shape: tuple[int, ...]
    make: Callable[[], npt.NDArray[Any]]
    """Called once, when it is written, so that only one is in memory at a time."""

    @property
    def size_bytes(self) -> int:
        return int(np.prod(self.shape)) * np.dtype(self.type).itemsize


def write(file: Path, tensors: Mapping[str, Planned], add: Callable[[int], None]) -> None:
    """Write all ``tensors``; ``add`` is called with the bytes of each. Raises StorageFull, SettingsError."""
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
