"""How the hardware is doing, read from /proc and /sys."""

from __future__ import annotations

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
    assert health.slow_governor(tmp_path) == ""
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
        ("powersave", "cpufreq-dt", "powersave"),
        ("ondemand", "cpufreq-dt", ""),
        ("powersave", "intel_pstate", ""),
        ("powersave", "amd-pstate-epp", ""),
    ],
)
def test_powersave_is_slow_only_where_the_processor_does_not_choose_itself(
    governor: str, driver: str, slow: str, tmp_path: Path
) -> None:
    write(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", governor)
    write(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_driver", driver)
    assert health.slow_governor(tmp_path) == slow


@pytest.mark.parametrize(
    ("said", "count"), [("0", 0), ("50005", 4), ("0x50000", 2), ("", 0), ("nonsense", 0), ("-1", 0)]
)
def test_a_pi_says_what_throttles_it(said: str, count: int, tmp_path: Path) -> None:
    write(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", f"{said}\n")
    assert len(health.throttling(tmp_path)) == count
