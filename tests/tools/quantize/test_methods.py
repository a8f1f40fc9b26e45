"""GPTQ and AWQ on matrices of random numbers, and on a whole network that must compute the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.errors import ModelCorrupt, SettingsError
from assistant.store.progress import Unwatched
from assistant.tools.quantize import awq
from assistant.tools.quantize.block_numbers import BLOCK, rounded
from assistant.tools.quantize.comparing import noise
from assistant.tools.quantize.gguf_io import GgufWeights, q4_0_bytes
from assistant.tools.quantize.importance import Correlations
from assistant.tools.quantize.recipe import (
    FORMATS,
    find_method,
    group_size,
    method_memory_bytes,
    settled_method,
)
from assistant.tools.quantize.rounding import DAMPING, error_spread, nearest, rounded_by_gptq, with_feedback
from tests.engines.onnx_toys import FEED_FORWARD, LAYERS, WIDTH, RandomWeights
from tests.tools.quantize.test_onnx_writer import TOKENS, reference

Array = np.ndarray[Any, Any]


def correlated(columns: int, seed: int = 1) -> Array:
    """Of inputs whose columns hang together, some driven much more than others."""
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(4 * columns, columns // 4)) @ random.normal(size=(columns // 4, columns))
    inputs = (mixed + random.normal(size=mixed.shape)) * random.lognormal(sigma=1, size=columns)
    whole: Array = (inputs.T @ inputs / len(inputs)).astype(np.float32)
    return whole


def change_of_outputs(error: Array, correlation: Array) -> float:
    return float(np.sum((error @ correlation) * error))


@pytest.fixture
def known(tmp_path: Path) -> Correlations:
    """Of all matrices of the random network."""
    columns = {tensor.name: tensor.shape[0] for tensor in RandomWeights().header.tensors}
    columns = {name: count for name, count in columns.items() if "blk" in name and "norm" not in name}
    for name, count in columns.items():
        np.save(tmp_path / f"{name}.npy", correlated(count, seed=len(name) + count))
    return Correlations(tmp_path, columns)


@pytest.mark.parametrize("by_importance", [False, True])
@pytest.mark.parametrize("bits", [4, 5])
def test_gptq_changes_the_outputs_less(known: Correlations, bits: int, by_importance: bool) -> None:
    name = "blk.0.ffn_down.weight"
    matrix = np.random.default_rng(2).normal(size=(48, FEED_FORWARD)).astype(np.float32)
    correlation = known.of(name)
    plain = nearest({name: correlation.diagonal().copy()})
    losses = [
        change_of_outputs(way(name, matrix, bits).matrix(FEED_FORWARD) - matrix, correlation)
        for way in (plain, with_feedback(known, by_importance=by_importance))
    ]
    assert losses[1] < 0.7 * losses[0]


def test_without_a_connection_between_columns_gptq_is_rounding() -> None:
    matrix = np.random.default_rng(3).normal(size=(8, 80)).astype(np.float32)
    plain = rounded(matrix, 4)
    order, factor = error_spread(np.eye(80, dtype=np.float32), by_importance=True)
    again = rounded_by_gptq(matrix, 4, plain, order, factor)
    assert np.array_equal(again.numbers, plain.numbers)


@given(columns=st.integers(1, 400), by_importance=st.booleans())
def test_how_errors_are_spread_is_the_factor_of_the_inverse(columns: int, by_importance: bool) -> None:
    correlation = correlated(max(4, columns))[:columns, :columns]
    order, factor = error_spread(correlation, by_importance=by_importance)
    assert np.array_equal(np.sort(order), np.arange(columns))
    assert np.array_equal(factor, np.triu(factor))
    damping = DAMPING * correlation.diagonal().mean()
    damped = correlation[np.ix_(order, order)] + damping * np.eye(columns)
    wide = factor.astype(np.float64)
    product = wide @ damped @ wide.T  # C⁻¹ = Rᵀ R, so R C Rᵀ is 1
    assert np.allclose(product, np.eye(columns), atol=1e-3)


@pytest.mark.parametrize("size", [64, 128])
def test_larger_groups_lose_more_and_gptq_less_of_it(known: Correlations, size: int) -> None:
    name = "blk.0.ffn_down.weight"
    matrix = np.random.default_rng(2).normal(size=(48, FEED_FORWARD)).astype(np.float32)
    correlation = known.of(name)
    losses = []
    for way in (
        with_feedback(known, by_importance=True),
        with_feedback(known, by_importance=True, size=size),
        nearest({name: correlation.diagonal().copy()}, size),
    ):
        made = way(name, matrix, 4)
        losses.append(change_of_outputs(made.matrix(FEED_FORWARD) - matrix, correlation))
    assert made.scales.shape == (48, -(-FEED_FORWARD // size))
    assert losses[0] < losses[1] < losses[2]


@pytest.mark.parametrize(
    ("size", "chosen", "method", "problem"),
    [
        (64, "q4_0", "gptq", "cannot be set for q4_0, because that format has a fixed number of weights"),
        (32, "q4_k_m", "rtn", "cannot be set for q4_k_m"),
        (64, "onnx-int8", "rtn", "cannot be set for onnx-int8"),
        (100, "onnx-int4", "gptq", "--group-size 100 is not supported"),
        (64, "onnx-int4", "qat", "qat supports only groups of 32"),
    ],
)
def test_a_group_size_that_cannot_be(size: int, chosen: str, method: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        group_size(size, method, FORMATS[chosen])


def test_what_is_not_known_is_rounded_all_the_same(known: Correlations) -> None:
    matrix = np.ones((2, BLOCK), np.float32)
    way = with_feedback(known, by_importance=True)
    assert np.allclose(way("output.weight", matrix, 4).matrix(BLOCK), 1, atol=0.1)
    assert np.allclose(way("blk.0.ffn_down.weight", matrix, 8).matrix(BLOCK), 1, atol=0.01)


@pytest.mark.parametrize("kind", [{}, {"biases": True, "architecture": "qwen2"}, {"head_norms": True}])
def test_a_network_after_awq_computes_the_same(kind: dict[str, Any], known: Correlations) -> None:
    weights = RandomWeights(**kind)
    before = reference(weights, TOKENS)
    folded = awq.folded(_as_file(weights), known, Unwatched())
    assert folded.factors.keys() == set(known.names())
    changed = [name for name, array in folded.arrays.items() if not np.allclose(array, weights.arrays[name])]
    assert {"blk.0.attn_norm.weight", "blk.1.ffn_norm.weight", "blk.0.attn_v.weight"} <= set(changed)
    weights.arrays |= folded.arrays
    assert np.allclose(reference(weights, TOKENS), before, atol=1e-3 * before.std())


def test_awq_changes_the_outputs_less(known: Correlations) -> None:
    weights = RandomWeights()
    folded = awq.folded(_as_file(weights), known, Unwatched())
    losses = np.zeros(2)
    for name in known.names():
        matrix, factors, correlation = weights.arrays[name], folded.factors[name], known.of(name)
        original = matrix if "attn_v" not in name and "ffn_up" not in name else None
        if original is None:  # its rows are smaller as well
            continue
        for at, scale in enumerate((np.ones_like(factors), factors)):
            made = rounded(matrix * scale, 4).matrix(matrix.shape[1]) / scale
            losses[at] += change_of_outputs(made - matrix, correlation)
    assert losses[1] < losses[0]


def test_the_importance_of_what_awq_changed(known: Correlations) -> None:
    folded = awq.Folded({}, {"a": np.array([2, 1], np.float32)})
    before = {"a": np.array([8, 8], np.float32), "b": np.array([3], np.float32)}
    after = folded.importance(before)
    assert after["a"].tolist() == [2, 8]
    assert after["b"].tolist() == [3]


def test_awq_needs_a_network_that_it_knows(known: Correlations) -> None:
    weights = RandomWeights()
    del weights.arrays["blk.1.ffn_gate.weight"]
    with pytest.raises(ModelCorrupt, match=r"no tensor 'blk\.1\.ffn_gate\.weight'"):
        awq.folded(_as_file(weights), known, Unwatched())


def _as_file(weights: RandomWeights) -> GgufWeights:
    """With the two methods that a file has beside those of the toy."""
    toy: Any = weights
    toy.shape = lambda name: weights.arrays[name].shape
    toy.tensor = lambda name: weights.arrays[name]
    result: GgufWeights = toy
    return result


def test_correlations_are_shared_by_matrices_with_the_same_input(known: Correlations) -> None:
    assert known.owner("blk.1.attn_v.weight") == "blk.1.attn_q.weight"
    assert known.owner("blk.1.ffn_up.weight") == "blk.1.ffn_gate.weight"
    assert known.owner("blk.1.ffn_down.weight") == "blk.1.ffn_down.weight"
    assert len(known.names()) == 7 * LAYERS
    importance = known.importance()
    assert np.array_equal(importance["blk.0.attn_k.weight"], known.of("blk.0.attn_q.weight").diagonal())
    assert len(importance["blk.0.attn_output.weight"]) == WIDTH


@given(st.integers(0, 2**32))
def test_blocks_lie_as_ggml_has_them(seed: int) -> None:
    """Read back as dequantize_row_q4_0 of ggml does."""
    matrix = np.random.default_rng(seed).normal(size=(3, 64)).astype(np.float32)
    blocks = rounded(matrix, 4)
    data = q4_0_bytes(blocks)
    assert data.shape == (6, 18)
    scales = data[:, :2].copy().view(np.float16).astype(np.float32)
    values = (np.concatenate([data[:, 2:] & 15, data[:, 2:] >> 4], axis=1).astype(np.float32) - 8) * scales
    assert np.allclose(values.reshape(3, 64), blocks.matrix(64), atol=2e-3 * np.abs(matrix).max())


def test_methods_are_found_for_formats_that_they_can_make() -> None:
    assert find_method("GPTQ", FORMATS["onnx-int4"]).name == "gptq"
    assert find_method("awq", FORMATS["q5_k_m"]).name == "awq"
    with pytest.raises(SettingsError, match="cannot make iq4_xs"):
        find_method("gptq", FORMATS["iq4_xs"])
    with pytest.raises(SettingsError, match="no method named 'magic'"):
        find_method("magic", FORMATS["q4_0"])


@given(st.integers(0, 2**32))
def test_noise_is_up_to_half_a_step(seed: int) -> None:
    random = np.random.default_rng(seed)
    steps = random.uniform(0.01, 1, (6, 1)).astype(np.float32)
    numbers = np.stack([random.permutation(32) % 16 for _ in range(6)]).astype(np.float32)
    values = (numbers * steps + 0.3).astype(np.float16).astype(np.float32)
    values[0] = 0
    drawn = noise(values.reshape(2, 96), random).reshape(6, 32)
    assert not drawn[0].any()
    assert (np.abs(drawn[1:]) <= 0.55 * steps[1:] + 1e-3).all()
    assert (np.abs(drawn[1:]).max(axis=1) > 0.2 * steps[1:, 0]).all()


def test_what_methods_need() -> None:
    assert method_memory_bytes("rtn", 10**9) == 0
    assert method_memory_bytes("qat", 10**9) > 16 * 10**9
    assert method_memory_bytes("awq", 10**9) > 10**9


@pytest.mark.parametrize(
    ("said", "weights", "settled"),
    [
        (("", None, "q4_k_m"), 10**8, ("gptq", True)),
        (("", True, "q4_k_m"), 10**8, ("gptq", True)),
        (("", False, "q4_k_m"), 10**8, ("rtn", False)),
        (("", None, "q4_k_m"), 10**10, ("rtn", True)),
        (("rtn", None, "q4_0"), 10**8, ("rtn", True)),
        (("", None, "iq4_xs"), 10**8, ("rtn", True)),
        (("", None, "q8_0"), 10**8, ("rtn", False)),
        (("", None, "onnx-int4"), 10**8, ("gptq", False)),
        (("gptq", None, "q4_0"), 10**10, ("gptq", True)),
        (("qat", None, "q4_0"), 10**8, ("qat", False)),
    ],
)
def test_what_is_done_where_nobody_said(
    said: tuple[str, bool | None, str], weights: int, settled: tuple[str, bool]
) -> None:
    method, imatrix, name = said
    assert settled_method(method, imatrix, FORMATS[name], weights) == settled
