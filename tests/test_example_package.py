"""Somebody else's package adds to the assistant once it is installed, without a change to any file here."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

PACKAGE = CHECKOUT / "tests" / "example_package"

SETTINGS = """
audio: {{backend: silence}}
wake: {{engine: none}}
stt: {{engine: knocks}}
llm: {{engine: openai, server: {{fallback: false, url: "http://127.0.0.1:9/v1"}}}}
tts: {{engine: beeps, phrase_cache: false}}
services: {{state_file: {{path: {folder}/state}}}}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package is installed into, as pip does it, but for the dependencies."""
    folder = tmp_path_factory.mktemp("site")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
    ]
    subprocess.run([*pip, "--target", folder, PACKAGE], check=True, timeout=120)
    return folder


@pytest.fixture
def environ(installed: Path, tmp_path: Path) -> dict[str, str]:
    """A person who has the package, and settings that use it."""
    settings = tmp_path / ".config" / "assistant" / "assistant.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text(SETTINGS.format(folder=tmp_path))
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR")}
    return kept | {"HOME": str(tmp_path), "PYTHONPATH": f"{CHECKOUT}{os.pathsep}{installed}"}


@pytest.fixture
def assistant(environ: dict[str, str], tmp_path: Path) -> Callable[..., str]:
    """What ``assistant`` prints; the test fails when the command does."""

    def run(*arguments: str, may_fail: bool = False) -> str:
        command = [sys.executable, "-m", "assistant", *arguments]
        done = subprocess.run(
            command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
        )
        assert may_fail or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_its_command_writes_what_its_recognizer_hears(assistant: Callable[..., str]) -> None:
    assert "write a sound file with knocks" in assistant("--help")
    assistant("knock", "2", "knocks.wav")
    assert assistant("transcribe", "knocks.wav") == "roll two dice\n"


def test_its_skill_answers(assistant: Callable[..., str]) -> None:
    assert assistant("ask", "Roll two dice, please.").startswith("You rolled ")


def test_the_doctor_and_the_settings_know_it(assistant: Callable[..., str]) -> None:
    shown = assistant("config", "show")
    assert "meanings" in shown
    assert "knocks" in assistant("config", "show", "--reference")
    told = assistant("doctor", "--quick", may_fail=True)
    for what in (
        "engine 'knocks'",
        "engine 'beeps'",
        "skill 'dice'",
        "service 'state_file'",
        "command 'knock'",
    ):
        assert f"the {what} of shelf-example 0.1" in " ".join(told.split())
    assert "knocks starts" in told
    assert "beeps has its own" in told


def test_the_whole_assistant_runs_on_it_and_its_service_follows(
    assistant: Callable[..., str], environ: dict[str, str], tmp_path: Path
) -> None:
    state = tmp_path / "state"

    def becomes(wanted: str) -> bool:
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s:
            if state.is_file() and state.read_text() == wanted:
                return True
            assert living.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.01)
        return False

    command = [sys.executable, "-m", "assistant", "run"]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, env=environ, cwd=tmp_path, stderr=log, stdout=log) as living,
    ):
        try:
            assert becomes("sleeping")
            assistant("ctl", "mute")
            assert becomes("muted")
            living.terminate()
            assert living.wait(30) == 0
        finally:
            living.kill()
    assert not state.exists(), "the service was closed"


def test_its_engines_keep_the_contract(environ: dict[str, str]) -> None:
    test = ["tests/engines/test_contract.py", "-k", "knocks or beeps", "-q", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *test]
    done = subprocess.run(
        command, env=environ, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
