"""How the machine is doing, from trees of /proc and /sys and from real disks."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.board import health, strain
from assistant.board.shortage import Reading
from tests.board.test_health import write


def test_where_nothing_is_told_only_the_disk_is_known(tmp_path: Path) -> None:
    reading = strain.read(tmp_path, tmp_path)
    assert reading == Reading(disk_mb=reading.disk_mb)
    assert reading.disk_mb is not None
    assert strain.read(tmp_path / "nowhere", tmp_path).disk_mb is None


def test_memory_is_what_the_tightest_limit_leaves(tmp_path: Path) -> None:
    write(tmp_path, "proc/meminfo", "MemAvailable:  1000000 kB\n")
    assert strain.read(tmp_path, tmp_path).memory_mb == 1024
    write(tmp_path, "proc/self/cgroup", "0::/system.slice/assistant.service\n")
    group = "sys/fs/cgroup/system.slice/assistant.service"
    write(tmp_path, f"{group}/memory.max", "900000000\n")
    write(tmp_path, f"{group}/memory.current", "700000000\n")
    write(tmp_path, f"{group}/memory.stat", "inactive_file 100000000\n")
    assert strain.read(tmp_path, tmp_path).memory_mb == 300
    write(tmp_path, f"{group}/memory.high", "650000000\n")
    assert strain.read(tmp_path, tmp_path).memory_mb == 50, "from there on it is slowed down"
    write(tmp_path, f"{group}/memory.high", "max\n")
    assert strain.read(tmp_path, tmp_path).memory_mb == 300


@pytest.mark.parametrize(
    ("said", "percent"), [("some avg10=31.50 avg60=2.00 avg300=0.00 total=7\n", 31.5), ("", None)]
)
def test_waiting_for_memory_is_what_the_kernel_says(said: str, percent: float | None, tmp_path: Path) -> None:
    write(tmp_path, "proc/pressure/memory", f"{said}full avg10=90.00 avg60=0 avg300=0 total=0\n")
    assert strain.read(tmp_path, tmp_path).stalled_percent == percent


@pytest.mark.parametrize(
    ("sensors", "hottest_c"),
    [
        ({"cpu-thermal": "61000"}, 61),
        ({"CPU-therm": "48000", "GPU-therm": "46000", "PMIC-Die": "100000", "thermal-fan-est": "70000"}, 48),
        ({"PMIC-Die": "100000", "AO-therm": "52000"}, 52),
        ({"x86_pkg_temp": "70000", "iwlwifi_1": "90000", "acpitz": "27800"}, 70),
        ({"acpitz": "27800"}, 27.8),
    ],
)  # fmt: skip
def test_it_is_the_processor_that_must_not_be_hot(
    sensors: dict[str, str], hottest_c: float, tmp_path: Path
) -> None:
    for number, (kind, reading) in enumerate(sensors.items()):
        write(tmp_path, f"sys/class/thermal/thermal_zone{number}/type", f"{kind}\n")
        write(tmp_path, f"sys/class/thermal/thermal_zone{number}/temp", f"{reading}\n")
    assert health.hottest_c(tmp_path) == hottest_c
    assert strain.read(tmp_path, tmp_path).hot_c == hottest_c
