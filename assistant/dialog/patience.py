"""How long a person who may speak is waited for.

Whoever begins to speak stops the wait; if it was noise, the rest of the wait is left. Knows
nothing of what is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Patience:
    """One wait at a time; ``on_end`` is called when it is over."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._until_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, wait_s: float) -> None:
        """Wait for so long from now on."""
        self._until_s = asyncio.get_running_loop().time() + wait_s
        self.resume()

    def pause(self) -> None:
        """Somebody may have begun; ``on_end`` is not called before ``resume``."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def resume(self) -> bool:
        """Wait for what is left; false, and nothing happens, when that is nothing."""
        self.pause()
        loop = asyncio.get_running_loop()
        if loop.time() >= self._until_s:
            return False
        self._timer = loop.call_at(self._until_s, self._on_end)
        return True

    def end(self) -> None:
        """Wait no longer."""
        self.pause()
        self._until_s = 0.0
