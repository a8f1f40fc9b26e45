"""The ways to round a layer's matrix to few bits, behind one signature: to the nearest number, or by GPTQ."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from assistant.tools.quantize import block_numbers, gptq
from assistant.tools.quantize.block_numbers import BLOCK, Blocks, Float32s
from assistant.tools.quantize.correlations import Correlations
from assistant.tools.quantize.importance import Importance

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
        return gptq.rounded(matrix, bits, replace(grid, scales=kept), *spread.of(name))

    return rounding


class LastSpread:
    """``gptq.spread`` of a matrix, computed once for those that follow each other with the same inputs."""

    def __init__(self, correlations: Correlations, *, by_importance: bool) -> None:
        self._correlations, self._by_importance = correlations, by_importance
        self._owner = ""

    def of(self, name: str) -> tuple[npt.NDArray[np.intp], Float32s]:
        """The order of the columns, and how errors are spread. Raises OSError, ValueError, KeyError."""
        owner = self._correlations.owner(name)
        if owner != self._owner:
            self._spread = gptq.spread(self._correlations.of(name), by_importance=self._by_importance)
            self._owner = owner
        return self._spread
