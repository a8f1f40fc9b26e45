"""The choice of a token: each sampler alone, and what they must keep to together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.engines.llm.sampling import Sampler, likeliest, nucleus, penalized
from assistant.settings.engines import LlmSettings

SCORES = np.array([0.1, 3.0, 2.9, -1.0, 0.5], dtype=np.float32)


def sampler(**changes: Any) -> Sampler:
    return Sampler(LlmSettings.model_validate({"repeat_penalty": 1, "seed": 7, **changes}))


def drawn(**changes: Any) -> set[int]:
    one = sampler(**changes)
    return {one.choose(SCORES) for _ in range(400)}


def test_at_temperature_zero_the_likeliest_is_taken() -> None:
    assert drawn(temperature=0) == {1}


def test_each_limit_leaves_the_unlikely_out() -> None:
    free = {"temperature": 2, "top_k": 0, "top_p": 1, "min_p": 0}
    assert drawn(**free) == {0, 1, 2, 3, 4}
    assert drawn(**{**free, "top_k": 2}) == {1, 2}
    assert drawn(**{**free, "top_p": 0.6}) == {1, 2}
    assert drawn(**{**free, "min_p": 0.5}) == {1, 2}
    assert drawn(**{**free, "top_p": 0}) == drawn(**{**free, "min_p": 1}) == {1}


def test_what_was_said_is_said_less_until_the_reply_is_over() -> None:
    one = sampler(temperature=0, repeat_penalty=2)
    assert [one.choose(SCORES) for _ in range(3)] == [1, 2, 1]
    one.begin_reply()
    assert one.choose(SCORES) == 1
    less = penalized(np.arange(5), SCORES, np.array([1, 3]), 2.0)
    assert less.tolist() == pytest.approx([0.1, 1.5, 2.9, -2.0, 0.5])


def test_a_seed_makes_choices_repeatable() -> None:
    def choices(seed: int | None) -> list[int]:
        one = sampler(temperature=2, min_p=0, seed=seed)
        return [one.choose(SCORES) for _ in range(50)]

    assert choices(3) == choices(3) != choices(4)
    assert choices(None) != choices(None)


def test_draws_follow_the_probabilities() -> None:
    one = sampler(temperature=1, top_p=1, min_p=0, top_k=0)
    shares = np.bincount([one.choose(SCORES) for _ in range(4000)], minlength=5) / 4000
    expected = np.exp(SCORES) / np.exp(SCORES).sum()
    assert np.abs(shares - expected).max() < 0.04


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=30), st.integers(0, 40))
def test_the_likeliest_are_the_likeliest(values: list[float], count: int) -> None:
    scores = np.array(values, dtype=np.float32)
    kept = likeliest(scores, count)
    assert len(set(kept.tolist())) == len(kept) == (min(count, len(scores)) or len(scores))
    assert sorted(scores[kept]) == sorted(scores)[-len(kept) :]


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=30), st.floats(0, 1))
def test_the_nucleus_is_the_smallest_that_has_the_share(values: list[float], share: float) -> None:
    scores = np.sort(np.array(values, dtype=np.float32))[::-1]
    count = nucleus(scores, share)
    shares = np.exp(scores.astype(np.float64) - scores.max())
    shares /= shares.sum()
    assert 1 <= count <= len(scores) + 1
    assert shares[:count].sum() >= share - 1e-9
    assert count == 1 or share >= 1 or shares[: count - 1].sum() <= share + 1e-9
