"""The end of speech is where the sound says, not where a detector noticed."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.core.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm16
from assistant.engines.scripted import clip
from assistant.tools.bench.lib.speech_end import find, load_network, locate
from tests.tools.bench.conftest import silence

ROOM = np.random.default_rng(1).normal(0, 8, 3 * SAMPLE_RATE_HZ).astype(np.int16)


def with_speech(*parts: Pcm16) -> Pcm16:
    sound = np.concatenate(parts)
    return sound + ROOM[: len(sound)]


def judged(pcm: Pcm16, begin_s: float, end_s: float) -> list[float]:
    """Probabilities of a network that takes this stretch of ``pcm`` for speech."""
    frames = np.arange(0, len(pcm), FRAME_SAMPLES) / SAMPLE_RATE_HZ
    return [0.9 if begin_s <= at_s < end_s else 0.1 for at_s in frames]


@pytest.mark.parametrize("noticed_s", [1.4, 1.5, 1.62, 1.9])
def test_a_late_or_early_detector_does_not_move_the_end(noticed_s: float) -> None:
    pcm = with_speech(silence(500), clip(5000, 1000), silence(800))
    found = locate(pcm, judged(pcm, 0.5, noticed_s))
    assert found is not None
    assert found.begin_s == pytest.approx(0.5, abs=0.011)
    assert found.end_s == pytest.approx(1.5, abs=0.011)


def test_a_quiet_last_consonant_is_speech() -> None:
    """It is 30 dB below the vowel and well above the room."""
    hiss = np.random.default_rng(2).normal(0, 130, SAMPLE_RATE_HZ // 10).astype(np.int16)
    pcm = with_speech(silence(500), clip(9000, 600), hiss, silence(600))
    found = locate(pcm, judged(pcm, 0.5, 1.1))
    assert found is not None
    assert found.end_s == pytest.approx(1.2, abs=0.011)


def test_a_click_after_the_speech_is_not_speech() -> None:
    pcm = with_speech(silence(500), clip(5000, 500), silence(300), clip(20000, 20), silence(300))
    found = locate(pcm, judged(pcm, 0.5, 1.1))
    assert found is not None
    assert found.end_s == pytest.approx(1.0, abs=0.011)


def test_nobody_speaks() -> None:
    assert locate(ROOM, judged(ROOM, 0, 0)) is None
    assert locate(ROOM[:0], []) is None


def test_a_real_question_ends_where_it_ends_whatever_follows(question: Pcm16) -> None:
    """The last word is "bridge"; its end was found by eye and ear at 1.72 s."""
    network = load_network()
    room = np.random.default_rng(3).normal(0, 25, 2 * SAMPLE_RATE_HZ).astype(np.int16)
    room[SAMPLE_RATE_HZ : SAMPLE_RATE_HZ + 80] = 12_000
    for pcm in (question, np.concatenate([question, silence(2000)]), np.concatenate([question, room])):
        found = find(pcm, network)
        assert found is not None
        assert found.end_s == pytest.approx(1.72, abs=0.05)
        assert found.begin_s < 0.2
