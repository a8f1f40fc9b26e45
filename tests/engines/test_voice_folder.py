"""What voice folders say, and what is wrong with some of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.core.errors import AssistantError, EngineUnavailable, ModelCorrupt, ModelMissing, SettingsError
from assistant.engines.tts.voice import Voice
from assistant.engines.tts.voice_folder import read_voice

PIPER: dict[str, Any] = {
    "audio": {"sample_rate": 22050},
    "espeak": {"voice": "en-us"},
    "phoneme_id_map": {
        "_": [0],
        "^": [1],
        "$": [2],
        "a": [5],
        "ç": [6],
        "c": [7],
        "\N{COMBINING CEDILLA}": [8],
        "!": [9],
    },
}
COQUI: dict[str, Any] = {
    "model": "vits",
    "use_phonemes": True,
    "phonemizer": "espeak",
    "phoneme_language": "en-us",
    "characters": {
        "characters_class": "TTS.tts.models.vits.VitsCharacters",
        "pad": "_",
        "characters": "AB",
        "phonemes": "əa",
        "punctuations": "!. ",
    },
}


def write(folder: Path, description: object, *, name: str = "voice.onnx.json") -> Path:
    (folder / "voice.onnx").touch()
    (folder / name).write_text(description if isinstance(description, str) else json.dumps(description))
    return folder


def piper(folder: Path, **changes: object) -> Voice:
    return read_voice(write(folder, PIPER | changes))[1]


def coqui(folder: Path, characters: dict[str, Any] | None = None, **changes: object) -> Voice:
    description = COQUI | changes | {"characters": COQUI["characters"] | (characters or {})}
    return read_voice(write(folder, description, name="config.json"))[1]


def test_piper_ids_are_framed_and_blanked(tmp_path: Path) -> None:
    # As piper trains: start, blank, then each symbol with a blank after it, end; accents apart.
    assert piper(tmp_path).ids("aç!?") == [1, 0, 5, 0, 7, 0, 8, 0, 9, 0, 2]


def test_coqui_ids_are_blanked_without_a_frame(tmp_path: Path) -> None:
    # VitsCharacters numbers: pad, punctuation, letters, phonemes as they stand, the blank last.
    voice = coqui(tmp_path)
    assert [voice.symbols[symbol] for symbol in ("_", "!", " ", "A", "ə", "a")] == [
        [0],
        [1],
        [3],
        [4],
        [6],
        [7],
    ]
    assert voice.ids("aə!?") == [8, 7, 8, 6, 8, 1, 8]
    assert coqui(tmp_path, add_blank=False).ids("aə!") == [7, 6, 1]


def test_coqui_phonemes_of_the_other_kind(tmp_path: Path) -> None:
    # IPAPhonemes numbers: pad, eos, bos, blank, the phonemes sorted, punctuation.
    characters = {"characters_class": None, "eos": "$", "bos": "^", "blank": "#"}
    voice = coqui(tmp_path, characters, enable_eos_bos_chars=True)
    assert voice.ids("əa.") == [2, 3, 5, 3, 4, 3, 7, 3, 1]


def test_coqui_letters_are_lowered_as_their_cleaner_does(tmp_path: Path) -> None:
    characters = {
        "characters_class": "TTS.tts.utils.text.characters.Graphemes",
        "characters": "abA",
        "blank": "#",
    }
    voice = coqui(tmp_path, characters, use_phonemes=False, text_cleaner="english_cleaners")
    assert voice.espeak_voice is None
    assert voice.ids("Ab") == [1, 3, 1, 4, 1]


def test_coqui_voices_hear_the_marks_that_their_cleaner_left(tmp_path: Path) -> None:
    voice = coqui(tmp_path, {"punctuations": ",;:"}, text_cleaner="phoneme_cleaners", add_blank=False)
    assert voice.ids(",;:") == [1, 1, 1]
    assert coqui(tmp_path, {"punctuations": ",;:"}, add_blank=False).ids(",;:") == [1, 2, 3]


def test_scales_and_rate_are_the_voices_own(tmp_path: Path) -> None:
    voice = piper(tmp_path, inference={"noise_scale": 0.3, "length_scale": 1.5, "noise_w": 0.2})
    assert (voice.noise_scale, voice.length_scale, voice.noise_width_scale) == (0.3, 1.5, 0.2)
    assert voice.sample_rate_hz == 22050


def test_speakers_by_name_and_number(tmp_path: Path) -> None:
    voice = piper(tmp_path, num_speakers=3, speaker_id_map={"ann": 2, "7": 1})
    assert [voice.speaker_id(speaker) for speaker in (None, "ann", 1, "7", 0)] == [0, 2, 1, 1, 0]
    for unknown in ("bob", 3, -1):
        with pytest.raises(SettingsError, match="ann"):
            voice.speaker_id(unknown)


def test_coqui_speakers_come_from_the_description_or_json(tmp_path: Path) -> None:
    assert coqui(tmp_path, speakers=["ann", "bob"]).speaker_id("bob") == 1
    (tmp_path / "speaker_ids.json").write_text('{"p225": 0, "p226": 1}')
    assert coqui(tmp_path).speaker_id("p226") == 1


@pytest.mark.parametrize(
    ("description", "problem"),
    [
        ("{", "cannot be used"),
        ("[]", "not a JSON object"),
        (PIPER | {"audio": {}}, "audio.sample_rate"),
        (PIPER | {"audio": {"sample_rate": 1}}, "audio.sample_rate"),
        (PIPER | {"espeak": None}, "espeak.voice"),
        (PIPER | {"espeak": {"voice": "../../etc/passwd"}}, "espeak.voice"),
        (PIPER | {"phoneme_id_map": {"a": [1]}}, "no symbol"),
        (PIPER | {"phoneme_id_map": {"^": ["x"]}}, "phoneme_id_map"),
        (PIPER | {"inference": {"noise_scale": "NaN"}}, "noise_scale"),
        ("[" * 100_000, "cannot be used"),
    ],
)
def test_descriptions_that_make_no_sense(tmp_path: Path, description: object, problem: str) -> None:
    with pytest.raises(ModelCorrupt, match=problem):
        read_voice(write(tmp_path, description))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"model": "tacotron"}, ModelCorrupt),
        ({"phoneme_language": None}, ModelCorrupt),
        ({"characters": None}, ModelCorrupt),
        ({"phonemizer": "ja_jp_phonemizer"}, EngineUnavailable),
    ],
)
def test_coqui_descriptions_that_do_not_fit(
    tmp_path: Path, changes: dict[str, Any], error: type[AssistantError]
) -> None:
    with pytest.raises(error):
        read_voice(write(tmp_path, COQUI | changes, name="config.json"))


def test_other_phonemes_are_another_engines(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="pinyin"):
        piper(tmp_path, phoneme_type="pinyin")


def test_folders_without_a_voice(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="assistant models pull nowhere"):
        read_voice(tmp_path / "nowhere")
    (tmp_path / "voice.onnx").touch()
    with pytest.raises(ModelMissing, match="description"):
        read_voice(tmp_path)
    (tmp_path / "second.onnx").touch()
    with pytest.raises(ModelCorrupt, match=r"2 \.onnx"):
        read_voice(tmp_path)


def test_a_huge_description_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt, match="too large"):
        read_voice(write(tmp_path, " " * 4_000_001))
