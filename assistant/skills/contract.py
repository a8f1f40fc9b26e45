"""What a skill may use, and what it gives back.

A skill returns the sentence to be said, or an ``Outcome`` when the loop has to do something
too. It never touches the microphone, the speaker or the state machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from assistant.runtime.cancel import Cancel
from assistant.skills.list_book import ListBook
from assistant.skills.timer_book import Timer, TimerBook


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
class Question:
    """What a skill asked back, told as the commands that an answer completes."""

    commands: tuple[str, ...]
    """Each with "..." where the answer belongs: "set a timer for ...". The first that makes sense counts."""
    words: frozenset[str] = frozenset()
    """An answer has no other words than these; empty for any."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a skill."""

    speech: str
    """What to say; empty for nothing."""
    action: Action | None = None
    """What to do besides."""
    question: Question | None = None
    """What it asks for; the next words may answer it."""

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

    @property
    def ringing(self) -> Sequence[Timer]:
        """What is ringing now."""
        return [timer for timer in self.timers.all() if timer.ringing]


GIVEN = {
    "timers": TimerBook,
    "lists": ListBook,
    "now": datetime,
    "volume": float,
    "random": random.Random,
    "ringing": Sequence[Timer],
}
"""Parameters that a skill is given rather than told, and their types.

A skill with ``ringing`` answers only while something rings: "okay" means nothing otherwise.
"""
