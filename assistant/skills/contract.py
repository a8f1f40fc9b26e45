"""What a skill may use, and what it gives back.

A skill returns the sentence to be said, or an ``Outcome`` when the loop has to do something
too. It never touches the microphone, the speaker or the state machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from assistant.runtime.cancel import Cancel
from assistant.skills.list_book import ListBook
from assistant.skills.timer_book import TimerBook


@dataclass(frozen=True, slots=True)
class Action:
    """Something that only the loop can do."""


@dataclass(frozen=True, slots=True)
class Stop(Action):
    """End what is being said or rung."""


@dataclass(frozen=True, slots=True)
class Repeat(Action):
    """Say the last answer again."""


@dataclass(frozen=True, slots=True)
class Mute(Action):
    """Close the microphone."""


@dataclass(frozen=True, slots=True)
class Forget(Action):
    """Begin a new conversation with the language model."""


@dataclass(frozen=True, slots=True)
class Volume(Action):
    """Make the voice this loud."""

    level: float
    """0 to 1."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a skill."""

    speech: str
    """What to say; empty for nothing."""
    action: Action | None = None
    """What to do besides."""

    def speech_after(self, last_reply: str) -> str:
        """What to say, where ``last_reply`` was said last."""
        return last_reply if isinstance(self.action, Repeat) else self.speech


class Agent(Protocol):
    """Somebody else who may answer what no sentence of a skill fits, and do it too."""

    name: str
    """As it stands in reports."""

    def ask(self, text: str, cancel: Cancel) -> Outcome | None:
        """What came of it; None when it is not for them. Blocks until ``cancel``; never raises."""


def _local_now() -> datetime:
    return datetime.now().astimezone()


@dataclass(frozen=True, slots=True)
class SkillContext:
    """What skills may touch. A parameter named like one of these is given it.

    ``now`` and ``volume`` are read at the moment the skill runs.
    """

    timers: TimerBook
    lists: ListBook
    clock: Callable[[], datetime] = _local_now
    """The local time, with its zone."""
    loudness: Callable[[], float] = lambda: 1.0
    """How loud the voice is, 0 to 1."""
    random: random.Random = field(default_factory=random.SystemRandom)

    @property
    def now(self) -> datetime:
        """The local time, with its zone."""
        return self.clock()

    @property
    def volume(self) -> float:
        """How loud the voice is, 0 to 1."""
        return self.loudness()


GIVEN = {"timers": TimerBook, "lists": ListBook, "now": datetime, "volume": float, "random": random.Random}
"""Parameters that a skill is given rather than told, and their types."""
