"""Cancellation across threads.

A ``Cancel`` is set once and stays set. Engines check it between tokens and between chunks; an engine that can
interrupt a running native call registers a hook with ``on_set``.
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
        """Call ``hook`` when set, on the setter's thread; at once if it is already set."""
        with self._lock:
            if not self._flag.is_set():
                self._hooks.append(hook)
                return
        hook()

    def wait(self, timeout_s: float) -> bool:
        """Wait up to ``timeout_s`` seconds; returns True as soon as it is set."""
        return self._flag.wait(timeout_s)
