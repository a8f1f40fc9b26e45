"""The ``assistant`` command: finds the subcommand, and turns every fault into one sentence.

Each subcommand is a module of ``commands`` with ``add_parser`` and ``run``. Results go to
stdout, everything else to stderr.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from assistant import __version__
from assistant.cli import ask, config, converse, ctl, devices, doctor, models, run, say, transcribe
from assistant.core.errors import AssistantError
from assistant.tools.bench import command as bench
from assistant.tools.quantize import command as quantize

log = logging.getLogger(__name__)

_COMMANDS = (run, ctl, converse, transcribe, ask, say, devices, doctor, config, models, quantize, bench)


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
    return parser
