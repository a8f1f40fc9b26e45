"""The VITS engine: on a voice that hums (a real, tiny ONNX file), and on the real one.

``fixtures/voice-tone`` hums one tone, 400 samples an id, as loud as the noise scale, higher for
each speaker, with silence before and after.
"""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.core.errors import EngineFailed, EngineUnavailable, ModelCorrupt, ModelMissing, SettingsError
from assistant.core.types import Pcm16, Sentence
from assistant.engines.tts.sound import CLAUSE_PAUSE_MS, EDGE_MS, SENTENCE_PAUSE_MS
from assistant.engines.tts.vits import MAX_SYMBOLS, VitsTts, create
from assistant.engines.tts.voice import Voice
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import TtsSettings

RATE_HZ = 22_050
TONE = {
    "audio": {"sample_rate": RATE_HZ},
    "phoneme_type": "text",
    "phoneme_id_map": {letter: [i] for i, letter in enumerate("_^$ abcdefghijklmnopqrstuvwxyz.,?!'")},
    "num_speakers": 3,
    "speaker_id_map": {"ann": 0, "bob": 1},
}


@pytest.fixture
def tone(tmp_path: Path, fixtures: Path) -> Path:
    folder = tmp_path / "voice-tone"
    folder.mkdir()
    shutil.copy(fixtures / "voice-tone" / "tone.onnx", folder)
    (folder / "tone.onnx.json").write_text(json.dumps(TONE))
    return folder


def load(folder: Path, **settings: Any) -> VitsTts:
    return create(TtsSettings(**settings), folder, 1)


def say(voice: VitsTts, text: str) -> Pcm16:
    return voice.synthesize(Sentence(text), Cancel())


def hum_ms(pcm: Pcm16) -> float:
    """How long it hums, without the silence around it."""
    heard = np.flatnonzero(pcm)
    return float(heard[-1] - heard[0]) * 1000 / RATE_HZ


def pitch_hz(pcm: Pcm16) -> float:
    middle = pcm[len(pcm) // 4 : len(pcm) // 2].astype(float)
    loudest = int(np.argmax(np.abs(np.fft.rfft(middle * np.hanning(len(middle))))))
    return loudest * RATE_HZ / len(middle)


def test_ids_become_sound_with_the_pause_that_the_mark_asks_for(tone: Path) -> None:
    voice = load(tone)
    for text, pause_ms in (("abcdef.", SENTENCE_PAUSE_MS), ("abcdef,", CLAUSE_PAUSE_MS)):
        pcm = say(voice, text)
        assert pcm.dtype == np.int16
        # 7 symbols and a start, each with a blank, and the end: 17 ids.
        sounding_ms = 17 * 400 * 1000 / RATE_HZ
        assert len(pcm) * 1000 / RATE_HZ == pytest.approx(sounding_ms + 2 * EDGE_MS + pause_ms, abs=3)


def test_speed_is_speed(tone: Path) -> None:
    normal, double = (hum_ms(say(load(tone, speed=speed), "some words.")) for speed in (1.0, 2.0))
    assert normal == pytest.approx(2 * double, rel=0.05)


def test_speakers_by_name_and_number(tone: Path) -> None:
    pitches = [pitch_hz(say(load(tone, speaker=speaker), "some words.")) for speaker in (None, "bob", 2)]
    assert pitches == pytest.approx([220, 440, 660], rel=0.05)
    with pytest.raises(SettingsError, match="'eve'"):
        load(tone, speaker="eve")


def test_one_loudness_for_the_voice(tone: Path) -> None:
    quiet, loud = (load(tone, noise_scale=scale) for scale in (0.1, 0.4))
    for voice in (quiet, loud):
        # A hum's peak is 3 dB over its level of -18 dB.
        assert np.abs(say(voice, "some words.")).max() / 32_768 == pytest.approx(10 ** (-15 / 20), rel=0.05)


def test_a_text_without_a_mark_is_ended_or_goes_on(tone: Path) -> None:
    voice = load(tone)
    assert np.array_equal(say(voice, "paris"), say(voice, "paris."))
    long = "the tallest mountain in the world is mount everest"
    assert np.array_equal(say(voice, long), say(voice, f"{long},"))


@pytest.mark.parametrize("text", ["", " ", "...", "😀", "?!", "- — ("])
def test_nothing_to_pronounce_is_silence(tone: Path, text: str) -> None:
    assert len(say(load(tone), text)) == 0


def test_unknown_letters_are_left_out(tone: Path) -> None:
    voice = load(tone)
    assert np.array_equal(say(voice, "a漢b."), say(voice, "ab."))
    assert len(say(voice, "漢字.")) > 0


@pytest.mark.parametrize("text", ["word " * 500, "a" * 3000, "one, two, " * 300, "Yes. No! " * 100])
def test_text_of_any_length_is_spoken_whole(tone: Path, text: str) -> None:
    voice = load(tone)
    expected_ms = len("".join(text.split())) * 2 * 400 * 1000 / RATE_HZ
    assert len(say(voice, text)) * 1000 / RATE_HZ > expected_ms


def test_no_run_is_longer_than_a_voice_can_take(tone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voice = load(tone)
    lengths: list[int] = []
    real_ids = voice._voice.ids

    def ids(_: Voice, text: str) -> list[int]:
        lengths.append(len(text))
        return real_ids(text)

    monkeypatch.setattr(Voice, "ids", ids)
    say(voice, "word " * 200 + "x" * 1000 + ", and so on, " * 50)
    assert max(lengths) <= MAX_SYMBOLS + 1  # and its mark


def test_cancelled_work_is_empty(tone: Path) -> None:
    cancel = Cancel()
    cancel.set()
    assert len(load(tone).synthesize(Sentence("some words."), cancel)) == 0


@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_a_broken_model_file_is_corrupt(tone: Path, content: bytes | None) -> None:
    onnx = tone / "tone.onnx"
    onnx.write_bytes(onnx.read_bytes()[:-200] if content is None else content)
    with pytest.raises(ModelCorrupt, match="assistant models pull voice-tone"):
        load(tone)


def test_a_swapped_model_file_is_corrupt(tone: Path, fixtures: Path) -> None:
    shutil.copy(fixtures / "voice-tone" / "other.onnx", tone / "tone.onnx")
    with pytest.raises(ModelCorrupt, match="not a VITS voice"):
        load(tone)


def test_a_missing_voice_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="assistant models pull nobody"):
        load(tmp_path / "nobody")


def test_without_espeak_a_phoneme_voice_says_what_to_install(
    tone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tone / "tone.onnx.json").write_text(
        json.dumps(TONE | {"phoneme_type": "espeak", "espeak": {"voice": "en-us"}})
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineUnavailable, match="apt install espeak-ng"):
        load(tone)


def test_output_that_is_no_sound_is_a_failure(tone: Path) -> None:
    voice = load(tone)
    voice._constant["scales"] = np.array([np.nan, 1.0, 1.0], dtype=np.float32)
    with pytest.raises(EngineFailed, match="is not sound"):
        say(voice, "some words.")


def test_a_run_that_fails_is_a_failure(tone: Path) -> None:
    voice = load(tone)
    voice.warm_up()
    voice._constant["scales"] = np.zeros((3, 3), dtype=np.float32)
    with pytest.raises(EngineFailed, match="failed to speak"):
        say(voice, "some words.")


@pytest.fixture(scope="module")
def joe_folder() -> Path:
    return Path("~/.local/share/assistant/models/voice-en-us-joe").expanduser()


@pytest.fixture(scope="module")
def joe(joe_folder: Path) -> VitsTts:
    voice = load(joe_folder)
    voice.warm_up()
    return voice


@pytest.mark.models
def test_the_real_voice_is_level_and_tidy(joe: VitsTts) -> None:
    for text in ("Yes.", "The timer for twelve minutes is set.", "I do not know, but I can find out!"):
        pcm = say(joe, text).astype(float) / 32_768
        heard = np.flatnonzero(np.abs(pcm) > np.abs(pcm).max() / 100)
        assert 0.3 < np.abs(pcm).max() < 1.0
        assert heard[0] / RATE_HZ < 0.05
        assert (len(pcm) - heard[-1]) / RATE_HZ == pytest.approx(
            (SENTENCE_PAUSE_MS + EDGE_MS) / 1000, abs=0.1
        )


@pytest.mark.models
def test_a_running_synthesis_can_be_cancelled(joe: VitsTts) -> None:
    cancel = Cancel()
    spoken: list[Pcm16] = []
    text = "this is a long text about nothing at all, " * 40
    thread = threading.Thread(target=lambda: spoken.append(joe.synthesize(Sentence(text), cancel)))
    thread.start()
    cancel.wait(0.3)
    cancel.set()
    thread.join(5)  # all of it would take much longer
    assert not thread.is_alive()
    assert len(spoken[0]) == 0
    assert len(say(joe, "Still here.")) > 0


@pytest.mark.models
def test_a_coqui_description_of_the_same_voice_speaks_the_same_ids(joe_folder: Path, tmp_path: Path) -> None:
    piper = json.loads((joe_folder / "en_US-joe-medium.onnx.json").read_text())
    symbols = [f"<{i}>" for i in range(256)]
    for symbol, (number,) in piper["phoneme_id_map"].items():
        symbols[number] = symbol
    (tmp_path / "voice.onnx").symlink_to(joe_folder / "en_US-joe-medium.onnx")
    description = {
        "model": "vits",
        "use_phonemes": True,
        "phoneme_language": "en-us",
        "enable_eos_bos_chars": True,
        "characters": {"vocab_dict": symbols, "pad": "_", "blank": "_", "bos": "^", "eos": "$"},
    }
    (tmp_path / "config.json").write_text(json.dumps(description))
    coqui = load(tmp_path)
    assert coqui._voice.ids("həloʊ.") == load(joe_folder)._voice.ids("həloʊ.")
    assert len(say(coqui, "Hello.")) > RATE_HZ // 2
