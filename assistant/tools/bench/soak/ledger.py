"""What became of every timer of ``bench soak``, by what was said and what is in the book."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

from assistant.tools.bench.soak.home import Home

_NAMES = ("pasta", "tea", "bread", "laundry", "garden", "coffee", "lasagna", "chicken", "oven", "pizza")

_RINGS_WITHIN_S = 150.0
"""After it was due: somebody may be talking, a fault may last, and each turn is looked at once."""


class Ledger:
    """Look at it after every turn."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._wanted = ""
        self._due_s: dict[int, float] = {}
        """Timers that are, or should be, in the book -> when they are due, on the loop's clock."""
        self._names: dict[int, str] = {}
        self._rang: Counter[int] = Counter()
        self._newest = 0
        self.confirmed = 0
        self.lost: list[str] = []
        self.doubled: list[str] = []

    def new_timer(self, random: Random) -> str:
        """What to say for one that is not set yet."""
        taken = set(self._names.values())
        free = [name for name in _NAMES if name not in taken]
        self._wanted = random.choice(free) if free else ""
        called = f" called {self._wanted}" if free else ""
        return f"Set a timer for {random.choice(('one', 'two', 'three'))} minutes{called}."

    def look(self) -> list[str]:
        """Compare what was confirmed, what rang and what is kept; what is wrong."""
        now_s = asyncio.get_running_loop().time()
        kept = {timer.id: timer for timer in self._home.timers.all()}
        new = [timer for number, timer in kept.items() if number > self._newest]
        outcomes = [report.outcome for report in self._home.reports if report.outcome]
        confirmed = [outcome for outcome in outcomes if "starting now" in outcome.speech]
        wrong = [] if len(new) == len(confirmed) else [f"{len(confirmed)} timers confirmed, {len(new)} set"]
        for timer in new:
            self._newest = max(self._newest, timer.id)
            self._due_s[timer.id] = now_s + timer.left_s
            self._names[timer.id] = timer.name
        self.confirmed += len(confirmed)
        known = set(self._names.values())
        for name in _NAMES:
            if name not in known and self._rings(name):
                self.doubled.append(f"the {name} timer rang again")
        for number, name in self._names.items():
            self._rang[number] += self._rings(name)
        for number in [number for number in self._due_s if number not in kept]:
            self._gone(number)
        overdue = [
            n for n, due_s in self._due_s.items() if now_s - due_s > _RINGS_WITHIN_S and not self._rang[n]
        ]
        return wrong + [f"timer {number} is late" for number in overdue]

    def _rings(self, name: str) -> int:
        """How often it was rung since the last look."""
        return sum(f"{name} timer" in text for text in self._home.speaker.written)

    def _gone(self, number: int) -> None:
        if not self._rang[number]:
            self.lost.append(f"timer {number} '{self._names[number]}' went without ringing")
        del self._due_s[number], self._names[number]

    async def ring_out(self) -> None:
        """Wait until every timer that is left has rung."""
        for _ in range(40):
            self._home.forget()
            await asyncio.sleep(10)
            self.look()
        self.lost += [f"timer {number} never rang" for number in self._due_s]
