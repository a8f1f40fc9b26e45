"""The delay of an echo is found from the sound alone, whatever the room, and never where there is none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from assistant.audio.echo.delay import HEARD_SAMPLES, RANGE_SAMPLES, DelayEstimator
from assistant.audio.resample import Samples, to_float
from assistant.core.types import SAMPLE_RATE_HZ
from assistant.tools.bench.room.simulated import living_room
from tests.rooms import babble

HOP = SAMPLE_RATE_HZ // 10
AROUND = HEARD_SAMPLES + RANGE_SAMPLES
ROOMS = {"dry": np.ones(1, np.float32), "live": living_room(0.6, direct_db=-3)}


def heard_of(played: Samples, delay: int, gain: float = 0.25, room: str = "dry") -> Samples:
    """What a microphone hears of it, with a room's noise."""
    echo = np.convolve(played, ROOMS[room])[: len(played)] * gain
    late = np.pad(echo, (delay, 0))[: len(played)]
    noise = np.random.default_rng(0).standard_normal(len(played)) * 10 ** (-65 / 20)
    return (late + noise).astype(np.float32)


def looks(estimator: DelayEstimator, played: Samples, heard: Samples) -> Iterator[tuple[float, int | None]]:
    """When, and what was found then."""
    for end in range(AROUND, len(played), HOP):
        begin = end - HEARD_SAMPLES
        found = estimator.look(heard[begin:end], begin, played[end - AROUND : end], end - AROUND)
        yield end / SAMPLE_RATE_HZ, None if found is None else found.samples


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("delay_ms", [0, 5, 120, 350, 900])
def test_a_delay_is_found_within_half_a_second_of_echo(room: str, delay_ms: int) -> None:
    played = np.concatenate([np.zeros(AROUND, np.float32), to_float(babble(4))])
    delay = delay_ms * SAMPLE_RATE_HZ // 1000
    found = list(looks(DelayEstimator(), played, heard_of(played, delay, room=room)))
    begins_s = (AROUND + int(np.flatnonzero(np.abs(played[AROUND:]) > 0.01)[0]) + delay) / SAMPLE_RATE_HZ
    first_s, first = next((at_s, samples) for at_s, samples in found if samples is not None)
    assert first_s - begins_s <= 0.6
    assert first == pytest.approx(delay, abs=20), "the room's own beginning is 16 samples late"


def test_a_jump_is_found_within_half_a_second() -> None:
    played = to_float(babble(8, seed=1))
    heard = heard_of(played, 1600)
    jump = 5 * SAMPLE_RATE_HZ
    heard[jump:] = heard_of(played, 4000)[jump:]
    found = [(at_s, samples) for at_s, samples in looks(DelayEstimator(), played, heard) if at_s > 5.55]
    assert all(samples in (None, 4000) for _, samples in found)
    assert found[0][1] == 4000


def test_another_ones_voice_has_no_delay() -> None:
    played, other = to_float(babble(12, seed=2)), to_float(babble(12, seed=3))
    assert [samples for _, samples in looks(DelayEstimator(), played, other) if samples] == []


def test_silence_has_no_delay() -> None:
    nothing = np.zeros(3 * SAMPLE_RATE_HZ, np.float32)
    assert {samples for _, samples in looks(DelayEstimator(), nothing, nothing)} == {None}


def test_streams_that_are_looked_at_unevenly_keep_their_evidence() -> None:
    """The speaker's callback runs ahead of the microphone's by more or less."""
    random = np.random.default_rng(4)
    played = to_float(babble(6, seed=5))
    heard = heard_of(played, 2000)
    estimator, found = DelayEstimator(), []
    for end in range(AROUND + 640, len(played) - 640, HOP):
        ahead = int(random.integers(-640, 640))
        begin = end - HEARD_SAMPLES
        around = played[end + ahead - AROUND : end + ahead]
        delay = estimator.look(heard[begin:end], begin, around, end + ahead - AROUND)
        found.append(delay and delay.samples)
    assert found.count(2000) > 0.9 * (len(found) - 2)
    assert set(found) <= {None, 2000}
