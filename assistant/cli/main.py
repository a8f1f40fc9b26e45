"""The ``assistant`` command: finds the subcommand, and turns every fault into one sentence.

Each subcommand is a module with ``add_parser`` and ``run``: those of the appliance are in this folder,
others are found by entry points, so that nothing here knows them. Results go to stdout, everything else
to stderr.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from assistant import __version__
from assistant.cli import ask, config, converse, ctl, devices, doctor, models, run, say, transcribe
from assistant.core.errors import AssistantError

log = logging.getLogger(__name__)

_COMMANDS = (run, ctl, converse, transcribe, ask, say, devices, doctor, config, models)

_FOUND = "shelf_assistant.commands"
"""The group of entry points that name more such modules: our own tools', or another package's."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; 2 means that the command or the settings are wrong."""
    common = _common()
    options, rest = common.parse_known_args(argv)
    arguments = _parser(common).parse_args(rest, options)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except AssistantError as error:
        print(f"assistant: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more while exiting.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        log.debug("the defect was raised here", exc_info=error)
        print(
            f"assistant: a defect: {type(error).__name__}: {error} [{AssistantError.code}] "
            "Please report it, with the output of the same command after "
            "export ASSISTANT__LOG__LEVEL=debug.",
            file=sys.stderr,
        )
        return 1
    return status


def _common() -> argparse.ArgumentParser:
    """What may stand anywhere on the line, before or after the command."""
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument(
        "--config", type=Path, metavar="FILE", help="settings file to use instead of your own"
    )
    return common


def _parser(common: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="assistant", description="An offline voice assistant.", parents=[common]
    )
    parser.add_argument("--version", action="version", version=f"assistant {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(subparsers)
    for point in sorted(entry_points(group=_FOUND), key=lambda point: point.name):
        _add(point, subparsers)
    return parser


def _add(point: EntryPoint, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    try:
        point.load().add_parser(subparsers)
    except Exception as error:  # noqa: BLE001 - whatever it is, all other commands must work
        print(f"assistant: the command '{point.name}' cannot be used: {error}", file=sys.stderr)
