"""Rounds matrices to 8 or 4 bits in blocks of 32 weights with one scale each, as MatMulNBits reads them.

A weight is ``(number - zero) * scale`` with the zero in the middle: symmetric. With 8 bits nearest is
good enough. With 4 bits the scale is searched for that loses least, each weight counting by how
strong the inputs are that it is multiplied with, where that is known. Knows nothing of models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32s = npt.NDArray[np.float32]

BLOCK = 32
"""Weights with one scale. Processors' fast paths want 32 or more; larger blocks lose more."""

STEPS = np.linspace(-0.8, 0.8, 9)
"""Scales that are tried around the one at which the largest weight just fits, in 4-bit steps."""

ELEMENTS_AT_A_TIME = 32_768
"""The search goes over them again and again: they should fit into a core's cache."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """A rounded matrix of [rows, columns]."""

    numbers: npt.NDArray[np.uint8]
    """[rows, blocks, bytes of a block]; of two numbers in a byte the first is the lower half."""
    scales: Float32s
    """[rows, blocks]"""


def rounded(matrix: Float32s, bits: int, importance: Float32s | None = None) -> Blocks:
    """``matrix`` [rows, columns] in ``bits`` 8 or 4; a short last block is filled with zeros.

    ``importance`` [columns] is the mean square of the inputs.
    """
    weight = np.ones(matrix.shape[1], dtype=np.float32) if importance is None else importance
    weight = _blocks(weight[None].astype(np.float32))[0]
    parts = []
    step = max(1, ELEMENTS_AT_A_TIME // matrix.shape[1])
    for start in range(0, len(matrix), step):
        blocks = _blocks(matrix[start : start + step])
        parts.append(_bytes_of(blocks) if bits == 8 else _halves_of(blocks, weight))
    return Blocks(
        np.concatenate([part.numbers for part in parts]), np.concatenate([part.scales for part in parts])
    )


def coarse(matrix: Float32s) -> Float32s:
    """``matrix`` as 4 bits without any search would have it: quick, to compare candidates with."""
    blocks = _blocks(matrix)
    place = np.abs(blocks).argmax(axis=2)[..., None]
    scales: Float32s = np.take_along_axis(blocks, place, axis=2)[..., 0] / np.float32(-8)
    values = _clipped(blocks, _inverse(scales)) * scales[..., None]
    flat: Float32s = values.reshape(len(values), -1)[:, : matrix.shape[1]]
    return flat


def packed(numbers: npt.NDArray[np.int8], scales: Float32s) -> Blocks:
    """Numbers [rows, columns] from -8 to 7 in halves of bytes; a short last block is filled with zeros."""
    rows, columns = numbers.shape
    width = BLOCK * scales.shape[1]
    halves = np.pad(numbers + np.int8(8), ((0, 0), (0, width - columns)), constant_values=8).astype(np.uint8)
    halves = halves.reshape(rows, -1, BLOCK)
    return Blocks(halves[..., 0::2] | halves[..., 1::2] << np.uint8(4), scales)


def unpacked(blocks: Blocks, bits: int, columns: int) -> Float32s:
    """The matrix [rows, columns] that ``blocks`` stand for."""
    numbers = blocks.numbers
    if bits == 4:
        numbers = np.stack([numbers & 15, numbers >> 4], axis=-1).reshape(*blocks.scales.shape, BLOCK)
    values = (numbers.astype(np.float32) - 2 ** (bits - 1)) * blocks.scales[..., None]
    flat: Float32s = values.reshape(len(values), -1)[:, :columns]
    return flat


def _blocks(matrix: Float32s) -> Float32s:
    """[rows, blocks, BLOCK]"""
    rows, columns = matrix.shape
    padded = np.pad(matrix, ((0, 0), (0, -columns % BLOCK)))
    return np.ascontiguousarray(padded.reshape(rows, -1, BLOCK), dtype=np.float32)


def _bytes_of(blocks: Float32s) -> Blocks:
    scales = np.abs(blocks).max(axis=2) / 127
    numbers = np.rint(blocks * _inverse(scales)[..., None]) + 128
    return Blocks(numbers.astype(np.uint8), scales)


def _halves_of(blocks: Float32s, weight: Float32s) -> Blocks:
    """The largest weight is -8 or near it, whatever its sign, so that all 16 numbers are in use."""
    place = np.abs(blocks).argmax(axis=2)[..., None]
    largest = np.take_along_axis(blocks, place, axis=2)[..., 0]
    # Large weights count more: small ones may fall to zero (ggml's make_qx_quants has the same).
    spread = np.square(blocks).mean(axis=2, keepdims=True)
    weight = weight * np.sqrt(spread + np.square(blocks))
    weighed = weight * blocks
    best = np.full(largest.shape, -1.0, dtype=np.float32)
    scales = np.zeros_like(largest)
    for step in STEPS:
        tried = _clipped(blocks, -(8 + step) * _inverse(largest))
        along = np.einsum("rbk,rbk->rb", weighed, tried)
        length = np.einsum("rbk,rbk,rbk->rb", weight, tried, tried)
        scale = along * _inverse(length)
        gain = along * scale  # what of the block this scale explains
        better = gain > best
        np.copyto(best, gain, where=better)
        np.copyto(scales, scale, where=better)
    halves = _clipped(blocks, _inverse(scales)) + 8
    numbers: npt.NDArray[np.uint8] = halves.astype(np.uint8)
    return Blocks(numbers[..., 0::2] | numbers[..., 1::2] << np.uint8(4), scales)


def _clipped(blocks: Float32s, factor: Float32s) -> Float32s:
    numbers: Float32s = blocks * factor.astype(np.float32)[..., None]
    np.rint(numbers, out=numbers)
    np.minimum(numbers, 7, out=numbers)
    np.maximum(numbers, -8, out=numbers)
    return numbers


def _inverse(values: Float32s) -> Float32s:
    """1 / value, and 0 for 0: a block of nothing stays nothing."""
    inverse: Float32s = np.divide(1, values, out=np.zeros_like(values), where=values != 0)
    return inverse
