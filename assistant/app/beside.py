"""A new engine beside the one at work, where there is memory for both: for new settings, or after a hang."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from assistant.app import engines as loading
from assistant.app import memory_fit as fit
from assistant.board import memory_plan
from assistant.board.core_plan import kept_on
from assistant.core.errors import OrderRefused
from assistant.settings.schema import Settings


def load(kind: str, settings: Settings, cores: Collection[int]) -> Any:
    """The ``kind`` (stt, llm or tts) that the settings name, warm, on these cores. Blocks for seconds.

    Raises OrderRefused when the memory is too small for both, EngineError, ModelError.
    """
    taken, room = fit.taken_bytes(kind, settings), memory_plan.room()
    if room.free is not None and taken > room.free:
        step = "Restart the assistant: then only the new one is loaded."
        name, need_mb, free_mb = getattr(settings, kind).model, taken // 1_000_000, room.free // 1_000_000
        raise OrderRefused(
            f"{name} takes about {need_mb} MB beside what is at work, and {free_mb} MB are {room.why}.",
            f"{fit.RAISE_LIMIT} {step}" if room.why == memory_plan.OF_GROUP else step,
        )
    with kept_on(cores):
        engine = {"stt": loading.load_stt, "llm": loading.load_llm, "tts": loading.load_tts}[kind](settings)
        try:
            engine.warm_up()
        except BaseException:
            engine.close()
            raise
        return engine
