"""The ``assistant`` command: finds the subcommand, and turns every error into one sentence.

The appliance's own subcommands are modules in this folder; others are found through entry points. Only the
one that is used is imported: small programs on small boards often run ``assistant ctl status``. Results go to
stdout, everything else to stderr.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from assistant import __version__
from assistant.cli import Command
from assistant.core.errors import AssistantError, SettingsError
from assistant.runtime import extensions, harmless, paths, privilege

log = logging.getLogger(__name__)

_OWN = {
    "run": "listen and answer",
    "ctl": "control the running assistant",
    "converse": "hold a conversation with recordings",
    "transcribe": "turn recordings into text",
    "ask": "answer written questions",
    "say": "write spoken text to a file",
    "devices": "list microphones and speakers",
    "doctor": "find problems",
    "config": "show or check the settings",
    "models": "list, download, check, import and remove models",
}
"""Name -> help, for each module in this folder that is a subcommand."""

_READS_ONLY = frozenset({"ctl", "devices", "doctor", "config"})
"""These neither write to the models folder nor load what is in it, so root stays root."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; 2 means a wrong command or setting."""
    os.umask(os.umask(0o022) | 0o022)  # some container's is 000
    if sys.stdout is None:  # closed by the parent process
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    with harmless.output():
        return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    common = _common()
    options, rest = common.parse_known_args(argv)
    name = next((word for word in rest if not word.startswith("-")), None)
    arguments = _parser(common, name).parse_args(rest, options)
    try:
        if name not in _READS_ONLY:
            _leave_root(arguments)
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except AssistantError as error:
        # Only mistakes in settings have several lines, one each; untrusted text stays on its line.
        text = error if isinstance(error, SettingsError) else harmless.one_line(error)
        print(f"assistant: {text}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has exited; Python would report another error on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # avoids a second error
            print("assistant: The output could not be written because the disk is full.", file=sys.stderr)
            return 1
        log.debug("traceback of the bug", exc_info=error)
        print(
            (
                f"assistant: a bug: {type(error).__name__}: "
                f"{harmless.one_line(error)} [{AssistantError.code}] "
                "Please report it, with the output of the same command after "
                "export ASSISTANT__LOG__LEVEL=debug."
            ),
            file=sys.stderr,
        )
        return 1
    return status


def _leave_root(arguments: argparse.Namespace) -> None:
    """If the models belong to another user, let root continue as that user. Raises SettingsError."""
    if os.geteuid() != 0 or getattr(arguments, "reads_only", False):
        return
    from assistant.settings import load as configuration  # noqa: PLC0415 - of no use to the others

    owner = privilege.stranger(paths.models(configuration.load(arguments.config).settings.store.models))
    if owner is not None:
        privilege.become(owner)


def _common() -> argparse.ArgumentParser:
    """Options allowed anywhere on the line, before or after the command."""
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument(
        "--config", type=Path, metavar="FILE", help="settings file to use instead of your own"
    )
    return common


def _parser(common: argparse.ArgumentParser, name: str | None = None) -> argparse.ArgumentParser:
    """Create the parser of one command, or of all commands with their one-line help."""
    parser = argparse.ArgumentParser(
        prog="assistant", description="An offline voice assistant.", parents=[common]
    )
    parser.add_argument("--version", action="version", version=f"assistant {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    if name in _OWN:
        import_module(f"assistant.cli.{name}").add_parser(subparsers)
        return parser
    for own, text in _OWN.items():
        subparsers.add_parser(own, help=text)
    for each in extensions.look("commands", Command):
        problem = each.problem
        try:
            if each.value and each.name == name:
                import_module(each.value.module).add_parser(subparsers)
            elif each.value:
                subparsers.add_parser(each.value.name, help=each.value.help)
        except Exception as error:  # noqa: BLE001 - whatever it is, all other commands must work
            problem = each.unusable(error)
        if problem:
            print(f"assistant: {problem}", file=sys.stderr)
    return parser
