"""Frames with known speech in; when utterances begin, pause, resume and end is checked to the frame."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.events import (
    Event,
    NothingSaid,
    SpeechGoesOn,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    TurnEnded,
)
from assistant.core.types import FRAME_MS, FRAME_SAMPLES, AudioFrame
from assistant.dialog.endpointer import Endpointer
from assistant.settings.schema import EndpointSettings

SETTINGS = EndpointSettings(read_ahead_ms=0)


def frames(pattern: Iterable[bool]) -> list[tuple[AudioFrame, bool]]:
    """Frame n carries the value n, so that cut-outs can be recognised."""
    return [
        (AudioFrame(np.full(FRAME_SAMPLES, n, np.int16), (n + 1) * FRAME_MS / 1000), speech)
        for n, speech in enumerate(pattern)
    ]


def spans(*lengths_ms: int) -> list[bool]:
    """Silence, speech, silence, ... each this long."""
    return [bool(n % 2) for n, length_ms in enumerate(lengths_ms) for _ in range(length_ms // FRAME_MS)]


def heard(pattern: list[bool], endpointer: Endpointer | None = None) -> list[tuple[int, Event]]:
    """(milliseconds since the first frame, event) for every event."""
    endpointer = endpointer or Endpointer(SETTINGS)
    return [
        (round(frame.end_s * 1000), event)
        for frame, speech in frames(pattern)
        if (event := endpointer.push(frame, is_speech=speech))
    ]


def kinds(story: list[tuple[int, Event]]) -> list[type[Event]]:
    return [type(event) for _, event in story]


def test_one_utterance() -> None:
    story = heard(spans(1000, 800, 1000))
    assert [(ms, type(event)) for ms, event in story] == [
        (1100, SpeechStarted),
        (1800 + SETTINGS.pause_ms, SpeechPaused),
        (2400, TurnEnded),
    ]
    ended = story[-1][1]
    assert isinstance(ended, TurnEnded)
    assert ended.utterance.speech_end_s == 1.8
    assert ended.utterance.speech_ms == 800


def test_the_first_phoneme_has_its_pre_roll() -> None:
    story = heard(spans(1000, 800, 1000))
    ended = story[-1][1]
    assert isinstance(ended, TurnEnded)
    first_frame = int(ended.utterance.pcm[0])
    assert first_frame * FRAME_MS == 1000 - SETTINGS.pre_roll_ms


def test_speech_from_the_very_first_frame() -> None:
    assert kinds(heard(spans(0, 400, 1000))) == [SpeechStarted, SpeechPaused, TurnEnded]


def test_clicks_start_nothing() -> None:
    click = spans(300, 60)
    assert heard(click * 20) == []


def test_a_soft_start_with_gaps_counts() -> None:
    story = heard(spans(500, 60, 40, 60, 40, 400, 1000))
    assert kinds(story) == [SpeechStarted, SpeechPaused, TurnEnded]
    ended = story[-1][1]
    assert isinstance(ended, TurnEnded)
    assert int(ended.utterance.pcm[0]) * FRAME_MS == 500 - SETTINGS.pre_roll_ms


def test_a_pause_and_then_more() -> None:
    story = heard(spans(500, 600, 400, 600, 1000))
    assert kinds(story) == [SpeechStarted, SpeechPaused, SpeechResumed, SpeechPaused, TurnEnded]
    ended = story[-1][1]
    assert isinstance(ended, TurnEnded)
    assert ended.utterance.speech_end_s == 2.1


def test_a_click_in_a_pause_does_not_prolong_it() -> None:
    story = heard(spans(500, 600, 300, 40, 1000))
    assert kinds(story) == [SpeechStarted, SpeechPaused, TurnEnded]
    assert story[-1][0] == 500 + 600 + SETTINGS.unclear_ms


def test_more_patience_for_unfinished_words() -> None:
    endpointer = Endpointer(SETTINGS)
    events = []
    for frame, speech in frames(spans(500, 600, 3000)):
        event = endpointer.push(frame, is_speech=speech)
        if isinstance(event, SpeechPaused):
            endpointer.required_silence_ms = SETTINGS.unfinished_ms
        if isinstance(event, TurnEnded):
            events.append(round(frame.end_s * 1000))
    assert events == [500 + 600 + SETTINGS.unfinished_ms]


def test_going_on_after_the_end_makes_one_utterance_of_both() -> None:
    story = heard(spans(500, 600, 900, 600, 1000))
    assert kinds(story) == [
        SpeechStarted,
        SpeechPaused,
        TurnEnded,
        SpeechResumed,
        SpeechPaused,
        TurnEnded,
    ]
    last = story[-1][1]
    assert isinstance(last, TurnEnded)
    assert int(last.utterance.pcm[0]) * FRAME_MS == 500 - SETTINGS.pre_roll_ms


def test_reset_forgets_the_utterance_but_keeps_pre_roll() -> None:
    endpointer = Endpointer(SETTINGS)
    pattern = spans(500, 600, 700, 600, 1000)
    turns = []
    for frame, speech in frames(pattern):
        event = endpointer.push(frame, is_speech=speech)
        if isinstance(event, TurnEnded):
            turns.append(event.utterance)
            endpointer.reset()
    assert len(turns) == 2
    assert int(turns[1].pcm[0]) * FRAME_MS == 1800 - SETTINGS.pre_roll_ms


def test_too_little_speech_is_nothing() -> None:
    story = heard(spans(500, 120, 1000))
    assert kinds(story) == [SpeechStarted, NothingSaid]


def test_endless_speech_is_ended() -> None:
    story = heard(spans(500, 60_000))
    assert kinds(story)[:2] == [SpeechStarted, TurnEnded]
    ended = story[1][1]
    assert isinstance(ended, TurnEnded)
    assert ended.utterance.duration_ms == SETTINGS.max_utterance_ms


def test_what_goes_on_is_told_now_and_then() -> None:
    endpointer = Endpointer(EndpointSettings(read_ahead_ms=800))
    story = heard(spans(1000, 2500, 900), endpointer)
    assert kinds(story) == [SpeechStarted, SpeechGoesOn, SpeechGoesOn, SpeechGoesOn, SpeechPaused, TurnEnded]
    looks = [(ms, event.utterance) for ms, event in story if isinstance(event, SpeechGoesOn)]
    assert [later - earlier for (earlier, _), (later, _) in itertools.pairwise(looks)] == [800, 800]
    assert all(utterance.pcm[0] == looks[0][1].pcm[0] for _, utterance in looks)


@given(st.lists(st.booleans(), max_size=600))
def test_any_pattern(pattern: list[bool]) -> None:
    """Whatever the VAD says: events come in a legal order and utterances are contiguous sound."""
    legal: dict[type[Event] | None, set[type[Event]]] = {
        None: {SpeechStarted},
        SpeechStarted: {SpeechGoesOn, SpeechPaused, TurnEnded, NothingSaid, SpeechResumed},
        SpeechGoesOn: {SpeechGoesOn, SpeechPaused, TurnEnded, SpeechResumed},
        SpeechPaused: {SpeechResumed, TurnEnded},
        SpeechResumed: {SpeechGoesOn, SpeechPaused, TurnEnded},
        TurnEnded: {SpeechResumed},
        NothingSaid: {SpeechStarted},
    }
    before: type[Event] | None = None
    for ms, event in heard(pattern, Endpointer(EndpointSettings(read_ahead_ms=300))):
        assert type(event) in legal[before]
        before = type(event)
        if isinstance(event, SpeechPaused | TurnEnded):
            pcm = event.utterance.pcm[::FRAME_SAMPLES]
            assert list(np.diff(pcm)) == [1] * (len(pcm) - 1)
            assert SETTINGS.min_speech_ms <= event.utterance.speech_ms <= event.utterance.duration_ms
            assert round(event.utterance.speech_end_s * 1000) <= ms
