"""The systemd units as systemd itself reads them, and what they promise."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from assistant.tools.bench import cores
from tests.conftest import CHECKOUT

UNITS = sorted((CHECKOUT / "systemd").glob("*.service"))
MAX_EXPOSURE = 2.5
"""0 is shut off from everything, 10 is the whole machine (systemd-analyze security)."""

needs_systemd_analyze = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="needs systemd-analyze (Debian: systemd)"
)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the units, which start programs that exist."""
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8")
        for program in re.findall(r"^ExecStart=(\S+)", text, re.MULTILINE):
            there = Path(f"{tmp_path}{program}")
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_text("#!/bin/sh\n")
            there.chmod(0o755)
            text = text.replace(program, str(there))
        (tmp_path / unit.name).write_text(text)
    shutil.copy(CHECKOUT / "systemd" / "assistant.slice", tmp_path)
    return tmp_path


def analyze(*arguments: str) -> str:
    done = subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    if "Failed to" in done.stderr and "manager" in done.stderr:
        pytest.skip(f"systemd-analyze cannot work here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def settings_of(unit: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (CHECKOUT / "systemd" / unit).read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@needs_systemd_analyze
@pytest.mark.parametrize(
    "unit", [*UNITS, CHECKOUT / "systemd" / "assistant.slice"], ids=lambda unit: unit.name
)
def test_systemd_finds_nothing_wrong(unit: Path, installed: Path) -> None:
    complaints = analyze("verify", "--man=no", str(installed / unit.name))
    assert unit.name not in complaints, complaints


@needs_systemd_analyze
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_they_are_shut_off_from_what_they_do_not_need(unit: Path) -> None:
    told = analyze("security", "--offline=true", str(unit))
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", told)
    assert exposure, told
    assert float(exposure[1]) <= MAX_EXPOSURE


def test_the_assistant_still_reaches_sound_buttons_and_its_sockets() -> None:
    unit = settings_of("assistant.service")
    assert {"char-alsa rw", "char-gpiochip rw"} <= set(unit["DeviceAllow"])
    assert "AF_UNIX" in unit["RestrictAddressFamilies"][0]
    assert "PrivateDevices" not in unit
    assert "ProcSubset" not in unit, "the board is recognised by /proc/cpuinfo and /proc/meminfo"
    assert unit["RuntimeDirectory"] == unit["StateDirectory"] == unit["CacheDirectory"] == ["assistant"]


def test_the_assistant_waits_for_no_network() -> None:
    unit = settings_of("assistant.service")
    ordering = " ".join(unit.get("After", []) + unit.get("Wants", []) + unit.get("Requires", []))
    assert "network" not in ordering
    assert "models" not in ordering, "it would wait for a download"
    assert unit["Type"] == ["notify"]
    assert unit["Restart"] == ["always"]
    assert unit["StartLimitIntervalSec"] == ["0"]


def test_it_weighs_more_than_what_else_is_busy() -> None:
    assert settings_of("assistant.service")["Slice"] == ["assistant.slice"]
    assert settings_of("assistant.slice")["CPUWeight"] == [str(cores.SERVICE_WEIGHT)]
    assert "CPUWeight" not in settings_of("assistant.service"), "it would only count within the slice"


def test_nobody_but_the_models_unit_has_a_network() -> None:
    assert settings_of("assistant.service")["PrivateNetwork"] == ["yes"]
    assert "AF_INET" in settings_of("assistant-models.service")["RestrictAddressFamilies"][0]
