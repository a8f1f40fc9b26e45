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
"""With more the nearest numbers lose next to nothing."""


class Rounding(Protocol):
    """Rounds one matrix."""

    def __call__(self, name: str, matrix: Float32s, bits: int) -> Blocks:
        """``matrix`` [rows, columns] of the tensor ``name`` in ``bits``."""


def nearest(importance: Importance, size: int = BLOCK) -> Rounding:
    """Every weight for itself; with 4 bits the scale of a block suits the weights that matter.

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
    """GPTQ where the inputs are known and the bits few; ``scale_type`` is what the file keeps scales in."""
    spread = LastSpread(correlations, by_importance=by_importance)

    def rounding(name: str, matrix: Float32s, bits: int) -> Blocks:
        if bits > MAX_BITS or name not in correlations:
            return block_numbers.rounded(matrix, bits, size=size)
        grid = block_numbers.rounded(matrix, bits, correlations.diagonal(name), size)
        kept = grid.scales.astype(scale_type).astype(np.float32)
        return rounded_by_gptq(matrix, bits, replace(grid, scales=kept), *spread.of(name))

    return rounding


class LastSpread:
    """``error_spread`` of a matrix, computed once for those that follow each other with the same inputs."""

    def __init__(self, correlations: Correlations, *, by_importance: bool) -> None:
        self._correlations, self._by_importance = correlations, by_importance
        self._owner = ""

    def of(self, name: str) -> tuple[npt.NDArray[np.intp], Float32s]:
        """The order of the columns, and how errors are spread. Raises OSError, ValueError, KeyError."""
        owner = self._correlations.owner(name)
        if owner != self._owner:
            self._spread = error_spread(self._correlations.of(name), by_importance=self._by_importance)
            self._owner = owner
        return self._spread


Float64s = npt.NDArray[np.float64]

DAMPING = 0.01
"""Added to the diagonal, as a share of its mean: without it few tokens of text would be trusted too much."""

SPAN = 32
"""Columns whose errors are carried on together; a matter of speed only."""

SMALL = 128
"""Columns of a triangle that is inverted at once; a matter of speed only."""


def error_spread(correlation: Float32s, *, by_importance: bool) -> tuple[npt.NDArray[np.intp], Float32s]:
    """The order in which columns are rounded, and how the error of each is spread over those after it.

    The second is the upper Cholesky factor of the inverse. ``by_importance`` (act-order) takes the
    columns first that are driven most, while there are others to make up for them.
    """
    diagonal = correlation.diagonal()
    order = np.argsort(-diagonal, kind="stable") if by_importance else np.arange(len(diagonal))
    damped = correlation[np.ix_(order, order)].astype(np.float64)
    damped[np.diag_indices_from(damped)] += DAMPING * diagonal.mean(dtype=np.float64) + 1e-12
    # C = U Uᵀ with U upper triangular, so C⁻¹ = (U⁻¹)ᵀ U⁻¹: the factor is U⁻¹, and C is never inverted.
    upper = np.asarray(np.linalg.cholesky(damped[::-1, ::-1]), np.float64)[::-1, ::-1]
    return order, _inverse(upper).astype(np.float32)


def _inverse(upper: Float64s) -> Float64s:
    """Of an upper triangular matrix, by its quarters; C⁻¹ and its factor took twice as long (measured)."""
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
    """``matrix`` [rows, columns] in ``bits``, with ``grid``'s scales; the rest is from ``error_spread``."""
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
    """The numbers [rows, columns] of the weights, each of which becomes base + number * step.

    ``steps`` and ``bases`` are of the matrix's shape, numbers go from 0 to ``highest``, the rest is
    from ``error_spread``.
    """
    left = np.ascontiguousarray(matrix[:, order].T)  # [columns, rows]: a column is what is read at once
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
