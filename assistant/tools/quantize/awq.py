"""AWQ: scales up the important columns before rounding, and scales down their inputs by the same factors.

Lin et al., 2023 (arXiv 2306.00978). A weight that is larger within its block is rounded with a smaller
relative error. The network's output stays the same because the factor is divided out where the column's input
is computed: in the preceding norm, or in the rows of the preceding matrix. The weights remain plain 16-bit
numbers, so any format can be made from them. The strength of the factors is searched for each group of
matrices with the same input.
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
"""Exponents of the mean input to try; 0 leaves the weights unchanged."""


@dataclass(frozen=True, slots=True)
class Group:
    """Matrices with the same input, and the source of that input."""

    matrices: tuple[str, ...]
    norm: str = ""
    rows_of: str = ""
    """The matrix whose rows produce the input, if it isn't a norm; without ".weight"."""


def groups(weights: GgufWeights) -> Iterator[Group]:
    """Yield the groups of a Llama-like decoder. Raises ModelCorrupt for other networks."""
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
    """The changed weights."""

    arrays: dict[str, Float32s]
    factors: dict[str, Float32s]
    """Matrix -> factor of each of its columns."""

    def importance(self, before: Importance) -> dict[str, Float32s]:
        """Return the mean squares of the inputs after scaling."""
        none = np.float32(1)
        return {
            name: (mean / np.square(self.factors.get(name, none))).astype(np.float32)
            for name, mean in before.items()
        }


def folded(weights: GgufWeights, correlations: Correlations, watcher: Watcher) -> Folded:
    """Search the factors of all groups. Raises ModelCorrupt for an unsupported network."""
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
    """Return the factors [columns] with the smallest change of the outputs by rounding."""
    inputs = np.sqrt(correlation.diagonal())
    if heads > 1:  # Several heads share the same values, so they need the same factors.
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
    """Return the summed squared change of the outputs when the matrix is rounded with these factors."""
    error = coarse(matrix * factors) / factors - matrix
    return float(np.einsum("rc,rc->", error @ correlation, error))


def _take_out(group: Group, factors: Float32s, weights: GgufWeights, arrays: dict[str, Float32s]) -> None:
    """Scale down the group's input by ``factors``."""
    if group.norm:
        arrays[group.norm] = arrays.get(group.norm, weights.tensor(group.norm)) / factors
        return
    name = f"{group.rows_of}.weight"
    arrays[name] = arrays.get(name, weights.tensor(name)) / factors[:, None]
    if (bias := f"{group.rows_of}.bias") in weights:
        arrays[bias] = weights.tensor(bias) / factors


def _spread_over_heads(values: Float32s, heads: int) -> Float32s:
    """[key heads, width] -> one number per column, the same for all heads that share a key head."""
    return np.repeat(values[:, None], heads, axis=1).reshape(-1)


def _width(weights: GgufWeights) -> int:
    """Return the width of a head."""
    found = weights.header.hyperparameter("attention.value_length")
    if isinstance(found, int):
        return found
    return _number(weights, "embedding_length") // _number(weights, "attention.head_count")


def _number(weights: GgufWeights, name: str) -> int:
    found = weights.header.hyperparameter(name)
    if not isinstance(found, int) or found < 1:
        raise ModelCorrupt(f"The model doesn't state its {name}.", "Use a different source.")
    return found
