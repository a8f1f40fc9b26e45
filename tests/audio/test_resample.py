"""Formats, rates and levels."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.audio.resample import LiveResampler, at_volume, resample, to_float, to_pcm16
from assistant.core.types import SAMPLE_RATE_HZ


def test_sixteen_bits_survive_floats() -> None:
    pcm = np.arange(-32768, 32768).astype(np.int16)

    assert np.array_equal(to_pcm16(to_float(pcm)), pcm)


def test_resampling_keeps_the_length_in_seconds() -> None:
    assert len(resample(np.zeros(22_050, np.float32), 22_050, 48_000)) == 48_000
    assert len(resample(np.zeros(0, np.float32), 22_050, 48_000)) == 0


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000, 96_000])
def test_a_live_stream_keeps_time_and_is_never_long_late(rate_hz: int) -> None:
    """A click at 1 s stays at 1 s, and at any moment all but the last 35 ms have come out."""
    seconds = np.arange(2 * rate_hz) / rate_hz
    clicked = to_pcm16((0.9 * np.exp(-(((seconds - 1.0) / 0.001) ** 2))).astype(np.float32))
    stream = LiveResampler(rate_hz)
    block = rate_hz // 50
    heard = [np.zeros(0, np.int16)]
    for begin in range(0, len(clicked), block):
        heard.append(stream.feed(clicked[begin : begin + block]))
        late_s = (begin + block) / rate_hz - sum(map(len, heard)) / SAMPLE_RATE_HZ
        assert 0 <= late_s < 0.035

    assert np.concatenate(heard).argmax() / SAMPLE_RATE_HZ == pytest.approx(1.0, abs=0.0005)


def test_half_the_volume_is_a_quarter_of_the_amplitude() -> None:
    samples = np.linspace(-0.8, 0.8, 100, dtype=np.float32)

    assert np.allclose(at_volume(samples, 0.5), samples / 4)
    assert np.array_equal(at_volume(samples, 1.0), samples)
    assert not at_volume(samples, 0.0).any()


def test_loud_peaks_are_bent_not_clipped() -> None:
    loud = np.linspace(0.9, 1.1, 50, dtype=np.float32)
    limited = at_volume(loud, 1.0)

    assert (np.diff(limited) > 0).all()
    assert limited.max() < 1.0
    assert np.array_equal(at_volume(-loud, 1.0), -limited)
