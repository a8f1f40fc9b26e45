"""Boards are told apart by what they publicly say of themselves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.board.recognise import recognise, signs
from assistant.runtime import paths
from assistant.settings.load import load
from tests.board.machines import JETSON_NANO, MACHINES, PI_4, SERVER_WITH_CARD, VARIANTS, Machine
from tests.extensions import declared_as


@pytest.mark.parametrize("machine", [*MACHINES, *VARIANTS], ids=lambda machine: machine.profile)
def test_a_machine_gets_its_profile_with_a_reason(machine: Machine, tmp_path: Path) -> None:
    board = recognise(machine.lay_out(tmp_path))
    assert board.name == machine.profile
    assert board.cores == machine.processors
    assert board.big_cores == len(machine.big_cores)
    assert board.memory_mb == machine.memory_mb
    assert board.gpus == machine.gpus
    assert "says '" in board.why


def test_what_a_board_has_is_told(tmp_path: Path) -> None:
    board = recognise(JETSON_NANO.lay_out(tmp_path))
    assert board.equipment == "4 processors (4 big cores), 4156 MB, GPU NVIDIA Tegra210"
    (tmp_path / "proc/device-tree/compatible").unlink()
    (tmp_path / "proc/meminfo").unlink()
    assert "unknown memory, no usable GPU" in recognise(tmp_path).equipment


def test_a_card_that_runs_without_nvidias_driver_has_only_its_vendors_name(tmp_path: Path) -> None:
    root = SERVER_WITH_CARD.lay_out(tmp_path)
    for file in (root / "proc/driver/nvidia/gpus").glob("*/information"):
        file.unlink()
    assert recognise(root).gpus == ("NVIDIA",)


@pytest.mark.parametrize(
    ("compatible", "profile"),
    [
        ("raspberrypi,400\0brcm,bcm2711\0", "raspberry-pi-4"),
        ("raspberrypi,4-compute-module\0brcm,bcm2711\0", "raspberry-pi-4"),
        ("raspberrypi,5-compute-module\0brcm,bcm2712\0", "raspberry-pi-5"),
        # JetPack 4 on a B01 module: github.com/NVIDIA/jetson-gpio names the second string
        ("nvidia,p3449-0000-b00+p3448-0000-b00\0nvidia,jetson-nano\0nvidia,tegra210\0", "jetson-nano"),
        ("nvidia,p3768-0000+p3767-0005-super\0nvidia,p3767-0005\0nvidia,tegra234\0", "jetson-orin-nano"),
        # an Orin NX, an AGX Orin and a Pi 3 are other boards
        ("nvidia,p3768-0000+p3767-0000\0nvidia,p3767-0000\0nvidia,tegra234\0", "generic-arm"),
        ("nvidia,p3737-0000+p3701-0005\0nvidia,p3701-0005\0nvidia,tegra234\0", "generic-arm"),
        ("raspberrypi,3-model-b\0brcm,bcm2837\0", "generic-arm"),
    ],
)
def test_relatives_of_a_board_are_told_from_strangers(compatible: str, profile: str, tmp_path: Path) -> None:
    PI_4.lay_out(tmp_path)
    (tmp_path / "proc/device-tree/compatible").write_text(compatible)
    assert recognise(tmp_path).name == profile


def test_every_profile_that_can_be_recognised_exists() -> None:
    """Each but the generic ones, which are for machines without a profile of their own, says how."""
    assert {f"generic-{kind}" for kind in ("arm", "x86")} == set(paths.shipped_files("devices")) - {
        profile for profile, _, _ in signs()
    }


def test_a_board_of_another_package_is_recognised_before_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    package = tmp_path / "carrier_boards"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "carrier.yaml").write_text("inherits: raspberry-pi-4\nsigns: {device tree: 'acme,carrier'}\n")
    (package / "odd.yaml").write_text("signs: {processor: '(', taste: salty}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    declared_as(monkeypatch, "boards", acme="carrier_boards")
    root = PI_4.lay_out(tmp_path / "root")
    assert recognise(root).name == "raspberry-pi-4"
    assert "board=odd" in caplog.text
    (root / "proc/device-tree/compatible").write_text("acme,carrier\0brcm,bcm2711\0")
    assert recognise(root).name == "carrier"
    loaded = load(None, {"HOME": str(tmp_path)}, root)
    assert (loaded.profile, loaded.settings.tts.begin_with) == ("carrier", "clause")


def test_an_empty_root_is_a_generic_pc(tmp_path: Path) -> None:
    board = recognise(tmp_path)
    assert (board.name, board.memory_mb) == ("generic-x86", 0)
    assert board.cores >= 1


def test_this_machine_is_recognised() -> None:
    board = recognise()
    assert 1 <= board.big_cores <= board.cores <= (os.cpu_count() or 1)
    assert board.memory_mb > 100


FILES = (
    "proc/cpuinfo", "proc/meminfo", "proc/self/cgroup", "proc/device-tree/compatible",
    "sys/devices/system/cpu/online", "sys/devices/cpu_core/cpus", "sys/fs/cgroup/cpu.max",
    "proc/driver/nvidia/gpus/0/information", "sys/class/drm/card0/device/vendor",
    "sys/devices/system/cpu/cpu0/cpu_capacity", "sys/devices/system/cpu/cpu0/topology/thread_siblings_list",
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(FILES), st.binary(max_size=40) | st.sampled_from([b"0::/", b"1-0", b"0 0"])
    )
)
def test_nonsense_in_the_kernels_files_does_no_harm(tmp_path: Path, nonsense: dict[str, bytes]) -> None:
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(nonsense.get(name, b""))
    board = recognise(tmp_path)
    assert board.cores >= 1
    assert board.big_cores >= 1
