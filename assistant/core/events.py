"""What the loop reacts to. Each event says what happened, never what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from assistant.core.types import Utterance


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. ``state.TRANSITIONS`` says where it leads, if it changes the state."""


@dataclass(frozen=True, slots=True)
class Ready(Event):
    """The microphone is heard, for the first time or again after a fault."""


@dataclass(frozen=True, slots=True)
class Woken(Event):
    """Somebody wants to speak: the wake word, a button, or, without a wake word, speech itself."""

    by: str
    by_hand: bool = False
    """A button or an order: no sound was mistaken for it."""


@dataclass(frozen=True, slots=True)
class SpeechStarted(Event):
    """Enough speech was heard to be more than a click."""


@dataclass(frozen=True, slots=True, eq=False)
class SpeechGoesOn(Event):
    """More has been said, and there was no pause yet."""

    utterance: Utterance


@dataclass(frozen=True, slots=True, eq=False)
class SpeechPaused(Event):
    """The first short pause: perhaps the turn is over."""

    utterance: Utterance


@dataclass(frozen=True, slots=True, eq=False)
class TurnEnded(Event):
    """The person has finished."""

    utterance: Utterance


@dataclass(frozen=True, slots=True)
class SpeechResumed(Event):
    """The person goes on after a pause: the turn has not ended, or had not after all."""


@dataclass(frozen=True, slots=True)
class NothingSaid(Event):
    """Nobody spoke after the wake word, or only noise was heard."""


@dataclass(frozen=True, slots=True)
class ReplyStarted(Event):
    """The first sample of the answer went to the speaker."""


@dataclass(frozen=True, slots=True)
class ReplyRefused(Event):
    """There will be no answer: noise was taken for speech."""

    reason: str


@dataclass(frozen=True, slots=True)
class ReplyFinished(Event):
    """The last sample of the answer was heard."""


@dataclass(frozen=True, slots=True)
class FollowUpOpened(Event):
    """The person may go on without a wake word: the answer was heard, or noise came instead of words."""


@dataclass(frozen=True, slots=True)
class BargedIn(Event):
    """Somebody spoke over the answer, or so it sounded."""


@dataclass(frozen=True, slots=True)
class AnswerResumed(Event):
    """What stopped the answer was nothing that anybody said: it goes on."""


@dataclass(frozen=True, slots=True)
class Announced(Event):
    """The assistant has something to say unasked, such as a timer that rings."""

    text: str


@dataclass(frozen=True, slots=True)
class Stopped(Event):
    """Whatever is going on shall end."""


@dataclass(frozen=True, slots=True)
class Muted(Event):
    """The microphone shall be closed."""


@dataclass(frozen=True, slots=True)
class Unmuted(Event):
    """The microphone may be opened again."""


@dataclass(frozen=True, slots=True, eq=False)
class Faulted(Event):
    """The microphone is gone, or an engine does not work any more."""

    error: Exception


@dataclass(frozen=True, slots=True, eq=False)
class SpeakerLost(Event):
    """The speaker is gone, or still is: what is said is not heard."""

    error: Exception


@dataclass(frozen=True, slots=True)
class SpeakerFound(Event):
    """The speaker is open, for the first time or again."""


@dataclass(frozen=True, slots=True, eq=False)
class Probed(Event):
    """Somebody wants to know whether events are still being handled."""

    handled: Callable[[], None]
    """Is called when it is this one's turn."""


@dataclass(frozen=True, slots=True)
class RecordingEnded(Event):
    """The microphone was a recording, and it is over."""
