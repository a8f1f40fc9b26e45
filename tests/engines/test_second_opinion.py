"""A second network's opinion on a wake word: what it adds in babble, and that it wakes nobody by itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt
import pytest

from assistant import engines
from assistant.core.types import FRAME_SAMPLES, Pcm16
from assistant.engines import WakeWord
from assistant.engines.wake.open_wake_word import _Word
from assistant.settings.engines import WakeSettings, WakeWordSettings
from assistant.tools.bench.lib.noisy import with_noise
from tests.conftest import Clip
from tests.engines.test_open_wake_word import load, of, read

pytest.importorskip("pyopen_wakeword")


class Network:
    """Says what it was told to, one probability for each piece of sound."""

    new_embeddings = 0
    embeddings: npt.NDArray[np.float32] = np.zeros((1, 1), np.float32)

    def __init__(self, probabilities: Sequence[float]) -> None:
        self._probabilities = iter(probabilities)

    def process_streaming(self, _features: object) -> Iterator[float]:
        yield next(self._probabilities)


def heard(first: Sequence[float], second: Sequence[float | None], **settings: float) -> list[bool]:
    word = _Word(
        WakeWordSettings.model_validate({"name": "alexa", **settings}),
        Network(first),  # type: ignore[arg-type]  # all that is asked of it
    )
    return [word.heard(None, each) for each in second]


def test_what_both_hold_for_possible_was_said_once() -> None:
    assert heard([0.01, 0.1, 0.01], [0.0, 0.9, 0.1]) == [False, True, False]


def test_one_alone_is_not_enough() -> None:
    assert not any(heard([0.1, 0.1], [None, None])), "the first, where there is no second"
    assert not any(heard([0.1, 0.1], [0.01, 0.01]))
    assert not any(heard([1e-4, 1e-4], [0.996, 0.996]))


def test_they_may_answer_at_different_times_but_not_in_different_words() -> None:
    assert any(heard([0.1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0.9, 0]))
    assert not any(heard([0.1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0.9]))


def test_a_higher_threshold_is_one_for_both() -> None:
    assert not any(heard([0.1], [0.9], threshold=0.9))
    assert any(heard([0.4], [0.9], threshold=0.9))


needs_package = pytest.mark.skipif(
    find_spec("pymicro_wakeword") is None, reason="the second network's package is not installed"
)


def missed(engine: WakeWord, calls: Sequence[Pcm16]) -> int:
    return sum(not any(words(engine, pcm)) for pcm in calls)


def words(engine: WakeWord, pcm: Pcm16) -> list[str | None]:
    engine.reset()
    whole = pcm[: len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES]
    return [engine.detect(frame) for frame in whole.reshape(-1, FRAME_SAMPLES)]


@needs_package
def test_in_babble_it_halves_what_is_missed(
    shared_audio: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = read(next(clip for clip in shared_audio if clip.path.stem == "babble8_0"))
    calls = [
        with_noise(read(clip), noise, snr_db=12, offset=offset, around_s=1)
        for clip in of("wake/alexa", shared_audio)
        for offset in (0.0, 0.35)
    ]
    both = missed(load("alexa"), calls)
    monkeypatch.setitem(sys.modules, "pymicro_wakeword", None)
    alone = missed(load("alexa"), calls)
    assert alone >= 8
    assert both <= alone / 2


@needs_package
def test_talk_in_babble_wakes_nobody(shared_audio: list[Clip]) -> None:
    noise = read(next(clip for clip in shared_audio if clip.path.stem == "babble8_0"))
    engine = load("okay_nabu", "alexa", "hey_jarvis", "hey_mycroft")
    for clip in of("negatives", shared_audio)[::3]:
        talk = with_noise(read(clip), noise, snr_db=10, offset=0.5)
        assert not any(words(engine, talk)), clip.path.stem
    assert not any(words(engine, noise))


@needs_package
def test_who_wants_a_word_twice_in_a_row_wants_no_second_opinion() -> None:
    settings = WakeSettings(words=(WakeWordSettings(name="alexa", trigger_level=2),))
    engine = engines.load("wake", "open_wake_word", settings=settings)
    assert engine._second is None
