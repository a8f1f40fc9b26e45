"""Whether the appliance is alive: the loop takes events, and no engine is given up.

A loop that hangs looks from outside as one that has nothing to do: the process is there and nobody is
answered. Only what moves counts here. A missing microphone or speaker is no reason for a restart: it
is looked for, and timers ring without the one and questions are answered without the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from assistant.core.events import Event, Probed


class Heartbeat:
    """Calls ``beat`` regularly, so long as the loop moves.

    ``post`` hands an event to the loop; ``is_broken`` says that only a restart helps.
    """

    def __init__(
        self,
        *,
        post: Callable[[Event], None],
        is_broken: Callable[[], bool],
        beat: Callable[[], None],
    ) -> None:
        self._post = post
        self._is_broken = is_broken
        self._beat = beat
        self._loop_moves = False

    async def watch(self, every_s: float) -> None:
        """Look every so many seconds, until cancelled."""
        while True:
            self._loop_moves = False
            self._post(Probed(self._note))
            await asyncio.sleep(every_s)
            if self._loop_moves and not self._is_broken():
                self._beat()

    def _note(self) -> None:
        self._loop_moves = True
