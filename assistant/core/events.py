"""Events that the loop reacts to. Each one says what happened, never what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from assistant.core.types import Transcript, Utterance


@dataclass(frozen=True, slots=True)
class Event:
    """Base class of all events. ``state.TRANSITIONS`` says which ones change the state, and to what."""


@dataclass(frozen=True, slots=True)
class Ready(Event):
    """Audio is arriving from the microphone, at startup or after a fault."""


@dataclass(frozen=True, slots=True)
class Woken(Event):
    """The user wants to speak: wake word, button or, without a wake word, speech itself."""

    by: str
    by_hand: bool = False
    """True for a button or a command, which cannot be a misheard sound."""


@dataclass(frozen=True, slots=True)
class SpeechStarted(Event):
    """Enough speech was detected to rule out a click."""


@dataclass(frozen=True, slots=True, eq=False)
class SpeechGoesOn(Event):
    """The user is still speaking, without a pause so far."""

    utterance: Utterance


@dataclass(frozen=True, slots=True, eq=False)
class SpeechPaused(Event):
    """The first short pause: the turn may be over."""

    utterance: Utterance


@dataclass(frozen=True, slots=True, eq=False)
class TurnEnded(Event):
    """The user has finished speaking."""

    utterance: Utterance


@dataclass(frozen=True, slots=True)
class SpeechResumed(Event):
    """The user continues after a pause, so the turn isn't over, or wasn't after all."""


@dataclass(frozen=True, slots=True, eq=False)
class Understood(Event):
    """The words are known, and get an answer."""

    transcript: Transcript


@dataclass(frozen=True, slots=True, eq=False)
class NotUnderstood(Event):
    """The words are known, and get no answer as they are; perhaps there are more."""

    transcript: Transcript


@dataclass(frozen=True, slots=True)
class NothingSaid(Event):
    """No speech followed the wake word, or only noise was heard."""


@dataclass(frozen=True, slots=True)
class ReplyStarted(Event):
    """The first sample of the answer was sent to the speaker."""


@dataclass(frozen=True, slots=True)
class ReplyRefused(Event):
    """There will be no answer, because what was heard turned out to be noise."""

    reason: str


@dataclass(frozen=True, slots=True)
class ReplyFinished(Event):
    """The last sample of the answer was played."""


@dataclass(frozen=True, slots=True)
class FollowUpOpened(Event):
    """The answer has ended, and the user may speak without a wake word."""


@dataclass(frozen=True, slots=True)
class BargedIn(Event):
    """Speech was detected over the answer."""


@dataclass(frozen=True, slots=True)
class Announced(Event):
    """The assistant speaks without being asked, for example when a timer rings."""

    text: str


@dataclass(frozen=True, slots=True)
class EarconStarted(Event):
    """A short sound of the assistant's own can be heard."""

    audible_s: float
    """For how long, with its echo."""


@dataclass(frozen=True, slots=True)
class Stopped(Event):
    """Stop whatever is in progress."""


@dataclass(frozen=True, slots=True)
class Muted(Event):
    """Close the microphone."""


@dataclass(frozen=True, slots=True)
class Unmuted(Event):
    """The microphone may be opened again."""


@dataclass(frozen=True, slots=True, eq=False)
class Faulted(Event):
    """The microphone was disconnected, or an engine has stopped working."""

    error: Exception


@dataclass(frozen=True, slots=True, eq=False)
class SpeakerLost(Event):
    """The speaker is disconnected, so speech cannot be heard."""

    error: Exception


@dataclass(frozen=True, slots=True)
class SpeakerFound(Event):
    """The speaker is open, for the first time or again."""


@dataclass(frozen=True, slots=True, eq=False)
class Probed(Event):
    """A watchdog asks whether events are still being handled."""

    handled: Callable[[], None]
    """Called when this event's turn comes."""


@dataclass(frozen=True, slots=True)
class RecordingEnded(Event):
    """The recording that served as microphone has ended."""
