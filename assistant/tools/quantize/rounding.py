"""Rounds a layer's matrix to few bits, behind one signature: to the nearest number, or by GPTQ.

GPTQ (Frantar and others, 2022, arXiv 2210.17323) rounds column by column and lets the columns to come make up
for each error. A layer's output is to change least, so every error is pushed into the columns that are still
to be rounded, as far as their inputs go along with it, which their correlation tells. The steps of the grid
are fixed before, so that the columns may be rounded in any order and lie in their own again afterwards.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from assistant.tools.quantize import block_numbers
from assistant.tools.quantize.block_numbers import BLOCK, Blocks, Float32s, blocks_of
from assistant.tools.quantize.importance import Correlations, Importance

MAX_BITS = 5
"""With more bits, rounding to the nearest loses almost nothing."""


class Rounding(Protocol):
    """Rounds one matrix."""

    def __call__(self, name: str, matrix: Float32s, bits: int) -> Blocks:
        """Round ``matrix`` [rows, columns] of the tensor ``name`` to ``bits``."""


def nearest(importance: Importance, size: int = BLOCK) -> Rounding:
    """Return rounding of each weight on its own; with 4 bits, a block's scale is optimized for important
    weights.

    ``size`` is how many weights share a scale.
    """

    def rounding(name: str, matrix: Float32s, bits: int) -> Blocks:
        return block_numbers.rounded(matrix, bits, importance.get(name), size)

    return rounding


def with_feedback(
    correlations: Correlations,
    *,
    by_importance: bool,
    scale_type: type[np.floating[Any]] = np.float32,
    size: int = BLOCK,
) -> Rounding:
    """Return GPTQ where the inputs are known and there are few bits; the file stores scales as
    ``scale_type``.
    """
    spread = LastSpread(correlations, by_importance=by_importance)

    def rounding(name: str, matrix: Float32s, bits: int) -> Blocks:
        if bits > MAX_BITS or name not in correlations:
            return block_numbers.rounded(matrix, bits, size=size)
        grid = block_numbers.rounded(matrix, bits, correlations.diagonal(name), size)
        kept = grid.scales.astype(scale_type).astype(np.float32)
        return rounded_by_gptq(matrix, bits, replace(grid, scales=kept), *spread.of(name))

    return rounding


class LastSpread:
    """Caches the last ``error_spread``, for consecutive matrices with the same inputs."""

    def __init__(self, correlations: Correlations, *, by_importance: bool) -> None:
        self._correlations, self._by_importance = correlations, by_importance
        self._owner = ""

    def of(self, name: str) -> tuple[npt.NDArray[np.intp], Float32s]:
        """Return the order of the columns, and how errors are spread. Raises OSError, ValueError,
        KeyError.
        """
        owner = self._correlations.owner(name)
        if owner != self._owner:
            self._spread = error_spread(self._correlations.of(name), by_importance=self._by_importance)
            self._owner = owner
        return self._spread


Float64s = npt.NDArray[np.float64]

DAMPING = 0.01
"""Added to the diagonal, relative to its mean: without it, a short text would be trusted too much."""

SPAN = 32
"""Columns whose errors are propagated together; affects only speed."""

SMALL = 128
"""Columns of a triangle that is inverted at once; affects only speed."""


def error_spread(correlation: Float32s, *, by_importance: bool) -> tuple[npt.NDArray[np.intp], Float32s]:
    """Return the order in which columns are rounded, and how the error of each is spread over later ones.

    The second is the upper Cholesky factor of the inverse. ``by_importance`` (act-order) rounds the most
    strongly driven columns first, while there are others to compensate for them.
    """
    diagonal = correlation.diagonal()
    order = np.argsort(-diagonal, kind="stable") if by_importance else np.arange(len(diagonal))
    damped = correlation[np.ix_(order, order)].astype(np.float64)
    damped[np.diag_indices_from(damped)] += DAMPING * diagonal.mean(dtype=np.float64) + 1e-12
    # C = U Uᵀ with U upper triangular, so C⁻¹ = (U⁻¹)ᵀ U⁻¹: the factor is U⁻¹, and C is never inverted.
    upper = np.asarray(np.linalg.cholesky(damped[::-1, ::-1]), np.float64)[::-1, ::-1]
    return order, _inverse(upper).astype(np.float32)


def _inverse(upper: Float64s) -> Float64s:
    """Invert an upper triangular matrix by quarters; computing C⁻¹ and its factor took twice as long
    (measured).
    """
    if len(upper) <= SMALL:
        return np.triu(np.linalg.inv(upper))
    half = len(upper) // 2
    first, last = _inverse(upper[:half, :half]), _inverse(upper[half:, half:])
    inverse = np.zeros_like(upper)
    inverse[:half, :half], inverse[half:, half:] = first, last
    inverse[:half, half:] = -first @ (upper[:half, half:] @ last)
    return inverse


def rounded_by_gptq(
    matrix: Float32s, bits: int, grid: Blocks, order: npt.NDArray[np.intp], factor: Float32s
) -> Blocks:
    """Round ``matrix`` [rows, columns] to ``bits`` with ``grid``'s scales; the rest comes from
    ``error_spread``.
    """
    half = 2 ** (bits - 1)
    steps = np.repeat(grid.scales, grid.size, axis=1)[:, : matrix.shape[1]]
    numbers = gptq_on_grid(matrix, steps, -half * steps, 2 * half - 1, order, factor)
    return Blocks(blocks_of(numbers.view(np.int8) - np.int8(half), grid.size), grid.scales)


def gptq_on_grid(  # noqa: PLR0917
    matrix: Float32s,
    steps: Float32s,
    bases: Float32s,
    highest: int,
    order: npt.NDArray[np.intp],
    factor: Float32s,
) -> npt.NDArray[np.uint8]:
    """Return the numbers [rows, columns] of the weights; each weight becomes base + number * step.

    ``steps`` and ``bases`` have the matrix's shape, numbers range from 0 to ``highest``, and the rest comes
    from ``error_spread``.
    """
    left = np.ascontiguousarray(
        matrix[:, order].T
    )  # [columns, rows], because columns are read one at a time.
    steps, bases = np.ascontiguousarray(steps[:, order].T), np.ascontiguousarray(bases[:, order].T)
    inverse = np.divide(1, steps, out=np.zeros_like(steps), where=steps != 0)
    numbers = np.empty(left.shape, dtype=np.uint8)
    for start in range(0, len(left), SPAN):
        end = min(start + SPAN, len(left))
        errors = np.empty((end - start, left.shape[1]), dtype=np.float32)
        for column in range(start, end):
            number = np.rint((left[column] - bases[column]) * inverse[column])
            np.clip(number, 0, highest, out=number)
            numbers[column] = number
            error = (left[column] - bases[column] - number * steps[column]) / factor[column, column]
            left[column + 1 : end] -= np.outer(factor[column, column + 1 : end], error)
            errors[column - start] = error
        left[end:] -= factor[start:end, end:].T @ errors
    whole = np.empty_like(numbers)
    whole[order] = numbers
    return np.ascontiguousarray(whole.T)
