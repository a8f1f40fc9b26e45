"""The built wheel works on its own: outside the checkout, with its defaults and catalogue inside."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT


def _run(*command: str | Path, cwd: Path, environ: dict[str, str] | None = None) -> str:
    """What the command prints; the test fails when the command does."""
    run = subprocess.run(
        command, cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=CHECKOUT)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs folder of a new environment that holds the wheel.

    Its dependencies are read from this interpreter's environment: installing them again would
    take minutes and test pip, not us.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    programs = folder / "bin"
    pip = (sys.executable, "-m", "pip", "--python", programs / "python")
    _run(*pip, "install", "--no-deps", "--no-index", "--quiet", wheel, cwd=folder)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    # A folder named in a .pth file does not have its own .pth files read, so that an editable
    # installation of this checkout stays out of sight.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return programs


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """The environment of a person who has nothing yet."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR")}
    return kept | {"HOME": str(tmp_path)}


def test_the_wheel_carries_what_ships_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {file for file in (CHECKOUT / "config").rglob("*") if file.is_file()}
    expected = {f"assistant/_data/{file.relative_to(CHECKOUT)}" for file in shipped}
    expected |= {"assistant/py.typed", "assistant/_data/models/catalog.yaml"}
    data = CHECKOUT / "models" / "sentences"
    expected |= {f"assistant/_data/{file.relative_to(CHECKOUT)}" for file in data.iterdir()}
    assert expected <= names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"assistant"}
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_installed_package_is_not_the_checkout(
    installed: Path, tmp_path: Path, elsewhere: dict[str, str]
) -> None:
    where = _run(
        installed / "python",
        "-c",
        "import assistant; print(assistant.__file__)",
        cwd=tmp_path,
        environ=elsewhere,
    )
    assert Path(where.strip()).is_relative_to(installed.parent)


@pytest.mark.parametrize(
    ("arguments", "part_of_output"),
    [
        (("--help",), "converse"),
        (("--version",), "assistant "),
        (("config", "check"), ""),
        (("config", "show"), "endpoint"),
        (("config", "schema"), '"properties"'),
        (("models", "list"), "whisper-tiny.en"),
        (("bench", "--help"), "latency"),
        (("quantize", "--help"), "compare"),
    ],
    ids=["help", "version", "check", "show", "schema", "models", "bench", "quantize"],
)
def test_commands_work_outside_the_checkout(
    arguments: tuple[str, ...],
    part_of_output: str,
    installed: Path,
    tmp_path: Path,
    elsewhere: dict[str, str],
) -> None:
    output = _run(installed / "assistant", *arguments, cwd=tmp_path, environ=elsewhere)
    assert part_of_output in output
