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
        self._holder: int | None = None
        self._waiting: deque[tuple[int, threading.Event]] = deque()

    def __enter__(self) -> None:
        me = threading.get_ident()
        with self._guard:
            if self._holder is None:
                self._holder = me
                return
            mine = threading.Event()
            self._waiting.append((me, mine))
        mine.wait()

    def __exit__(self, *_: object) -> None:
        self.take_from(threading.get_ident())

    def take_from(self, thread: int | None) -> None:
        """Give it to the next one, if this thread has it: also to be called for a thread that hangs."""
        with self._guard:
            if thread is None or self._holder != thread:
                return
            if self._waiting:
                self._holder, event = self._waiting.popleft()
                event.set()
            else:
                self._holder = None
