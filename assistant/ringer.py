"""Timers, alarms and reminders that are due are announced, again and again, but not for ever.

The book keeps them (``skills.timer_book``); an entry leaves it only when a person has silenced
it or it has rung long enough, so that a crash or a power cut never loses one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from assistant.errors import StateUnavailable
from assistant.events import Announced, Event
from assistant.skills import Timer, TimerBook, announcement

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
"""A timer is at most this late; looking costs one query of a table of a few rows."""

_AGAIN_AFTER_S = 8.0
"""Time to say "stop" between two announcements."""


class Ringer:
    """Rings what is due in ``timers``, each for at most ``limit_s`` seconds."""

    def __init__(self, timers: TimerBook, *, now: Callable[[], datetime], limit_s: float) -> None:
        self._timers = timers
        self._now = now
        self.limit_s = limit_s
        self._since_s: dict[int, float] = {}
        """When each ringing entry was first announced, on the loop's clock."""
        self._ringing: list[Timer] = []
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

    def announced(self) -> None:
        """What was posted last is being said: it was not dropped because somebody was talking."""
        self._announced_s = asyncio.get_running_loop().time()
        for timer in self._ringing:
            self._since_s.setdefault(timer.id, self._announced_s)

    def unheard(self) -> None:
        """It was not heard after all, as the speaker failed: who was announced first does not ring yet."""
        first = [number for number, since_s in self._since_s.items() if since_s == self._announced_s]
        for number in first:
            del self._since_s[number]

    def silence(self) -> None:
        """Somebody has heard what was announced; what became due since then still rings."""
        try:
            self._timers.acknowledge([timer for timer in self._timers.due() if timer.id in self._since_s])
        except StateUnavailable as error:
            log.error("timers=unreadable problem=%s", error)
        self._since_s.clear()

    def _due_text(self) -> str:
        """What is to be said now; nothing while the last time is not long enough ago."""
        now_s = asyncio.get_running_loop().time()
        self._ringing = self._due(now_s)
        is_new = any(timer.id not in self._since_s for timer in self._ringing)
        if self._ringing and (is_new or now_s - self._announced_s >= _AGAIN_AFTER_S):
            return announcement(self._ringing, self._now())
        return ""

    def _due(self, now_s: float) -> list[Timer]:
        """What is due and has not rung for long enough."""
        try:
            due = self._timers.due()
            over = [timer for timer in due if now_s - self._since_s.get(timer.id, now_s) >= self.limit_s]
            self._timers.acknowledge(over)
        except StateUnavailable as error:
            log.error("timers=unreadable problem=%s", error)
            return []
        return [timer for timer in due if timer not in over]
