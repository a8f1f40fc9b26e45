"""How work on another thread is told to stop.

A ``Cancel`` goes from false to true once and stays there. Engines look at it between tokens
and between chunks; one that can interrupt a running native call hooks itself in with ``on_set``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Cancel:
    """Thread-safe one-way flag."""

    def __init__(self) -> None:
        self._flag = threading.Event()
        self._lock = threading.Lock()
        self._hooks: list[Callable[[], None]] = []

    def __bool__(self) -> bool:
        return self._flag.is_set()

    def set(self) -> None:
        with self._lock:
            hooks, self._hooks = self._hooks, []
            self._flag.set()
        for hook in hooks:
            hook()

    def on_set(self, hook: Callable[[], None]) -> None:
        """Call ``hook`` when set, from the setter's thread; at once if it already is."""
        with self._lock:
            if not self._flag.is_set():
                self._hooks.append(hook)
                return
        hook()

    def wait(self, timeout_s: float) -> bool:
        """Sleep up to ``timeout_s`` seconds; true as soon as it is set."""
        return self._flag.wait(timeout_s)
