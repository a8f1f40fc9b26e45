"""Subcommands that are found by entry points, and that one which is broken harms no other."""

from __future__ import annotations

import argparse
from importlib.metadata import EntryPoint

import pytest

from assistant.cli import main as command


def declare(monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    """These are all the entry points that any package has."""
    found = [EntryPoint(name, value, "shelf_assistant.commands") for name, value in points.items()]
    monkeypatch.setattr(
        command, "entry_points", lambda group: [each for each in found if each.group == group]
    )


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """This module is a subcommand that another package brings."""
    subparsers.add_parser("greet", help="say hello").set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    return 7


def test_a_command_of_another_package_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monkeypatch, greet=__name__)
    assert command.main(["greet"]) == 7


def test_one_that_cannot_be_loaded_is_named_and_all_others_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(monkeypatch, broken="assistant.nowhere", greet=__name__)
    assert command.main(["greet"]) == 7
    assert "the command 'broken' cannot be used: No module named" in capsys.readouterr().err
