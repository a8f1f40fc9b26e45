"""A new engine beside the one at work, where there is memory for both: for new settings, or after a hang."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from assistant import app
from assistant.board.core_plan import kept_on
from assistant.board.health import available_mb
from assistant.errors import OrderRefused
from assistant.settings import Settings


def load(kind: str, settings: Settings, cores: Collection[int]) -> Any:
    """The ``kind`` (stt, llm or tts) that the settings name, warm, on these cores. Blocks for seconds.

    Raises OrderRefused when the memory is too small for both, EngineError, ModelError.
    """
    section = getattr(settings, kind)
    name = section.model if getattr(section, "needs_model", True) else None
    need_mb = next((entry.ram_mb or 0 for entry in app.store_of(settings).entries() if entry.name == name), 0)
    free_mb = available_mb()
    if free_mb is not None and need_mb > free_mb:
        raise OrderRefused(
            f"{name} takes about {need_mb} MB beside what is at work, and {free_mb} MB are free.",
            "Restart the assistant: then only the new one is loaded.",
        )
    with kept_on(cores):
        engine = {"stt": app.load_stt, "llm": app.load_llm, "tts": app.load_tts}[kind](settings)
        try:
            engine.warm_up()
        except BaseException:
            engine.close()
            raise
        return engine
