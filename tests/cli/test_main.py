"""Subcommands that are found by entry points, and that one which is broken harms no other."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from assistant.cli import Command
from assistant.cli import main as command
from tests.extensions import declared_as

COMMAND = Command("greet", "say hello", __name__)
"""This module is a subcommand that another package brings."""

BROKEN = Command("broken", "not to be imported", "assistant.nowhere")


def declare(monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    """These are all the commands that other packages have."""
    declared_as(monkeypatch, "commands", **points)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    subparsers.add_parser("greet").set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    return 7


def test_a_command_of_another_package_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(monkeypatch, greet=f"{__name__}:COMMAND")
    assert command.main(["greet"]) == 7
    with pytest.raises(SystemExit, match="0"):
        command.main(["--help"])
    assert "say hello" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["assistant.nowhere:COMMAND", f"{__name__}:NOTHING"])
def test_one_that_cannot_be_loaded_is_named_and_all_others_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    declare(monkeypatch, broken=value, greet=f"{__name__}:COMMAND")
    assert command.main(["greet"]) == 7
    assert "the command 'broken' cannot be used: " in capsys.readouterr().err


def test_one_whose_module_is_broken_says_so_when_it_is_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(monkeypatch, broken=f"{__name__}:BROKEN")
    with pytest.raises(SystemExit, match="2"):
        command.main(["broken"])
    assert "the command 'broken' cannot be used: No module named" in capsys.readouterr().err


def test_only_the_command_that_is_given_is_imported() -> None:
    """``ctl`` is called by small programs on small boards, many times a day."""
    script = (
        "import sys; from assistant.cli.main import main; main(['ctl', 'status'])\n"
        "print(*sys.modules, file=sys.stdout)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(run.stdout.split())
    assert "assistant.cli.ctl" in loaded
    assert not loaded & {"numpy", "pydantic", "yaml", "asyncio", "assistant.settings", "assistant.cli.run"}


def test_every_command_of_this_folder_has_its_module() -> None:
    for name in command._OWN:
        with pytest.raises(SystemExit, match="0"):
            command.main([name, "--help"])
