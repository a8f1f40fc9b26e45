"""Rounds matrices to 8 bits or fewer in blocks of 32 weights (or more) with one scale each.

A weight is its number times the scale: symmetric, as Q4_0, Q5_0 and Q8_0 of llama.cpp, MatMulNBits
of ONNX Runtime and the packed checkpoints all have it; how the numbers lie in a file is theirs. With
8 bits nearest is good enough. With fewer the scale is searched for that loses least, each weight
counting by how strong the inputs are that it is multiplied with, where that is known. Knows nothing
of models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Float32s = npt.NDArray[np.float32]

Number = TypeVar("Number", bound=np.generic)

BLOCK = 32
"""Weights with one scale. Processors' fast paths want 32 or more; larger blocks lose more."""

SIZES = (BLOCK, 64, 128)
"""Sizes of a block that MatMulNBits and the packed checkpoints have fast paths for."""

STEPS = np.linspace(-0.8, 0.8, 9)
"""Scales that are tried around the one at which the largest weight just fits, in steps of the grid."""

ELEMENTS_AT_A_TIME = 32_768
"""The search goes over them again and again: they should fit into a core's cache."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """A rounded matrix of [rows, columns]; a short last block is filled with zeros."""

    numbers: npt.NDArray[np.int8]
    """[rows, blocks, weights of a block], from -2**(bits - 1) to below 2**(bits - 1)."""
    scales: Float32s
    """[rows, blocks]; one may be negative."""

    @property
    def size(self) -> int:
        """Weights of a block."""
        return int(self.numbers.shape[2])

    def matrix(self, columns: int) -> Float32s:
        """What the numbers stand for, [rows, columns]."""
        values = self.numbers * self.scales[..., None]
        flat: Float32s = values.reshape(len(values), -1)[:, :columns]
        return flat


def rounded(matrix: Float32s, bits: int, importance: Float32s | None = None, size: int = BLOCK) -> Blocks:
    """``matrix`` [rows, columns] in ``bits``. ``importance`` [columns] is the mean square of the inputs."""
    weight = np.ones(matrix.shape[1], dtype=np.float32) if importance is None else importance
    weight = blocks_of(weight[None].astype(np.float32), size)[0]
    parts = []
    step = max(1, ELEMENTS_AT_A_TIME // matrix.shape[1])
    for start in range(0, len(matrix), step):
        blocks = blocks_of(matrix[start : start + step], size)
        parts.append(_nearest(blocks) if bits == 8 else _searched(blocks, 2 ** (bits - 1), weight))
    return joined(parts)


def on_grid(matrix: Float32s, scales: Float32s, bits: int) -> Blocks:
    """``matrix`` to the nearest numbers with these ``scales`` [rows, blocks]."""
    return Blocks(_clipped(blocks_of(matrix), _inverse(scales), 2 ** (bits - 1)).astype(np.int8), scales)


def joined(parts: list[Blocks]) -> Blocks:
    """Matrices of the same width, one below the other."""
    return Blocks(
        np.concatenate([part.numbers for part in parts]), np.concatenate([part.scales for part in parts])
    )


def coarse(matrix: Float32s) -> Float32s:
    """``matrix`` as 4 bits without any search would have it: quick, to compare candidates with."""
    blocks = blocks_of(matrix)
    scales: Float32s = _largest(blocks) / np.float32(-8)
    return Blocks(_clipped(blocks, _inverse(scales), 8).astype(np.int8), scales).matrix(matrix.shape[1])


def from_bfloat16(raw: npt.NDArray[np.uint16]) -> Float32s:
    """Numbers of 16 bits that are the upper halves of those of 32, which NumPy does not know."""
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
    """The largest weight is -``half`` or near it, whatever its sign, so that all numbers are in use."""
    largest = _largest(blocks)
    # Large weights count more: small ones may fall to zero (ggml's make_qx_quants has the same).
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
        gain = along * scale  # what of the block this scale explains
        better = gain > best
        np.copyto(best, gain, where=better)
        np.copyto(scales, scale, where=better)
    return Blocks(_clipped(blocks, _inverse(scales), half).astype(np.int8), scales)


def _largest(blocks: Float32s) -> Float32s:
    """The weight of each block that is furthest from zero, with its sign."""
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
    """1 / value, and 0 for 0: a block of nothing stays nothing."""
    inverse: Float32s = np.divide(1, values, out=np.zeros_like(values), where=values != 0)
    return inverse
