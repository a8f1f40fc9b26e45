"""WAV files whose headers are wrong."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from assistant.audio.files import read_sound, write_wav
from assistant.core.errors import AudioFileInvalid

SOUND = (np.sin(np.arange(16_000) / 10) * 9000).astype(np.int16)


@pytest.fixture
def good(tmp_path: Path) -> bytes:
    write_wav(tmp_path / "good.wav", SOUND, 16_000)
    return (tmp_path / "good.wav").read_bytes()


def read(folder: Path, content: bytes) -> int:
    """How many samples are read from such a file."""
    file = folder / "odd.wav"
    file.write_bytes(content)
    return len(read_sound(file))


@pytest.mark.parametrize("size", [0, 100, len(SOUND), 0xFFFFFFFF])
def test_all_that_is_there_is_read(tmp_path: Path, good: bytes, size: int) -> None:
    at = good.index(b"data")
    assert read(tmp_path, good[: at + 4] + struct.pack("<I", size) + good[at + 8 :]) == len(SOUND)


def test_what_follows_the_sound_is_not_read(tmp_path: Path, good: bytes) -> None:
    assert read(tmp_path, good + b"LIST" + struct.pack("<I", 4) + b"INFO") == len(SOUND)


@pytest.mark.parametrize(
    ("offset", "value", "problem"),
    [(12, struct.pack("<I", 0), "0 samples per second"), (8, struct.pack("<H", 3), "floating point with 16")],
)
def test_a_wrong_header_is_explained(
    tmp_path: Path, good: bytes, offset: int, value: bytes, problem: str
) -> None:
    at = good.index(b"fmt ") + offset
    with pytest.raises(AudioFileInvalid, match=problem):
        read(tmp_path, good[:at] + value + good[at + len(value) :])


def test_chunks_out_of_order_are_explained(tmp_path: Path, good: bytes) -> None:
    at, begin = good.index(b"data"), good.index(b"fmt ")
    with pytest.raises(AudioFileInvalid, match="out of order"):
        read(tmp_path, good[:begin] + good[at:] + good[begin:at])
