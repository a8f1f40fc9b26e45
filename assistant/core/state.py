"""The state table: each state, the events allowed in it, and what the listener waits for.

Rule 1: everything that affects the state is in ``TRANSITIONS``; nothing else decides it.
Rule 2: an event that the table does not allow raises and changes nothing.
Rule 3: muted outlives faults. A fault never opens a microphone that the user has closed.

A missing speaker is not a state: the assistant keeps listening and answers in writing (``outages``).

The table is pure; ``transitions`` executes it, and ``diagram`` draws the documentation from it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, Literal, NamedTuple, TypeAlias

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
    INTERRUPTED = "interrupted"
    """The user spoke over the answer, which continues if no words were said."""
    MUTED = "muted"
    """The user has closed the microphone."""
    FAULTED = "faulted"
    """Cannot listen: the microphone is gone, or an engine hangs. Announcements still work."""


HEARING: Final = (State.LISTENING, State.INTERRUPTED)
"""States in which the user may speak."""

BETWEEN_TURNS: Final = (State.SLEEPING, State.MUTED, State.FAULTED)
"""States in which nobody is listened to or answered."""

_AWAKE: Final = (State.LISTENING, State.THINKING, State.SPEAKING, State.INTERRUPTED)
_RUNNING: Final = (State.SLEEPING, *_AWAKE)


class Guard(Enum):
    """A condition of a transition. The code that fires the machine knows whether it is met."""

    ANSWER_HELD = "answer held"
    """An interrupted answer can continue."""
    TIME_LEFT = "time left"
    """The user still has time to start speaking."""


class Transition(NamedTuple):
    source: State
    event: type[e.Event]
    target: State
    only_if: Guard | None = None


_ROWS: Final[tuple[tuple[State, type[e.Event], State] | tuple[State, type[e.Event], State, Guard], ...]] = (
    (State.STARTING, e.Ready, State.SLEEPING),
    (State.SLEEPING, e.Woken, State.LISTENING),
    (State.SLEEPING, e.Announced, State.SPEAKING),
    (State.LISTENING, e.NothingSaid, State.LISTENING, Guard.TIME_LEFT),
    (State.LISTENING, e.NothingSaid, State.SLEEPING),
    (State.LISTENING, e.TurnEnded, State.THINKING),
    (State.THINKING, e.SpeechResumed, State.INTERRUPTED, Guard.ANSWER_HELD),
    (State.THINKING, e.SpeechResumed, State.LISTENING),
    (State.THINKING, e.ReplyRefused, State.SPEAKING, Guard.ANSWER_HELD),  # noise, or its own voice
    (State.THINKING, e.ReplyRefused, State.LISTENING, Guard.TIME_LEFT),
    (State.THINKING, e.ReplyRefused, State.SLEEPING),
    (State.THINKING, e.FollowUpOpened, State.LISTENING),  # woken between two rings of a timer
    (State.THINKING, e.ReplyStarted, State.SPEAKING),
    (State.THINKING, e.ReplyFinished, State.SLEEPING),  # nothing needed to be said
    (State.SPEAKING, e.ReplyFinished, State.SLEEPING),
    (State.SPEAKING, e.FollowUpOpened, State.LISTENING),
    (State.SPEAKING, e.BargedIn, State.INTERRUPTED),
    (State.SPEAKING, e.Woken, State.LISTENING),  # a button or command, not a misheard sound
    (State.INTERRUPTED, e.NothingSaid, State.SPEAKING, Guard.ANSWER_HELD),  # too short to be speech
    (State.INTERRUPTED, e.NothingSaid, State.LISTENING, Guard.TIME_LEFT),
    (State.INTERRUPTED, e.NothingSaid, State.SLEEPING),
    (State.INTERRUPTED, e.Understood, State.LISTENING),  # the answer is over
    (State.INTERRUPTED, e.Woken, State.LISTENING),
    (State.INTERRUPTED, e.TurnEnded, State.THINKING),
    *((state, e.Stopped, State.SLEEPING) for state in _AWAKE),
    *((state, e.Muted, State.MUTED) for state in (State.STARTING, *_RUNNING, State.FAULTED)),
    (State.MUTED, e.Unmuted, State.SLEEPING),
    *((state, e.Faulted, State.FAULTED) for state in (State.STARTING, *_RUNNING)),
    (State.FAULTED, e.Ready, State.SLEEPING),
    (State.FAULTED, e.Announced, State.SPEAKING),  # timers ring without a microphone
)
TRANSITIONS: Final = tuple(Transition(*row) for row in _ROWS)
"""State, kind of event, next state, and optional guard. The first row whose guard is met counts; anything
not listed is illegal.
"""


Observer: TypeAlias = Callable[[e.Event, State], None]
"""Called with each event that led to another state, and that state."""


class StateMachine:
    """Holds the state; ``fire`` is the only way to change it. The parameters say which guards are met now."""

    state: State

    def __init__(self, *, answer_held: Callable[[], bool], time_left: Callable[[], bool]) -> None:
        self._holds = {Guard.ANSWER_HELD: answer_held, Guard.TIME_LEFT: time_left}
        self._machine = Machine(model=self, states=State, initial=State.STARTING, auto_transitions=False)
        for row in TRANSITIONS:
            only_if = self._holds[row.only_if] if row.only_if else None
            self._machine.add_transition(row.event.__name__, row.source, row.target, only_if)

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

    def target(self, event: type[e.Event]) -> State | None:
        """Return the next state for this kind of event now; None if the table has no such transition."""
        rows = (row for row in TRANSITIONS if (row.source, row.event) == (self.state, event))
        return next((row.target for row in rows if not row.only_if or self._holds[row.only_if]()), None)


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for row in TRANSITIONS:
        only_if = f" [{row.only_if.value}]" if row.only_if else ""
        arrows.setdefault((row.source, row.target), []).append(f"{row.event.__name__}{only_if}")
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
