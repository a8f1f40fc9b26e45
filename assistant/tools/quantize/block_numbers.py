"""Rounds matrices to 8 bits or fewer in blocks of 32 or more weights with one scale each.

A weight is its number times the scale: symmetric, as in llama.cpp's Q4_0, Q5_0, and Q8_0, ONNX Runtime's
MatMulNBits, and the packed checkpoints; each format lays out the numbers in its own way. With 8 bits, the
nearest number is good enough. With fewer, the scale with the smallest loss is searched for, with each
weight's error weighted by the strength of its inputs where that is known. Independent of any model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Float32s = npt.NDArray[np.float32]

Number = TypeVar("Number", bound=np.generic)

BLOCK = 32
"""Weights per scale. The fast paths of CPUs need 32 or more; larger blocks lose more."""

SIZES = (BLOCK, 64, 128)
"""Block sizes for which MatMulNBits and the packed checkpoints have fast paths."""

STEPS = np.linspace(-0.8, 0.8, 9)
"""Scales to try around the one at which the largest weight just fits, in steps of the grid."""

ELEMENTS_AT_A_TIME = 32_768
"""The search iterates over them repeatedly, so they should fit into a core's cache."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """A rounded [rows, columns] matrix; a short last block is padded with zeros."""

    numbers: npt.NDArray[np.int8]
    """[rows, blocks, weights of a block], from -2**(bits - 1) to below 2**(bits - 1)."""
    scales: Float32s
    """[rows, blocks]; scales may be negative."""

    @property
    def size(self) -> int:
        """Return the number of weights per block."""
        return int(self.numbers.shape[2])

    def matrix(self, columns: int) -> Float32s:
        """Return the dequantized matrix, [rows, columns]."""
        values = self.numbers * self.scales[..., None]
        flat: Float32s = values.reshape(len(values), -1)[:, :columns]
        return flat


def rounded(matrix: Float32s, bits: int, importance: Float32s | None = None, size: int = BLOCK) -> Blocks:
    """Round ``matrix`` [rows, columns] to ``bits``. ``importance`` [columns] is the mean square of the
    inputs.
    """
    weight = np.ones(matrix.shape[1], dtype=np.float32) if importance is None else importance
    weight = blocks_of(weight[None].astype(np.float32), size)[0]
    parts = []
    step = max(1, ELEMENTS_AT_A_TIME // matrix.shape[1])
    for start in range(0, len(matrix), step):
        blocks = blocks_of(matrix[start : start + step], size)
        parts.append(_nearest(blocks) if bits == 8 else _searched(blocks, 2 ** (bits - 1), weight))
    return joined(parts)


def on_grid(matrix: Float32s, scales: Float32s, bits: int) -> Blocks:
    """Round ``matrix`` to the nearest numbers with these ``scales`` [rows, blocks]."""
    return Blocks(_clipped(blocks_of(matrix), _inverse(scales), 2 ** (bits - 1)).astype(np.int8), scales)


def joined(parts: list[Blocks]) -> Blocks:
    """Stack matrices of the same width vertically."""
    return Blocks(
        np.concatenate([part.numbers for part in parts]), np.concatenate([part.scales for part in parts])
    )


def coarse(matrix: Float32s) -> Float32s:
    """Round ``matrix`` to 4 bits without a search and dequantize it: a quick way to compare candidates."""
    blocks = blocks_of(matrix)
    scales: Float32s = _largest(blocks) / np.float32(-8)
    return Blocks(_clipped(blocks, _inverse(scales), 8).astype(np.int8), scales).matrix(matrix.shape[1])


def from_bfloat16(raw: npt.NDArray[np.uint16]) -> Float32s:
    """Convert bfloat16 values, which NumPy lacks: they are the upper halves of 32-bit floats."""
    return (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)


def blocks_of(matrix: npt.NDArray[Number], size: int = BLOCK) -> npt.NDArray[Number]:
    """[rows, columns] -> [rows, blocks, size]"""
    rows, columns = matrix.shape
    padded = np.pad(matrix, ((0, 0), (0, -columns % size)))
    return np.ascontiguousarray(padded.reshape(rows, -1, size))


def _nearest(blocks: Float32s) -> Blocks:
    scales = np.abs(blocks).max(axis=2) / 127
    return Blocks(np.rint(blocks * _inverse(scales)[..., None]).astype(np.int8), scales)


def _searched(blocks: Float32s, half: int, weight: Float32s) -> Blocks:
    """Search the scales; the largest weight maps to about -``half``, whatever its sign, to use the full
    range.
    """
    largest = _largest(blocks)
    # Large weights count more; small ones may become zero (as in ggml's make_qx_quants).
    spread = np.square(blocks).mean(axis=2, keepdims=True)
    weight = weight * np.sqrt(spread + np.square(blocks))
    weighed = weight * blocks
    best = np.full(largest.shape, -1.0, dtype=np.float32)
    scales = np.zeros_like(largest)
    for step in STEPS:
        tried = _clipped(blocks, -(half + step) * _inverse(largest), half)
        along = np.einsum("rbk,rbk->rb", weighed, tried)
        length = np.einsum("rbk,rbk,rbk->rb", weight, tried, tried)
        scale = along * _inverse(length)
        gain = along * scale  # The part of the block explained by this scale.
        better = gain > best
        np.copyto(best, gain, where=better)
        np.copyto(scales, scale, where=better)
    return Blocks(_clipped(blocks, _inverse(scales), half).astype(np.int8), scales)


def _largest(blocks: Float32s) -> Float32s:
    """Return the weight of each block that is farthest from zero, with its sign."""
    place = np.abs(blocks).argmax(axis=2)[..., None]
    largest: Float32s = np.take_along_axis(blocks, place, axis=2)[..., 0]
    return largest


def _clipped(blocks: Float32s, factor: Float32s, half: int) -> Float32s:
    numbers: Float32s = blocks * factor.astype(np.float32)[..., None]
    np.rint(numbers, out=numbers)
    np.minimum(numbers, half - 1, out=numbers)
    np.maximum(numbers, -half, out=numbers)
    return numbers


def _inverse(values: Float32s) -> Float32s:
    """Return 1 / value, and 0 for 0: an all-zero block stays zero."""
    inverse: Float32s = np.divide(1, values, out=np.zeros_like(values), where=values != 0)
    return inverse
