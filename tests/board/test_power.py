"""Energy, from files written after what such machines have, and from lines that tegrastats printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.board import power

NANO = (
    "RAM 1923/3964MB (lfb 2x2MB) SWAP 191/1982MB (cached 6MB) IRAM 0/252kB(lfb 252kB) "
    "CPU [5%@1224,4%@1224,3%@1224,6%@1224] EMC_FREQ 12%@1600 GR3D_FREQ 0%@76 APE 25 PLL@37C CPU@40C PMIC@50C "
    "GPU@40C AO@45C thermal@40C POM_5V_IN 1750/1628 POM_5V_GPU 0/0 POM_5V_CPU 366/406"
)
"""Of a Jetson Nano, JetPack 4 (Tegra Linux Driver Package Development Guide, "tegrastats Utility")."""
ORIN = (
    "11-23-2026 10:00:01 RAM 3215/7620MB (lfb 4x4MB) SWAP 0/3810MB (cached 0MB) "
    "CPU [12%@1510,9%@1510,31%@1510,4%@1510,0%@729,0%@729] EMC_FREQ 8%@2133 GR3D_FREQ 41%@[611] "
    "cpu@49.5C soc2@48.2C gpu@48.8C tj@49.5C VDD_IN 5228mW/4910mW VDD_CPU_GPU_CV 1241mW/983mW "
    "VDD_SOC 1474mW/1471mW"
)
"""In the format of an Orin Nano, JetPack 6 (Jetson Linux Developer Guide r36, "Tegrastats Utility")."""


def test_a_nano_says_what_each_rail_takes_now() -> None:
    assert power.of_tegrastats([NANO]) == {"POM_5V_IN": 1.75, "POM_5V_GPU": 0.0, "POM_5V_CPU": 0.366}
    assert power.load_of_tegrastats([NANO]) == {"memory bandwidth": 12, "graphics": 0}


def test_an_orin_too_and_lines_are_averaged() -> None:
    other = ORIN.replace("VDD_IN 5228mW", "VDD_IN 6228mW").replace("EMC_FREQ 8%", "EMC_FREQ 10%")
    watts = power.of_tegrastats([ORIN, other])
    assert watts == pytest.approx({"VDD_IN": 5.728, "VDD_CPU_GPU_CV": 1.241, "VDD_SOC": 1.474})
    assert power.load_of_tegrastats([ORIN, other]) == {"memory bandwidth": 9, "graphics": 41}


@given(st.lists(st.text(max_size=80), max_size=4))
def test_other_lines_say_nothing_or_numbers(lines: list[str]) -> None:
    assert all(watts >= 0 for watts in power.of_tegrastats(lines).values())
    assert all(0 <= percent < 1000 for percent in power.load_of_tegrastats(lines).values())


def rapl(root: Path, domain: str, **files: str) -> None:
    folder = root / "sys/class/powercap" / domain
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content + "\n")


def test_packages_are_counted_and_their_parts_are_not_counted_again(tmp_path: Path) -> None:
    rapl(tmp_path, "intel-rapl:0", name="package-0", energy_uj="2500000", max_energy_range_uj="262143328850")
    rapl(tmp_path, "intel-rapl:0:0", name="core", energy_uj="1500000")
    rapl(tmp_path, "intel-rapl", enabled="1")
    before = power.counted(tmp_path)
    assert {name: counter.joules for name, counter in before.items()} == {"package-0": 2.5}
    rapl(tmp_path, "intel-rapl:0", energy_uj="6500000")
    assert power.spent_joules(before, power.counted(tmp_path)) == {"package-0": 4.0}


def test_a_counter_that_began_again_is_no_loss(tmp_path: Path) -> None:
    rapl(tmp_path, "intel-rapl:0", name="package-0", energy_uj="9000000", max_energy_range_uj="10000000")
    before = power.counted(tmp_path)
    rapl(tmp_path, "intel-rapl:0", energy_uj="1000000")
    assert power.spent_joules(before, power.counted(tmp_path)) == {"package-0": 2.0}


def test_what_only_root_may_read_is_left_out(tmp_path: Path) -> None:
    rapl(tmp_path, "intel-rapl:0", name="package-0", max_energy_range_uj="10000000")
    assert not power.counted(tmp_path)
    assert not power.counted(tmp_path / "nowhere")


def test_sensor_chips_say_watts_or_volts_and_amperes(tmp_path: Path) -> None:
    ina, other = (tmp_path / "sys/class/hwmon" / name for name in ("hwmon0", "hwmon1"))
    for folder, files in (
        (
            ina,
            {"name": "ina3221", "in1_input": "5000", "in1_label": "VDD_IN", "curr1_input": "960"}
            | {"in2_input": "5000", "in2_label": "VDD_SOC"},
        ),
        (other, {"name": "fam17h_power", "power1_input": "12500000", "power1_label": "Esocket0"}),
    ):
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / name).write_text(content + "\n")
    assert power.flowing_watts(tmp_path) == {"ina3221 VDD_IN": 4.8, "fam17h_power Esocket0": 12.5}
