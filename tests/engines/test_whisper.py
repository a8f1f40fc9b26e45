"""Whisper on real speech: as right as the library used plainly, and safe with whatever it is given."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import pytest
import soundfile
from faster_whisper import WhisperModel

from assistant import engines
from assistant.core.errors import ModelCorrupt, ModelMissing, SettingsError
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16, Transcript
from assistant.engines.stt import whisper_short
from assistant.engines.stt.whisper import WhisperStt, create
from assistant.runtime import paths
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import SttSettings
from assistant.text.word_error import normalize_words, word_errors
from assistant.tools.bench.lib.noisy import with_noise
from tests.conftest import Clip

MODEL = paths.models() / SttSettings().model
MULTILINGUAL = paths.models() / "whisper-base"


def load(folder: Path = MODEL, **settings: Any) -> WhisperStt:
    return create(SttSettings(**settings), folder, 2)


@pytest.fixture(scope="module")
def stt() -> Iterator[WhisperStt]:
    engine = load()
    engine.warm_up()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def plain() -> Iterator[WhisperStt]:
    engine = load(short_context=False)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def speech(shared_audio: list[Clip]) -> list[Clip]:
    """Every kind of speaker and length, half of the recordings."""
    kinds = ("commands", "dialog/librispeech_test_other", "dialog/misc")
    return [clip for clip in shared_audio if clip.category in kinds and clip.text][::2]


@pytest.fixture
def question(shared_audio: list[Clip]) -> Pcm16:
    return read(next(clip for clip in shared_audio if clip.path.stem == "whats_the_date_today"))


def read(clip: Clip) -> Pcm16:
    return np.asarray(soundfile.read(clip.path, dtype="int16")[0], dtype=np.int16)


def hiss(seconds: float, level: float = 3000) -> Pcm16:
    return np.random.default_rng(1).normal(0, level, round(seconds * SAMPLE_RATE_HZ)).astype(np.int16)


def error_percent(clips: list[Clip], texts: list[str]) -> float:
    said = [normalize_words(clip.text) for clip in clips]
    errors = sum(word_errors(s, normalize_words(text)) for s, text in zip(said, texts, strict=True))
    return 100 * errors / sum(map(len, said))


@pytest.mark.models
def test_the_short_window_is_as_right_as_the_library_used_plainly(
    stt: WhisperStt, speech: list[Clip]
) -> None:
    library = WhisperModel(str(MODEL), device="cpu", compute_type="int8", local_files_only=True)
    ours, theirs = [], []
    for clip in speech:
        pcm = read(clip)
        ours.append(stt.transcribe(pcm, Cancel()).text)
        segments, _ = library.transcribe(pcm.astype(np.float32) / 32768, language="en", beam_size=1)
        theirs.append("".join(segment.text for segment in segments))
    # Half of the recordings are 380 words: a word is 0.26 points.
    assert error_percent(speech, ours) <= error_percent(speech, theirs) + 0.8


@pytest.mark.models
def test_most_speech_needs_no_second_look(
    stt: WhisperStt, speech: list[Clip], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="assistant")
    for clip in speech:
        stt.transcribe(read(clip), Cancel())
    again = [record for record in caplog.records if "stt_again" in record.message]
    assert len(again) < len(speech) / 4
    assert not any(clip.text.lower() in caplog.text.lower() for clip in speech), "what was said is not logged"


@pytest.mark.models
def test_a_transcript_tells_how_sure_it_is(stt: WhisperStt, plain: WhisperStt, question: Pcm16) -> None:
    for engine in (stt, plain):
        transcript = engine.transcribe(question, Cancel())
        assert normalize_words(transcript.text) == ["what's", "the", "date", "today"]
        assert transcript.language == "en"
        assert 0 < transcript.no_speech_probability < 0.5
        assert -0.7 < transcript.average_log_probability < 0
        assert 0.5 < transcript.compression_ratio < 1


@pytest.mark.models
def test_quiet_after_the_words_changes_nothing(stt: WhisperStt, question: Pcm16) -> None:
    quiet = np.zeros(12 * SAMPLE_RATE_HZ, dtype=np.int16)
    followed = stt.transcribe(np.concatenate((question, quiet)), Cancel())
    alone = stt.transcribe(question, Cancel())
    assert followed.text == alone.text
    assert followed.average_log_probability == pytest.approx(alone.average_log_probability, abs=0.05)


@pytest.mark.models
@pytest.mark.parametrize(("snr_db", "noisy"), [(None, False), (20, False), (10, True), (0, True)])
def test_it_is_heard_twice_and_more_hypotheses_are_followed_in_noise_only(
    snr_db: float | None, noisy: bool, stt: WhisperStt, question: Pcm16, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stt._short
    decode, used = stt._short._decode, []
    encode, heard = stt._short._encode, []

    def encode_and_note(features: Any, window_s: float) -> Any:
        heard.append(features)
        return encode(features, window_s)

    def decode_and_note(*args: Any, beam_size: int, timestamps: bool) -> Any:
        used.append(beam_size)
        return decode(*args, beam_size=beam_size, timestamps=timestamps)

    monkeypatch.setattr(stt._short, "_decode", decode_and_note)
    monkeypatch.setattr(stt._short, "_encode", encode_and_note)
    pcm = question if snr_db is None else with_noise(question, hiss(3), snr_db=snr_db, offset=0)
    stt.transcribe(pcm, Cancel())
    assert used[0] == (5 if noisy else 1)
    assert len(heard) == (2 if noisy else 1)
    for first, later in pairwise(heard):
        np.testing.assert_array_equal(later[:, 1:], first[:, :-1], "a frame later")


@pytest.mark.models
def test_a_doubtful_result_is_done_again_in_full(
    stt: WhisperStt, plain: WhisperStt, question: Pcm16, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_full = plain.transcribe(question, Cancel())
    assert stt.transcribe(question, Cancel()) != in_full
    monkeypatch.setattr(whisper_short, "doubt", lambda *_, **__: "repeats")
    assert stt.transcribe(question, Cancel()) == in_full


@pytest.mark.models
def test_cancel_is_looked_at_between_attempts(
    stt: WhisperStt, question: Pcm16, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel = Cancel()
    attempts = []

    def doubt_and_cancel(*_: object, **__: object) -> str:
        attempts.append(1)
        cancel.set()
        return "repeats"

    monkeypatch.setattr(whisper_short, "doubt", doubt_and_cancel)
    first = stt.transcribe(question, cancel)
    assert len(attempts) == 1
    assert stt.transcribe(question, cancel) == Transcript("", "en", no_speech_probability=1.0)
    assert first.text


@pytest.mark.models
@pytest.mark.parametrize("short_context", [True, False])
def test_silence_and_next_to_nothing_are_no_words(
    stt: WhisperStt, plain: WhisperStt, *, short_context: bool
) -> None:
    engine = stt if short_context else plain
    for seconds in (0, 1 / SAMPLE_RATE_HZ, 0.02, 3):
        silence = np.zeros(round(seconds * SAMPLE_RATE_HZ), dtype=np.int16)
        assert engine.transcribe(silence, Cancel()).text == ""


@pytest.mark.models
@pytest.mark.parametrize("seconds", [0.06, 0.5, 23.9, 24.1, 29.99, 30.5])
def test_noise_of_any_length_is_survived(stt: WhisperStt, seconds: float) -> None:
    transcript = stt.transcribe(hiss(seconds), Cancel())
    assert 0 <= transcript.no_speech_probability <= 1


@pytest.mark.models
def test_the_loudest_possible_sound_is_survived(stt: WhisperStt) -> None:
    extremes = np.tile(np.array([-32768, 32767], dtype=np.int16), SAMPLE_RATE_HZ)
    assert stt.transcribe(extremes, Cancel()).average_log_probability <= 0


@pytest.mark.models
def test_speech_longer_than_one_window_is_heard_to_its_end(stt: WhisperStt, shared_audio: list[Clip]) -> None:
    clips = [clip for clip in shared_audio if clip.category == "dialog/misc"][:6]
    gap = np.zeros(SAMPLE_RATE_HZ // 2, dtype=np.int16)
    pcm = np.concatenate([part for clip in clips for part in (read(clip), gap)])
    assert len(pcm) > 32 * SAMPLE_RATE_HZ
    said = normalize_words(" ".join(clip.text for clip in clips))
    errors = word_errors(said, normalize_words(stt.transcribe(pcm, Cancel()).text))
    assert errors < len(said) / 4


@pytest.mark.models
def test_the_first_call_says_the_same_as_the_tenth(question: Pcm16) -> None:
    engine: WhisperStt = engines.load("stt", "faster_whisper", settings=SttSettings(), model=MODEL, threads=0)
    first = engine.transcribe(question, Cancel())
    engine.warm_up()
    assert all(engine.transcribe(question, Cancel()) == first for _ in range(3))
    engine.close()


@pytest.mark.models
@pytest.mark.parametrize("language", ["en", "auto"])
def test_a_multilingual_model_hears_the_language(language: str, question: Pcm16) -> None:
    if not MULTILINGUAL.is_dir():
        pytest.skip("whisper-base is not on this disk")
    transcript = load(MULTILINGUAL, model="whisper-base", language=language).transcribe(question, Cancel())
    assert normalize_words(transcript.text) == ["what's", "the", "date", "today"]
    assert transcript.language == "en"


# What is wrong with a model folder.


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    if not MODEL.is_dir():
        pytest.skip("the default speech model is not on this disk")
    folder = tmp_path / "whisper"
    shutil.copytree(MODEL, folder, symlinks=False)
    return folder


def test_a_model_that_is_not_there_is_missing(tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ModelMissing):
            load(folder)


@pytest.mark.models
@pytest.mark.parametrize(
    ("name", "keep"),
    [
        ("model.bin", 40_000_000),
        ("model.bin", 100),
        ("model.bin", 0),
        ("config.json", 50),
        ("tokenizer.json", 10_000),
        ("vocabulary.txt", 0),
    ],
)
def test_a_truncated_file_is_a_corrupt_model(copy: Path, name: str, keep: int) -> None:
    with (copy / name).open("r+b") as file:
        file.truncate(keep)
    with pytest.raises(ModelCorrupt) as caught:
        load(copy)
    assert "\n" not in caught.value.problem
    assert caught.value.problem.count(". ") == 0, "one sentence"


@pytest.mark.models
@pytest.mark.parametrize("name", ["model.bin", "config.json", "tokenizer.json", "vocabulary.txt"])
def test_a_lost_file_is_a_corrupt_model_and_never_fetched(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ModelCorrupt):
        load(copy)


@pytest.mark.models
def test_a_language_the_model_does_not_know_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError, match=r"'de'.*Set stt\.language to"):
        load(language="de")


# Where it runs.


@pytest.mark.models
@pytest.mark.parametrize(
    ("device", "wanted", "used"),
    [
        ("cpu", "float32", "float32"),
        ("cpu", "float16", "float32"),
        ("auto", "float16", "float32"),
        ("auto", "int8_float16", "int8_float32"),
    ],
)
def test_a_number_format_that_is_not_there_gives_way_to_the_nearest(
    device: str,
    wanted: str,
    used: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 0)
    caplog.set_level(logging.INFO, logger="assistant")
    load(device=device, compute_type=wanted).close()
    *skipped, runs = [record.getMessage() for record in caplog.records]
    assert runs == f"network=stt runs_on=cpu compute_type={used}"
    assert len(skipped) == (used != wanted)
    assert all(f"compute_type={wanted} network=stt skipped=yes" in line for line in skipped)


@pytest.mark.models
@pytest.mark.parametrize(("cards", "reason"), [(0, "no card"), (1, "CUDA")])
def test_a_card_that_is_not_there_or_does_not_start_is_skipped(
    cards: int, reason: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ctranslate2.get_cuda_device_count():
        pytest.skip("this machine has one")
    formats = ctranslate2.get_supported_compute_types
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: cards)
    monkeypatch.setattr(
        ctranslate2,
        "get_supported_compute_types",
        lambda name: formats("cpu") if name == "cuda" else formats(name),
    )
    caplog.set_level(logging.INFO, logger="assistant")
    load(device="cuda").close()
    skipped, runs = [record.getMessage() for record in caplog.records]
    assert skipped.startswith("provider=cuda network=stt skipped=yes")
    assert reason in skipped
    assert runs == "network=stt runs_on=cpu compute_type=int8_float32"
    caplog.clear()
    load(device="auto").close()
    assert len(caplog.records) == 1 + cards, "auto asks for no card"


@pytest.mark.models
def test_a_card_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    if not ctranslate2.get_cuda_device_count():
        pytest.skip("this machine has no card with CUDA")
    engine = load(device="auto")
    assert engine._model.model.device == "cuda"
    engine.close()
