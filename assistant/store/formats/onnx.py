"""Parses the structure of an ONNX file, without its weights, and trusts nothing in it.

ONNX is a protobuf (onnx.proto): messages of numbered fields. Only the few fields that determine how much
memory the network needs are read; weights inside the file are skipped. Neither the package ``onnx`` nor ONNX
Runtime is needed. This module knows only the container, not what the weights are for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO, TypeAlias

from assistant.core.errors import ModelCorrupt

TYPE_BYTES = {
    1: 4.0, 2: 1.0, 3: 1.0, 4: 2.0, 5: 2.0, 6: 4.0, 7: 8.0, 9: 1.0, 10: 2.0, 11: 8.0, 12: 4.0, 13: 8.0,
    16: 2.0, 17: 1.0, 18: 1.0, 19: 1.0, 20: 1.0, 21: 0.5, 22: 0.5,
}  # fmt: skip
"""Bytes of one number, by TensorProto.DataType."""
FLOAT, FLOAT16 = 1, 10

MAX_NODE_BYTES = 16 * 1024 * 1024
"""Operators hold small constants; larger ones are initializers."""
MAX_ENTRIES = 100_000
"""Limit for operators and weights together; the largest exports have about ten thousand."""
MAX_DIMENSIONS = 8
MAX_HEADER_BYTES = 64 * 1024 * 1024
"""All that is read of one file, without its weights."""
MAX_FIELDS = 300_000
"""All fields of one file together; the largest exports have half of that."""
MAX_DEPTH = 4
"""Nesting of graphs inside operators: a merged export has one ("If") that holds the network twice."""

Fields: TypeAlias = "Iterator[tuple[int, int | tuple[int, int]]]"


@dataclass(frozen=True, slots=True)
class Weights:
    """One initializer."""

    shape: tuple[int, ...]
    type: int
    """TensorProto.DataType."""
    external: bool
    """True if it is stored in a separate file, which can be mapped."""

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        return math.ceil(self.numbers * TYPE_BYTES.get(self.type, 8.0))


@dataclass(frozen=True, slots=True)
class Node:
    """One operator."""

    operator: str
    inputs: tuple[str, ...]
    integers: dict[str, int]
    """Its integer attributes."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the network."""

    type: int
    """TensorProto.DataType."""
    shape: tuple[int, ...]
    """0 for a variable dimension."""


@dataclass(frozen=True, slots=True)
class OnnxHeader:
    """A network without the values of its weights."""

    inputs: dict[str, Port] = field(default_factory=dict)
    outputs: dict[str, Port] = field(default_factory=dict)
    weights: dict[str, Weights] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)


def read_header_from(file: BinaryIO, size_bytes: int, name: str) -> OnnxHeader:
    """Parse an open ONNX file of that length and name. Raises ModelCorrupt, OSError."""
    header = OnnxHeader()
    try:
        whole = _File(file)
        for number, value in _fields(whole, 0, size_bytes):
            if number == 7:  # ModelProto.graph
                _graph(whole, *_place(value), header, 0)
    except _Damaged as damage:
        raise ModelCorrupt(
            f"The model file {name} cannot be used: {damage}.",
            "Fetch the model again, or choose a different one.",
        ) from None
    return header


class _Damaged(Exception):
    """Describes the damage in half a sentence."""


class _File:
    """A file, or a piece of it in memory, and what may still be read of the whole."""

    __slots__ = ("_left", "_raw", "read", "seek", "tell")

    def __init__(self, raw: BinaryIO, left: list[int] | None = None) -> None:
        self._raw = raw
        self._left = left or [MAX_FIELDS, MAX_HEADER_BYTES]
        self.read, self.seek, self.tell = raw.read, raw.seek, raw.tell

    def inside(self, data: bytes) -> _File:
        return _File(BytesIO(data), self._left)

    def field(self) -> None:
        """Count one. Raises _Damaged."""
        self._left[0] -= 1
        if self._left[0] < 0:
            raise _Damaged("it has more fields than any real network")

    def taken(self, count: int) -> bytes:
        """The next bytes. Raises _Damaged."""
        self._left[1] -= count
        if self._left[1] < 0:
            raise _Damaged("its description is longer than any real one")
        return self.read(count)


def _graph(file: _File, begin: int, end: int, header: OnnxHeader, depth: int) -> None:
    """GraphProto: node = 1, initializer = 5, input = 11, output = 12."""
    for number, value in _fields(file, begin, end):
        if number not in (1, 5, 11, 12):
            continue
        if len(header.nodes) + len(header.weights) > MAX_ENTRIES:
            raise _Damaged("it claims to have more operators than any real network")
        start, stop = _place(value)
        if number == 5:
            name, weights = _tensor(file, start, stop)
            header.weights[name] = weights
            continue
        data = _taken(file, start, stop)
        if number == 1:
            header.nodes.append(_node(file.inside(data), len(data), header, depth))
        elif depth == 0:
            name, port = _port(file.inside(data), len(data))
            (header.inputs if number == 11 else header.outputs)[name] = port


def _node(file: _File, size_bytes: int, header: OnnxHeader, depth: int) -> Node:
    """NodeProto: input = 1, op_type = 4, attribute = 5 (AttributeProto: name = 1, i = 3, g = 6)."""
    inputs, integers, operator = [], {}, ""
    for number, value in _fields(file, 0, size_bytes):
        if number == 1:
            inputs.append(_text(file, value))
        elif number == 4:
            operator = _text(file, value)
        elif number == 5:
            name, integer = "", None
            for part, inside in _fields(file, *_place(value)):
                if part == 1:
                    name = _text(file, inside)
                elif part == 3 and isinstance(inside, int):
                    integer = inside
                elif part == 6 and depth < MAX_DEPTH:
                    _graph(file, *_place(inside), header, depth + 1)
            if integer is not None:
                integers[name] = integer
    return Node(operator, tuple(inputs), integers)


def _tensor(file: _File, begin: int, end: int) -> tuple[str, Weights]:
    """TensorProto: dims = 1, data_type = 2, name = 8, data_location = 14."""
    shape: list[int] = []
    kind, name, external = 0, "", False
    for number, value in _fields(file, begin, end):
        if number == 1:
            shape += _numbers(file, value)
            if len(shape) > MAX_DIMENSIONS:
                raise _Damaged(f"a tensor in it has more than {MAX_DIMENSIONS} dimensions")
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8:
            name = _text(file, value)
        elif number == 14:
            external = value == 1
    weights = Weights(tuple(shape), kind, external)
    if not external and weights.numbers > 16 * max(1, end - begin):  # zeros as varints take a byte, bits less
        raise _Damaged("its weights are longer than the file")
    return name, weights


def _port(file: _File, size_bytes: int) -> tuple[str, Port]:
    """ValueInfoProto: name = 1, type = 2; inside it tensor_type = 1, inside that elem_type = 1 and shape = 2
    of dim = 1, of which dim_value = 1.
    """
    name, kind = "", 0
    shape: list[int] = []
    for number, value in _fields(file, 0, size_bytes):
        if number == 1:
            name = _text(file, value)
        elif number == 2:
            for _, tensor in (each for each in _fields(file, *_place(value)) if each[0] == 1):
                for part, inside in _fields(file, *_place(tensor)):
                    if part == 1 and isinstance(inside, int):
                        kind = inside
                    elif part == 2:
                        shape = [
                            _length(file, each) for at, each in _fields(file, *_place(inside)) if at == 1
                        ]
                        if len(shape) > MAX_DIMENSIONS:
                            raise _Damaged(f"an input in it has more than {MAX_DIMENSIONS} dimensions")
    return name, Port(kind, tuple(shape))


def _length(file: _File, dimension: int | tuple[int, int]) -> int:
    found = (value for number, value in _fields(file, *_place(dimension)) if number == 1)
    return next((value for value in found if isinstance(value, int)), 0)


def _numbers(file: _File, value: int | tuple[int, int]) -> list[int]:
    """Read a repeated number: one, or many packed."""
    if isinstance(value, int):
        return [value]
    data = file.inside(_taken(file, *value))
    found: list[int] = []
    while data.tell() < value[1] - value[0] and len(found) <= MAX_DIMENSIONS:
        found.append(_varint(data))
    return found


def _text(file: _File, value: int | tuple[int, int]) -> str:
    return _taken(file, *_place(value)).decode("utf-8", "replace")


def _place(value: int | tuple[int, int]) -> tuple[int, int]:
    if isinstance(value, int):
        raise _Damaged("a field in it has the wrong type")
    return value


def _taken(file: _File, begin: int, end: int) -> bytes:
    if end - begin > MAX_NODE_BYTES:
        raise _Damaged("an operator in it is longer than any real one")
    file.seek(begin)
    return file.taken(end - begin)


def _fields(file: _File, begin: int, end: int) -> Fields:
    """Yield the fields of the message in this range: number, and value or byte range.

    The caller may read elsewhere in the file between fields. Raises _Damaged if one extends past ``end``.
    """
    at = begin
    while at < end:
        file.field()
        file.seek(at)
        key = _varint(file)
        value: int | tuple[int, int] = 0
        if key & 7 == 0:
            value = _varint(file)
            at = file.tell()
        elif key & 7 == 2:
            length = _varint(file)
            value = (file.tell(), file.tell() + length)
            at = value[1]
        elif key & 7 in (1, 5):
            at = file.tell() + (8 if key & 7 == 1 else 4)
        else:
            raise _Damaged("it isn't an ONNX file")
        if at > end:
            raise _Damaged("it is incomplete")
        yield key >> 3, value


def _varint(file: _File) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise _Damaged("it is incomplete")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise _Damaged("it isn't an ONNX file")
