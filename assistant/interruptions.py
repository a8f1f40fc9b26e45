"""What may stop an answer: what the settings want, as far as the echo and the last false alarms allow.

An interruption was false when nobody said anything. Where that happens often, speech interrupts no
more: what would have interrupted is only counted, until a minute of speaking passes without it. Time is
what was spoken, not what passed: an assistant that says little learns as much from each answer. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict

from assistant.attention import Interruption, interruption_by
from assistant.audio import EchoControl
from assistant.settings import ConversationSettings

_SPOKEN_S = 60.0
"""Speaking that is looked back on."""

_OFTEN = 3
"""A cough and a door may come within a minute of answers; three are the room, a television or the echo."""

_IN_ONE_ANSWER = 2
"""An answer that was stopped so often for nothing goes on to its end."""


class Interruptions:
    """``echo`` keeps the assistant's voice from its ears; ``hears_itself`` says that nothing does."""

    def __init__(self, *, hears_itself: bool, echo: EchoControl | None) -> None:
        self._hears_itself = hears_itself
        self._echo = echo
        self._spoken_s = 0.0
        self._false_s: deque[float] = deque(maxlen=_OFTEN)

    def by(self, settings: ConversationSettings, already_false: int) -> Interruption:
        """What to listen for in an answer that was stopped ``already_false`` times for nothing."""
        if already_false >= _IN_ONE_ANSWER:
            return "off"
        return interruption_by(settings.interruption, hears_itself=self._hears_itself)

    def spoke(self, seconds: float) -> None:
        """The assistant went on speaking for so long."""
        self._spoken_s += seconds

    def was_false(self) -> None:
        """It stopped, or would have stopped, and nobody had said anything."""
        self._false_s.append(self._spoken_s)
        if self._echo:
            self._echo.was_wrong()

    @property
    def lately_false(self) -> int:
        """How many there were in the last minute of speaking; counts to three."""
        return sum(self._spoken_s - at_s < _SPOKEN_S for at_s in self._false_s)

    @property
    def speech_is_off(self) -> bool:
        """Whether speech must not interrupt for now."""
        return self.lately_false >= _OFTEN

    def document(self, settings: ConversationSettings) -> Mapping[str, object]:
        """What stops an answer now and why, for the control socket."""
        by = interruption_by(settings.interruption, hears_itself=self._hears_itself)
        echo = self._echo.status if self._echo else None
        in_doubt = self.speech_is_off or (echo and echo.state not in ("controlled", "inaudible"))
        return {
            "by": "wake_word" if by == "speech" and in_doubt else by,
            "lately_false": self.lately_false,
            "speech_is_off": self.speech_is_off,
            "echo": asdict(echo) if echo else None,
        }
