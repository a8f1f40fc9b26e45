"""What was promised beside what was measured, put where it belongs in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.core.errors import AssistantError
from assistant.settings.schema import Settings
from assistant.tools.bench import everything
from assistant.tools.bench.everything import BEGIN, END, Promise, promises
from assistant.tools.bench.lib.measuring import Result, share

DOCUMENTS: dict[str, Any] = {
    "latency": {
        "llm": {"response": {"p50_ms": 690.0, "p95_ms": 1400.0}},
        "skills": {"response": {"p50_ms": None}},
        "response": {"p50_ms": 600.0},
        "peak_rss_mb": 980.0,
        "underruns": 0,
        "machine": {"board": "a-board", "why": "it says so", "cores": 2, "big_cores": 2, "load_before": 0.1},
        "settings": {section: {"model": "m"} for section in ("stt", "llm", "tts")},
    },
    "plain": {"response": {"p50_ms": 1500.0}},
    "warm": {"turns": [{"response": 700.0}, {"response": 900.0}, {"response": 680.0}]},
    "stt": {
        "ratio": 0.25,
        "ours": {"word_error_rate": 0.052},
        "stock": {"word_error_rate": 0.05},
        "short": {"ours": {"word_error_rate": 0.10}, "stock": {"word_error_rate": 0.08}},
    },
    "llm": {"ratio": 0.97, "conversation": [{"read": 9, "new": None}, {"read": 17, "new": 16}]},
    "tts": {},
    "dialog": {"cut_off": {"rate": 0.01}},
    "pauses": {"cut_off": {"rate": 0.2}},
    "barge-in": {
        "interruptions": {"n": 100, "within_150_ms": 99},
        "own_voice": {"self_interruptions": 0, "self_answers": 0},
    },
}


def test_misses_are_called_misses() -> None:
    verdicts = {promise.what: promise.row().rsplit("|", 2)[1].strip() for promise in promises(DOCUMENTS)}
    assert [what for what, verdict in verdicts.items() if verdict == "**missed**"] == [
        "LLM answers, response p95, ms",
        "cut off, pause put into commands",
        "the same, recordings below 2 s",
        "tokens read again in a follow-up",
        "interruptions that stopped it within 150 ms",
    ]
    assert verdicts["skills, response p50, ms"] == "-"


def test_a_promise_is_shown_with_its_unit() -> None:
    assert Promise("errors", 0.042, 0.03, show=share).row() == (
        "| errors | 4.2 % | at most 3.0 % | **missed** |"
    )


def test_results_replace_the_ones_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "performance.md"
    file.write_text(f"# Speed\n{BEGIN}\nold\n{END}\nThe end.\n")
    asked = []

    def bench(_: Path | None, arguments: Any) -> Result:
        asked.append(arguments)
        return Result("a table", DOCUMENTS[list(DOCUMENTS)[len(asked) - 1]])

    monkeypatch.setattr(everything, "_bench", bench)
    result = everything.run(
        Settings(),
        config=None,
        commands=Path("/some/where/c"),
        dialog=Path("d"),
        limit=3,
        into=file,
        progress=print,
    )
    text = file.read_text()
    assert text.startswith(f"# Speed\n{BEGIN}\nMeasured on ")
    assert text.endswith(f"\n{END}\nThe end.\n")
    assert "old" not in text
    assert "`assistant bench latency --set c --limit 3 --plain`" in text
    assert "a-board" in text
    assert json.loads(result.json_line())["plain"] == DOCUMENTS["plain"]


@pytest.mark.parametrize("text", [None, "", f"{END} {BEGIN}", BEGIN])
def test_a_file_without_a_place_for_results_is_refused_at_once(text: str | None, tmp_path: Path) -> None:
    file = tmp_path / "performance.md"
    if text is not None:
        file.write_text(text)
    with pytest.raises(AssistantError):
        everything.run(
            Settings(), config=None, commands=tmp_path, dialog=tmp_path, limit=1, into=file, progress=print
        )


def test_a_bench_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssistantError, match=r"bench latency --set .* exited with status 1"):
        everything.run(
            Settings(),
            config=None,
            commands=tmp_path / "none",
            dialog=tmp_path,
            limit=None,
            into=None,
            progress=print,
        )
