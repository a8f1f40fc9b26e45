"""A folder of recordings becomes clips that know where somebody speaks and what is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from assistant.audio.files import write_wav
from assistant.core.errors import AudioFileInvalid
from assistant.core.types import SAMPLE_RATE_HZ
from assistant.tools.bench.lib.clips import read_set
from tests.tools.bench.conftest import DEMO


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder with one question in a folder of its own, and a second without speech."""
    folder = tmp_path / "set"
    (folder / "deep").mkdir(parents=True)
    shutil.copy(DEMO, folder / "deep" / "bridge.wav")
    write_wav(folder / "silent.wav", np.zeros(SAMPLE_RATE_HZ, np.int16), SAMPLE_RATE_HZ)
    (folder / "notes.txt").write_text("not a recording")
    return folder


@pytest.mark.parametrize("place", [".", ".."])
def test_a_manifest_in_the_folder_or_above_tells_the_text(recordings: Path, place: str) -> None:
    manifest = (recordings / place).resolve() / "manifest.jsonl"
    path = (recordings / "deep" / "bridge.wav").relative_to(manifest.parent)
    rows = [{"path": str(path), "text": "how old is it", "kind": "question"}, {"path": "elsewhere.wav"}]
    manifest.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    (clip,) = read_set(recordings)
    assert (clip.name, clip.text, clip.kind) == ("deep/bridge.wav", "how old is it", "question")
    assert 1.6 < clip.spoken.end_s < clip.duration_s


def test_without_a_manifest_the_text_is_unknown(recordings: Path) -> None:
    (clip,) = read_set(recordings)
    assert clip.text == ""


def test_a_limit_takes_a_spread(tmp_path: Path) -> None:
    for number in range(6):
        shutil.copy(DEMO, tmp_path / f"{number}.wav")
    assert [clip.name for clip in read_set(tmp_path, 3)] == ["0.wav", "2.wav", "4.wav"]


@pytest.mark.parametrize("line", ["{", "[]", '"text"', '{"path": 7}', '{"path": "a\\u0000b"}'])
def test_a_broken_manifest_is_named_with_its_line(recordings: Path, line: str) -> None:
    (recordings / "manifest.jsonl").write_text('{"path": "deep/bridge.wav"}\n' + line + "\n")
    with pytest.raises(AudioFileInvalid, match=r"Line 2 of .*manifest.jsonl"):
        read_set(recordings)


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(AudioFileInvalid, match="contains no recordings"):
        read_set(tmp_path)
    with pytest.raises(AudioFileInvalid, match="contains no recordings"):
        read_set(tmp_path / "missing")


def test_a_folder_in_which_nobody_speaks_is_a_mistake(tmp_path: Path) -> None:
    write_wav(tmp_path / "silent.wav", np.zeros(SAMPLE_RATE_HZ, np.int16), SAMPLE_RATE_HZ)
    with pytest.raises(AudioFileInvalid, match="contain no speech"):
        read_set(tmp_path)
