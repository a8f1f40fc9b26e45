"""The grids to which llama.cpp rounded the matrices of a GGUF file, and how to put other numbers on them.

Every weight of these types is base + number * step. llama.cpp has chosen good bases and steps, using an
importance matrix if there is one; the number of each weight can be chosen again (``rounding``), which changes
only the numbers in the file. The layouts are those of ggml-common.h. Independent of any model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from assistant.tools.quantize.block_numbers import BLOCK, Float32s

Bytes = npt.NDArray[np.uint8]

SCALES = 12
"""Bytes for the eight 6-bit scales and eight 6-bit minima in a block of 256 (Q4_K, Q5_K)."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The possible values of each weight of a [rows, columns] matrix."""

    steps: Float32s
    bases: Float32s
    highest: int
    """Numbers range from 0 to this."""
    packed: Callable[[Bytes], Bytes]
    """Numbers [rows, columns] -> the tensor's complete data."""


def grid_of(kind: str, data: Bytes, columns: int) -> Grid:
    """Return the grid of a tensor of type ``kind``, one of KINDS, from its ``data``."""
    return KINDS[kind](data, columns)


def nibbles(numbers: Bytes) -> Bytes:
    """Pack 4-bit numbers [blocks, 32] into 16 bytes per block, each with the numbers i and i + 16."""
    return numbers[:, : BLOCK // 2] | numbers[:, BLOCK // 2 :] << np.uint8(4)


def _small(data: Bytes, columns: int, *, bits: int, has_base: bool) -> Grid:
    """Q4_0, Q4_1, Q5_0, Q5_1: 32 weights with a step, and either a base or numbers centered on zero."""
    head = 4 if has_base else 2
    blocks = data.reshape(-1, head + (4 if bits == 5 else 0) + BLOCK // 2)
    scales = _halves_of(blocks[:, :head])
    steps = scales[:, :1]
    bases = scales[:, 1:] if has_base else steps * np.float32(-(2 ** (bits - 1)))

    def packed(numbers: Bytes) -> Bytes:
        numbers = numbers.reshape(-1, BLOCK)
        fifths = [np.packbits(numbers >> 4, axis=1, bitorder="little")] if bits == 5 else []
        return np.concatenate([blocks[:, :head], *fifths, nibbles(numbers & np.uint8(15))], axis=1)

    return Grid(_wide(steps, columns), _wide(bases, columns), 2**bits - 1, packed)


def _large(data: Bytes, columns: int, *, bits: int) -> Grid:
    """Q4_K, Q5_K: 256 weights in eight groups, whose steps and minima are themselves 6-bit numbers."""
    head = 4 + SCALES
    blocks = data.reshape(-1, head + (32 if bits == 5 else 0) + 128)
    scales = _halves_of(blocks[:, :4])
    first, second, third = np.split(blocks[:, 4:head], 3, axis=1)
    steps = np.concatenate([first & 63, third & 15 | (first >> 6) << 4], axis=1)
    minima = np.concatenate([second & 63, third >> 4 | (second >> 6) << 4], axis=1)

    def packed(numbers: Bytes) -> Bytes:
        groups = numbers.reshape(-1, 8, BLOCK)
        fifths = [np.packbits(groups >> 4, axis=1, bitorder="little")[:, 0]] if bits == 5 else []
        low = groups & 15
        halves = (low[:, 0::2] | low[:, 1::2] << np.uint8(4)).reshape(-1, 128)
        return np.concatenate([blocks[:, :head], *fifths, halves], axis=1)

    return Grid(
        _wide(scales[:, :1] * steps, columns), _wide(-scales[:, 1:] * minima, columns), 2**bits - 1, packed
    )


KINDS: dict[str, Callable[[Bytes, int], Grid]] = {
    "Q4_0": partial(_small, bits=4, has_base=False),
    "Q4_1": partial(_small, bits=4, has_base=True),
    "Q5_0": partial(_small, bits=5, has_base=False),
    "Q5_1": partial(_small, bits=5, has_base=True),
    "Q4_K": partial(_large, bits=4),
    "Q5_K": partial(_large, bits=5),
}
"""Tensor type -> function that reads its grid. With more bits, rounding to the nearest loses almost
nothing.
"""


def _halves_of(data: Bytes) -> Float32s:
    """Return the 16-bit floats as a vector."""
    return np.ascontiguousarray(data).view(np.float16).astype(np.float32)


def _wide(values: Float32s, columns: int) -> Float32s:
    """Expand one value per 32 weights to one per weight, [rows, columns]."""
    return np.repeat(values.reshape(-1), BLOCK).astype(np.float32).reshape(-1, columns)
