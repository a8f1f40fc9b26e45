"""Settings for a bench: those in force, changed in what the bench is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assistant.settings.schema import Settings

PLAIN_END_MS = 800
"""End of silence of most assistants; pipecat's default and Rhasspy's are near it."""

PLAIN: Mapping[str, Mapping[str, Any]] = {
    "endpoint": {
        "read_ahead_ms": 0,
        "complete_ms": PLAIN_END_MS,
        "unclear_ms": PLAIN_END_MS,
        "unfinished_ms": PLAIN_END_MS,
    },
    "conversation": {"speculate": False},
    "stt": {"short_context": False},
    "tts": {"begin_with": "sentence"},
}
"""The same engines one after the other: a fixed silence ends the turn, then Whisper on its window of
30 s, then the model, and the voice when the first sentence is whole."""


def changed(settings: Settings, changes: Mapping[str, Mapping[str, Any]]) -> Settings:
    """``settings`` with these keys of these sections replaced; validated as any other."""
    values = settings.model_dump()
    for section, keys in changes.items():
        values[section].update(keys)
    return Settings.model_validate(values)
