"""What every file of the repository must keep to, and that the pins cover what is asked for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import CHECKOUT

MAX_PYTHON_LINES = 350
MAX_AUDIO_BYTES = 2_000_000
MAX_FILE_BYTES = 600_000
MAX_TEST_MODEL_BYTES = 10_000
"""A test may make itself a network of a few nodes."""
WEIGHTS = {".bin", ".gguf", ".onnx", ".ort", ".pt", ".pth", ".safetensors", ".engine", ".tflite", ".whl"}
AUDIO = {".wav", ".flac", ".ogg", ".opus", ".mp3"}

# Written in pieces, so that this file does not hold what it forbids.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("piwheels", "org"),
        ("debian", "org/debian"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("npmjs", "org"),
        ("crates", "io"),
        ("anaconda", "org"),
        ("download", "pytorch", "org"),
    )
]
MACHINE_PATHS = re.compile("/" + "(root|work|workspace|opt/pypi|opt/wheels)" + r"/\w")


def _files() -> list[Path]:
    """Every file that is, or is about to be, in the repository."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = (CHECKOUT / name for name in listing.stdout.split("\0") if name)
    return [file for file in files if file.is_file()]


def _texts() -> dict[str, str]:
    texts = {}
    for file in _files():
        content = file.read_bytes()
        if b"\0" not in content:
            texts[str(file.relative_to(CHECKOUT))] = content.decode("utf-8")
    return texts


def _scripts() -> list[Path]:
    return [file for file in _files() if file.read_bytes().startswith(b"#!")]


def test_no_file_names_a_package_registry() -> None:
    named = [(name, host) for name, text in _texts().items() for host in REGISTRIES if host in text]
    assert not named


def test_no_file_names_a_path_of_one_machine() -> None:
    named = [
        (name, found.group()) for name, text in _texts().items() for found in MACHINE_PATHS.finditer(text)
    ]
    assert not named


def test_files_are_small_and_no_model_is_real() -> None:
    files = _files()
    models = [file for file in files if file.suffix in WEIGHTS]
    assert not [file for file in models if file.stat().st_size > MAX_TEST_MODEL_BYTES]
    assert not [file for file in files if file.suffix not in AUDIO and file.stat().st_size > MAX_FILE_BYTES]
    assert sum(file.stat().st_size for file in files if file.suffix in AUDIO) <= MAX_AUDIO_BYTES


def test_python_files_can_be_read_in_one_sitting() -> None:
    lines = {name: text.count("\n") for name, text in _texts().items() if name.endswith(".py")}
    assert not {name: count for name, count in lines.items() if count > MAX_PYTHON_LINES}


def test_what_starts_with_a_shebang_can_be_started() -> None:
    assert not [file for file in _scripts() if not os.access(file, os.X_OK)]


def test_shell_scripts_are_sound() -> None:
    scripts = [file for file in _scripts() if b"bash" in file.read_bytes().split(b"\n")[0]]
    scripts += [file for file in _files() if file.suffix in {".sh", ".bash"}]
    assert CHECKOUT / "scripts" / "run" in scripts
    for file in scripts:
        subprocess.run(["bash", "-n", file], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "--external-sources", *scripts], cwd=CHECKOUT, check=True)


def _pins() -> list[Requirement]:
    text = (CHECKOUT / "constraints.txt").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), f"no hash: {entry}"
    return [Requirement(entry.split("\\")[0].strip()) for entry in entries]


def _asked_for() -> list[Requirement]:
    """The requirements of pyproject.toml: always, with every extra, and of every group."""
    tomllib = pytest.importorskip("tomllib", reason="part of Python from 3.11 on")
    pyproject = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    project = pyproject["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    lists += pyproject["dependency-groups"].values()
    return [Requirement(line) for requirements in lists for line in requirements]


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
@pytest.mark.parametrize(
    ("system", "machine"), [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")]
)
def test_every_requirement_has_one_pin_that_fits(python: str, system: str, machine: str) -> None:
    environment = {str(name): str(value) for name, value in default_environment().items()} | {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": system,
        "platform_machine": machine,
    }
    pins = [pin for pin in _pins() if pin.marker is None or pin.marker.evaluate(environment)]
    for wanted in _asked_for():
        if wanted.marker is not None and not wanted.marker.evaluate(environment):
            continue
        name = canonicalize_name(wanted.name)
        versions = [str(pin.specifier)[2:] for pin in pins if canonicalize_name(pin.name) == name]
        assert len(versions) == 1, f"{name}: {versions}; write the pins again with scripts/lock"
        assert versions[0] in wanted.specifier, f"{name}: {versions[0]} is not {wanted.specifier}"


def test_this_interpreter_is_one_that_is_pinned_for() -> None:
    assert (3, 10) <= sys.version_info[:2] <= (3, 13)
