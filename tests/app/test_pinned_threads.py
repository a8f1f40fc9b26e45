"""The core plan holds for every thread of the real appliance, those that the libraries start too."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import pytest

from assistant import engines
from assistant.app import engines as loading
from assistant.app.build import open_loop, skill_context
from assistant.audio.scripted import ScriptedMicrophone
from assistant.audio.wav import WavSpeaker
from assistant.runtime.aio import in_thread
from assistant.settings.schema import Settings

TASKS = Path("/proc/self/task")

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(
        not TASKS.exists() or len(os.sched_getaffinity(0)) < 2, reason="needs /proc and two cores"
    ),
]


def allowed() -> dict[str, set[str]]:
    """Of every thread of this process by its number: the kernel's list of its cores."""
    found = {}
    for task in TASKS.iterdir():
        said = re.search(r"^Cpus_allowed_list:\s*(\S+)", (task / "status").read_text(), re.MULTILINE)
        found[task.name] = {said[1]} if said else set()
    return found


def test_engines_have_one_core_and_the_loop_the_other(tmp_path: Path) -> None:
    first, second, *_ = sorted(os.sched_getaffinity(0))
    everything = os.sched_getaffinity(0)
    settings = Settings.model_validate(
        {
            "cores": {"engines": [second]},
            "llm": {"model": "smollm2-135m-instruct-q4_1"},
            "tts": {"phrase_cache": False},
        }
    )

    async def main() -> tuple[dict[str, set[int]], set[str], set[int]]:
        before = set(allowed())
        with skill_context(tmp_path) as context:
            async with open_loop(
                settings, ScriptedMicrophone(), WavSpeaker(None), on_report=lambda _: None, context=context
            ) as loop:
                pipeline = loop.pipeline
                workers = {
                    worker.name: await worker.run(lambda *_: os.sched_getaffinity(0))
                    for worker in (pipeline.stt, pipeline.llm, pipeline.tts)
                }
                helper = await in_thread(lambda: os.sched_getaffinity(0))
                new = {cores for name, said in allowed().items() if name not in before for cores in said}
                assert second not in os.sched_getaffinity(0)
        assert os.sched_getaffinity(0) == everything
        return workers, new, helper

    workers, started, helper = asyncio.run(main())
    assert set(map(tuple, workers.values())) == {(second,)}
    assert helper == everything
    # Those of CTranslate2 and ONNX Runtime are among them.
    assert started <= {str(second), str(first)} | {f"{min(everything)}-{max(everything)}"}
    assert str(second) in started


def test_smart_turn_has_the_threads_of_the_recogniser_that_it_listens_beside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: dict[str, int] = {}

    def load(kind: str, _: str, **what: Any) -> None:
        threads[kind] = what["threads"]

    monkeypatch.setattr(engines, "load", load)
    monkeypatch.setattr(loading, "big_cores", lambda: (0, 1, 2, 3))
    turn = {"turn_model": "smart-turn-v3"}
    loading.load_stt(Settings.model_validate({"stt": {"threads": 2}, "endpoint": turn}))
    assert threads == {"stt": 2, "turn": 2}
    loading.load_stt(Settings.model_validate({"endpoint": turn}))
    assert threads == {"stt": 4, "turn": 4}
