"""Timers, alarms and reminders that are due are announced, again and again, but not for ever.

The book keeps them (``skills.timer_book``); an entry leaves it only when a person has silenced
it or it has rung long enough, so that a crash or a power cut never loses one. What was due while
there was no speaker is said once when it is back, and so are other announcements; of the last hour.
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
"""A timer is at most this late; looking costs one query of a table of a few rows."""

_AGAIN_AFTER_S = 8.0
"""Time to say "stop" between two announcements."""

_SPARE_S = 0.5
"""A pause is over so long before the next announcement."""

_UNHEARD_TIMES = 10
"""What nobody can hear, as the voice fails, is tried for so many times the limit."""


_KEPT_S = 3600.0
"""What nobody could hear is told when the speaker is back, but not what is older than this."""


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
        """When that was first heard: a speaker may be pulled, and a voice may fail."""
        self._missed: set[int] = set()
        """Entries that were due while there was no speaker: they are said once."""
        self._kept: list[_Kept] = []
        """Announcements that nobody could hear, in order."""
        self._posted: tuple[str, dict[int, Timer | _Kept]] = ("", {})
        """What was to be said last, and from which letter on of what."""
        self._said: dict[int, Timer | _Kept] = {}
        """What is being announced, by the letter at which it begins."""
        self._announced_s = -_AGAIN_AFTER_S

    async def watch(self, post: Callable[[Event], None]) -> None:
        """Post an announcement whenever something is due, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                if text := self._due_text():
                    post(Announced(text))
            except Exception:  # a timer that cannot be told must not keep the next one from being told
                log.exception("timers=unannounced")

    def announced(self, text: str) -> None:
        """This is about to be said, whoever posted it: it was not dropped because somebody was talking."""
        posted, timers = self._posted
        self._said = timers if text == posted else {}
        if self._said:
            self._announced_s = asyncio.get_running_loop().time()
            for entry in self._said.values():
                if isinstance(entry, Timer):
                    self._told_s.setdefault(entry.id, self._announced_s)

    def follow(self, turn: Turn) -> None:
        """Take note of how much was heard of an announcement, which may go on."""
        if turn.announced and turn.heard_ms:
            self.heard(turn.sounded_text)
        if turn.announced and turn.report.in_writing:
            self.unheard(turn.announced)
        elif turn.announced and turn.done and not turn.report.interrupted:
            self.heard_out()

    def heard(self, text: str) -> None:
        """Somebody has heard so much of what was announced last: who is not named in it still rings."""
        now_s = asyncio.get_running_loop().time()
        for begin, entry in self._said.items():
            if begin > len(text):
                continue
            if isinstance(entry, Timer):
                self._heard_s.setdefault(entry.id, now_s)
            elif entry in self._kept:
                self._kept.remove(entry)

    def heard_out(self) -> None:
        """All of it was heard: what was missed before is told now, and rings no more."""
        told = [entry for entry in self._said.values() if isinstance(entry, Timer)]
        self._acknowledge([timer for timer in told if timer.id in self._missed])

    def unheard(self, text: str) -> None:
        """This was to be said and there was no speaker, or no more before its end."""
        now_s = asyncio.get_running_loop().time()
        posted, entries = self._posted
        if text != posted:
            entries = {0: _Kept(text, now_s)}
        self._announced_s = -_AGAIN_AFTER_S  # nobody has to wait for what was not said
        for entry in entries.values():
            if isinstance(entry, Timer):
                self._missed.add(entry.id)
            elif entry not in self._kept:
                self._kept.append(entry)
                log.info("announcement=kept reason=no-speaker kept=%d", len(self._kept))

    @property
    def pause_s(self) -> float:
        """For how long what was heard falls silent now, to ring again; 0 where nothing does."""
        try:
            rings = any(timer.id in self._heard_s.keys() - self._missed for timer in self._timers.due())
        except StateUnavailable as error:
            log.error("timers=unreadable problem=%s", error)
            return 0.0
        next_s = self._announced_s + _AGAIN_AFTER_S - _SPARE_S
        return max(0.0, next_s - asyncio.get_running_loop().time()) if rings else 0.0

    @property
    def kept(self) -> Mapping[str, object]:
        """What nobody could hear yet, for a process that replaces this one."""
        return {"missed": sorted(self._missed), "kept": [[each.text, each.since_s] for each in self._kept]}

    def take_up(self, missed: list[int], kept: list[tuple[str, float]]) -> None:
        """Go on with what another process has kept."""
        self._missed.update(missed)
        self._kept += [_Kept(text, since_s) for text, since_s in kept]

    def silence(self) -> None:
        """Somebody wants no more of what was heard; what became due since then still rings."""
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
        """What is to be said now; nothing while the last time is not long enough ago."""
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
        """What is due and has not rung for long enough."""
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
