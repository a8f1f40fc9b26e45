"""What a skill may use, and what it returns.

A skill returns the sentence to say, or an ``Outcome`` if the loop must also do something. It never touches
the microphone, the speaker or the state machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from assistant.core.errors import StateUnavailable
from assistant.knowledge.memories import MemoryBook
from assistant.runtime.cancel import Cancel
from assistant.skills.list_book import ListBook
from assistant.skills.timer_book import Timer, TimerBook


@dataclass(frozen=True, slots=True)
class Action:
    """Something that only the loop can do."""


@dataclass(frozen=True, slots=True)
class Stop(Action):
    """Stop speaking or ringing."""


@dataclass(frozen=True, slots=True)
class Repeat(Action):
    """Say the last answer again."""


@dataclass(frozen=True, slots=True)
class Mute(Action):
    """Close the microphone."""


@dataclass(frozen=True, slots=True)
class Forget(Action):
    """Start a new conversation with the language model."""


@dataclass(frozen=True, slots=True)
class Volume(Action):
    """Set the volume of the voice."""

    level: float
    """0 to 1."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question that a skill asked, expressed as the commands that an answer completes."""

    commands: tuple[str, ...]
    """Each with "..." where the answer belongs: "set a timer for ...". The first that makes sense counts."""
    words: frozenset[str] = frozenset()
    """The only words an answer may contain; empty for any."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a skill."""

    speech: str
    """What to say; empty for nothing."""
    action: Action | None = None
    """What else to do."""
    question: Question | None = None
    """What it asks for; the next words may answer it."""

    def speech_after(self, last_reply: str) -> str:
        """Return what to say; ``last_reply`` is the previous answer."""
        return last_reply if isinstance(self.action, Repeat) else self.speech


class Agent(Protocol):
    """Another service that may answer, and act on, what no skill's sentence matches."""

    name: str
    """Its name in reports."""

    def ask(self, text: str, cancel: Cancel) -> Outcome | None:
        """Ask the agent; returns None if the request isn't for it. Blocks until ``cancel``; never raises."""


def _local_now() -> datetime:
    return datetime.now().astimezone()


@dataclass(slots=True)
class LastSource:
    """Where the last answer came from."""

    name: str | None = None
    """A table's source; empty for a skill, None before the first answer."""
    is_model: bool = False
    """It came from the language model."""


@dataclass(frozen=True, slots=True)
class SkillContext:
    """What skills may use. A parameter with the name of one of these receives it.

    ``now`` and ``volume`` are read when the skill runs.
    """

    timers: TimerBook
    lists: ListBook
    clock: Callable[[], datetime] = _local_now
    """The local time, with its zone."""
    loudness: Callable[[], float] = lambda: 1.0
    """Volume of the voice, 0 to 1."""
    random: random.Random = field(default_factory=random.SystemRandom)
    memory_book: MemoryBook | None = None
    """What people asked to be remembered; None keeps nothing."""
    source: LastSource = field(default_factory=LastSource)

    @property
    def memories(self) -> MemoryBook:
        """What people asked to be remembered. Raises StateUnavailable where nothing is kept."""
        if self.memory_book is None:
            raise StateUnavailable("I can't remember things here.", "Ask the running assistant.")
        return self.memory_book

    @property
    def now(self) -> datetime:
        """The local time, with its zone."""
        return self.clock()

    @property
    def volume(self) -> float:
        """Volume of the voice, 0 to 1."""
        return self.loudness()

    @property
    def ringing(self) -> Sequence[Timer]:
        """Entries that are ringing now."""
        return [timer for timer in self.timers.all() if timer.ringing]


GIVEN = {
    "timers": TimerBook,
    "lists": ListBook,
    "memories": MemoryBook,
    "source": LastSource,
    "now": datetime,
    "volume": float,
    "random": random.Random,
    "ringing": Sequence[Timer],
}
"""Parameters that are provided to a skill rather than spoken, with their types.

A skill with ``ringing`` answers only while something rings: "okay" means nothing otherwise.
"""
