"""The network that a GGUF header describes, if it can be written as ONNX here.

Supported is the Llama family: rotary positions, RMS norms, a gated feed-forward, grouped key-value heads.
Anything else in the header is refused: ignoring it would silently make a wrong model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assistant.core.errors import ModelCorrupt
from assistant.store.formats.gguf import GgufHeader
from assistant.tools.quantize.gguf_io import GgufWeights

ARCHITECTURES = {"llama": True, "qwen2": False, "qwen3": False}
"""Name -> True if a rotated pair is adjacent within a head, False if it is half a head apart."""

MAX_POSITIONS = 32_768
"""Longest context: its rotation table is stored, 8 MB with heads of 64; no conversation here is longer."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The network's dimensions."""

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
    """Read the dimensions. Raises ModelCorrupt for an unsupported network."""

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
    """Return the rotation angles [positions, half a head's width] of each pair in a head."""
    half = shape.head_width // 2
    speeds = shape.rope_base ** -(np.arange(half, dtype=np.float64) / half)
    if "rope_freqs.weight" in weights:  # Llama 3 lowers some frequencies.
        speeds /= weights.array("rope_freqs.weight", (half,))
    return np.outer(np.arange(shape.positions), speeds)


def _unknown(what: str) -> ModelCorrupt:
    return ModelCorrupt(
        f"The model cannot be written as ONNX: it {what}.", "Choose a GGUF format, such as q4_k_m."
    )
