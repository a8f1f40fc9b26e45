"""The medium below a file: how fast it reads, and what it is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from assistant.board import storage


def test_a_file_is_read_within_bounds(tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_bytes(b"a" * (4 * storage.PIECE_BYTES))
    began_s = time.monotonic()
    rate = storage.read_rate(file, most_s=0.2)
    assert rate is not None
    assert rate.bytes_per_s > 0
    assert time.monotonic() - began_s < 30


def test_a_file_system_without_direct_reads_is_measured_through_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_DIRECT", raising=False)
    file = tmp_path / "model"
    file.write_bytes(b"a" * storage.PIECE_BYTES)
    rate = storage.read_rate(file)
    assert rate is not None
    assert rate.direct is False


def test_what_is_not_there_or_empty_has_no_rate(tmp_path: Path) -> None:
    assert storage.read_rate(tmp_path / "nothing") is None
    (tmp_path / "empty").touch()
    assert storage.read_rate(tmp_path / "empty") is None


@pytest.mark.parametrize(
    ("name", "said"),
    [("mmcblk0p2", "the SD card"), ("nvme0n1p1", "the NVMe disk"), ("sda1", "the USB"), ("dm-0", "the disk")],
)
def test_the_medium_has_a_name(name: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.touch()
    device = file.stat().st_dev
    place = tmp_path / f"sys/dev/block/{os.major(device)}:{os.minor(device)}"
    place.mkdir(parents=True)
    (place / "uevent").write_text(f"MAJOR=179\nMINOR=2\nDEVNAME={name}\nDEVTYPE=partition\n")
    assert storage.medium(file, tmp_path).startswith(said)
    assert name in storage.medium(file, tmp_path)


def test_what_the_kernel_does_not_name_has_none(tmp_path: Path) -> None:
    assert storage.medium(tmp_path, tmp_path) == ""
    assert storage.medium(tmp_path / "nothing") == ""
