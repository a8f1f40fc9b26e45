"""Every (state, event) pair: allowed ones go where the table says, others raise and change nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core import events as e
from assistant.core.errors import IllegalEvent
from assistant.core.state import TRANSITIONS, State, StateMachine, diagram
from assistant.core.types import Utterance

UTTERANCE: Any = Utterance.__new__(Utterance)
EXAMPLES: list[e.Event] = [
    e.Ready(),
    e.Woken(by="speech"),
    e.SpeechStarted(),
    e.SpeechGoesOn(UTTERANCE),
    e.SpeechPaused(UTTERANCE),
    e.SpeechResumed(),
    e.TurnEnded(UTTERANCE),
    e.NothingSaid(),
    e.ReplyStarted(),
    e.ReplyRefused("noise"),
    e.ReplyFinished(),
    e.FollowUpOpened(),
    e.BargedIn(),
    e.AnswerResumed(),
    e.Announced("It is time."),
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
    State.MUTED: [e.Ready, e.Muted],
    State.FAULTED: [e.Faulted],
}


def example(kind: type[e.Event]) -> e.Event:
    return next(event for event in EXAMPLES if type(event) is kind)


def machine_in(state: State) -> StateMachine:
    machine = StateMachine()
    for kind in ROUTES[state]:
        machine.fire(example(kind))
    assert machine.state is state
    return machine


def test_every_kind_of_event_has_an_example() -> None:
    known = {kind for kind in vars(e).values() if isinstance(kind, type) and issubclass(kind, e.Event)}
    assert {type(event) for event in EXAMPLES} == known - {e.Event}


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("state", State, ids=lambda state: state.value)
def test_pair(state: State, event: e.Event) -> None:
    machine = machine_in(state)
    target = TRANSITIONS.get((state, type(event)))
    assert machine.allows(type(event)) is (target is not None)
    if target is None:
        with pytest.raises(IllegalEvent):
            machine.fire(event)
        assert machine.state is state
    else:
        assert machine.fire(event) is target
        assert machine.state is target


def test_every_state_can_be_reached_and_left() -> None:
    assert set(TRANSITIONS.values()) | {State.STARTING} == set(State)
    assert {source for source, _ in TRANSITIONS} == set(State)


@given(st.lists(st.sampled_from(EXAMPLES), max_size=60))
def test_muted_is_left_only_by_unmuting(story: list[e.Event]) -> None:
    """Rule 3: no fault, timer or stray event ever opens a microphone that a person has closed."""
    machine = machine_in(State.MUTED)
    for event in story:
        if isinstance(event, e.Unmuted):
            return
        if machine.allows(type(event)):
            machine.fire(event)
        assert machine.state is State.MUTED


def test_from_anywhere_awake_one_stop_leads_to_sleep() -> None:
    for state in (State.LISTENING, State.THINKING, State.SPEAKING):
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
    assert sorted(drawn) == sorted((s.value, t.value, k.__name__) for (s, k), t in TRANSITIONS.items())
