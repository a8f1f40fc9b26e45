"""How many threads the next token gets: all of them, or fewer while other programs are busy.

The threads of a language model wait for each other hundreds of times a token. Each of them that must first
get a core from another program makes all wait: beside one busy program two threads on two cores write half as
fast, beside one that spins as they do forty times slower. One thread waits for nobody, and because what takes
the time is reading the weights from memory, it alone is often nearly as fast as two.

So nothing is assumed: when tokens become slow, fewer threads are tried for a moment, and what is faster
stays; later more are tried again. Pure: is told how long tokens took and knows nothing of the model.
"""

from __future__ import annotations

from collections import deque

_SLOW = 1.25
"""A token that took this many times the shortest with as many threads was held up by somebody."""

_WORTH = 0.97
"""What was tried stays when it takes less than this of the time before."""

_TRIAL = 2
"""Tokens that decide, by the faster one: one slow token may be anything."""

_FIRST_PATIENCE, _LAST_PATIENCE = 16, 256
"""Tokens before another trial; twice as many after each one that was in vain."""


class ThreadChoice:
    """Starts with ``most`` threads."""

    def __init__(self, most: int) -> None:
        self.threads = most
        self._most = most
        self._shortest_s: dict[int, float] = {}
        self._latest_s: deque[float] = deque(maxlen=_TRIAL)
        self._before: tuple[int, float] | None = None
        """While something is tried: the threads before, and how long a token took with them."""
        self._patience = 0
        self._rest = 0

    def took(self, seconds: float) -> None:
        """Learn from a token that was evaluated with ``threads``; may change them."""
        self._shortest_s[self.threads] = min(seconds, self._shortest_s.get(self.threads, seconds))
        self._latest_s.append(seconds)
        self._rest = max(0, self._rest - 1)
        if len(self._latest_s) < _TRIAL:
            return
        now_s = min(self._latest_s)
        if self._before is not None:
            self._judge(*self._before, now_s)
        elif self.threads > 1 and self._is_slow(now_s) and not self._rest:
            self._try(self.threads // 2, now_s)
        elif self.threads < self._most and not self._rest:
            self._try(min(2 * self.threads, self._most), now_s)

    def _is_slow(self, now_s: float) -> bool:
        fewer_s = self._shortest_s.get(self.threads // 2, 0.0)
        return now_s > _SLOW * self._shortest_s[self.threads] and now_s > fewer_s

    def _try(self, threads: int, now_s: float) -> None:
        self._before = (self.threads, now_s)
        self._change(threads)

    def _judge(self, before: int, before_s: float, now_s: float) -> None:
        """Stay with what was tried, try still fewer, or go back."""
        is_worth = now_s < _WORTH * before_s
        if not is_worth and 1 < self.threads < before:
            self._change(self.threads // 2)
            return
        self._before = None
        if is_worth:
            self._patience = 0 if self.threads == self._most else _FIRST_PATIENCE
        else:
            self._patience = min(2 * self._patience, _LAST_PATIENCE) or _FIRST_PATIENCE
            self._change(before)
        self._rest = self._patience

    def _change(self, threads: int) -> None:
        self.threads = threads
        self._latest_s.clear()
