"""The ways to round a layer's matrix to few bits, behind one signature: to the nearest number, or by GPTQ."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from assistant.prepare import block_numbers, gptq
from assistant.prepare.block_numbers import Blocks, Float32s
from assistant.prepare.correlations import Correlations
from assistant.prepare.importance import Importance

MAX_BITS = 5
"""With more the nearest numbers lose next to nothing."""


class Rounding(Protocol):
    """Rounds one matrix."""

    def __call__(self, name: str, matrix: Float32s, bits: int) -> Blocks:
        """``matrix`` [rows, columns] of the tensor ``name`` in ``bits``."""


def nearest(importance: Importance) -> Rounding:
    """Every weight for itself; with 4 bits the scale of a block suits the weights that matter."""

    def rounding(name: str, matrix: Float32s, bits: int) -> Blocks:
        return block_numbers.rounded(matrix, bits, importance.get(name))

    return rounding


def with_feedback(
    correlations: Correlations, *, by_importance: bool, scale_type: type[np.floating[Any]] = np.float32
) -> Rounding:
    """GPTQ where the inputs are known and the bits few; ``scale_type`` is what the file keeps scales in."""
    owner, spread = "", gptq.spread(np.eye(1, dtype=np.float32), by_importance=False)

    def rounding(name: str, matrix: Float32s, bits: int) -> Blocks:
        nonlocal owner, spread
        if bits > MAX_BITS or name not in correlations:
            return block_numbers.rounded(matrix, bits)
        correlation = correlations.of(name)
        if correlations.owner(name) != owner:  # keys and values follow the queries: it is the same
            owner, spread = correlations.owner(name), gptq.spread(correlation, by_importance=by_importance)
        scales = block_numbers.rounded(matrix, bits, correlation.diagonal()).scales
        return gptq.rounded(matrix, bits, scales.astype(scale_type).astype(np.float32), *spread)

    return rounding
