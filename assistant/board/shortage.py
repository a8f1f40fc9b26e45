"""Detects shortages of memory, disk space or cooling, and lists what is given up for each.

One table of conditions. Pure: it receives readings with their times, and doesn't know how they are measured
or who gives anything up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

Shortage: TypeAlias = Literal["memory", "disk", "heat"]


@dataclass(frozen=True, slots=True)
class Reading:
    """Measurements of the machine; None if unknown."""

    memory_mb: float | None = None
    """Memory left for this program, within its control group's limits."""
    stalled_percent: float | None = None
    """Percent of the last ten seconds in which something waited for memory."""
    disk_mb: float | None = None
    """Space left on the disk that holds the timers."""
    hot_c: float | None = None
    """Temperature of the hottest CPU sensor."""


class Limits(Protocol):
    """Thresholds, each in the unit of the reading with the same name; 0 turns it off."""

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
    """One value with a threshold, which is the limit of the same name."""

    shortage: Shortage
    value: Literal["memory_mb", "stalled_percent", "disk_mb", "hot_c"]
    bound: Literal["least", "most"]
    """"least" is a minimum, "most" a maximum."""
    eases: float
    """The shortage is over when the value passes the bound times this."""
    words: str

    def is_met(self, reading: Reading, limits: Limits, *, already: bool) -> bool:
        """True if there is a shortage. One that exists ``already`` must ease first. Unknown values don't
        count.
        """
        value, limit = getattr(reading, self.value), getattr(limits, self.value)
        if value is None or not limit:
            return False
        limit *= self.eases if already else 1
        return bool(value < limit if self.bound == "least" else value > limit)

    def told(self, reading: Reading) -> str:
        """Describe the reading for the user: "80 MB of memory left"."""
        return self.words.format(getattr(reading, self.value))


CONDITIONS = (
    Condition("memory", "memory_mb", "least", 1.5, "{:.0f} MB of memory left"),
    Condition("memory", "stalled_percent", "most", 0.5, "programs wait for memory {:.0f} % of the time"),
    Condition("disk", "disk_mb", "least", 1.5, "{:.0f} MB of disk space left"),
    Condition("heat", "hot_c", "most", 0.9, "the CPU is at {:.0f} °C"),
)

GIVES_UP: Mapping[Shortage, str] = {
    "memory": "half of the language model's context, and the oldest turns of the conversation",
    "disk": "saved phrases, saved prompts and recordings",
    "heat": "half of the language model's threads",
}

KEPT_UP: Mapping[Shortage, str] = {
    "memory": "the oldest turns of the conversation",
    "heat": "nothing, because the language model can't use fewer threads",
}
"""What is given up instead if the language model can't be reduced."""

_FIRST_PATIENCE_S, _LAST_PATIENCE_S = 60.0, 3600.0
"""Time without the shortage before everything is restored. It doubles each time that this brings the
shortage back, since giving things up may be what ended it.
"""

_CAME_BACK_S = 600.0
"""A shortage that returns within this time was brought back."""


class Shortages:
    """Tracks current shortages."""

    def __init__(self) -> None:
        self.reading = Reading()
        """The latest reading."""
        self.kept_up: Collection[Shortage] = ()
        """Shortages for which the language model can't be reduced."""
        self._calm_since_s: dict[Shortage, float | None] = {}
        """Shortage -> since when its conditions have eased; None if they have not."""
        self._patience_s: dict[Shortage, float] = {}
        self._ended_s: dict[Shortage, float] = {}

    @property
    def now(self) -> frozenset[Shortage]:
        return frozenset(self._calm_since_s)

    @property
    def gives_up(self) -> dict[str, str]:
        """Shortage -> what is given up for it, in words."""
        words = {**GIVES_UP, **{shortage: KEPT_UP[shortage] for shortage in self.kept_up}}
        return {shortage: words[shortage] for shortage in GIVES_UP if shortage in self._calm_since_s}

    def look(self, reading: Reading, limits: Limits, now_s: float) -> Iterator[tuple[Shortage, bool]]:
        """Record ``reading``, and yield each shortage that began (True) or ended (False)."""
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
    """Return the reasons for a shortage in words; empty if there is none."""
    return tuple(
        each.told(reading)
        for each in CONDITIONS
        if each.shortage == shortage and each.is_met(reading, limits, already=already)
    )
