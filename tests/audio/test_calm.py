"""Quiet blocks wait, and nothing that is louder ever does."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.audio.heard import CALM_AFTER_S, Calm
from assistant.core.types import FRAME_MS, FRAME_SAMPLES, Pcm16

PER_S = 1000 // FRAME_MS


def room(blocks: int, amplitude: float = 33.0) -> list[Pcm16]:
    noise = np.random.default_rng(1).normal(0, amplitude, (blocks, FRAME_SAMPLES))
    return list(noise.round().astype(np.int16))


def woken(calm: Calm, blocks: list[Pcm16]) -> int:
    return sum(not calm.may_wait(block) for block in blocks)


@pytest.mark.parametrize("amplitude", [0.0, 1.0, 33.0, 3000.0])
def test_in_a_steady_room_blocks_wait_after_a_while(amplitude: float) -> None:
    calm = Calm(PER_S)
    woken(calm, room(30 * PER_S, amplitude))
    assert woken(calm, room(40 * PER_S, amplitude)) == 0


def test_before_that_none_waits() -> None:
    assert woken(Calm(PER_S), room((CALM_AFTER_S - 1) * PER_S)) == (CALM_AFTER_S - 1) * PER_S


@pytest.mark.parametrize("quiet", [0, 1])
def test_speech_waits_for_one_block_at_most_and_the_silence_behind_it_for_none(quiet: int) -> None:
    calm = Calm(PER_S)
    woken(calm, room(30 * PER_S + quiet))
    assert woken(calm, room(2, amplitude=150.0)) >= 1
    assert woken(calm, room((CALM_AFTER_S - 1) * PER_S)) == (CALM_AFTER_S - 1) * PER_S
