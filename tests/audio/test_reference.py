"""What was played is found again at any position, and nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.audio.reference import KEPT_S, Reference
from assistant.types import SAMPLE_RATE_HZ, Pcm16


def tone(seconds: float, rate_hz: int, hz: float = 1000.0) -> Pcm16:
    phase = np.arange(round(seconds * rate_hz)) * (2 * np.pi * hz / rate_hz)
    pcm: Pcm16 = np.round(np.sin(phase) * 16384).astype(np.int16)
    return pcm


def told(pcm: Pcm16, rate_hz: int, begins_s: float = 5.0) -> Reference:
    reference = Reference()
    played = reference.begin(rate_hz)
    block = rate_hz // 100
    for at in range(0, len(pcm) - block + 1, block):
        played.tell(pcm[at : at + block], begins_s + at / rate_hz)
    return reference


@given(st.floats(400, 1200), st.floats(-3e-4, 3e-4))
def test_between_samples_it_is_as_it_was(position: float, drift: float) -> None:
    reference = told(tone(0.2, SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    read = reference.read(position, 1 + drift, 320)
    wanted = 0.5 * np.sin((position + np.arange(320) * (1 + drift)) * (2 * np.pi * 1000 / SAMPLE_RATE_HZ))
    assert np.abs(read - wanted).max() < 0.002


def test_a_speaker_of_any_rate_is_told_at_16_khz() -> None:
    reference = told(tone(1.0, 48_000), 48_000)
    assert reference.position_at(5.5) == pytest.approx(8000, abs=1)
    read = reference.read(reference.position_at(5.5), 1.0, 320)
    turns = np.exp(-2j * np.pi * np.arange(320) * 1000 / SAMPLE_RATE_HZ)
    heard = 2 * (read * turns).mean() * 1j
    assert abs(heard) == pytest.approx(0.5, abs=0.01)
    assert abs(np.angle(heard)) * SAMPLE_RATE_HZ / (2 * np.pi * 1000) < 2, "samples"


@given(st.floats(-1e6, 1e6))
def test_what_was_never_played_is_silence(position: float) -> None:
    reference = told(tone(0.1, SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    read = reference.read(position, 1.0, 320)
    assert read.shape == (320,)
    assert np.isfinite(read).all()
    if position < -400 or position > 2000:
        assert not read.any()


def test_what_is_long_past_is_forgotten() -> None:
    reference = told(tone(KEPT_S + 1, SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    assert not reference.read(100.0, 1.0, 320).any()
    assert reference.read(2.0 * SAMPLE_RATE_HZ, 1.0, 320).any()


def test_without_a_speaker_there_is_no_position() -> None:
    reference = Reference()
    assert math.isnan(reference.position_at(1.0))
    reference.begin(SAMPLE_RATE_HZ)
    assert math.isnan(reference.position_at(1.0)), "nor before it plays"
    assert not reference.read(0.0, 1.0, 320).any()


def test_a_block_that_is_told_late_moves_nothing() -> None:
    """The callback was held up; the sound was not."""
    reference = Reference()
    played = reference.begin(SAMPLE_RATE_HZ)
    silence = np.zeros(160, np.int16)
    for number in range(100):
        played.tell(silence, number / 100 + (0.03 if number % 7 == 0 and number else 0.0))
    assert reference.position_at(1.0) == pytest.approx(16_000, abs=20)
