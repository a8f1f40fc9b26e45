"""Two clocks are kept together by the echo, or by what the devices say."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.audio.alignment import Alignment
from assistant.audio.resample import Samples, to_float
from assistant.types import FRAME_SAMPLES
from tests.rooms import babble

SOUND = to_float(babble(20))


def shifted(at: float) -> Samples:
    """A frame from there; positions between samples are near enough."""
    begin = round(at)
    return SOUND[begin : begin + FRAME_SAMPLES]


@pytest.mark.parametrize("drift_ppm", [-100.0, 0.0, 40.0, 100.0])
def test_before_there_is_any_echo_the_clocks_are_followed(drift_ppm: float) -> None:
    alignment = Alignment()
    frames, rate = 1000, 1 + drift_ppm * 1e-6
    for number in range(frames):
        position, step = alignment.next(number * FRAME_SAMPLES * rate)
    assert position == pytest.approx((frames - 1) * FRAME_SAMPLES * rate, abs=1)
    assert (step - 1) * 1e6 == pytest.approx(drift_ppm, abs=5)


@pytest.mark.parametrize("drift_ppm", [-100.0, 100.0])
def test_an_echo_tells_the_drift_even_when_the_clocks_do_not(drift_ppm: float) -> None:
    alignment = Alignment()
    where = 2000.0
    for number in range(800):
        position, _ = alignment.next(2000.0 + number * FRAME_SAMPLES)
        alignment.heard(shifted(where), shifted(position))
        where += FRAME_SAMPLES * (1 + drift_ppm * 1e-6)
    assert alignment.drift_ppm == pytest.approx(drift_ppm, abs=30)


def test_jitter_of_the_clocks_moves_nothing_once_an_echo_was_heard() -> None:
    alignment = Alignment()
    random = np.random.default_rng(0)
    begin, _ = alignment.next(2000.0)
    alignment.heard(shifted(begin), shifted(begin))
    for number in range(1, 2000):
        clock = 2000.0 + number * FRAME_SAMPLES + random.uniform(-16, 16)
        position, step = alignment.next(clock)
    assert position == pytest.approx(2000 + 1999 * FRAME_SAMPLES, abs=2)
    assert step == pytest.approx(1, abs=1e-6)


def test_lost_sound_is_made_up_for_at_once() -> None:
    alignment = Alignment()
    alignment.next(0.0)
    position, _ = alignment.next(FRAME_SAMPLES + 3200.0)
    assert position == FRAME_SAMPLES + 3200


def test_what_was_moved_stays_moved() -> None:
    alignment = Alignment()
    alignment.next(0.0)
    alignment.moved(640)
    for number in range(1, 500):
        position, _ = alignment.next(number * FRAME_SAMPLES)
    assert position == pytest.approx(499 * FRAME_SAMPLES - 640, abs=1)


def test_silence_tells_nothing() -> None:
    alignment = Alignment()
    alignment.next(0.0)
    nothing = np.zeros(FRAME_SAMPLES, np.float32)
    alignment.heard(nothing, nothing)
    assert alignment.drift_ppm == 0
