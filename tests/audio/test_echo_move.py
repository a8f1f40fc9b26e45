"""An echo that moved or changed its volume is told from a person who begins to speak."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.audio.echo.move import Move, find_move
from assistant.audio.resample import Samples, to_float
from assistant.core.types import FRAME_SAMPLES
from assistant.tools.bench.room.simulated import living_room
from tests.rooms import babble

ECHO = np.convolve(to_float(babble(10, seed=1)), living_room(0.4))[:160_000].astype(np.float32)
PERSON = to_float(babble(10, seed=2))
AROUND = 4800


def frame(begin: int, later: int = 0, gain: float = 1.0, person: float = 0.0) -> Move | None:
    """What is found in one frame, where the echo was expected at ``begin`` and is ``later`` and louder."""
    expected = ECHO[begin : begin + FRAME_SAMPLES]
    heard = gain * ECHO[begin - later : begin - later + FRAME_SAMPLES]
    heard = heard + person * PERSON[begin : begin + FRAME_SAMPLES]
    around: Samples = ECHO[begin - AROUND : begin + AROUND]
    return find_move(heard.astype(np.float32), (heard - expected).astype(np.float32), around)


def loud(begin: int) -> bool:
    return bool(np.abs(ECHO[begin : begin + FRAME_SAMPLES]).max() > 0.05)


BEGINS = st.integers(2 * AROUND, len(ECHO) - 2 * AROUND).filter(loud)


@settings(max_examples=60)
@given(BEGINS, st.integers(-3000, 3000).filter(lambda later: abs(later) > 20))
def test_a_jump_is_measured(begin: int, later: int) -> None:
    if loud(begin - later):
        move = frame(begin, later)
        assert move
        assert move.samples == pytest.approx(later, abs=0.25)
        assert move.gain == pytest.approx(1.0, abs=0.05)
        assert move.left < 0.01


@settings(max_examples=60)
@given(BEGINS, st.integers(-3000, 3000).filter(lambda later: abs(later) > 20), st.sampled_from([1 / 3, 0.5]))
def test_a_jump_by_parts_of_a_sample_is_measured(begin: int, later: int, part: float) -> None:
    """Streams at 48 kHz jump by thirds of our samples."""
    turns = np.exp(-2j * np.pi * part * np.fft.rfftfreq(len(ECHO)))
    moved = np.fft.irfft(np.fft.rfft(ECHO) * turns, len(ECHO)).astype(np.float32)
    heard = moved[begin - later : begin - later + FRAME_SAMPLES]
    if loud(begin - later):
        rest = heard - ECHO[begin : begin + FRAME_SAMPLES]
        move = find_move(heard, rest, ECHO[begin - AROUND : begin + AROUND])
        assert move
        assert move.samples == pytest.approx(later + part, abs=0.25)


@settings(max_examples=60)
@given(BEGINS, st.one_of(st.floats(0.1, 0.5), st.floats(2.0, 8.0)))
def test_a_knob_that_is_turned_is_measured(begin: int, gain: float) -> None:
    move = frame(begin, gain=gain)
    assert move
    assert move.samples == 0
    assert move.gain == pytest.approx(gain, rel=0.05)
    assert move.left < 0.01


@pytest.mark.parametrize("level", [0.5, 1.0, 2.0])
def test_a_person_is_no_move(level: float) -> None:
    begins = [begin for begin in range(2 * AROUND, len(ECHO) - 2 * AROUND, 500) if loud(begin)]
    both = [b for b in begins if np.abs(PERSON[b : b + FRAME_SAMPLES]).max() > 0.05]
    mistaken = sum(frame(begin, person=level) is not None for begin in both)
    assert len(both) > 50
    assert mistaken <= 0.05 * len(both)
