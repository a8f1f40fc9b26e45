"""Sound as it leaves a voice: cut, loud enough, never clipped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from assistant.engines.tts.sound import (
    BREATH,
    BREATH_PAUSE_MS,
    CLAUSE_PAUSE_MS,
    EDGE_MS,
    SENTENCE_PAUSE_MS,
    SPEECH_DB,
    Wave,
    gain_for,
    pause_after,
    to_pcm,
    trim,
)

RATE_HZ = 22_050
EDGE = EDGE_MS * RATE_HZ // 1000


def tone(seconds: float, amplitude: float) -> Wave:
    wave: Wave = (amplitude * np.sin(np.arange(int(seconds * RATE_HZ)) * 0.1)).astype(np.float32)
    return wave


def silence(seconds: float) -> Wave:
    return np.zeros(int(seconds * RATE_HZ), dtype=np.float32)


def test_silence_around_sound_is_cut_to_its_edges() -> None:
    cut = trim(np.concatenate([silence(0.3), tone(0.5, 0.5), silence(0.4)]), RATE_HZ)
    assert len(cut) == pytest.approx(0.5 * RATE_HZ + 2 * EDGE, abs=20)
    assert cut[0] == 0.0
    assert cut[-1] == 0.0


def test_soft_ends_of_words_are_kept() -> None:
    cut = trim(np.concatenate([silence(0.3), tone(0.2, 0.01), tone(0.5, 0.5), silence(0.3)]), RATE_HZ)
    assert len(cut) == pytest.approx(0.7 * RATE_HZ + 2 * EDGE, abs=40)


def test_pauses_inside_are_kept() -> None:
    wave = np.concatenate([tone(0.2, 0.5), silence(0.5), tone(0.2, 0.5)])
    assert len(trim(wave, RATE_HZ)) == pytest.approx(len(wave), abs=2 * EDGE)


@pytest.mark.parametrize("wave", [silence(0), silence(0.5)])
def test_silence_trims_to_nothing(wave: Wave) -> None:
    assert len(trim(wave, RATE_HZ)) == 0


@pytest.mark.parametrize("amplitude", [0.1, 0.2, 0.5])
def test_the_gain_brings_speech_to_its_level_whatever_its_gaps(amplitude: float) -> None:
    speech = tone(0.5, amplitude)
    for wave in (speech, np.concatenate([speech, silence(3), speech])):
        spoken = speech * gain_for(wave, RATE_HZ)
        assert 10 * np.log10(np.mean(spoken**2)) == pytest.approx(SPEECH_DB, abs=0.3)


def test_the_gain_has_bounds() -> None:
    assert gain_for(tone(1, 1e-6), RATE_HZ) == 4.0
    assert gain_for(tone(1, 100.0), RATE_HZ) == 0.25
    assert gain_for(silence(1), RATE_HZ) == gain_for(silence(0), RATE_HZ) == 1.0


@given(arrays(np.float32, st.integers(0, 50), elements=st.floats(-8, 8, width=32)))
def test_nothing_clips_and_order_is_kept(wave: Wave) -> None:
    pcm = to_pcm(wave)
    assert pcm.dtype == np.int16
    assert np.abs(pcm.astype(int)).max(initial=0) < 32_500
    order = np.argsort(wave)
    assert (np.diff(pcm[order].astype(int)) >= 0).all()


def test_what_is_not_loud_is_left_as_it_is() -> None:
    wave = tone(0.1, 0.69)
    assert to_pcm(wave) / 32_440 == pytest.approx(wave, abs=1e-4)


def test_pauses_follow_the_mark() -> None:
    assert len(pause_after(".", 1000)) == SENTENCE_PAUSE_MS
    assert len(pause_after(",", 1000)) == len(pause_after("", 1000)) == CLAUSE_PAUSE_MS
    assert len(pause_after(BREATH, 1000)) == BREATH_PAUSE_MS < CLAUSE_PAUSE_MS
