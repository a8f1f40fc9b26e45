"""A model that is too big is refused before it is loaded, with what would fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant import fit
from assistant.bench.variants import changed
from assistant.board import memory_plan
from assistant.errors import ModelTooBig
from assistant.settings import Settings
from tests.engines.test_llama_cpp_adapter import FEED_FORWARD, RANK, WIDTH, adapter

pytestmark = pytest.mark.models

MB = 1_000_000


def machine(root: Path, free_mb: int) -> Path:
    (root / "proc").mkdir()
    kb = free_mb * MB // 1024
    (root / "proc/meminfo").write_text(f"MemTotal: {kb + 1000} kB\nMemAvailable: {kb} kB\n")
    return root


def settings(**llm: object) -> Settings:
    return changed(Settings(), {"llm": {"model": "smollm2-135m-instruct-q4_1", **llm}})


def test_what_fits_is_not_refused(tmp_path: Path) -> None:
    fit.require(settings(), machine(tmp_path, 4000))


def test_a_context_that_is_too_long_is_refused_with_the_longest_that_fits(tmp_path: Path) -> None:
    root = machine(tmp_path, 600)
    with pytest.raises(ModelTooBig) as caught:
        fit.require(settings(context_tokens=8192), root)
    assert caught.value.code == "model-too-big"
    found = fit.plan(settings(context_tokens=8192), root)
    assert found is not None
    assert found.remedy is not None
    tokens = int(found.remedy.value)
    assert f"context_tokens: {tokens}" in caught.value.next_step
    fit.require(settings(context_tokens=tokens, history_tokens=64, max_tokens=64), root)
    with pytest.raises(ModelTooBig):
        fit.require(settings(context_tokens=tokens + 256, history_tokens=64, max_tokens=64), root)


def test_the_advice_is_settings_that_are_valid_and_fit(tmp_path: Path) -> None:
    asked = settings(context_tokens=8192)
    advice = fit.advice(memory_plan.Remedy("context", "512"), asked)
    keys = dict(pair.split(": ") for pair in advice.split("{")[1].rstrip("}").split(", "))
    changed(asked, {"llm": {key: int(value) for key, value in keys.items()}})


def test_where_nothing_fits_a_smaller_model_is_advised(tmp_path: Path) -> None:
    with pytest.raises(ModelTooBig, match="smaller"):
        fit.require(settings(), machine(tmp_path, 200))


def test_a_question_in_writing_needs_less_than_a_conversation(tmp_path: Path) -> None:
    root = machine(tmp_path, 350)
    fit.require(settings(context_tokens=2048), root, llm_only=True)
    with pytest.raises(ModelTooBig):
        fit.require(settings(context_tokens=2048), root)


def test_what_cannot_be_told_is_no_refusal(tmp_path: Path) -> None:
    fit.require(settings(), tmp_path)


def test_an_adapter_counts(tmp_path: Path) -> None:
    file = adapter(tmp_path / "adapters", layers=30)
    plain, with_one = (fit.plan(settings(adapter=name)) for name in (None, str(file)))
    assert plain is not None
    assert with_one is not None
    assert with_one.need.needed - plain.need.needed == 30 * 4 * RANK * (WIDTH + FEED_FORWARD)
