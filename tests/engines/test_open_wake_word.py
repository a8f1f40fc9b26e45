"""The wake word engine on real speech, on a person's own file, and on boards that do not have it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from assistant import engines
from assistant.app import engines as loading
from assistant.core.errors import EngineUnavailable, ModelCorrupt, ModelMissing
from assistant.core.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm16
from assistant.dialog.listener import WakeGate
from assistant.engines import Vad, WakeWord
from assistant.engines.wake.features import STEP_SAMPLES, WakeFeatures
from assistant.settings.engines import VadSettings, WakeSettings, WakeWordSettings
from assistant.settings.schema import Settings
from tests.conftest import Clip

package = pytest.importorskip("pyopen_wakeword")
BUILT_IN = Path(package.__file__).parent / "models"


def load(*words: str | WakeWordSettings) -> WakeWord:
    settings = WakeSettings(words=words)  # type: ignore[arg-type]  # a name is spelled out
    engine: WakeWord = engines.load("wake", "open_wake_word", settings=settings)
    engine.warm_up()
    return engine


def frames(pcm: Pcm16) -> Iterator[Pcm16]:
    """With a second of a quiet room before and after."""
    room = np.random.default_rng(0).normal(0, 5, SAMPLE_RATE_HZ).astype(np.int16)
    sound = np.concatenate([room, pcm, room])
    yield from sound[: len(sound) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)


def read(clip: Clip) -> Pcm16:
    pcm, _ = soundfile.read(clip.path, dtype="int16")
    return np.asarray(pcm, dtype=np.int16)


def always_on(engine: WakeWord, pcm: Pcm16) -> list[str]:
    """Words heard by an engine that is given everything."""
    engine.reset()
    return [word for frame in frames(pcm) if (word := engine.detect(frame))]


def gated(engine: WakeWord, pcm: Pcm16) -> list[str]:
    """Words heard by an engine that is given what the gate lets through."""
    engine.reset()
    gate = WakeGate()
    vad: Vad = engines.load("vad", "webrtc", settings=VadSettings())
    return [
        word
        for frame in frames(pcm)
        for passed in gate.push(frame, is_speech=vad.speech_probability(frame) >= 0.5)
        if (word := engine.detect(passed))
    ]


def of(category: str, clips: Sequence[Clip]) -> list[Clip]:
    found = [clip for clip in clips if clip.category == category]
    assert found
    return found


@pytest.fixture(scope="module")
def several() -> WakeWord:
    return load("okay_nabu", "alexa", "hey_jarvis", "hey_mycroft")


@pytest.mark.parametrize("word", ["alexa", "hey_jarvis", "hey_mycroft"])
def test_every_one_that_calls_is_heard_through_the_gate(
    word: str, several: WakeWord, shared_audio: list[Clip]
) -> None:
    missed = [
        clip.path.stem
        for clip in of(f"wake/{word}", shared_audio)
        if not (heard := gated(several, read(clip))) or set(heard) != {word}
    ]
    assert not missed


def test_the_gate_costs_no_call(several: WakeWord, shared_audio: list[Clip]) -> None:
    for clip in of("wake/alexa", shared_audio)[::4]:
        quiet = (read(clip) / 8).astype(np.int16)
        assert bool(gated(several, quiet)) == bool(always_on(several, quiet)), clip.path.stem


@pytest.mark.parametrize("category", ["negatives", "wake/_nearmiss"])
def test_talk_wakes_nobody(category: str, shared_audio: list[Clip]) -> None:
    okay_nabu = load("okay_nabu")
    woken = [clip.path.stem for clip in of(category, shared_audio) if gated(okay_nabu, read(clip))]
    assert not woken


def test_a_word_is_heard_while_or_soon_after_it_is_said(several: WakeWord, shared_audio: list[Clip]) -> None:
    for clip in of("wake/hey_mycroft", shared_audio)[:3]:  # these are cut close
        several.reset()
        at_ms = next(20 * n for n, frame in enumerate(frames(read(clip))) if several.detect(frame)) - 1000
        assert clip.seconds * 1000 - 300 < at_ms < clip.seconds * 1000 + 200


def test_reset_makes_the_stream_begin_anew(several: WakeWord, shared_audio: list[Clip]) -> None:
    word = list(frames(read(of("wake/alexa", shared_audio)[0])))
    several.reset()
    first = [several.detect(frame) for frame in word]
    assert "alexa" in first
    several.reset()
    assert [several.detect(frame) for frame in word] == first
    several.reset()
    assert not any(several.detect(np.zeros(FRAME_SAMPLES, np.int16)) for _ in range(200))


def test_extreme_samples_are_no_word(several: WakeWord) -> None:
    several.reset()
    extremes = np.tile(np.array([-32768, 32767], np.int16), FRAME_SAMPLES // 2)
    assert not any(several.detect(extremes) for _ in range(150))


def test_threshold_and_trigger_level_make_it_harder(shared_audio: list[Clip]) -> None:
    clips = of("wake/alexa", shared_audio)[:6]
    strict = load(WakeWordSettings(name="alexa", trigger_level=20))
    assert not any(always_on(strict, read(clip)) for clip in clips)
    level_2 = load(WakeWordSettings(name="alexa", threshold=0.9, trigger_level=2))
    assert all(always_on(level_2, read(clip)) for clip in clips)


def test_a_person_s_own_network_goes_by_the_name_of_its_file(
    tmp_path: Path, shared_audio: list[Clip]
) -> None:
    own = tmp_path / "hey_computer.tflite"
    own.write_bytes((BUILT_IN / "alexa.tflite").read_bytes())
    engine = load(WakeWordSettings(file=own))
    assert set(always_on(engine, read(of("wake/alexa", shared_audio)[0]))) == {"hey_computer"}
    engine.close()


NETWORK = (BUILT_IN / "alexa.tflite").read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a network" * 100,
        NETWORK[: len(NETWORK) // 2],
        NETWORK[:64] + bytes(len(NETWORK) - 64),
        (BUILT_IN / "melspectrogram.tflite").read_bytes(),
        (BUILT_IN / "embedding_model.tflite").read_bytes(),
    ],
    ids=["empty", "text", "half", "zeros", "of sound", "of features"],
)
def test_a_file_that_is_no_wake_word_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    own = tmp_path / "hey_bob.tflite"
    own.write_bytes(content)
    with pytest.raises(ModelCorrupt, match=r"hey_bob\.tflite"):
        load(WakeWordSettings(file=own))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"hey_bob\.tflite"):
        load(WakeWordSettings(file=tmp_path / "hey_bob.tflite"))


@pytest.fixture
def board_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyopen_wakeword", None)


@pytest.mark.usefixtures("board_without")
def test_a_board_without_it_names_the_other_way_in() -> None:
    with pytest.raises(EngineUnavailable, match="not available on this board") as told:
        load("okay_nabu")
    assert "wake.engine to none" in told.value.next_step
    with pytest.raises(EngineUnavailable):
        loading.load_wake_word(Settings(wake=WakeSettings(engine="open_wake_word")))


@pytest.mark.usefixtures("board_without")
def test_by_default_such_a_board_is_woken_by_speech_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert loading.load_wake_word(Settings()) is None
    assert [record.getMessage().split()[0] for record in caplog.records] == ["wakes_by=speech"]


def test_by_default_a_board_that_has_it_waits_for_the_word(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert loading.load_wake_word(Settings()) is not None
    assert [record.getMessage() for record in caplog.records] == ["wakes_by=okay_nabu"]
    assert loading.load_wake_word(Settings(wake=WakeSettings(engine="none"))) is None


def test_features_are_those_that_the_package_makes_one_by_one(shared_audio: list[Clip]) -> None:
    """So networks that were trained with it hear the same, though theirs are made two at a time."""
    sound = read(of("wake/alexa", shared_audio)[0])
    sound = sound[: len(sound) // STEP_SAMPLES * STEP_SAMPLES]
    plain = package.OpenWakeWordFeatures.from_builtin()
    plain.new_audio_samples = 480  # without it, it begins with eight seconds of silence
    chunks = [sound[start : start + 1280].tobytes() for start in range(0, len(sound), 1280)]
    one_by_one = np.concatenate([made for chunk in chunks for made in plain.process_streaming(chunk)], axis=2)
    plain.close()
    ours = WakeFeatures(package.OpenWakeWordFeatures.from_builtin())
    steps = sound.reshape(-1, STEP_SAMPLES)
    several = np.concatenate([ours.take(step) for step in steps], axis=2)
    late = several.shape[2] - one_by_one.shape[2]  # it gives nothing until it has seen 760 ms
    assert late == 9
    np.testing.assert_allclose(several[:, :, late:], one_by_one, atol=1e-3)
    ours.reset()
    np.testing.assert_array_equal(ours.take(steps[0]), several[:, :, :2])
    ours.close()
