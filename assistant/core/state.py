"""The state table: each state, the events allowed in it, and what the listener waits for.

Rule 1: everything that affects the state is in ``TRANSITIONS``; nothing else decides it.
Rule 2: an event that the table does not allow raises and changes nothing.
Rule 3: muted outlives faults. A fault never opens a microphone that the user has closed.

A missing speaker is not a state: the assistant keeps listening and answers in writing (``outages``).

The table is pure; ``transitions`` executes it, and ``diagram`` draws the documentation from it.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal

from transitions import Machine, MachineError

from assistant.core import events as e
from assistant.core.errors import IllegalEvent


class State(Enum):
    STARTING = "starting"
    """Loading the models and warming them up."""
    SLEEPING = "sleeping"
    """Waiting for the wake word."""
    LISTENING = "listening"
    """The user is speaking; an answer may already be in preparation, silently."""
    THINKING = "thinking"
    """The user has finished, and no part of the answer has been played yet."""
    SPEAKING = "speaking"
    """Playing an answer or an announcement."""
    MUTED = "muted"
    """The user has closed the microphone."""
    FAULTED = "faulted"
    """Cannot listen: the microphone is gone, or an engine hangs. Announcements still work."""


_AWAKE: Final = (State.LISTENING, State.THINKING, State.SPEAKING)
_RUNNING: Final = (State.SLEEPING, *_AWAKE)

TRANSITIONS: Final[dict[tuple[State, type[e.Event]], State]] = {
    (State.STARTING, e.Ready): State.SLEEPING,
    (State.SLEEPING, e.Woken): State.LISTENING,
    (State.SLEEPING, e.Announced): State.SPEAKING,
    (State.LISTENING, e.NothingSaid): State.SLEEPING,
    (State.LISTENING, e.TurnEnded): State.THINKING,
    (State.THINKING, e.SpeechResumed): State.LISTENING,
    (State.THINKING, e.ReplyRefused): State.SLEEPING,
    (
        State.THINKING,
        e.FollowUpOpened,
    ): State.LISTENING,  # what was heard was noise, and the user may still speak
    (State.THINKING, e.ReplyStarted): State.SPEAKING,
    (State.THINKING, e.ReplyFinished): State.SLEEPING,  # nothing needed to be said
    (State.SPEAKING, e.ReplyFinished): State.SLEEPING,
    (State.SPEAKING, e.FollowUpOpened): State.LISTENING,
    (State.SPEAKING, e.BargedIn): State.LISTENING,
    (State.LISTENING, e.AnswerResumed): State.SPEAKING,  # too short to be speech
    (State.THINKING, e.AnswerResumed): State.SPEAKING,  # what was heard was noise, or the assistant itself
    **{(state, e.Stopped): State.SLEEPING for state in _AWAKE},
    **{(state, e.Muted): State.MUTED for state in (State.STARTING, *_RUNNING, State.FAULTED)},
    (State.MUTED, e.Unmuted): State.SLEEPING,
    **{(state, e.Faulted): State.FAULTED for state in (State.STARTING, *_RUNNING)},
    (State.FAULTED, e.Ready): State.SLEEPING,
    (State.FAULTED, e.Announced): State.SPEAKING,  # timers ring without a microphone
}
"""(state, event class) -> next state. Anything not listed is illegal."""


class StateMachine:
    """Holds the state; ``fire`` is the only way to change it."""

    state: State

    def __init__(self) -> None:
        self._machine = Machine(
            model=self,
            states=State,
            initial=State.STARTING,
            auto_transitions=False,
            transitions=[
                {"trigger": event.__name__, "source": source, "dest": target}
                for (source, event), target in TRANSITIONS.items()
            ],
        )

    def fire(self, event: e.Event) -> State:
        """Apply ``event`` and return the new state.

        Raises IllegalEvent, and changes nothing, if the table has no such transition.
        """
        name = type(event).__name__
        try:
            self._machine.events[name].trigger(self)
        except (KeyError, MachineError) as error:
            raise IllegalEvent(
                f"The event {name} is not allowed in the state {self.state.value}.",
                "This is a bug. Please report it, with the log lines before it.",
            ) from error
        return self.state

    def allows(self, event: type[e.Event]) -> bool:
        """True if the table has a transition for this kind of event in the current state."""
        return (self.state, event) in TRANSITIONS


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for (source, event), target in TRANSITIONS.items():
        arrows.setdefault((source, target), []).append(event.__name__)
    lines = ["stateDiagram-v2", f"    [*] --> {State.STARTING.value}"]
    lines += [f"    {s.value} --> {t.value}: {', '.join(names)}" for (s, t), names in arrows.items()]
    return "\n".join(lines) + "\n"


Interruption = Literal["off", "wake_word", "speech"]
"""What can stop an answer."""


class ListeningMode(Enum):
    """What the listener waits for; it depends on the state."""

    NOTHING = "nothing"
    """Frames are discarded."""
    WAKE_WORD = "wake word"
    """Only the wake word; other speech is discarded."""
    SPEECH = "speech"
    """Utterances."""
    COMMAND = "command"
    """Utterances and the wake word."""
    INTERRUPTION = "interruption"
    """Any speech over the assistant's own voice."""


def interruption_by(
    setting: Literal["auto", "off", "wake_word", "speech"], *, hears_itself: bool
) -> Interruption:
    """Resolve ``auto``: speech can interrupt only if the assistant does not hear its own voice."""
    if setting == "auto":
        return "wake_word" if hears_itself else "speech"
    return setting


def listening_mode(
    state: State, *, has_wake_word: bool, interruption: Interruption, only_commands: bool = False
) -> ListeningMode:
    """Return what to listen for, assuming the microphone is open.

    ``only_commands``: the turn began without a wake word.
    """
    if state is State.SLEEPING and has_wake_word:
        return ListeningMode.WAKE_WORD
    if state is not State.SPEAKING:
        return ListeningMode.COMMAND if only_commands and has_wake_word else ListeningMode.SPEECH
    if interruption == "speech":
        return ListeningMode.INTERRUPTION
    if interruption == "wake_word" and has_wake_word:
        return ListeningMode.WAKE_WORD
    return ListeningMode.NOTHING  # it would hear itself
