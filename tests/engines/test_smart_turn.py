"""The turn model on real speech: finished sentences, and the same cut off in the middle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from assistant.app import engines as loading
from assistant.core.errors import ModelCorrupt, ModelMissing
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16, Transcript
from assistant.engines import load
from assistant.engines.turn.smart_turn import SmartTurn
from assistant.runtime import paths
from assistant.runtime.cancel import Cancel
from assistant.settings.schema import EndpointSettings, Settings
from assistant.tools.bench.lib import speech_end
from tests.conftest import Clip

PAUSE = np.zeros(round(0.14 * SAMPLE_RATE_HZ), np.int16)


class Deaf:
    """A recogniser that understands one thing."""

    def __init__(self, text: str = "hello") -> None:
        self._text = text

    def transcribe(self, pcm: Pcm16, cancel: Cancel) -> Transcript:
        return Transcript(self._text)

    def warm_up(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def network() -> SmartTurn:
    model = paths.models() / "smart-turn-v3"
    if not model.is_dir():
        pytest.skip("needs the model: assistant models pull smart-turn-v3")
    turn: SmartTurn = load("turn", "smart_turn", stt=Deaf(), model=model, threads=1)
    turn.warm_up()
    return turn


@pytest.mark.models
def test_finished_sentences_sound_so_and_halves_less(network: SmartTurn, shared_audio: list[Clip]) -> None:
    detector = speech_end.load_network()
    whole, half = [], []
    commands = [clip for clip in shared_audio if clip.category == "commands" and len(clip.text.split()) > 4]
    for clip in commands[:12]:
        pcm = np.asarray(soundfile.read(clip.path, dtype="int16")[0], np.int16)
        spoken = speech_end.find(pcm, detector)
        assert spoken is not None
        begin, end = (round(at_s * SAMPLE_RATE_HZ) for at_s in (spoken.begin_s, spoken.end_s))
        middle = begin + (end - begin) * 6 // 10
        whole.append(network.finished_probability(np.concatenate([pcm[:end], PAUSE])))
        half.append(network.finished_probability(np.concatenate([pcm[:middle], PAUSE])))
    assert np.median(whole) > 0.9
    assert np.median(half) < np.median(whole)
    assert sum(one > other for one, other in zip(whole, half, strict=True)) >= 9


@pytest.mark.models
def test_any_length_is_taken(network: SmartTurn) -> None:
    for seconds in (0.01, 1.0, 8.0, 20.0):
        pcm = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.int16)
        assert 0.0 <= network.finished_probability(pcm) <= 1.0


@pytest.mark.models
def test_only_words_are_judged(network: SmartTurn) -> None:
    noise = np.random.default_rng(0).normal(0, 500, SAMPLE_RATE_HZ).astype(np.int16)
    assert network.transcribe(noise, Cancel()).finished_probability is not None
    cancelled = Cancel()
    cancelled.set()
    assert network.transcribe(noise, cancelled).finished_probability is None


@pytest.mark.models
@pytest.mark.usefixtures("network")
def test_the_settings_choose_it() -> None:
    stt = loading.load_stt(Settings(endpoint=EndpointSettings(turn_model="smart-turn-v3")))
    assert isinstance(stt, SmartTurn)
    stt.close()


def test_no_model_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="pull"):
        load("turn", "smart_turn", stt=Deaf(), model=tmp_path, threads=1)


def test_another_network_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"not a network")
    with pytest.raises(ModelCorrupt, match="not a Smart Turn model"):
        load("turn", "smart_turn", stt=Deaf(), model=tmp_path, threads=1)
