"""The format of encrypted files: what goes in comes out, and nothing that was changed does."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.core.errors import ModelCorrupt, ModelLocked
from assistant.store.progress import Meter, Unwatched
from assistant.store.sealed import SUFFIX, TAG_BYTES, Opened, new_head, write
from tests.store.site import blob

pytest.importorskip("cryptography", reason="the extra encryption is not installed")

KEY = bytes(range(32))
CHUNK = 64
"""Small, so that a short file has many."""

often = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


def sealed(folder: Path, plain: bytes, name: str = "m.gguf", key: bytes = KEY) -> Path:
    head = new_head(name, len(plain), hashlib.sha256(plain).hexdigest(), key, CHUNK)
    target = folder / (name + SUFFIX)
    with target.open("wb") as file:
        write(io.BytesIO(plain), file, key, head, Meter("", len(plain), Unwatched()))
    return target


def whole(file: Path, key: bytes = KEY) -> bytes:
    with Opened(file, key) as opened:
        return b"".join(opened.chunks())


@often
@given(plain=st.binary(max_size=5 * CHUNK))
def test_what_goes_in_comes_out(tmp_path: Path, plain: bytes) -> None:
    file = sealed(tmp_path, plain)
    assert whole(file) == plain
    assert len(plain) < 16 or plain not in file.read_bytes()


@often
@given(plain=st.binary(min_size=1, max_size=5 * CHUNK), data=st.data())
def test_it_can_be_read_from_anywhere(tmp_path: Path, plain: bytes, data: st.DataObject) -> None:
    with Opened(sealed(tmp_path, plain), KEY) as opened:
        for _ in range(4):
            start = data.draw(st.integers(0, len(plain)))
            count = data.draw(st.integers(0, len(plain)))
            opened.seek(start)
            assert (
                io.BufferedReader.read(io.BufferedReader(_Unclosed(opened)), count) == plain[start:][:count]
            )


class _Unclosed(io.RawIOBase):
    """Another reader of the same file; closing it leaves the file open."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        return self._opened.readinto(buffer)


@often
@given(data=st.data())
def test_any_flipped_bit_is_found(tmp_path: Path, data: st.DataObject) -> None:
    file = sealed(tmp_path, blob(3 * CHUNK + 7))
    content = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(content)
    with pytest.raises(ModelCorrupt, match=r"is damaged"):
        whole(file)


@often
@given(data=st.data())
def test_any_other_length_is_found(tmp_path: Path, data: st.DataObject) -> None:
    file = sealed(tmp_path, blob(3 * CHUNK + 7))
    content = file.read_bytes()
    cut = data.draw(st.integers(0, len(content) + 200).filter(lambda length: length != len(content)))
    file.write_bytes((content + content)[:cut])
    with pytest.raises(ModelCorrupt, match=r"is damaged"):
        whole(file)


def _parts(file: Path) -> tuple[bytes, list[bytes]]:
    """The head, and the chunks with their tags."""
    content = file.read_bytes()
    with Opened(file, KEY) as opened:
        begin, size = len(opened.head.raw), opened.head.chunk_bytes + TAG_BYTES
    return content[:begin], [content[start : start + size] for start in range(begin, len(content), size)]


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1), (0, 0, 2), (0, 1, 1)])
def test_chunks_that_were_moved_or_repeated_are_found(tmp_path: Path, order: tuple[int, ...]) -> None:
    file = sealed(tmp_path, blob(3 * CHUNK))
    head, chunks = _parts(file)
    file.write_bytes(head + b"".join(chunks[number] for number in order))
    with pytest.raises(ModelCorrupt, match=r"chunk \d of 3 was changed"):
        whole(file)


def test_a_chunk_of_another_file_or_version_is_found(tmp_path: Path) -> None:
    """Of the same key, name, length, content and place even: each file has a salt of its own."""
    plain = blob(3 * CHUNK)
    (tmp_path / "other").mkdir()
    head, chunks = _parts(sealed(tmp_path, plain))
    _, others = _parts(sealed(tmp_path / "other", plain))
    assert not set(chunks) & set(others)
    (tmp_path / f"m.gguf{SUFFIX}").write_bytes(head + chunks[0] + others[1] + chunks[2])
    with pytest.raises(ModelCorrupt, match="chunk 2 of 3"):
        whole(tmp_path / f"m.gguf{SUFFIX}")


def test_a_renamed_file_is_found(tmp_path: Path) -> None:
    file = sealed(tmp_path, b"one")
    with pytest.raises(ModelCorrupt, match=r"it is the file 'm\.gguf' under another name"):
        whole(file.rename(tmp_path / f"config.json{SUFFIX}"))


@pytest.mark.parametrize("key", [bytes(32), bytes(range(31)) + b"x"])
def test_another_key_is_told_from_damage(tmp_path: Path, key: bytes) -> None:
    with pytest.raises(ModelLocked, match="encrypted with a different key"):
        whole(sealed(tmp_path, b"one"), key)


@often
@given(content=st.binary(max_size=400))
def test_no_garbage_opens(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / f"m.gguf{SUFFIX}"
    for each in (content, b"SHELFENC" + content):
        file.write_bytes(each)
        with pytest.raises(ModelCorrupt):
            whole(file)
