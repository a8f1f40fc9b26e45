"""The benches of runtimes and of many prompts at once, with a small model: figures are there, not judged."""

from __future__ import annotations

import json
from typing import Any

import pytest

from assistant.cli.main import main
from assistant.core.errors import EngineFailed
from assistant.settings.schema import Settings
from assistant.tools.bench import batch
from tests.engines.conftest import SMOLLM2

pytestmark = pytest.mark.models


def measured(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, Any]:
    assert main(["bench", *arguments]) == 0
    *text, line = capsys.readouterr().out.strip().splitlines()
    return "\n".join(text), json.loads(line)


def test_each_model_and_number_of_threads_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("--models", SMOLLM2.name, str(SMOLLM2), "--threads", "1", "--rounds", "1")
    text, document = measured(capsys, "runtimes", *names)
    assert [(case["model"], case["threads"]) for case in document["cases"]] == [(SMOLLM2.name, 1)] * 2
    for case in document["cases"]:
        assert case["reply_per_s"] > 0
        assert case["prompt_per_cpu_s"] > case["reply_per_cpu_s"]
        assert case["rss_mb"] > case["own_mb"] > 10
    assert SMOLLM2.name in text


def test_a_model_that_cannot_be_loaded_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    assert main(["bench", "runtimes", "--models", str(tmp_path), "--rounds", "1"]) == 1
    assert "could not be measured" in capsys.readouterr().err


def test_many_at_once_are_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "PLACES", (1, 2))
    monkeypatch.setattr(batch, "TOKENS", 4)
    monkeypatch.setenv("ASSISTANT__LLM__MODEL", SMOLLM2.name)
    text, document = measured(capsys, "batch")
    one, two = document["cases"]
    assert one["tokens"] == two["tokens"] == 4 * len(batch.THINGS)
    assert one["times_as_fast"] == 1
    assert two["tokens_per_s"] > 0
    assert "at once" in text


def test_what_does_not_fit_is_told() -> None:
    settings = Settings.model_validate(
        {"llm": {"model": SMOLLM2.name, "context_tokens": 512, "history_tokens": 0}}
    )
    with pytest.raises(EngineFailed, match="8 at once could not be measured"):
        batch._measured(settings, 8)
