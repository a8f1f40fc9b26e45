"""Settings for a bench: the current settings, with the bench's own changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assistant.settings.schema import Settings

PLAIN_END_MS = 800
"""The end of silence in most assistants; the defaults of pipecat and Rhasspy are close to it."""

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
"""The same engines in sequence: a fixed silence ends the turn, then Whisper with its 30 s window, then the
model, and the voice once the first sentence is complete.
"""


def changed(settings: Settings, changes: Mapping[str, Mapping[str, Any]]) -> Settings:
    """Return ``settings`` with these keys of these sections replaced and validated."""
    values = settings.model_dump()
    for section, keys in changes.items():
        values[section].update(keys)
    return Settings.model_validate(values)
