"""Parses the header of a GGUF model file and trusts nothing in it.

A GGUF file is a header (metadata, then a table of tensors) followed by the tensor data. Reading the header
first detects an incomplete or foreign file without loading gigabytes, and tells the memory planner what the
model will need. This module knows only the container: neither what the metadata mean to llama.cpp nor the
numbers inside the tensors.

It doesn't use the official ``gguf`` package, which checks fewer lengths, creates an array object for each
vocabulary entry (hundreds of thousands), and adds three packages that nothing here needs.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, TypeAlias

from assistant.core.errors import ModelCorrupt, ModelMissing

MAX_HEADER_BYTES = 64 * 1024 * 1024
"""Vocabularies of 260,000 entries need 17 MB; no real header comes close."""
MAX_ENTRIES = 65_536
"""Limit for metadata entries and for tensors; the largest models have thousands."""
MAX_ELEMENTS = 1_000_000
"""Of one list, and strings of all lists together: vocabulary and merges have half of that."""
MAX_KEPT_ELEMENTS = 1024
"""Longer arrays (vocabulary, merges) are checked, but kept only on request."""
MAX_DIMENSIONS = 4
"""GGML_MAX_DIMS of ggml.h."""
CHUNK_BYTES = 1024 * 1024

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Metadata type number -> its struct format."""
STRING = 8
FLOAT32 = 6
ARRAY = 9

_GONE = {4: "Q4_2", 5: "Q4_3", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8"}
"""Tensor types that llama.cpp has given up."""

TENSOR_TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36), 10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292), 16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8),
    28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18),
    42: ("Q2_0", 64, 18),
}  # fmt: skip
"""Tensor type number -> name, elements per block, bytes per block (type_traits in ggml.c)."""


@dataclass(frozen=True, slots=True)
class LongArray:
    """Placeholder for an array that is too long to keep."""

    length: int


Value: TypeAlias = "int | float | str | tuple[int | float | str, ...] | LongArray"
"""A metadata value; bool is an int."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One entry of the tensor table."""

    name: str
    shape: tuple[int, ...]
    """Elements along each dimension; the first one is contiguous."""
    type: str
    """Number format, such as "Q4_K" or "F32"."""
    offset: int
    """Start of its data, bytes from the start of the file."""
    size_bytes: int


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """The parsed header of a model file."""

    version: int
    metadata: dict[str, Value]
    tensors: tuple[Tensor, ...]
    data_offset: int
    """Length of the header with its padding, bytes."""
    kinds: dict[str, int] = field(default_factory=dict)
    """The type number of each metadata entry. llama.cpp ends the process if a type isn't the one it expects.
    """

    @property
    def architecture(self) -> str:
        """Model family, such as "qwen2" or "llama"; empty if not given."""
        return str(self.metadata.get("general.architecture", ""))

    @property
    def licence(self) -> str:
        """License as named by its maker; empty if not given."""
        said = [self.metadata.get(f"general.license{end}") for end in ("", ".name")]
        return next((text for text in said if isinstance(text, str) and text not in ("", "other")), "")

    def hyperparameter(self, name: str) -> Value | None:
        """Return a metadata entry of the model's family: "block_count", "attention.head_count_kv" ..."""
        return self.metadata.get(f"{self.architecture}.{name}")

    @property
    def tensor_bytes(self) -> int:
        """Total size of all weights."""
        return sum(tensor.size_bytes for tensor in self.tensors)


def read_header(path: Path, *, keep_long: bool = False) -> GgufHeader:
    """Parse and check the header of the GGUF file at ``path``; ``keep_long`` keeps its vocabulary too.

    Every length is checked against the file before it is used, and every tensor's data must be inside the
    file. Raises ModelMissing if the file cannot be opened, ModelCorrupt otherwise.
    """
    try:
        with path.open("rb") as file:
            return read_header_from(file, path.stat().st_size, path.name, keep_long=keep_long)
    except OSError as error:
        raise ModelMissing(
            f"The model file {path} cannot be read: {error.strerror or error}.",
            "Check that the file exists and is readable, or fetch the model again.",
        ) from error


def read_header_from(file: BinaryIO, size_bytes: int, name: str, *, keep_long: bool = False) -> GgufHeader:
    """Like ``read_header``, for an open file of that length and name. Raises ModelCorrupt, OSError."""
    try:
        return _read(_Cursor(file, size_bytes, MAX_HEADER_BYTES if keep_long else MAX_KEPT_ELEMENTS))
    except _Damaged as damage:
        raise ModelCorrupt(
            f"The model file {name} cannot be used: {damage}.",
            "Fetch the model again, or choose a different one.",
        ) from None


class _Damaged(Exception):
    """Describes the damage in half a sentence."""


class _Cursor:
    """Reads values forward from the start of a file, never past its end."""

    def __init__(self, file: BinaryIO, size: int, kept_elements: int) -> None:
        self._file = file
        self.kept_elements = kept_elements
        self._size = min(size, MAX_HEADER_BYTES)
        self.file_bytes = size
        self.strings = 0
        """How many its lists have had so far."""
        self._data = bytearray()
        self.position = 0

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        end = self.position + count
        self._need(end)
        taken = bytes(self._data[self.position : end])
        self.position = end
        return taken

    def skip(self, count: int) -> None:
        self._need(self.position + count)
        self.position += count

    def number(self, form: str) -> int | float:
        """Return the next value in the struct format ``form``, little-endian."""
        value: int | float = struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]
        return value

    def count(self, limit: int, smallest_bytes: int, of_what: str) -> int:
        """Return the next 64-bit count of items that take at least ``smallest_bytes`` each."""
        count = int(self.number("Q"))
        if count > limit or count * smallest_bytes > self._size - self.position:
            raise _Damaged(f"it claims to hold {count} {of_what}")
        return count

    def text(self, *, strict: bool = True) -> str:
        length = self.count(MAX_HEADER_BYTES, 1, "characters in one string")
        try:
            return self.take(length).decode("utf-8", "strict" if strict else "replace")
        except UnicodeDecodeError:
            raise _Damaged("a name in it is not UTF-8") from None

    def skip_texts(self, count: int) -> None:
        """Skip ``count`` strings; written without calls because vocabularies are long."""
        position, unpack = self.position, struct.Struct("<Q").unpack_from
        for _ in range(count):
            if position + 8 > len(self._data):
                self._need(position + 8)
            position += 8 + unpack(self._data, position)[0]
        self._need(position)
        self.position = position

    def _need(self, end: int) -> None:
        """Load the bytes up to ``end`` into memory."""
        if end <= len(self._data):
            return
        if end > self._size:
            raise _Damaged("it ends in the middle of its header")
        self._data += self._file.read(
            min(max(end - len(self._data), CHUNK_BYTES), self._size - len(self._data))
        )
        if end > len(self._data):
            raise _Damaged("it shrank while it was being read")


def _read(cursor: _Cursor) -> GgufHeader:
    if cursor.take(4) != b"GGUF":
        raise _Damaged("it is not a GGUF file")
    version = int(cursor.number("I"))
    if version in (2 << 24, 3 << 24):
        raise _Damaged("it was made for big-endian machines")
    if version not in (2, 3):
        raise _Damaged(f"its GGUF version is {version}, but only versions 2 and 3 are supported")
    tensor_count = cursor.count(MAX_ENTRIES, 24, "tensors")
    entry_count = cursor.count(MAX_ENTRIES, 13, "metadata entries")
    metadata: dict[str, Value] = {}
    kinds: dict[str, int] = {}
    for _ in range(entry_count):
        key = cursor.text()
        if not key or key in metadata:
            raise _Damaged(
                "its metadata contains the same key twice" if key else "a metadata entry has no name"
            )
        kinds[key] = int(cursor.number("I"))
        metadata[key] = _value(cursor, kinds[key])
    lines = [_tensor_line(cursor) for _ in range(tensor_count)]
    data_offset, tensors = _laid_out(cursor, metadata, lines)
    return GgufHeader(version, metadata, tensors, data_offset, kinds)


def _value(cursor: _Cursor, kind: int) -> Value:
    if kind == STRING:
        return cursor.text(strict=False)
    if kind in SCALARS:
        return cursor.number(SCALARS[kind])
    if kind == ARRAY:
        return _array(cursor, int(cursor.number("I")))
    raise _Damaged(f"its metadata uses the type {kind}, which does not exist")


def _array(cursor: _Cursor, kind: int) -> Value:
    if kind == STRING:
        length = cursor.count(MAX_ELEMENTS - cursor.strings, 8, "strings in one list")
        cursor.strings += length
        if length > cursor.kept_elements:
            cursor.skip_texts(length)
            return LongArray(length)
        return tuple(cursor.text(strict=False) for _ in range(length))
    if kind not in SCALARS:
        raise _Damaged(f"its metadata has a list of type {kind}, which does not exist")
    element_bytes = struct.calcsize("<" + SCALARS[kind])
    length = cursor.count(MAX_ELEMENTS, element_bytes, "numbers in one list")
    if length > cursor.kept_elements:
        cursor.skip(length * element_bytes)
        return LongArray(length)
    return struct.unpack(f"<{length}{SCALARS[kind]}", cursor.take(length * element_bytes))


def _tensor_line(cursor: _Cursor) -> Tensor:
    """Parse one entry of the table; its ``offset`` is still relative to the data section."""
    name = cursor.text()
    dimensions = int(cursor.number("I"))
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise _Damaged(f"the tensor {name!r:.80} has {dimensions} dimensions")
    shape = struct.unpack(f"<{dimensions}Q", cursor.take(8 * dimensions))
    kind, offset = int(cursor.number("I")), int(cursor.number("Q"))
    if kind in _GONE:
        raise _Damaged(f"its format {_GONE[kind]} is no longer known to llama.cpp; use Q4_0")
    if kind not in TENSOR_TYPES:
        raise _Damaged(f"the tensor {name!r:.80} has the type {kind}, which is unknown")
    type_name, block_elements, block_bytes = TENSOR_TYPES[kind]
    if 0 in shape or shape[0] % block_elements:
        raise _Damaged(f"the tensor {name!r:.80} has a shape that is impossible for {type_name}")
    return Tensor(name, shape, type_name, offset, math.prod(shape) // block_elements * block_bytes)


def _laid_out(
    cursor: _Cursor, metadata: dict[str, Value], lines: list[Tensor]
) -> tuple[int, tuple[Tensor, ...]]:
    """Return where the data begin, and the tensors with their offsets in the file.

    Checks that they follow one another inside the file, as llama.cpp requires.
    """
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 1 <= alignment <= 65_536 or alignment & (alignment - 1):
        raise _Damaged("its alignment is not a power of two")
    if len({tensor.name for tensor in lines}) != len(lines):
        raise _Damaged("two of its tensors have the same name")

    def padded(length: int) -> int:
        return -(-length // alignment) * alignment

    data_offset = padded(cursor.position)
    tensors, expected = [], 0
    for tensor in lines:
        if tensor.offset != expected:
            raise _Damaged(f"the tensor {tensor.name!r:.80} is not where it should be")
        expected += padded(tensor.size_bytes)
        tensors.append(replace(tensor, offset=data_offset + tensor.offset))
    if tensors and tensors[-1].offset + tensors[-1].size_bytes > cursor.file_bytes:
        raise _Damaged(
            f"it is {cursor.file_bytes} bytes long, but its tensors need {data_offset + expected}, "
            "so part of it is missing"
        )
    return data_offset, tuple(tensors)
