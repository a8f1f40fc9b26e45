"""Announces due timers, alarms and reminders repeatedly, but not forever.

``skills.timer_book`` stores them; an entry leaves it only when someone has silenced it or it has rung long
enough, so a crash or a power cut never loses one. What was due while there was no speaker is said once when
it is back, like other announcements; up to an hour late.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from assistant.core.errors import StateUnavailable
from assistant.core.events import Announced, Event
from assistant.dialog.turn import Turn
from assistant.skills import Timer, TimerBook, announcement

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
"""A timer is at most this late; each check is one query of a table of a few rows."""

_AGAIN_AFTER_S = 8.0
"""Time to say "stop" between two announcements."""

_SPARE_S = 0.5
"""A pause ends this long before the next announcement."""

_UNHEARD_TIMES = 10
"""While the voice fails, so that nobody can hear it, it is tried for this many times the limit."""


_KEPT_S = 3600.0
"""Announcements that nobody could hear are said when the speaker is back, unless they are older than this."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """An announcement that nobody could hear."""

    text: str
    since_s: float


class Ringer:
    """Rings what is due in ``timers``, each for at most ``limit_s`` seconds."""

    def __init__(self, timers: TimerBook, *, now: Callable[[], datetime], limit_s: float) -> None:
        self._timers = timers
        self._now = now
        self.limit_s = limit_s
        self._told_s: dict[int, float] = {}
        """When each ringing entry was first to be announced, on the loop's clock."""
        self._heard_s: dict[int, float] = {}
        """When it was first heard: a speaker may be unplugged, and a voice may fail."""
        self._missed: set[int] = set()
        """Entries that were due while there was no speaker: they are said once."""
        self._kept: list[_Kept] = []
        """Announcements that nobody could hear, in order."""
        self._posted: tuple[str, dict[int, Timer | _Kept]] = ("", {})
        """The latest announcement, and the character index at which each entry begins."""
        self._said: dict[int, Timer | _Kept] = {}
        """What is being announced, by the character index at which it begins."""
        self._announced_s = -_AGAIN_AFTER_S

    async def watch(self, post: Callable[[Event], None]) -> None:
        """Post an announcement whenever something is due, until canceled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                if text := self._due_text():
                    post(Announced(text))
            except Exception:  # a timer that can't be announced must not block the next one
                log.exception("timers=unannounced")

    def announced(self, text: str) -> None:
        """This announcement is about to be said: it was not dropped because someone was speaking."""
        posted, timers = self._posted
        self._said = timers if text == posted else {}
        if self._said:
            self._announced_s = asyncio.get_running_loop().time()
            for entry in self._said.values():
                if isinstance(entry, Timer):
                    self._told_s.setdefault(entry.id, self._announced_s)

    def follow(self, turn: Turn) -> None:
        """Record how much of an announcement was heard; it may continue."""
        if turn.announced and turn.heard_ms:
            self.heard(turn.sounded_text)
        if turn.announced and turn.report.in_writing:
            self.unheard(turn.announced)
        elif turn.announced and turn.done and not turn.report.interrupted:
            self.heard_out()

    def heard(self, text: str) -> None:
        """Record the heard part of the latest announcement: entries not named in it still ring."""
        now_s = asyncio.get_running_loop().time()
        for begin, entry in self._said.items():
            if begin > len(text):
                continue
            if isinstance(entry, Timer):
                self._heard_s.setdefault(entry.id, now_s)
            elif entry in self._kept:
                self._kept.remove(entry)

    def heard_out(self) -> None:
        """All of it was heard: missed entries have now been said, and ring no more."""
        told = [entry for entry in self._said.values() if isinstance(entry, Timer)]
        self._acknowledge([timer for timer in told if timer.id in self._missed])

    def unheard(self, text: str) -> None:
        """Record an announcement that could not be heard, or not to its end."""
        now_s = asyncio.get_running_loop().time()
        posted, entries = self._posted
        if text != posted:
            entries = {0: _Kept(text, now_s)}
        self._announced_s = -_AGAIN_AFTER_S  # nothing needs to wait after what was not said
        for entry in entries.values():
            if isinstance(entry, Timer):
                self._missed.add(entry.id)
            elif entry not in self._kept:
                self._kept.append(entry)
                log.info("announcement=kept reason=no-speaker kept=%d", len(self._kept))

    @property
    def pause_s(self) -> float:
        """How long a ringing entry is silent until it rings again; 0 if none is ringing."""
        try:
            rings = any(timer.id in self._heard_s.keys() - self._missed for timer in self._timers.due())
        except StateUnavailable as error:
            log.error("timers=unreadable problem=%s", error)
            return 0.0
        next_s = self._announced_s + _AGAIN_AFTER_S - _SPARE_S
        return max(0.0, next_s - asyncio.get_running_loop().time()) if rings else 0.0

    @property
    def kept(self) -> Mapping[str, object]:
        """Return the entries that nobody could hear yet, for the process that replaces this one."""
        return {"missed": sorted(self._missed), "kept": [[each.text, each.since_s] for each in self._kept]}

    def take_up(self, missed: list[int], kept: list[tuple[str, float]]) -> None:
        """Continue with what another process kept."""
        self._missed.update(missed)
        self._kept += [_Kept(text, since_s) for text, since_s in kept]

    def silence(self) -> None:
        """Silence what was heard; what became due since then still rings."""
        try:
            self._timers.acknowledge([timer for timer in self._timers.due() if timer.id in self._heard_s])
        except StateUnavailable as error:
            log.error("timers=unreadable problem=%s", error)
        self._heard_s.clear()

    def _acknowledge(self, timers: list[Timer]) -> None:
        try:
            self._timers.acknowledge(timers)
        except StateUnavailable as error:
            log.error("timers=unreadable problem=%s", error)

    def _due_text(self) -> str:
        """Return what to say now; empty if the last announcement was too recent."""
        now_s = asyncio.get_running_loop().time()
        ringing = self._due(now_s)
        self._kept = [each for each in self._kept if now_s - each.since_s <= _KEPT_S]
        is_new = any(timer.id not in self._told_s for timer in ringing)
        if not (ringing or self._kept) or not (is_new or now_s - self._announced_s >= _AGAIN_AFTER_S):
            return ""
        text, now = "", self._now()
        begins: dict[int, Timer | _Kept] = {}
        for timer in ringing:
            begins[len(text)] = timer
            text += f"{announcement([timer], now)} "
        for each in self._kept:
            begins[len(text)] = each
            text += f"{each.text} "
        self._posted = (text.rstrip(), begins)
        return self._posted[0]

    def _due(self, now_s: float) -> list[Timer]:
        """Return what is due and has not rung long enough."""
        try:
            due = self._timers.due()
            over = [timer for timer in due if self._is_over(timer, now_s)]
            self._timers.acknowledge(over)
        except StateUnavailable as error:
            log.error("timers=unreadable problem=%s", error)
            return []
        ringing = [timer for timer in due if timer not in over]
        numbers = {timer.id for timer in ringing}
        self._missed &= numbers
        for noted in (self._told_s, self._heard_s):
            for number in noted.keys() - numbers:
                del noted[number]
        return ringing

    def _is_over(self, timer: Timer, now_s: float) -> bool:
        number = timer.id
        if number in self._missed:
            return timer.left_s < -_KEPT_S
        heard_s, told_s = self._heard_s.get(number, now_s), self._told_s.get(number, now_s)
        return now_s - heard_s >= self.limit_s or now_s - told_s >= _UNHEARD_TIMES * self.limit_s
