"""The sentences that benches speak and tests match, read from the files in ``models/sentences``.

A slot value in ``COMMANDS`` is written as ``tests/skills/test_sentences.py`` compares it: a duration in
seconds, a moment as the local time it means at ``NOW``, a measure as amount and unit.
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
    """What is said, the skill, and its slots; a slot with several values is a tuple."""
    slots = entry.get("slots", {}).items()
    return (
        entry["said"],
        entry["skill"],
        {name: tuple(value) if isinstance(value, list) else value for name, value in slots},
    )


NOW = datetime(2025, 11, 23, 16, 10)  # noqa: DTZ001 - local time, as a person sees it; a Sunday

COMMANDS = [_command(entry) for entry in yaml.safe_load(_text("commands.yaml"))]
"""Commands, with the skill and the slots that should be understood."""

CONVERSATION = _text("small_talk.txt").splitlines()
"""What people say that no skill should act on, some of it close to a command."""

_TOOLS = yaml.safe_load(_text("tools.yaml"))

REQUESTS: tuple[tuple[str, str], ...] = tuple((entry["said"], entry["call"]) for entry in _TOOLS["requests"])
"""What is said and the call that does it, in words that no sentence of ours foresees."""

QUESTIONS: tuple[str, ...] = tuple(_TOOLS["questions"])
"""What no call answers: also things that the assistant cannot do, and words that calls have too."""
