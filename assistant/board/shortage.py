"""Whether something runs short, memory, disk or coolness, and what is given up until it is there again.

One table of conditions. Pure: is told what was read and when, and knows nothing of how it is read, nor of
who gives anything up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

Shortage: TypeAlias = Literal["memory", "disk", "heat"]


@dataclass(frozen=True, slots=True)
class Reading:
    """How the machine is doing; None where that cannot be told."""

    memory_mb: float | None = None
    """Memory that is left for this program, its control group's limits included."""
    stalled_percent: float | None = None
    """Of the last ten seconds, how long something waited for memory."""
    disk_mb: float | None = None
    """What is left of the disk that timers are on."""
    hot_c: float | None = None
    """The hottest of the processor's sensors."""


class Limits(Protocol):
    """From where on something is short, each in the unit of the reading of the same name; 0 is never."""

    @property
    def memory_mb(self) -> float: ...
    @property
    def stalled_percent(self) -> float: ...
    @property
    def disk_mb(self) -> float: ...
    @property
    def hot_c(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Condition:
    """One value that may be out of bounds; the bound is the limit of the same name."""

    shortage: Shortage
    value: Literal["memory_mb", "stalled_percent", "disk_mb", "hot_c"]
    bound: Literal["least", "most"]
    """Whether it is the least that there must be, or the most that there may be."""
    eases: float
    """The shortage is over when the value passes this many times the bound."""
    words: str

    def is_met(self, reading: Reading, limits: Limits, *, already: bool) -> bool:
        """Whether it is short. What is short ``already`` must ease. Unknown values are no shortage."""
        value, limit = getattr(reading, self.value), getattr(limits, self.value)
        if value is None or not limit:
            return False
        limit *= self.eases if already else 1
        return bool(value < limit if self.bound == "least" else value > limit)

    def told(self, reading: Reading) -> str:
        """For people: "80 MB of memory are left"."""
        return self.words.format(getattr(reading, self.value))


CONDITIONS = (
    Condition("memory", "memory_mb", "least", 1.5, "{:.0f} MB of memory are left"),
    Condition("memory", "stalled_percent", "most", 0.5, "{:.0f} % of the time something waits for memory"),
    Condition("disk", "disk_mb", "least", 1.5, "{:.0f} MB of the disk are left"),
    Condition("heat", "hot_c", "most", 0.9, "the processor is at {:.0f} °C"),
)

GIVES_UP: Mapping[Shortage, str] = {
    "memory": "half of the language model's context, and the oldest turns of the conversation",
    "disk": "kept phrases, kept prompts and recordings",
    "heat": "half of the language model's threads",
}

KEPT_UP: Mapping[Shortage, str] = {
    "memory": "the oldest turns of the conversation",
    "heat": "nothing: its language model cannot do with fewer threads",
}
"""What is given up instead where the language model can do with no less."""

_FIRST_PATIENCE_S, _LAST_PATIENCE_S = 60.0, 3600.0
"""What was given up is taken back after so long without the shortage; twice as long each time that this
brought the shortage back: giving up is what has ended it, perhaps."""

_CAME_BACK_S = 600.0
"""A shortage that is there again so soon was brought back."""


class Shortages:
    """What is short now."""

    def __init__(self) -> None:
        self.reading = Reading()
        """The last one."""
        self.kept_up: Collection[Shortage] = ()
        """For which of them the language model can do with no less."""
        self._calm_since_s: dict[Shortage, float | None] = {}
        """What is short -> since when its conditions have eased; None while they have not."""
        self._patience_s: dict[Shortage, float] = {}
        self._ended_s: dict[Shortage, float] = {}

    @property
    def now(self) -> frozenset[Shortage]:
        return frozenset(self._calm_since_s)

    @property
    def gives_up(self) -> dict[str, str]:
        """What is short -> what is given up for it, in words."""
        words = {**GIVES_UP, **{shortage: KEPT_UP[shortage] for shortage in self.kept_up}}
        return {shortage: words[shortage] for shortage in GIVES_UP if shortage in self._calm_since_s}

    def look(self, reading: Reading, limits: Limits, now_s: float) -> Iterator[tuple[Shortage, bool]]:
        """Take note of ``reading``; what has become short (True), or is short no more."""
        self.reading = reading
        for shortage in GIVES_UP:
            was_short = shortage in self._calm_since_s
            if short_of(reading, limits, shortage, already=was_short):
                self._calm_since_s[shortage] = None
                if not was_short:
                    self._note_beginning(shortage, now_s)
                    yield shortage, True
            elif was_short:
                since_s = self._calm_since_s[shortage]
                self._calm_since_s[shortage] = since_s = now_s if since_s is None else since_s
                if now_s - since_s >= self._patience_s[shortage]:
                    del self._calm_since_s[shortage]
                    self._ended_s[shortage] = now_s
                    yield shortage, False

    def _note_beginning(self, shortage: Shortage, now_s: float) -> None:
        ended_s = self._ended_s.get(shortage)
        came_back = ended_s is not None and now_s - ended_s < _CAME_BACK_S
        longer_s = 2 * self._patience_s.get(shortage, 0.0) if came_back else _FIRST_PATIENCE_S
        self._patience_s[shortage] = min(longer_s, _LAST_PATIENCE_S)


def short_of(
    reading: Reading, limits: Limits, shortage: Shortage, *, already: bool = False
) -> tuple[str, ...]:
    """Why it is short, in words; empty when it is not."""
    return tuple(
        each.told(reading)
        for each in CONDITIONS
        if each.shortage == shortage and each.is_met(reading, limits, already=already)
    )
