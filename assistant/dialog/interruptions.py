"""What may stop an answer: the settings, limited by the echo and recent false interruptions.

An interruption is false if nobody said anything. If that happens often, speech stops interrupting: what would
have interrupted is only counted, until a minute of speaking passes without it. Time is speaking time, not
elapsed time: an assistant that says little learns as much from each answer.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from assistant.audio import EchoControl
from assistant.core.state import Interruption, interruption_by
from assistant.settings.schema import ConversationSettings

log = logging.getLogger(__name__)

_SPOKEN_S = 60.0
"""Speaking time that is taken into account."""

_OFTEN = 3
"""A cough and a door may come within a minute of answers; three mean the room, a television or the echo."""

_OFF = "Voice interruption is off:"

_IN_ONE_ANSWER = 2
"""An answer that was falsely interrupted this often continues to its end."""


class Interruptions:
    """Tracks interruptions. ``echo`` cancels the assistant's voice; ``hears_itself`` means that nothing
    does.
    """

    def __init__(self, *, hears_itself: bool, echo: EchoControl | None) -> None:
        self._hears_itself = hears_itself
        self._echo = echo
        self._spoken_s = 0.0
        self._false_s: deque[float] = deque(maxlen=_OFTEN)
        self._was_off = False

    def by(self, settings: ConversationSettings, already_false: int) -> Interruption:
        """Return what to listen for during an answer that was falsely interrupted ``already_false`` times."""
        if already_false >= _IN_ONE_ANSWER:
            return "off"
        return interruption_by(settings.interruption, hears_itself=self._hears_itself)

    def spoke(self, seconds: float) -> None:
        """Record that the assistant spoke for this long."""
        self._spoken_s += seconds
        self._note()

    def was_false(self) -> None:
        """Record a false interruption, actual or only counted."""
        self._false_s.append(self._spoken_s)
        if self._echo:
            self._echo.was_wrong()
        self._note()

    @property
    def lately_false(self) -> int:
        """Number of false interruptions in the last minute of speaking, up to three."""
        return sum(self._spoken_s - at_s < _SPOKEN_S for at_s in self._false_s)

    @property
    def speech_is_off(self) -> bool:
        """True if speech must not interrupt for now."""
        return self.lately_false >= _OFTEN

    def _note(self) -> None:
        if self.speech_is_off is not self._was_off:
            self._was_off = not self._was_off
            log.warning(
                "interrupting_by_voice=%s false=%d", "off" if self._was_off else "on", self.lately_false
            )

    def document(self, settings: ConversationSettings) -> Mapping[str, object]:
        """Return what currently stops an answer and why, for the control socket."""
        by = interruption_by(settings.interruption, hears_itself=self._hears_itself)
        echo = self._echo.status if self._echo else None
        in_doubt = self.speech_is_off or (echo and echo.state not in ("controlled", "inaudible"))
        document: dict[str, Any] = {
            "by": "wake_word" if by == "speech" and in_doubt else by,
            "wanted": by,
            "lately_false": self.lately_false,
            "speech_is_off": self.speech_is_off,
            "echo": asdict(echo) if echo else None,
        }
        return document | {"why_not": why_not_by_voice(document)}


def why_not_by_voice(document: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return why speech doesn't interrupt although it should, and the next step; None if it does.

    ``document`` comes from ``Interruptions``. An echo that was never heard is no problem.
    """
    if document["wanted"] != "speech":
        return None
    echo = document["echo"] or {}
    if echo.get("state") == "far":
        what = f"the echo arrives after {echo['late_ms']} ms, as with Bluetooth."
        return (
            f"{_OFF} {what} Only the wake word interrupts.",
            "Use a wired speaker, or see docs/echo.md.",
        )
    if document["speech_is_off"]:
        times = document["lately_false"]
        what = f"in the last minute, the assistant's own voice would have interrupted it {times} times."
    elif echo.get("state") == "uncontrolled":
        what = "too much of the assistant's own voice is left in the microphone signal."
    else:
        return None
    return f"{_OFF} {what}", "Move the microphone, lower the volume, or see docs/echo.md."
