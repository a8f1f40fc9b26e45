"""When samples were heard, from when they arrived."""

from __future__ import annotations

import itertools

import pytest

from assistant.audio.sample_clock import SampleClock

RATE_HZ = 48_000
BLOCK = 960


def test_late_blocks_do_not_disturb() -> None:
    clock = SampleClock(RATE_HZ)
    for number, lateness_s in zip(
        range(1, 500), itertools.cycle([0.03, 0.08, 0.0, 0.001, 0.08]), strict=False
    ):
        clock.block_arrived(number * BLOCK, 100 + number * 0.02 + lateness_s)
        if number > 10:
            assert clock.time_of(number * BLOCK) == pytest.approx(100 + number * 0.02, abs=0.002)


@pytest.mark.parametrize("crystal", [0.9999, 1.0001])
def test_a_crystal_that_is_off_is_followed(crystal: float) -> None:
    clock = SampleClock(RATE_HZ)
    for number in range(1, 200_000, 50):
        heard_s = number * 0.02 * crystal
        clock.block_arrived(number * BLOCK, heard_s)
        assert clock.time_of(number * BLOCK) == pytest.approx(heard_s, abs=0.001)


def test_lost_samples_move_the_time_at_once() -> None:
    clock = SampleClock(RATE_HZ)
    clock.block_arrived(BLOCK, 10.0)
    clock.block_arrived(2 * BLOCK, 15.0)

    assert clock.time_of(2 * BLOCK) == pytest.approx(15.0)
    assert clock.time_of(2 * BLOCK - 480) == pytest.approx(14.99)
