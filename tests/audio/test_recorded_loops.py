"""What two real sound paths delivered, given to the canceller again: nobody spoke, so nobody is heard.

Recorded with ``assistant bench barge-in --path devices --record`` (tests/fixtures/README.md).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assistant.app import engines as loading
from assistant.audio.echo.canceller import EchoCanceller
from assistant.audio.echo.reference import Reference
from assistant.audio.resample import Samples, to_float
from assistant.core.types import SAMPLE_RATE_HZ, AudioFrame
from assistant.settings.schema import Settings
from assistant.tools.bench.lib import echo_trace
from assistant.tools.bench.lib.echo_trace import Begun, Step, Told
from assistant.tools.bench.onsets import listen

LOOPS = Path(__file__).parent.parent / "fixtures" / "echo"
NAMES = sorted(file.stem for file in LOOPS.glob("*.jsonl"))


def cancelled(steps: list[Step]) -> tuple[Samples, Samples, EchoCanceller]:
    """What was heard, and what is left of it."""
    reference = Reference()
    canceller, heard, left = EchoCanceller(reference), [], []
    stream = reference.begin(SAMPLE_RATE_HZ)
    for step in steps:
        if isinstance(step, Begun):
            stream = reference.begin(step.rate_hz)
        elif isinstance(step, Told):
            stream.tell(step.block)
        else:
            heard.append(step.pcm)
            left.append(canceller.process(AudioFrame(step.pcm, step.end_s)).pcm)
    return to_float(np.concatenate(heard)), to_float(np.concatenate(left)), canceller


def test_there_are_recordings() -> None:
    assert len(NAMES) == 2


@pytest.mark.parametrize("name", NAMES)
def test_nobody_is_heard_and_the_echo_is_gone(name: str) -> None:
    steps = echo_trace.read(LOOPS, name)
    found = listen(Settings(), steps, loading.load_vad(Settings()))
    assert found.playing_s > 8
    assert (found.onsets_s, found.near_frames) == ([], 0)
    heard, left, canceller = cancelled(steps)
    half = SAMPLE_RATE_HZ // 2
    powers = [
        np.square(sound[-12 * half :].reshape(12, half), dtype=np.float64).sum(axis=1) + 1e-9
        for sound in (heard, left)
    ]
    loud = powers[0] > 0.01
    assert loud.sum() > 4
    assert np.median(10 * np.log10(powers[0] / powers[1])[loud]) > 30, "one of them has jumps of its own"
    assert abs(canceller.drift_ppm) < 5, "one clock has no drift"


@pytest.mark.parametrize("name", NAMES)
def test_clocks_that_lie_change_nothing(name: str) -> None:
    """By 50 ms to either side, a second each: only the order of what happened counts."""

    def lying(step: Step, number: int) -> Step:
        if not isinstance(step, AudioFrame):
            return step
        return AudioFrame(step.pcm, step.end_s + (0, 0.05, -0.05)[number // 150 % 3])

    steps = echo_trace.read(LOOPS, name)
    _, honest, _ = cancelled(steps)
    _, lied, _ = cancelled([lying(step, number) for number, step in enumerate(steps)])
    assert np.array_equal(honest, lied)
