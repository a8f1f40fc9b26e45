"""What network a GGUF model's header describes, as far as it can be written as ONNX here.

A Llama in its many names: rotary positions, RMS norms, a gated feed-forward, heads that share keys.
What the header asks for beyond that is refused: left out, it would make a model that is silently wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assistant.core.errors import ModelCorrupt
from assistant.store.formats.gguf import GgufHeader
from assistant.tools.quantize.gguf_io import GgufWeights

ARCHITECTURES = {"llama": True, "qwen2": False, "qwen3": False}
"""Name -> whether a pair that is turned lies side by side in a head, or half a head apart."""

MAX_POSITIONS = 32_768
"""Longest context: its turns are kept, 8 MB with heads of 64; no conversation here is longer."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The network's measures."""

    architecture: str
    layers: int
    width: int
    heads: int
    key_heads: int
    head_width: int
    feed_forward: int
    vocabulary: int
    positions: int
    epsilon: float
    rope_base: float

    @property
    def side_by_side(self) -> bool:
        return ARCHITECTURES[self.architecture]


def shape_of(header: GgufHeader) -> Shape:
    """Raises ModelCorrupt for a network of another kind."""

    def number(name: str, default: float | None = None) -> float:
        value = header.hyperparameter(name)
        if not isinstance(value, (int, float)):
            value = default
        if value is None:
            raise _unknown(f"does not say its {name}")
        return value

    if header.architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise _unknown(f"has the architecture '{header.architecture:.40}', but only {known} are supported")
    if number("expert_count", 0) or number("attention.sliding_window", 0):
        raise _unknown("has experts or a sliding window")
    if header.hyperparameter("rope.scaling.type") not in (None, "none"):
        raise _unknown("scales its positions")
    heads, width = int(number("attention.head_count")), int(number("embedding_length"))
    head_width = int(number("attention.key_length", width // heads))
    if int(number("rope.dimension_count", head_width)) != head_width:
        raise _unknown("turns a part of each head only")
    if int(number("attention.value_length", head_width)) != head_width:
        raise _unknown("has values and keys of different widths")
    embedding = next((tensor for tensor in header.tensors if tensor.name == "token_embd.weight"), None)
    if embedding is None or len(embedding.shape) != 2:
        raise _unknown("has no table of words")
    return Shape(
        architecture=header.architecture,
        layers=int(number("block_count")),
        width=width,
        heads=heads,
        key_heads=int(number("attention.head_count_kv", heads)),
        head_width=head_width,
        feed_forward=int(number("feed_forward_length")),
        vocabulary=embedding.shape[1],
        positions=min(int(number("context_length")), MAX_POSITIONS),
        epsilon=number("attention.layer_norm_rms_epsilon"),
        rope_base=number("rope.freq_base", 10_000.0),
    )


def turns(shape: Shape, weights: GgufWeights) -> npt.NDArray[np.float64]:
    """Angles [positions, half a head's width] by which each pair of a head is turned."""
    half = shape.head_width // 2
    speeds = shape.rope_base ** -(np.arange(half, dtype=np.float64) / half)
    if "rope_freqs.weight" in weights:  # Llama 3 slows some of them down
        speeds /= weights.array("rope_freqs.weight", (half,))
    return np.outer(np.arange(shape.positions), speeds)


def _unknown(what: str) -> ModelCorrupt:
    return ModelCorrupt(
        f"The model cannot be written as ONNX: it {what}.", "Choose a GGUF format, such as q4_k_m."
    )
