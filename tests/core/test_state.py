"""Every (state, event) pair: allowed ones go where the table says, others raise and change nothing.

The listener hears its own voice only if told so, and waits for the wake word alone while asleep.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core import events as e
from assistant.core.errors import IllegalEvent
from assistant.core.state import (
    TRANSITIONS,
    Guard,
    Interruption,
    ListeningMode,
    State,
    StateMachine,
    Transition,
    diagram,
    interruption_by,
    listening_mode,
)
from assistant.core.types import Transcript, Utterance

UTTERANCE: Any = Utterance.__new__(Utterance)
EXAMPLES: list[e.Event] = [
    e.Ready(),
    e.Woken(by="speech"),
    e.SpeechStarted(),
    e.SpeechGoesOn(UTTERANCE),
    e.SpeechPaused(UTTERANCE),
    e.SpeechResumed(),
    e.TurnEnded(UTTERANCE),
    e.Understood(Transcript("Go on.")),
    e.NotUnderstood(Transcript("Go on.")),
    e.NothingSaid(),
    e.ReplyStarted(),
    e.ReplyRefused("noise"),
    e.ReplyFinished(),
    e.FollowUpOpened(),
    e.BargedIn(),
    e.Announced("It is time."),
    e.EarconStarted(0.4),
    e.Stopped(),
    e.Muted(),
    e.Unmuted(),
    e.Faulted(RuntimeError()),
    e.SpeakerLost(RuntimeError()),
    e.SpeakerFound(),
    e.Probed(lambda: None),
    e.RecordingEnded(),
]
ROUTES: dict[State, list[type[e.Event]]] = {
    State.STARTING: [],
    State.SLEEPING: [e.Ready],
    State.LISTENING: [e.Ready, e.Woken],
    State.THINKING: [e.Ready, e.Woken, e.TurnEnded],
    State.SPEAKING: [e.Ready, e.Announced],
    State.INTERRUPTED: [e.Ready, e.Announced, e.BargedIn],
    State.MUTED: [e.Ready, e.Muted],
    State.FAULTED: [e.Faulted],
}


def example(kind: type[e.Event]) -> e.Event:
    return next(event for event in EXAMPLES if type(event) is kind)


def machine_in(state: State, *holding: Guard) -> StateMachine:
    """A machine in that state, for which these guards hold."""
    machine = StateMachine(
        answer_held=lambda: Guard.ANSWER_HELD in holding, time_left=lambda: Guard.TIME_LEFT in holding
    )
    for kind in ROUTES[state]:
        machine.fire(example(kind))
    assert machine.state is state
    return machine


def row_for(state: State, event: type[e.Event], holding: tuple[Guard, ...]) -> Transition | None:
    """The first row of the table that holds."""
    rows = [row for row in TRANSITIONS if (row.source, row.event) == (state, event)]
    return next((row for row in rows if row.only_if is None or row.only_if in holding), None)


def test_every_kind_of_event_has_an_example() -> None:
    known = {kind for kind in vars(e).values() if isinstance(kind, type) and issubclass(kind, e.Event)}
    assert {type(event) for event in EXAMPLES} == known - {e.Event}


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("state", State, ids=lambda state: state.value)
@pytest.mark.parametrize("holding", [(), (Guard.ANSWER_HELD,), (Guard.TIME_LEFT,), tuple(Guard)])
def test_pair(state: State, event: e.Event, holding: tuple[Guard, ...]) -> None:
    machine = machine_in(state, *holding)
    row = row_for(state, type(event), holding)
    if row is None:
        assert machine.target(type(event)) is None
        with pytest.raises(IllegalEvent):
            machine.fire(event)
        assert machine.state is state
    else:
        assert machine.target(type(event)) is row.target
        assert machine.fire(event) is row.target
        assert machine.state is row.target


def test_every_state_can_be_reached_and_left() -> None:
    assert {row.target for row in TRANSITIONS} | {State.STARTING} == set(State)
    assert {row.source for row in TRANSITIONS} == set(State)


def test_whatever_the_guards_say_there_is_one_way_on_and_each_row_can_count() -> None:
    """A row behind one without a guard would never count, and an event with guards only could be lost."""
    ways: dict[tuple[State, type[e.Event]], list[Guard | None]] = {}
    for row in TRANSITIONS:
        ways.setdefault((row.source, row.event), []).append(row.only_if)
    for guards in ways.values():
        assert guards.count(None) == 1
        assert guards[-1] is None
        assert len(set(guards)) == len(guards)


def test_an_interrupted_answer_goes_on_unless_somebody_said_something() -> None:
    held = (Guard.ANSWER_HELD,)
    assert machine_in(State.INTERRUPTED, *held).fire(e.NothingSaid()) is State.SPEAKING
    machine = machine_in(State.INTERRUPTED, *held)
    assert machine.fire(e.TurnEnded(UTTERANCE)) is State.THINKING
    assert machine.fire(e.SpeechResumed()) is State.INTERRUPTED
    assert machine.fire(e.TurnEnded(UTTERANCE)) is State.THINKING
    assert machine.fire(e.ReplyRefused("noise")) is State.SPEAKING
    machine = machine_in(State.INTERRUPTED, *held)
    assert machine.fire(e.Understood(Transcript("Stop it."))) is State.LISTENING


@given(st.lists(st.sampled_from(EXAMPLES), max_size=60))
def test_muted_is_left_only_by_unmuting(story: list[e.Event]) -> None:
    """Rule 3: no fault, timer or stray event ever opens a microphone that a person has closed."""
    machine = machine_in(State.MUTED)
    for event in story:
        if isinstance(event, e.Unmuted):
            return
        if machine.target(type(event)):
            machine.fire(event)
        assert machine.state is State.MUTED


def test_from_anywhere_awake_one_stop_leads_to_sleep() -> None:
    for state in (State.LISTENING, State.THINKING, State.SPEAKING, State.INTERRUPTED):
        assert machine_in(state).fire(e.Stopped()) is State.SLEEPING


def test_the_diagram_shows_every_transition_once() -> None:
    drawn = [
        (source, target, name)
        for line in diagram().splitlines()
        if " --> " in line and ": " in line
        for ends, names in [line.strip().split(": ")]
        for source, target in [ends.split(" --> ")]
        for name in names.split(", ")
    ]
    assert sorted(drawn) == sorted(
        (
            row.source.value,
            row.target.value,
            row.event.__name__ + (f" [{row.only_if.value}]" if row.only_if else ""),
        )
        for row in TRANSITIONS
    )


# What is listened for in each state.


@pytest.mark.parametrize(
    ("interruption", "with_word", "without_word"),
    [
        ("off", ListeningMode.NOTHING, ListeningMode.NOTHING),
        ("wake_word", ListeningMode.WAKE_WORD, ListeningMode.NOTHING),
        ("speech", ListeningMode.INTERRUPTION, ListeningMode.INTERRUPTION),
    ],
)
def test_while_it_speaks(
    interruption: Interruption, with_word: ListeningMode, without_word: ListeningMode
) -> None:
    heard = [
        listening_mode(State.SPEAKING, has_wake_word=has, interruption=interruption) for has in (True, False)
    ]
    assert heard == [with_word, without_word]


@pytest.mark.parametrize("interruption", ["off", "wake_word", "speech"])
def test_while_it_does_not_speak(interruption: Interruption) -> None:
    for state in (State.LISTENING, State.THINKING, State.INTERRUPTED):
        for has in (True, False):
            heard = listening_mode(state, has_wake_word=has, interruption=interruption)
            assert heard is ListeningMode.SPEECH
    asleep = [
        listening_mode(State.SLEEPING, has_wake_word=has, interruption=interruption) for has in (True, False)
    ]
    assert asleep == [ListeningMode.WAKE_WORD, ListeningMode.SPEECH]


def test_only_who_does_not_hear_its_own_voice_is_stopped_by_any_speech() -> None:
    assert interruption_by("auto", hears_itself=True) == "wake_word"
    assert interruption_by("auto", hears_itself=False) == "speech"


@pytest.mark.parametrize("chosen", ["off", "wake_word", "speech"])
def test_what_was_chosen_is_kept(chosen: Interruption) -> None:
    assert [interruption_by(chosen, hears_itself=hears) for hears in (True, False)] == [chosen, chosen]
