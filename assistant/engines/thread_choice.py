"""How many threads the next token gets: all of them, or fewer while other programs are busy.

The threads of a language model wait for each other hundreds of times a token. Each of them that must
first get a core from another program makes all of them wait: beside one that spins as they do, two
threads on two cores took 1 to 2 s a token instead of 40 ms. One thread waits for nobody. Pure: is told how
long tokens took and knows nothing of the model.
"""

from __future__ import annotations

_SLOW = 2.0
"""A token that took this many times its usual time would have been done as soon by half the threads."""

_SLOW_IN_A_ROW = 2
"""One slow token may be anything."""

_FIRST_PATIENCE, _LAST_PATIENCE = 16, 256
"""Tokens before more threads are tried again; twice as many after each time that was in vain."""


class ThreadChoice:
    """Starts with ``most`` threads."""

    def __init__(self, most: int) -> None:
        self.threads = most
        self._most = most
        self._usual_s = float("inf")
        self._slow = 0
        self._patience = _FIRST_PATIENCE
        self._good = 0

    def took(self, seconds: float) -> None:
        """Learn from a token that was evaluated with ``threads``; may change them."""
        share = self.threads / self._most
        self._usual_s = min(self._usual_s, seconds * share)
        if seconds * share > _SLOW * self._usual_s:
            self._slow, self._good = self._slow + 1, 0
            if self._slow == _SLOW_IN_A_ROW and self.threads > 1:
                self._change(self.threads // 2)
        else:
            self._slow, self._good = 0, self._good + 1
            if self._good == self._patience and self.threads < self._most:
                self._patience = min(2 * self._patience, _LAST_PATIENCE)
                self._change(min(2 * self.threads, self._most))
            elif self._good > self._patience and self.threads == self._most:
                self._patience = _FIRST_PATIENCE

    def _change(self, threads: int) -> None:
        self.threads = threads
        self._slow = self._good = 0
