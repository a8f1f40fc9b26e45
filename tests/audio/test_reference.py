"""What was played is found again at any position, and nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.audio.echo.reference import KEPT_S, Played, Reference
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16


def tone(seconds: float, rate_hz: int, hz: float = 1000.0) -> Pcm16:
    phase = np.arange(round(seconds * rate_hz)) * (2 * np.pi * hz / rate_hz)
    pcm: Pcm16 = np.round(np.sin(phase) * 16384).astype(np.int16)
    return pcm


def told(pcm: Pcm16, rate_hz: int) -> Played:
    played = Reference().begin(rate_hz)
    block = rate_hz // 100
    for at in range(0, len(pcm) - block + 1, block):
        played.tell(pcm[at : at + block])
        played.take()
    return played


@given(st.floats(400, 1200), st.floats(-3e-4, 3e-4))
def test_between_samples_it_is_as_it_was(position: float, drift: float) -> None:
    played = told(tone(0.2, SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    read = played.read(position, 1 + drift, 320)
    wanted = 0.5 * np.sin((position + np.arange(320) * (1 + drift)) * (2 * np.pi * 1000 / SAMPLE_RATE_HZ))
    assert np.abs(read - wanted).max() < 0.002


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_a_speaker_of_any_rate_is_counted_at_16_khz(rate_hz: int) -> None:
    played = told(tone(1.0, rate_hz), rate_hz)
    assert played.end == pytest.approx(SAMPLE_RATE_HZ, abs=400), "the resampler keeps the last milliseconds"
    read = played.read(8000, 1.0, 320)
    turns = np.exp(-2j * np.pi * np.arange(320) * 1000 / SAMPLE_RATE_HZ)
    heard = 2 * (read * turns).mean() * 1j
    assert abs(heard) == pytest.approx(0.5, abs=0.01)
    assert abs(np.angle(heard)) * SAMPLE_RATE_HZ / (2 * np.pi * 1000) < 2, "samples"


@given(st.floats(-1e6, 1e6))
def test_what_was_never_played_is_silence(position: float) -> None:
    read = told(tone(0.1, SAMPLE_RATE_HZ), SAMPLE_RATE_HZ).read(position, 1.0, 320)
    assert read.shape == (320,)
    assert np.isfinite(read).all()
    if position < -400 or position > 2000:
        assert not read.any()


def test_what_is_long_past_is_forgotten() -> None:
    played = told(tone(KEPT_S + 1, SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    assert not played.read(100.0, 1.0, 320).any()
    assert played.read(2.0 * SAMPLE_RATE_HZ, 1.0, 320).any()


def test_how_long_it_has_been_silent_is_known_before_anything_is_taken() -> None:
    played = Reference().begin(SAMPLE_RATE_HZ)
    assert math.isinf(played.silent_s)
    played.tell(tone(0.1, SAMPLE_RATE_HZ))
    assert played.silent_s == 0
    for _ in range(50):
        played.tell(np.zeros(160, np.int16))
    assert played.silent_s == pytest.approx(0.5)


def test_a_speaker_that_is_opened_anew_begins_anew() -> None:
    reference = Reference()
    assert reference.stream is None
    first = reference.begin(SAMPLE_RATE_HZ)
    assert reference.begin(SAMPLE_RATE_HZ) is reference.stream
    assert reference.stream is not first


@pytest.mark.parametrize("rate_hz", [SAMPLE_RATE_HZ, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("taken_every", [1, 50, 73])
def test_sound_behind_silence_that_was_only_counted_lies_where_it_was_played(
    rate_hz: int, taken_every: int
) -> None:
    block = rate_hz // 50
    sound = tone(0.4, rate_hz)[: 20 * block]
    hiss = np.ones(block, np.int16)  # is no silence, but as good as none
    counted, heard_out = Reference().begin(rate_hz), Reference().begin(rate_hz)
    blocks = [*np.split(sound, 20), *[None] * 491, *np.split(sound, 20)]
    for number, each in enumerate(blocks):
        if each is None:
            counted.tell_silence(block)
        else:
            counted.tell(each)
        heard_out.tell(hiss if each is None else each)
        if number % taken_every == 0:
            counted.take()
        heard_out.take()
    counted.take()
    assert counted.end == pytest.approx(heard_out.end, abs=1)
    begin = min(counted.end, heard_out.end) - SAMPLE_RATE_HZ
    assert np.abs(counted.between(begin, 16_000) - heard_out.between(begin, 16_000)).max() < 1e-3
    assert np.abs(counted.between(begin, 16_000)).max() == pytest.approx(0.5, abs=0.01)
