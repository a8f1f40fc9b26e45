"""Which frames get through the gate, and where a word ends."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.types import FRAME_SAMPLES
from assistant.dialog.listener import WakeGate, end_of_speech


def through(pattern: Iterable[bool], gate: WakeGate | None = None) -> list[tuple[int, int]]:
    """(number of the frame that came, number of the frame that got through), in order."""
    gate = gate or WakeGate()
    return [
        (now, int(pcm[0]))
        for now, is_speech in enumerate(pattern)
        for pcm in gate.push(np.full(FRAME_SAMPLES, now, np.int16), is_speech=is_speech)
    ]


def test_nothing_gets_through_while_nobody_speaks() -> None:
    assert through([False] * 1000) == []


def test_a_flicker_opens_nothing() -> None:
    assert through(([True] * 2 + [False] * 10) * 20) == []


def test_speech_gets_through_with_what_came_before_it() -> None:
    story = through([False] * 100 + [True] * 40 + [False] * 100)
    frames = [frame for _, frame in story]
    assert frames[0] <= 100 - 500 // 20
    assert set(range(100, 140)) <= set(frames)


def test_the_backlog_is_worked_off_in_portions_and_soon() -> None:
    story = through([False] * 100 + [True] * 40)
    portions = [sum(now == each for now, _ in story) for each in range(140)]
    assert max(portions) <= 8
    behind = [now - frame for now, frame in story]
    assert behind[0] > 25
    assert 0 in behind
    assert story[behind.index(0)][0] <= 112


def test_it_closes_a_while_after_speech_and_opens_again() -> None:
    story = through([False] * 50 + [True] * 20 + [False] * 200 + [True] * 20)
    came = sorted({now for now, _ in story})
    gap = max(np.diff(came))
    assert 200 - 70 < gap < 200 - 30


def test_pauses_within_a_word_do_not_close_it() -> None:
    frames = [frame for _, frame in through(([True] * 10 + [False] * 20) * 10)]
    assert frames == list(range(frames[0], frames[-1] + 1))


@given(st.lists(st.booleans(), max_size=400))
def test_frames_come_in_order_and_at_most_once(pattern: list[bool]) -> None:
    story = through(pattern)
    frames = [frame for _, frame in story]
    assert frames == sorted(set(frames))
    assert all(frame <= now for now, frame in story)


def test_reset_forgets_what_was_heard() -> None:
    gate = WakeGate()
    through([True] * 20, gate)
    gate.reset()
    assert through([False] * 20, gate) == []


def test_the_last_silence_that_is_long_enough_is_found() -> None:
    speech, silence = [True], [False]
    assert end_of_speech(speech * 12, 3) is None
    assert end_of_speech(speech * 9 + silence * 3, 3) == 9
    assert end_of_speech(speech * 4 + silence * 5 + speech * 3, 3) == 4
    assert end_of_speech(silence * 3 + speech * 3 + silence * 4 + speech * 2, 3) == 6
    assert end_of_speech(speech * 5 + silence * 2 + speech * 5, 3) is None
    assert end_of_speech(silence * 4 + speech * 4 + silence * 2, 3) == 0
    assert end_of_speech([], 3) is None


@given(st.lists(st.booleans(), max_size=12), st.integers(1, 5))
def test_what_is_found_is_a_silence_of_that_length(latest: list[bool], frames: int) -> None:
    start = end_of_speech(latest, frames)
    runs = [n for n in range(len(latest) - frames + 1) if not any(latest[n : n + frames])]
    assert (start is None) == (not runs)
    if start is not None:
        assert not any(latest[start : start + frames])
        assert start <= runs[-1]
        assert not any(latest[start : runs[-1] + frames])
