"""``assistant doctor``: checks everything, and says what is wrong and what to do."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict

from assistant import __version__
from assistant.cli import checks
from assistant.cli.checks import Finding
from assistant.settings import load as configuration
from assistant.store.progress import Terminal

MARKS = {True: "ok", None: "note", False: "BROKEN"}
"""In a separate column, so that `grep BROKEN` finds them."""

WHAT_COLUMN = 22


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the `assistant` parser's subcommands."""
    parser = subparsers.add_parser("doctor")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--quick", action="store_true", help="skip hashing: trust models whose file sizes are correct"
    )
    parser.add_argument(
        "--sound",
        action="store_true",
        help="play a test sound for ten seconds, record it, and say what to change",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the checks. The exit status is 1 if something is broken."""
    terminal = Terminal(sys.stderr)
    findings = (
        _sound_findings(arguments)
        if arguments.sound
        else checks.examine(arguments.config, watcher=terminal, hash_models=not arguments.quick)
    )
    shown = []
    for finding in findings:
        terminal.clear()
        if not arguments.json:
            print("\n".join(_lines(finding)), flush=True)
        shown.append(finding)
    broken = sum(finding.ok is False for finding in shown)
    if arguments.json:
        document = {
            "version": __version__,
            "ok": not broken,
            "findings": [asdict(finding) for finding in shown],
        }
        print(json.dumps(document, ensure_ascii=False))
    else:
        print(f"\n{broken} of {len(shown)} checks found a problem." if broken else "\nNo problems found.")
    return 1 if broken else 0


def _sound_findings(arguments: argparse.Namespace) -> Iterator[Finding]:
    from assistant.cli.checks import sound  # noqa: PLC0415 - the other checks need no resampler

    settings = configuration.load(arguments.config).settings
    return sound.examine(settings, lambda line: print(line, file=sys.stderr, flush=True))


def _lines(finding: Finding) -> Iterator[str]:
    """Yield the finding and the next step as lines, in columns that fit the terminal."""
    head = f"{MARKS[finding.ok]:<8}{finding.check:<{WHAT_COLUMN - 8}}"
    margin = " " * WHAT_COLUMN
    width = max(60, shutil.get_terminal_size().columns)
    for text, first in ((finding.what, head), (finding.next_step, f"{margin}-> ")):
        if text:
            yield from textwrap.wrap(
                text,
                width,
                initial_indent=first,
                subsequent_indent=margin,
                break_long_words=False,  # keeps paths and commands in one piece for copying
                break_on_hyphens=False,
            )
