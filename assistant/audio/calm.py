"""Whether a room is so quiet that its sound may be listened to in larger pieces.

Waking the event loop costs more than what is done with 20 ms of room tone. So after a while of nothing
but the room's own noise, quiet blocks wait until somebody looks; the first that is louder takes them
along at once. So neither speech nor the silence behind it is ever heard later. Knows no devices and no time.
"""

from __future__ import annotations

import numpy as np

from assistant.core.types import Pcm16

AFTER_S = 10
"""Nobody has spoken for so long: every turn, and every pause that may end one, is over."""

_LOUD = 2.0
"""A block whose span is so many times the usual one is more than the room. Steady noise reaches 1.36
times its mean span once in a thousand blocks (computed); speech that can be understood is far above."""

_FOLLOWS, _RISES = 0.02, 1.01
"""Of the usual span in each quiet block, and in each loud one: a fan that is switched on is the room after
two seconds."""


class Calm:
    """Give it every block; it tells which may wait for the next."""

    def __init__(self, blocks_per_s: int) -> None:
        self._after = AFTER_S * blocks_per_s
        self._quiet = 0
        self._span = 0.0

    def may_wait(self, block: Pcm16) -> bool:
        """Whether nothing is lost when this block is looked at later."""
        span = int(np.maximum.reduce(block)) - int(np.minimum.reduce(block))
        if span > _LOUD * self._span:
            self._span = max(1.0, self._span * _RISES)
            self._quiet = 0
            return False
        self._span += _FOLLOWS * (span - self._span)
        self._quiet += 1
        return self._quiet > self._after
