"""The network that is written, against the same network in plain numpy; and what cannot be written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.errors import ModelCorrupt
from assistant.engines.llm.onnx.decoder import OnnxDecoder, run_options
from assistant.engines.llm.onnx.model import OnnxVocabulary
from assistant.engines.onnx_providers import Place
from assistant.store.formats.gguf import GgufHeader, Value
from assistant.tools.quantize.block_numbers import BLOCK, rounded
from assistant.tools.quantize.onnx_shape import shape_of
from assistant.tools.quantize.onnx_tokenizer import tokenizer

Array = np.ndarray[Any, Any]

TOKENS = [5, 1, 7, 7, 2, 9, 0, 3, 3, 8]


def reference(weights: Any, tokens: list[int]) -> Array:
    """The scores after each token: Llama as its paper has it, slow and plain."""
    shape = shape_of(weights.header)
    get = weights.arrays.get
    x = weights.arrays["token_embd.weight"][tokens].astype(np.float64)
    length, half = len(tokens), shape.head_width // 2

    def norm(values: Array, name: str) -> Array:
        scale = np.sqrt(np.square(values).mean(axis=-1, keepdims=True) + shape.epsilon)
        normal: Array = values / scale * weights.arrays[name]
        return normal

    def turn(values: Array) -> Array:
        """[tokens, heads, head width]"""
        angle = np.arange(length)[:, None] * shape.rope_base ** (-np.arange(half) / half)
        cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
        first = slice(0, None, 2) if shape.side_by_side else slice(0, half)
        second = slice(1, None, 2) if shape.side_by_side else slice(half, None)
        turned = np.empty_like(values)
        turned[..., first] = values[..., first] * cos - values[..., second] * sin
        turned[..., second] = values[..., first] * sin + values[..., second] * cos
        return turned

    def times(values: Array, name: str) -> Array:
        product: Array = values @ weights.arrays[f"{name}.weight"].T
        bias = get(f"{name}.bias")
        return product if bias is None else product + bias

    for layer in range(shape.layers):
        at = f"blk.{layer}"
        normal = norm(x, f"{at}.attn_norm.weight")
        heads = {}
        for name in "qkv":
            heads[name] = times(normal, f"{at}.attn_{name}").reshape(length, -1, shape.head_width)
            if name != "v":
                if f"{at}.attn_{name}_norm.weight" in weights:
                    heads[name] = norm(heads[name], f"{at}.attn_{name}_norm.weight")
                heads[name] = turn(heads[name])
        group = shape.heads // shape.key_heads
        keys, contents = (np.repeat(heads[name], group, axis=1) for name in "kv")
        scores = np.einsum("qhw,khw->hqk", heads["q"], keys) / np.sqrt(shape.head_width)
        scores[:, ~np.tri(length, dtype=bool)] = -np.inf
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        attended = np.einsum("hqk,khw->qhw", shares, contents).reshape(length, -1)
        x = x + times(attended, f"{at}.attn_output")
        normal = norm(x, f"{at}.ffn_norm.weight")
        gate = times(normal, f"{at}.ffn_gate")
        x = x + times(gate / (1 + np.exp(-gate)) * times(normal, f"{at}.ffn_up"), f"{at}.ffn_down")
    name = "token_embd" if get("output.weight") is None else "output"
    return times(norm(x, "output_norm.weight"), name)


KINDS = {
    "llama": {"architecture": "llama"},
    "qwen2": {"architecture": "qwen2", "biases": True, "tied": False},
    "qwen3": {"architecture": "qwen3", "head_norms": True},
}


NUMBERS: dict[str, tuple[dict[str, Any], float]] = {
    "fp32": ({}, 1e-4),
    "fp16": ({"float_type": np.float16}, 0.02),
    # The inputs of each product are rounded to 8 bits as well, and that is not in the reference.
    "int8": ({"bits": 8}, 0.15),
    "fp16-int8": ({"float_type": np.float16, "bits": 8}, 0.15),
    "int4": ({"bits": 4}, 0.15),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stored", NUMBERS)
def test_what_is_written_computes_what_it_should(kind: str, stored: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the package that writes ONNX is not installed")
    from assistant.tools.quantize.onnx_writer import Numbers  # noqa: PLC0415
    from tests.engines.onnx_toys import RandomWeights, written  # noqa: PLC0415

    numbers, tolerance = NUMBERS[stored]
    weights = RandomWeights(**KINDS[kind])  # type: ignore[arg-type]
    file = written(weights, tmp_path, Numbers(**numbers))
    if bits := numbers.get("bits"):
        for name, array in weights.arrays.items():
            if array.ndim == 2:
                fine = bits if name.startswith("blk") else 8
                weights.arrays[name] = rounded(array, fine).matrix(array.shape[1])
    expected = reference(weights, TOKENS)
    decoder = OnnxDecoder(file, [Place("cpu")], threads=1, context_tokens=32)
    decoder.evaluate(TOKENS[:4], 0, 1, run_options())
    last = decoder.evaluate(TOKENS[4:], 4, 1, run_options())
    everything = decoder.evaluate(TOKENS, 0, 0, run_options())
    decoder.close()
    assert np.sqrt(np.square(everything - expected).mean()) < tolerance * expected.std()
    assert np.sqrt(np.square(last - expected[-1:]).mean()) < tolerance * expected.std()


@pytest.mark.parametrize("size", [64, 128])
def test_larger_groups_compute_what_they_should(size: int, tmp_path: Path) -> None:
    """Rows of 64 and of 96: the last group of a row may be a part of one."""
    pytest.importorskip("onnx", reason="the package that writes ONNX is not installed")
    from assistant.tools.quantize.onnx_writer import Numbers  # noqa: PLC0415
    from tests.engines.onnx_toys import RandomWeights, written  # noqa: PLC0415

    weights = RandomWeights()
    file = written(weights, tmp_path, Numbers(bits=4), size)
    for name, array in weights.arrays.items():
        if array.ndim == 2:
            fine = (4, size) if name.startswith("blk") else (8, 32)
            weights.arrays[name] = rounded(array, fine[0], size=fine[1]).matrix(array.shape[1])
    expected = reference(weights, TOKENS)
    decoder = OnnxDecoder(file, [Place("cpu")], threads=1, context_tokens=32)
    everything = decoder.evaluate(TOKENS, 0, 0, run_options())
    decoder.close()
    assert np.sqrt(np.square(everything - expected).mean()) < 0.15 * expected.std()


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 70), st.sampled_from([4, 5, 8]))
def test_rounding_is_off_by_half_a_step_at_most(seed: int, rows: int, columns: int, bits: int) -> None:
    matrix = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    matrix[0, : columns // 2] = 0
    blocks = rounded(matrix, bits)
    off = np.abs(blocks.matrix(columns) - matrix)
    steps = np.repeat(np.abs(blocks.scales), BLOCK, axis=1)[:, :columns]
    # With 4 bits the largest weights may be cut off, for the sake of all others.
    assert (off <= (0.51 if bits == 8 else 1.6) * steps + 1e-6).all()
    assert not blocks.scales[0, : columns // 2 // BLOCK].any()


def test_what_matters_more_is_rounded_better() -> None:
    random = np.random.default_rng(3)
    matrix = random.normal(size=(64, 64)).astype(np.float32)
    importance = np.where(np.arange(64) % 4 == 0, 100.0, 0.01).astype(np.float32)
    errors = [
        np.square(rounded(matrix, 4, weight).matrix(64) - matrix)[:, ::4].mean()
        for weight in (None, importance)
    ]
    assert errors[1] < 0.9 * errors[0]


HEADER: dict[str, Value] = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 4,
    "llama.feed_forward_length": 96,
    "llama.context_length": 64,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"general.architecture": "gemma3"}, "architecture 'gemma3'"),
        ({"llama.expert_count": 8}, "experts"),
        ({"llama.rope.scaling.type": "yarn"}, "scales its positions"),
        ({"llama.rope.dimension_count": 8}, "a part of each head"),
        ({}, "no table of words"),
    ],
)
def test_a_network_of_another_kind_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelCorrupt, match=reason):
        shape_of(GgufHeader(3, {**HEADER, **change}, (), 0))


WORDS: dict[str, Value] = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": ("<s>", "a", "b", "ab"),
    "tokenizer.ggml.token_type": (3, 1, 1, 1),
    "tokenizer.ggml.merges": ("a b",),
    "tokenizer.ggml.bos_token_id": 0,
    "tokenizer.ggml.add_bos_token": True,
}


def test_a_vocabulary_becomes_a_tokenizer(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(tokenizer(WORDS)), encoding="utf-8")
    words = OnnxVocabulary(file, begin="<s>", end="", end_tokens=(), end_marks=())
    assert words.tokenize("<s>abba") == [0, 3, 2, 1]
    assert words.first == "<s>"
    assert words.is_control(0)
    assert words.piece(0) == b""
    assert words.piece(0, spell_control=True) == b"<s>"


@pytest.mark.parametrize(
    "change",
    [
        {"tokenizer.ggml.model": "llama"},
        {"tokenizer.ggml.pre": "deepseek"},
        {"tokenizer.ggml.merges": ("ab",)},
        {"tokenizer.ggml.tokens": ("a", "a", "b", "ab")},
        {"tokenizer.ggml.token_type": (1,)},
    ],
)
def test_a_vocabulary_of_another_kind_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ModelCorrupt, match=r"tokenizer\.json"):
        tokenizer({**WORDS, **change})
