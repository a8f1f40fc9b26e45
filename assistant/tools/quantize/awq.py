"""AWQ: makes the columns that matter larger before rounding, and what feeds them smaller by as much.

Lin and others, 2023 (arXiv 2306.00978). A weight that is larger within its block is rounded to a finer
step. What the network computes stays the same, because the factor is taken out again where the
column's input comes from: in the norm before, or in the rows of the matrix before. The weights
stay plain numbers of 16 bits, so that every format can be made of them afterwards. The strength of
the factors is searched for each group of matrices with the same input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from assistant.core.errors import ModelCorrupt
from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize.block_numbers import Float32s, coarse
from assistant.tools.quantize.gguf_io import GgufWeights
from assistant.tools.quantize.importance import Correlations, Importance

STRENGTHS = np.linspace(0.0, 1.0, 11)
"""Exponents of the mean input that are tried; 0 leaves all as it is."""


@dataclass(frozen=True, slots=True)
class Group:
    """Matrices with the same input, and where that comes from."""

    matrices: tuple[str, ...]
    norm: str = ""
    rows_of: str = ""
    """The matrix whose rows make the input, where it is no norm; without ".weight"."""


def groups(weights: GgufWeights) -> Iterator[Group]:
    """Of a decoder like Llama. Raises ModelCorrupt for another."""
    for layer in range(_number(weights, "block_count")):
        at = f"blk.{layer}"
        attention = tuple(f"{at}.attn_{name}.weight" for name in "qkv")
        feed_forward = (f"{at}.ffn_gate.weight", f"{at}.ffn_up.weight")
        yield Group(attention, norm=f"{at}.attn_norm.weight")
        yield Group((f"{at}.attn_output.weight",), rows_of=f"{at}.attn_v")
        yield Group(feed_forward, norm=f"{at}.ffn_norm.weight")
        yield Group((f"{at}.ffn_down.weight",), rows_of=f"{at}.ffn_up")


@dataclass(slots=True)
class Folded:
    """The weights that became others."""

    arrays: dict[str, Float32s]
    factors: dict[str, Float32s]
    """Matrix -> by what each of its columns was multiplied."""

    def importance(self, before: Importance) -> dict[str, Float32s]:
        """The mean squares of the inputs, which are smaller by the same factors."""
        none = np.float32(1)
        return {
            name: (mean / np.square(self.factors.get(name, none))).astype(np.float32)
            for name, mean in before.items()
        }


def folded(weights: GgufWeights, correlations: Correlations, watcher: Watcher) -> Folded:
    """Search the factors of all groups. Raises ModelCorrupt for a network of another kind."""
    every = list(groups(weights))
    for name in (name for group in every for name in (*group.matrices, group.norm) if name):
        if name not in weights:
            raise ModelCorrupt(
                f"AWQ needs a network like Llama, but this model has no tensor {name!r:.80}.",
                "Use --method gptq, or no --method.",
            )
    result = Folded({}, {})
    meter = Meter("Searching what to make larger", len(every), watcher, unit="groups")
    shared = _number(weights, "attention.head_count") // _number(weights, "attention.head_count_kv")
    for group in every:
        matrices = [result.arrays.get(name, weights.tensor(name)) for name in group.matrices]
        correlation = correlations.of(group.matrices[0])
        heads = shared if group.rows_of.endswith("attn_v") else 1
        factors = _search(matrices, correlation, _width(weights), heads)
        for name, matrix in zip(group.matrices, matrices, strict=True):
            result.arrays[name] = matrix * factors
            result.factors[name] = factors
        if heads > 1:
            factors = np.ascontiguousarray(factors.reshape(-1, heads, _width(weights))[:, 0]).reshape(-1)
        _take_out(group, factors, weights, result.arrays)
        meter.add(1)
    return result


def _search(matrices: Sequence[Float32s], correlation: Float32s, width: int, heads: int) -> Float32s:
    """The factors [columns] with which rounding changes the outputs least."""
    inputs = np.sqrt(correlation.diagonal())
    if heads > 1:  # several heads read the same values: they have to have the same factors
        inputs = _spread_over_heads(inputs.reshape(-1, heads, width).mean(axis=1), heads)
    floor = 1e-4 * float(inputs.max()) or 1.0
    best, least = np.ones_like(inputs), np.inf
    for strength in STRENGTHS:
        factors = np.maximum(inputs, floor) ** np.float32(strength)
        factors /= np.sqrt(factors.max() * factors.min())
        loss = sum(_loss(matrix, factors, correlation) for matrix in matrices)
        if loss < least:
            best, least = factors, loss
    return best


def _loss(matrix: Float32s, factors: Float32s, correlation: Float32s) -> float:
    """How much the outputs change, squared and summed, when the matrix is rounded with these factors."""
    error = coarse(matrix * factors) / factors - matrix
    return float(np.einsum("rc,rc->", error @ correlation, error))


def _take_out(group: Group, factors: Float32s, weights: GgufWeights, arrays: dict[str, Float32s]) -> None:
    """Make what feeds the group smaller by ``factors``."""
    if group.norm:
        arrays[group.norm] = arrays.get(group.norm, weights.tensor(group.norm)) / factors
        return
    name = f"{group.rows_of}.weight"
    arrays[name] = arrays.get(name, weights.tensor(name)) / factors[:, None]
    if (bias := f"{group.rows_of}.bias") in weights:
        arrays[bias] = weights.tensor(bias) / factors


def _spread_over_heads(values: Float32s, heads: int) -> Float32s:
    """[key heads, width] -> one number for each column, the same for the heads that share a key head."""
    return np.repeat(values[:, None], heads, axis=1).reshape(-1)


def _width(weights: GgufWeights) -> int:
    """Of a head."""
    found = weights.header.hyperparameter("attention.value_length")
    if isinstance(found, int):
        return found
    return _number(weights, "embedding_length") // _number(weights, "attention.head_count")


def _number(weights: GgufWeights, name: str) -> int:
    found = weights.header.hyperparameter(name)
    if not isinstance(found, int) or found < 1:
        raise ModelCorrupt(f"The model doesn't state its {name}.", "Use a different source.")
    return found
