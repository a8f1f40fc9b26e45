"""The benches of the plans: what they try, what they conclude, and that the plan of memory holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from assistant.board.cores import big_cores
from assistant.core.types import Message
from assistant.settings.schema import Settings
from assistant.store import open_store
from assistant.tools.bench import cores, memory
from assistant.tools.bench.lib.variants import changed
from tests.engines.conftest import SMOLLM2, made

MACHINE = {
    "machine": {"board": "a-board", "why": "it says so", "cores": 2, "big_cores": 2, "load_before": 0.1},
    "settings": {section: {"model": "m"} for section in ("stt", "llm", "tts")},
}


def test_the_plan_in_force_is_tried_first_and_none_twice() -> None:
    tried = cores.cases(Settings())
    assert tried[0].beside == tuple(cores.BESIDE)
    assert len({(case.threads, case.cores) for case in tried}) == len(tried)
    assert all(1 <= case.threads <= len(big_cores()) for case in tried)
    assert all(not case.cores or len(case.cores) == case.threads for case in tried)


def _plan(name: str, quiet: float, foreign: float, **turns: dict[str, float]) -> dict[str, Any]:
    return {
        "plan": name,
        "quiet": {"clock": quiet, "turn": quiet},
        "foreign": {"clock": foreign, "turn": foreign},
        **turns,
    }


def test_what_is_missed_is_said() -> None:
    own = _plan(
        "2 threads, anywhere",
        30,
        15,
        stt={"clock": 25.5, "turn": 29.0},
        stt_always={"clock": 6.0, "turn": 27.0},
    )
    document = {
        "plans": [own, _plan("1 thread, anywhere", 24, 21)],
        "best_quiet": "2 threads, anywhere",
        "best_beside_others": "1 thread, anywhere",
        **MACHINE,
    }
    lines = cores._as_text(document).splitlines()
    busy, recognising, always = (
        next(line for line in lines if word in line) for word in ("busy", "recognition ", "n without pause")
    )
    assert "0.50" in busy
    assert busy.endswith("missed")
    # At the pace of a conversation the clock counts.
    assert "0.85" in recognising
    assert recognising.endswith("met")
    # Beside an engine that never pauses its own speed counts; that of the clock is told too.
    assert "0.90" in always
    assert " 6.0 " in always
    assert always.endswith("met")


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_a_nice_program_has_the_share_that_it_has_beside_the_service(threads: int) -> None:
    beside_service = 100 / (100 + cores.SERVICE_WEIGHT / threads)
    beside_us = 1 / (1 + 1.25 ** cores._niceness(threads))
    assert beside_us == pytest.approx(beside_service, rel=0.12)


@pytest.mark.parametrize("context_tokens", [256, 2048])
def test_a_prompt_fills_the_context_and_leaves_room_for_the_answer(context_tokens: int) -> None:
    def count(messages: Sequence[Message]) -> int:
        return 10 + 3 * len(messages[0].content.split())

    tokens = count(memory._filling(count, context_tokens))
    room = 0.97 * context_tokens - memory.ANSWER_TOKENS
    assert room - 4 < tokens <= room


@pytest.mark.models
def test_the_plan_is_within_a_tenth_of_real_processes(tmp_path: Path) -> None:
    """A GGUF file and the same model in ONNX, each with two contexts."""
    pytest.importorskip("onnx", reason="the package that writes ONNX is not installed")
    store = open_store(tmp_path / "models")
    store.import_from(next(SMOLLM2.glob("*.gguf")), "gguf", "llm")
    store.import_from(made(next(SMOLLM2.glob("*.gguf")), tmp_path / "made", "onnx-int4"), "onnx", "llm")
    settings = changed(Settings(), {"store": {"models": str(store.models_dir)}})
    result = memory.run(settings, models=None, contexts=[512, 1024], progress=lambda _: None)
    cases = [(case["model"], case["context_tokens"]) for case in result.document["cases"]]
    assert cases == [(name, tokens) for name in ("gguf", "onnx") for tokens in (512, 1024)]
    assert result.document["worst_error"] < 0.10, result.text
