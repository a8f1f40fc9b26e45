"""What was kept is given back whole and to its owner only, or not at all."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.engines.llm import prompt_cache as kept_file

on_disk = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@on_disk
@given(st.binary(), st.binary())
def test_what_was_saved_is_loaded(tmp_path: Path, key: bytes, state: bytes) -> None:
    kept_file.save(tmp_path / "p", key, state)
    assert kept_file.load(tmp_path / "p", key) == state
    assert kept_file.load(tmp_path / "p", key + b"!") is None


@on_disk
@given(st.binary(min_size=1), st.data())
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, state: bytes, data: st.DataObject) -> None:
    path = tmp_path / "p"
    kept_file.save(path, b"key", state)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    path.write_bytes(content[:at])
    assert kept_file.load(path, b"key") is None
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    assert kept_file.load(path, b"key") is None


def test_nobody_else_can_read_it_and_nothing_is_left_over(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    kept_file.save(folder / "p", b"key", b"old")
    kept_file.save(folder / "p", b"key", b"new")
    assert kept_file.load(folder / "p", b"key") == b"new"
    assert stat.S_IMODE((folder / "p").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [file.name for file in folder.iterdir()] == ["p"]


def test_no_file_is_none(tmp_path: Path) -> None:
    assert kept_file.load(tmp_path / "absent", b"key") is None


def test_a_disk_that_cannot_keep_it_is_no_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        kept_file.save(tmp_path / "file" / "p", b"key", b"state")
    assert "kept=no" in caplog.text
