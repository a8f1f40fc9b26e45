"""How often the assistant's own voice passed for somebody, in its last minute of speaking.

An interruption was false when nobody said anything. Where that happens often, speech interrupts no
more: what would have interrupted is only counted, until a minute of speaking passes without it. Time is
what was spoken, not what passed: an assistant that says little learns as much from each answer. Pure.
"""

from __future__ import annotations

from collections import deque

_SPOKEN_S = 60.0
"""Speaking that is looked back on."""

_OFTEN = 3
"""A cough and a door may come within a minute of answers; three are the room, a television or the echo."""

IN_ONE_ANSWER = 2
"""An answer that was stopped so often for nothing goes on to its end."""


class FalseInterruptions:
    """Count them with ``note``, and the time with ``spoke``."""

    def __init__(self) -> None:
        self._spoken_s = 0.0
        self._noted_s: deque[float] = deque(maxlen=_OFTEN)

    def spoke(self, seconds: float) -> None:
        """The assistant went on speaking for so long."""
        self._spoken_s += seconds

    def note(self) -> None:
        """It stopped, or would have stopped, and nobody had said anything."""
        self._noted_s.append(self._spoken_s)

    @property
    def lately(self) -> int:
        """How many there were in the last minute of speaking; counts to three."""
        return sum(self._spoken_s - at_s < _SPOKEN_S for at_s in self._noted_s)

    @property
    def are_often(self) -> bool:
        """Whether speech must not interrupt for now."""
        return self.lately >= _OFTEN
