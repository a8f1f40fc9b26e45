"""How the hardware is doing, read from /proc and /sys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from assistant.board import health


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_where_nothing_is_told_nothing_is_known(tmp_path: Path) -> None:
    assert health.available_mb(tmp_path) is None
    assert health.swap_used_mb(tmp_path) is None
    assert health.hottest_c(tmp_path) is None
    assert health.governor(tmp_path) == ("", False)
    assert health.throttling(tmp_path) == ()


def test_memory_is_counted_in_millions_of_bytes(tmp_path: Path) -> None:
    write(tmp_path, "proc/meminfo", "MemAvailable:  1000000 kB\nSwapTotal: 500000 kB\nSwapFree: 100000 kB\n")
    assert health.available_mb(tmp_path) == 1024
    assert health.swap_used_mb(tmp_path) == 512 - 102


def test_the_hottest_sensor_counts_and_broken_ones_do_not(tmp_path: Path) -> None:
    for number, text in enumerate(("41000", "83500", "-1", "")):
        write(tmp_path, f"sys/class/thermal/thermal_zone{number}/temp", f"{text}\n")
    assert health.hottest_c(tmp_path) == 83.5


@pytest.mark.parametrize(
    ("governor", "driver", "slow"),
    [
        ("powersave", "cpufreq-dt", True),
        ("ondemand", "cpufreq-dt", False),
        ("powersave", "intel_pstate", False),
        ("powersave", "amd-pstate-epp", False),
    ],
)
def test_powersave_is_slow_only_where_the_processor_does_not_choose_itself(
    governor: str, driver: str, slow: bool, tmp_path: Path
) -> None:
    write(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", governor)
    write(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_driver", driver)
    assert health.governor(tmp_path) == (governor, slow)


def test_one_slow_processor_is_enough(tmp_path: Path) -> None:
    for number, governor in enumerate(("ondemand", "powersave")):
        write(tmp_path, f"sys/devices/system/cpu/cpu{number}/cpufreq/scaling_governor", governor)
    assert health.governor(tmp_path) == ("powersave", True)


@pytest.mark.parametrize(
    ("said", "count"), [("0", 0), ("50005", 4), ("0x50000", 2), ("", 0), ("nonsense", 0), ("-1", 0)]
)
def test_a_pi_says_what_throttles_it(said: str, count: int, tmp_path: Path) -> None:
    write(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", f"{said}\n")
    assert len(health.throttling(tmp_path)) == count


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ('[ "$*" = get_throttled ] && echo throttled=0x50005', 4),
        ("echo throttled=0x0", 0),
        ("echo throttled=0x4; exit 255", 0),
        ("printf 'VCHI initialization failed\\377'", 0),
    ],
)
def test_where_the_kernel_passes_nothing_on_the_pis_own_program_is_asked(
    body: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin/vcgencmd"
    write(tmp_path, "bin/vcgencmd", f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setattr(health, "ROOT", tmp_path)
    assert len(health.throttling(tmp_path)) == count
