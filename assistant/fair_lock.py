"""A lock that is given in the order in which it was asked for.

Engines whose threads fill all cores take it in turns with it: two of them at once would make each
other's threads wait at every step, and be slower together than one after the other. With
``threading.Lock`` a thread that takes it again and again, once a token, could keep others out for seconds.
"""

from __future__ import annotations

import threading
from collections import deque


class FairLock:
    """A context manager for threads; not reentrant."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Event] = deque()

    def __enter__(self) -> None:
        with self._guard:
            if not self._held:
                self._held = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        mine.wait()

    def __exit__(self, *_: object) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()  # it stays held, by the next one
            else:
                self._held = False
