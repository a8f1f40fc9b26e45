"""Two streams are kept together by the echo alone."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.audio.echo.alignment import Alignment
from assistant.audio.resample import Samples, to_float
from assistant.core.types import FRAME_SAMPLES
from tests.rooms import babble

SOUND = to_float(babble(20))


def shifted(at: float) -> Samples:
    """A frame from there; positions between samples are near enough."""
    begin = round(at)
    return SOUND[begin : begin + FRAME_SAMPLES]


@pytest.mark.parametrize("drift_ppm", [-100.0, 100.0])
def test_an_echo_tells_the_drift(drift_ppm: float) -> None:
    alignment = Alignment()
    alignment.place(2000.0)
    where = 2000.0
    for _ in range(800):
        position, _step = alignment.next()
        alignment.follow(shifted(where), shifted(position))
        where += FRAME_SAMPLES * (1 + drift_ppm * 1e-6)
    assert alignment.drift_ppm == pytest.approx(drift_ppm, abs=30)
    assert alignment.position == pytest.approx(where, abs=2)


def test_one_wrong_measurement_moves_hardly_anything() -> None:
    alignment = Alignment()
    alignment.place(2000.0)
    for number in range(100):
        position, _step = alignment.next()
        wrong = 30 if number == 50 else 0
        alignment.follow(shifted(position + wrong), shifted(position))
    assert abs(alignment.drift_ppm) < 20
    assert alignment.position == pytest.approx(2000 + 100 * FRAME_SAMPLES, abs=2)


def test_the_drift_never_exceeds_what_clocks_can_do() -> None:
    alignment = Alignment()
    alignment.place(2000.0)
    for _ in range(400):
        position, _step = alignment.next()
        alignment.follow(shifted(position + 3), shifted(position))
        assert abs(alignment.drift_ppm) <= 300


def test_without_an_echo_it_goes_on_at_its_rate() -> None:
    alignment = Alignment()
    alignment.place(640.0)
    positions = [alignment.next() for _ in range(3)]
    assert positions == [(640.0, 1.0), (960.0, 1.0), (1280.0, 1.0)]


def test_silence_tells_nothing() -> None:
    alignment = Alignment()
    nothing = np.zeros(FRAME_SAMPLES, np.float32)
    alignment.follow(nothing, nothing)
    assert alignment.drift_ppm == alignment.position == 0
