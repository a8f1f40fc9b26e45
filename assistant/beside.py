"""A new engine beside the one at work, where there is memory for both: for new settings, or after a hang."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from assistant import app, fit
from assistant.board import memory_plan
from assistant.board.core_plan import kept_on
from assistant.errors import OrderRefused
from assistant.settings import Settings


def load(kind: str, settings: Settings, cores: Collection[int]) -> Any:
    """The ``kind`` (stt, llm or tts) that the settings name, warm, on these cores. Blocks for seconds.

    Raises OrderRefused when the memory is too small for both, EngineError, ModelError.
    """
    section = getattr(settings, kind)
    name = section.model if getattr(section, "needs_model", True) else None
    need_mb = next((entry.ram_mb or 0 for entry in app.store_of(settings).entries() if entry.name == name), 0)
    room = memory_plan.room()
    if room.free is not None and need_mb * 1_000_000 > room.free:
        step = "Restart the assistant: then only the new one is loaded."
        free_mb = room.free // 1_000_000
        raise OrderRefused(
            f"{name} takes about {need_mb} MB beside what is at work, and {free_mb} MB are {room.why}.",
            f"{fit.RAISE_LIMIT} {step}" if room.why == memory_plan.OF_GROUP else step,
        )
    with kept_on(cores):
        engine = {"stt": app.load_stt, "llm": app.load_llm, "tts": app.load_tts}[kind](settings)
        try:
            engine.warm_up()
        except BaseException:
            engine.close()
            raise
        return engine
