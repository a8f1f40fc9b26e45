"""``scripts/check-boards``: whom it asks about, and what it makes of the resolver's answer.

The resolver itself needs the network; here a program stands in for it.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from assistant.runtime import paths
from tests.conftest import CHECKOUT

FAMILIES = {
    "pi-os": {"raspberry-pi-4", "raspberry-pi-5", "generic-arm"},
    "jetson-jetpack-6": {"jetson-orin-nano"},
    "x86": {"generic-x86", "intel-nuc", "ryzen-5600g"},
    "macos": {"apple-silicon"},
}
"""How a board's name begins in the script -> the profiles that it stands for."""
NOT_RESOLVED = {"jetson-nano"}
"""Its system is older than the resolver knows (docs/boards.md)."""

RESOLVER = """#!/bin/sh
echo "$*" >>"$ASKED"
case "$*" in *apple-darwin*) echo 'no wheel of it' >&2; exit 1 ;; esac
while [ "$1" != --output-file ]; do shift; done
printf '%s\\n' numpy==2.0 docopt==0.6.2 llama-cpp-python==0.3 >"$2"
"""


def check_boards(folder: Path, *names: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """What it says, and what it asked the resolver."""
    resolver, asked = folder / "uv", folder / "asked"
    resolver.write_text(RESOLVER)
    resolver.chmod(0o755)
    environment = {**os.environ, "UV": str(resolver), "ASKED": str(asked)}
    command = [str(CHECKOUT / "scripts/check-boards"), *names]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return done, asked.read_text().splitlines() if asked.exists() else []


def pyproject() -> str:
    return (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")


def test_every_board_is_asked_about_and_one_that_cannot_is_named(tmp_path: Path) -> None:
    done, asked = check_boards(tmp_path)
    lines = [line for line in done.stdout.splitlines() if line.startswith(("ok", "BROKEN"))]
    names = [line.split()[1] for line in lines]
    assert len(asked) == len(names)
    assert all(any(name.startswith(family) for name in names) for family in FAMILIES)
    assert all(any(name.startswith(family) for family in FAMILIES) for name in names)
    assert set().union(*FAMILIES.values()) | NOT_RESOLVED == set(paths.shipped_files("devices"))
    assert [line for line in lines if line.startswith("BROKEN")] == ["BROKEN  macos-15-arm64"]
    assert "no wheel of it" in done.stdout
    assert done.returncode == 1
    assert "3 packages, 2 of them from source" in lines[0]


def test_one_board_can_be_asked_about_alone(tmp_path: Path) -> None:
    done, (asked,) = check_boards(tmp_path, "jetson")
    assert done.returncode == 0
    assert "--only-binary :all:" in asked
    assert "--python-version 3.10 --python-platform aarch64-manylinux_2_35" in asked


def test_the_oldest_and_the_newest_python_are_asked_about(tmp_path: Path) -> None:
    _, asked = check_boards(tmp_path)
    versions = {re.search(r"--python-version (\S+)", line).group(1) for line in asked}  # type: ignore[union-attr]
    supported = SpecifierSet(re.search(r'requires-python = "(.+)"', pyproject())[1])  # type: ignore[index]
    assert all(supported.contains(version) for version in versions)
    assert {"3.10", "3.13"} <= versions


def test_what_may_come_as_source_is_pinned_and_wanted(tmp_path: Path) -> None:
    _, asked = check_boards(tmp_path)
    source = set(re.findall(r"--no-binary (\S+)", asked[0]))
    lines = (CHECKOUT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {Requirement(line.rstrip(" \\")).name for line in lines if re.match(r"\w", line)}
    assert source
    assert source <= pinned
    extras = set(re.findall(r"--extra (\S+)", " ".join(asked)))
    assert all(re.search(rf"^{extra} = \[", pyproject(), re.MULTILINE) for extra in extras)


@pytest.mark.parametrize("arguments", [[], ["/nowhere"]])
def test_an_emulation_that_cannot_be_says_what_is_missing(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for program in ("bash", "env"):
        (tmp_path / "bin" / program).symlink_to(Path("/bin") / program)
    command = ["bash", str(CHECKOUT / "scripts/check-emulated"), *arguments]
    environment = {"PATH": str(tmp_path / "bin")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "Run: " in done.stderr or "run it with sudo" in done.stderr
