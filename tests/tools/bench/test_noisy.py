"""Noise behind recordings is as loud as was asked, and the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.core.types import SAMPLE_RATE_HZ, Pcm16
from assistant.tools.bench.lib.noisy import active_power, with_noise

rng = np.random.default_rng(1)
SPEECH: Pcm16 = np.concatenate(
    [np.zeros(8000), rng.normal(0, 3000, 16000), np.zeros(24000), rng.normal(0, 3000, 8000)]
).astype(np.int16)
NOISE: Pcm16 = rng.normal(0, 77, 20_000).astype(np.int16)


def power(pcm: Pcm16) -> float:
    return float(np.square(pcm.astype(np.float64)).mean())


def test_pauses_make_nobody_softer() -> None:
    assert active_power(SPEECH) == pytest.approx(3000**2, rel=0.03)


@pytest.mark.parametrize("snr_db", [-5.0, 10.0, 20.0])
def test_the_noise_is_so_far_below_the_speech(snr_db: float) -> None:
    both = with_noise(SPEECH, NOISE, snr_db=snr_db, offset=0.3).astype(np.float64) - SPEECH
    assert 10 * np.log10(active_power(SPEECH) / np.square(both).mean()) == pytest.approx(snr_db, abs=0.2)


def test_it_lasts_longer_than_the_recording_and_begins_elsewhere() -> None:
    around = with_noise(SPEECH, NOISE, snr_db=10, offset=0, around_s=1)
    assert len(around) == len(SPEECH) + 2 * SAMPLE_RATE_HZ
    assert power(around[:SAMPLE_RATE_HZ]) == pytest.approx(active_power(SPEECH) / 10, rel=0.1)
    elsewhere = with_noise(SPEECH, NOISE, snr_db=10, offset=0.5, around_s=1)
    assert not np.array_equal(elsewhere, around)
    assert np.array_equal(elsewhere, with_noise(SPEECH, NOISE, snr_db=10, offset=0.5, around_s=1))


def test_what_would_clip_is_turned_down_as_a_whole() -> None:
    loud = np.clip(SPEECH.astype(np.int32) * 8, -32000, 32000).astype(np.int16)
    both = with_noise(loud, NOISE, snr_db=0, offset=0).astype(np.float64)
    assert np.abs(both).max() == 32767
    assert np.count_nonzero(np.abs(both) >= 32766) < 5


def test_silence_is_no_noise() -> None:
    silent = with_noise(SPEECH, np.zeros(100, np.int16), snr_db=10, offset=0)
    np.testing.assert_array_equal(silent, SPEECH)
