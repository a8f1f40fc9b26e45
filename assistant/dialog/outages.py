"""Tracks what is missing or broken, independent of the state: microphone, speaker, engine.

The loop records it; status, doctor and systemd report it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from assistant.core.errors import AssistantError, DeviceLost, DeviceStuck, DeviceUnavailable
from assistant.core.events import Event, Faulted, Ready, SpeakerFound, SpeakerLost
from assistant.core.state import HEARING, State

log = logging.getLogger(__name__)

Part: TypeAlias = Literal["microphone", "speaker", "engine"]

_MISSING = (DeviceUnavailable, DeviceLost, DeviceStuck)
"""Errors that mean a missing microphone or speaker."""

_WORDS: Mapping[Part, str] = {
    "microphone": "no microphone",
    "speaker": "no speaker",
    "engine": "an engine hangs",
}


class Outages:
    """What is missing now, and why. ``on_news`` is called when something is lost or found."""

    def __init__(self, on_news: Callable[[], None] = lambda: None) -> None:
        self._on_news = on_news
        self._errors: dict[Part, Exception] = {}

    def follow(self, event: Event, state: State) -> None:
        """Record an event. Raises errors that prevent starting, except for a missing device."""
        error = event.error if isinstance(event, Faulted | SpeakerLost) else None
        if error and state is State.STARTING and not isinstance(error, _MISSING):
            raise error
        if isinstance(event, Ready):
            self.found("microphone")
        elif isinstance(event, SpeakerFound):
            self.found("speaker")
        elif isinstance(event, SpeakerLost):
            self.lost("speaker", event.error)

    def lost(self, part: Part, error: Exception) -> bool:
        """Record that ``part`` is out of order; returns True if that is new. Logged once, however often it
        is tried.
        """
        is_news = part not in self._errors
        known = isinstance(error, AssistantError)
        level = logging.ERROR if is_news else logging.DEBUG
        log.log(level, "lost=%s fault=%s", part, error, exc_info=None if known else error)
        self._errors[part] = error
        if is_news:
            self._on_news()
        return is_news

    def found(self, part: Part) -> None:
        """Record that ``part`` works."""
        if self._errors.pop(part, None):
            log.info("found=%s", part)
            self._on_news()

    def __contains__(self, part: object) -> bool:
        return part in self._errors

    def instead_of(self, event: Event, state: State, target: State | None) -> Event:
        """Return the event to handle: while it can't listen, events that would lead to that become the
        fault.
        """
        error = self._errors.get("engine") or self._errors.get("microphone")
        if error and state is not State.MUTED and target in (State.SLEEPING, *HEARING):
            return Faulted(error)
        return event

    def __str__(self) -> str:
        """In words, such as "no microphone, no speaker"; empty if nothing is missing."""
        return ", ".join(words for part, words in _WORDS.items() if part in self._errors)

    @property
    def document(self) -> dict[str, dict[str, str]]:
        """Part -> ``code``, ``problem`` and ``next_step``, for the control socket."""
        return {part: told(error) for part, error in self._errors.items()}


def told(error: Exception) -> dict[str, str]:
    """Return ``code``, ``problem`` and ``next_step`` of any error."""
    if isinstance(error, AssistantError):
        return {"code": error.code, "problem": error.problem, "next_step": error.next_step}
    return {"code": AssistantError.code, "problem": str(error), "next_step": "Check the log."}
