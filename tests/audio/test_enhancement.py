"""Noise suppression and gain by the extra, and what is said without it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from assistant.app import engines as loading
from assistant.audio.filtered import enhancer
from assistant.audio.resample import to_float
from assistant.core.errors import EngineUnavailable
from assistant.core.types import FRAME_SAMPLES, AudioFrame, Pcm16
from assistant.settings.schema import AudioSettings, Settings


def through(settings: AudioSettings, pcm: Pcm16) -> Pcm16:
    pytest.importorskip("pywebrtc_audio", reason="the extra `echo` is not installed")
    enhancement = enhancer(settings)
    frames = pcm[: len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    return np.concatenate([enhancement.process(AudioFrame(frame, 0.0)).pcm for frame in frames])


def level_db(pcm: Pcm16) -> float:
    return float(10 * np.log10(np.square(to_float(pcm)).mean()))


def noise(peak: int) -> Pcm16:
    pcm: Pcm16 = np.random.default_rng(0).integers(-peak, peak, 16_000 * 5).astype(np.int16)
    return pcm


def test_steady_noise_is_taken_down_further_the_higher_it_is_set() -> None:
    before = noise(1000)
    levels = [level_db(through(AudioSettings(noise_suppression=n), before)[-16_000:]) for n in range(1, 4)]
    assert levels[0] < level_db(before) - 6
    assert levels == sorted(levels, reverse=True)


def test_without_the_extra_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    with pytest.raises(EngineUnavailable, match="pywebrtc-audio") as raised:
        enhancer(AudioSettings(noise_suppression=1))
    assert "echo" in raised.value.next_step


def test_without_the_extra_it_listens_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    settings = Settings(audio=AudioSettings(noise_suppression=1))
    assert loading.sound_filters(settings, None) == []
    assert "pywebrtc-audio" in caplog.text


def test_what_is_not_asked_for_is_not_done() -> None:
    assert loading.sound_filters(Settings(), None) == []
