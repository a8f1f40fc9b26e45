"""How many weights a recogniser has is read from its file, whatever they are stored as."""

from __future__ import annotations

import contextlib
import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.errors import ModelCorrupt
from assistant.store.formats.ctranslate2 import numbers_in


def text(name: str) -> bytes:
    return struct.pack("<H", len(name) + 1) + name.encode() + b"\0"


def array(name: str, shape: tuple[int, ...], each_bytes: int) -> bytes:
    size = each_bytes
    for length in shape:
        size *= length
    head = text(name) + struct.pack(f"<B{len(shape)}IBI", len(shape), *shape, 0, size)
    return head + bytes(size)


def model(*arrays: bytes) -> bytes:
    return struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(arrays)) + b"".join(arrays)


def count(data: bytes) -> int:
    return numbers_in(io.BytesIO(data), len(data), "model.bin")


@pytest.mark.parametrize("each_bytes", [1, 2, 4])
def test_as_many_whatever_they_are_stored_as(each_bytes: int) -> None:
    assert count(model(array("a", (3, 5), each_bytes), array("scale", (), 4))) == 16


@pytest.mark.parametrize("data", [b"", b"GGUF", model(array("a", (300,), 2))[:-1]])
def test_what_is_cut_off_is_refused(data: bytes) -> None:
    with pytest.raises(ModelCorrupt):
        count(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(data: bytes) -> None:
    with contextlib.suppress(ModelCorrupt):
        count(data)


@pytest.mark.models
def test_a_real_one_has_16_bits_each() -> None:
    file = Path("~/.local/share/assistant/models/whisper-tiny.en/model.bin").expanduser()
    with file.open("rb") as opened:
        found = numbers_in(opened, file.stat().st_size, file.name)
    assert 2 * found == pytest.approx(file.stat().st_size, rel=0.001)
