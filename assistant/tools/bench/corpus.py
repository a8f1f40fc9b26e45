"""The sentences that benches speak and tests match, from the files in ``models/sentences``.

A slot value in ``COMMANDS`` is written as ``tests/skills/test_sentences.py`` compares it: a duration in
seconds, a moment as local time relative to ``NOW``, a measure as amount and unit.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import yaml

from assistant.runtime import paths

_DATA = paths.shipped_folder("models") / "sentences"


def _text(name: str) -> str:
    return (_DATA / name).read_text(encoding="utf-8")


def _command(entry: dict[str, Any]) -> tuple[str, str, dict[str, object]]:
    """Return the sentence, the skill, and its slots; a slot with several values is a tuple."""
    slots = entry.get("slots", {}).items()
    return (
        entry["said"],
        entry["skill"],
        {name: tuple(value) if isinstance(value, list) else value for name, value in slots},
    )


NOW = datetime(2025, 11, 23, 16, 10)  # noqa: DTZ001 - local time, as a person sees it; a Sunday

COMMANDS = [_command(entry) for entry in yaml.safe_load(_text("commands.yaml"))]
"""Commands, each with the expected skill and slots."""

CONVERSATION = _text("small_talk.txt").splitlines()
"""Sentences that no skill should act on, some of them close to a command."""

_TOOLS = yaml.safe_load(_text("tools.yaml"))

REQUESTS: tuple[tuple[str, str], ...] = tuple((entry["said"], entry["call"]) for entry in _TOOLS["requests"])
"""Requests worded unlike any sentence template, each with the expected call."""

QUESTIONS: tuple[str, ...] = tuple(_TOOLS["questions"])
"""Questions that no call answers, including things the assistant cannot do and words that also occur in
calls.
"""
