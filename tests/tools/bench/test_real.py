"""Real engines and a real question through the command itself; times are printed, not judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from assistant.cli.main import main

pytestmark = pytest.mark.models


def measured(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, Any]:
    """Text for people and document of `assistant bench`."""
    assert main(["bench", *arguments]) == 0
    *text, line = capsys.readouterr().out.strip().splitlines()
    return "\n".join(text), json.loads(line)


def test_a_real_turn_is_measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSISTANT__KNOWLEDGE__TABLES", "null")  # the model answers
    monkeypatch.setenv("ASSISTANT__LLM__KNOWLEDGE", "always")
    picture = tmp_path / "turn.svg"
    text, document = measured(capsys, "latency", "--picture", str(picture))
    assert document["response"]["n"] == document["llm"]["response"]["n"] == 1
    assert document["response"]["p50_ms"] > document["after_turn_end"]["p50_ms"] > 0
    assert document["llm_tokens"]["written_mean"] > 3
    assert document["word_error_rate"] < 0.5
    assert document["cut_off"] == 0
    ET.parse(picture)  # noqa: S314 - our own text
    assert "response" in text


def test_a_cut_off_is_looked_for_in_time_that_skips(capsys: pytest.CaptureFixture[str]) -> None:
    _, document = measured(capsys, "endpoint", "--insert-pauses", "--json")
    assert document["recordings"] == 1
    assert document["inserted_pauses"] is True


def test_speech_recognition_is_compared(capsys: pytest.CaptureFixture[str]) -> None:
    text, document = measured(capsys, "stt", "--rounds", "1")
    assert document["ours"]["word_error_rate"] <= 0.5
    assert document["stock"]["n"] == 1
    assert document["ratio"] > 0
    assert "ratio of the medians" in text


def test_the_language_model_is_compared_and_reads_only_what_is_new(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, document = measured(capsys, "llm", "--rounds", "1", "--json")
    assert document["ours"]["tokens_per_s"] > 0
    assert document["plain"]["tokens_per_s"] > 0
    for turn in document["conversation"][1:]:
        assert turn["read"] <= turn["new"] + 1


def test_the_voice_is_compared(capsys: pytest.CaptureFixture[str]) -> None:
    _, document = measured(capsys, "tts", "--json")
    assert set(document["characters"]) == {"5", "20", "40", "80"}
    assert all(figures["ratio"] > 0 for figures in document["characters"].values())


def test_spoken_commands_are_done_and_small_talk_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    text, document = measured(capsys, "intents", "--limit", "6")
    assert document["commands"]["n"] == document["small_talk"]["n"] == 6
    assert document["commands"]["right_skill"] >= 4
    assert document["small_talk"]["acted_upon"] == 0
    assert "commands: right skill" in text
    assert document["matched_in"]["max_ms"] > 0
