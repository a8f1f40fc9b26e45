"""The medium below a file: how fast it reads, and what it is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from assistant import engines
from assistant.app import engines as loading
from assistant.board import storage
from assistant.settings.schema import Settings


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


def test_the_largest_file_of_a_model_is_its_weights(tmp_path: Path) -> None:
    assert storage.largest_file(tmp_path / "nothing") is None
    (tmp_path / "onnx").mkdir()
    for name, size in (("config.json", 20), ("onnx/model.onnx", 30), ("onnx/model.onnx_data", 400)):
        (tmp_path / name).write_bytes(b"a" * size)
    assert storage.largest_file(tmp_path) == tmp_path / "onnx/model.onnx_data"


SLOW_LOADS = [
    (12.0, storage.Rate(40e6, direct=True), True),
    (0.1, storage.Rate(40e6, direct=True), False),  # it was in the cache
    (12.0, storage.Rate(300e6, direct=True), False),  # a slow processor, not a slow disk
    (12.0, storage.Rate(40e6, direct=False), False),  # nobody can tell
    (12.0, None, False),
]


@pytest.mark.models
@pytest.mark.parametrize(("load_s", "rate", "warns"), SLOW_LOADS)
def test_a_start_that_a_slow_card_held_up_says_so(
    load_s: float,
    rate: storage.Rate | None,
    warns: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = iter((100.0, 100.0 + load_s))
    monkeypatch.setattr(loading, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(engines, "load", lambda *_, **__: None)
    monkeypatch.setattr(storage, "read_rate", lambda _: rate)
    loading.load_llm(Settings())
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == warns
    assert all(
        "llm_load_s=12.0" in line and "40 MB/s" in line and storage.ADVICE in line for line in warnings
    )


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
