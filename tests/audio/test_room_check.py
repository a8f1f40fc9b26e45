"""What a recording of the room tells, on rooms that are made."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.audio.resample import Samples
from assistant.audio.room_check import RoomCheck, check
from assistant.core.types import SAMPLE_RATE_HZ

SECONDS = 10


def voice() -> Samples:
    """Syllables of shaped noise with pauses, as long as the doctor's sound."""
    random = np.random.default_rng(3)
    t = np.arange(SECONDS * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    noise = np.convolve(random.normal(size=len(t)), [0.3, 0.3, 0.2, 0.2], "same")
    syllables = np.clip(np.sin(2 * np.pi * 4 * t), 0, 1) * (t % 2.5 < 1.5)
    sound: Samples = (0.1 * noise * syllables).astype(np.float32)
    return sound


def room(
    played: Samples,
    *,
    delay_ms: float = 0.0,
    gain: float = 0.3,
    noise_db: float = -60.0,
    ppm: float = 0.0,
    blurred: bool = True,
) -> Samples:
    random = np.random.default_rng(4)
    late = np.concatenate([np.zeros(round(delay_ms * SAMPLE_RATE_HZ / 1000)), played])[: len(played)]
    if blurred:
        response = np.concatenate([[1.0], 0.3 * random.normal(size=800) * np.exp(-np.arange(800) / 200)])
        late = np.convolve(late, response)[: len(played)]
    if ppm:
        at = np.arange(len(late)) * (1 - ppm * 1e-6)
        late = np.interp(at, np.arange(len(late)), late)
    noise = random.normal(size=len(played)) * 10 ** (noise_db / 20)
    heard: Samples = (gain * late + noise).astype(np.float32)
    return heard


def checked(**of: float) -> RoomCheck:
    played = voice()
    return check(played, room(played, **of))  # type: ignore[arg-type]


@pytest.mark.parametrize("delay_ms", [5, 40, 200, 700])
@pytest.mark.parametrize("gain", [0.05, 1.0])
def test_the_delay_is_found(delay_ms: float, gain: float) -> None:
    assert checked(delay_ms=delay_ms, gain=gain).delay_ms == pytest.approx(delay_ms, abs=2)


def test_no_echo_is_no_delay() -> None:
    found = checked(gain=0.0)
    assert found.delay_ms is None
    assert found.echo_db == pytest.approx(found.noise_db, abs=1)


def test_noise_is_measured_in_the_pauses() -> None:
    assert checked(delay_ms=50, noise_db=-50).noise_db == pytest.approx(-50, abs=1)


@pytest.mark.parametrize("ppm", [-10_000, -1000, 100, 3000, 10_000])
def test_drift_is_measured(ppm: float) -> None:
    assert checked(delay_ms=300, ppm=ppm).drift_ppm == pytest.approx(ppm, rel=0.15, abs=60)


def test_a_wire_is_told_from_a_room() -> None:
    played = voice()
    wire = check(played, room(played, delay_ms=20, gain=1.0, noise_db=-200, blurred=False))
    assert (wire.alike > 0.97, wire.has_room) == (True, False)
    real = checked(delay_ms=20, gain=1.0)
    assert (real.alike < 0.95, real.has_room) == (True, True)


def test_clipping_is_counted() -> None:
    played = voice()
    assert check(played, np.clip(room(played, gain=20.0), -1, 1)).clipped > 0.01
    assert checked(gain=1.0).clipped == 0
