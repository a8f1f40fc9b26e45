"""Which channels of a recording are heard, and how."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.audio.mixing import Mix, audible
from assistant.audio.resample import Samples

RATE = 16_000


def speech(seconds: float = 2.0) -> Samples:
    """Sound that comes and goes."""
    time = np.arange(int(RATE * seconds)) / RATE
    loud = np.sin(2 * np.pi * 2 * time) > 0
    return (0.3 * np.sin(2 * np.pi * 220 * time) * loud).astype(np.float32)


def noise(level: float = 0.05) -> Samples:
    return np.random.default_rng(1).normal(0, level, len(speech())).astype(np.float32)


def mono(*channels: Samples) -> Samples:
    block = np.stack(channels, axis=1)
    return Mix(block).mono(block)


def close(one: Samples, other: Samples) -> bool:
    return float(np.abs(one - other)[RATE // 2 :].max()) < 0.03


@pytest.mark.parametrize(
    "channels",
    [
        (speech(),),
        (speech(), speech()),
        (speech(), -speech()),
        (speech(), noise(), -noise(), noise()),
        (speech() + 0.3,),
        (speech() * 32768,),
    ],
    ids=["one", "two", "opposed", "noisy array", "offset", "whole numbers"],
)
def test_what_is_said_is_what_is_left(channels: tuple[Samples, ...]) -> None:
    assert close(mono(*channels), speech())


def test_empty_channels_only_make_it_quieter() -> None:
    empty = np.zeros_like(speech())
    assert close(mono(speech(), empty), (speech() / 2).astype(np.float32))


def test_two_people_on_two_channels_are_both_heard() -> None:
    one, other = speech(), np.roll(speech(), RATE // 4)
    assert close(mono(one, other), ((one + other) / 2).astype(np.float32))


def test_what_is_no_number_is_silence() -> None:
    broken = speech()
    broken[1000:1100], broken[2000:2010] = np.nan, np.inf
    assert np.isfinite(mono(broken)).all()


def test_quiet_speech_is_raised_and_silence_is_not() -> None:
    quiet = (speech() * 0.02 * 2**15).astype(np.int16)
    assert np.abs(audible(quiet)).max() > 10 * np.abs(quiet).max()
    for as_it_is in ((speech() * 2**15).astype(np.int16), np.zeros(1000, np.int16), np.zeros(0, np.int16)):
        assert audible(as_it_is) is as_it_is
