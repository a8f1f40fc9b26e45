"""``assistant converse``: runs the appliance's loop on recordings."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from assistant.cli import _turns
from assistant.dialog.report import Report
from assistant.runtime import clock, logs
from assistant.settings import load as configuration
from assistant.settings.schema import Settings


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("converse")
    parser.add_argument(
        "--input", type=Path, nargs="+", required=True, metavar="SOUND", help="recordings to play, in order"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="WAV", help="file to write the answers to"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document per turn")
    parser.add_argument(
        "--as-fast-as-possible",
        action="store_true",
        help="skip waiting times; the reported times stay accurate",
    )
    parser.add_argument(
        "--wake",
        action="store_true",
        help="wait for the wake word, like the appliance; without this, every recording is answered",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    settings = configuration.load(arguments.config).settings
    logs.set_up(settings.log.level)
    pace: clock.Pace = "skipping" if arguments.as_fast_as_possible else "real"
    if arguments.wake:
        wake = settings.wake.model_copy(update={"engine": "open_wake_word"})
        settings = settings.model_copy(update={"wake": wake})
    return hold(
        settings,
        arguments.input,
        arguments.output,
        as_json=arguments.json,
        pace=pace,
        hands_free=arguments.wake,
    )


def hold(
    settings: Settings,
    inputs: Sequence[Path],
    output: Path,
    *,
    as_json: bool,
    pace: clock.Pace,
    hands_free: bool = False,
) -> int:
    """Hold the conversation and show each turn as it ends; returns the exit status."""
    from assistant.app.converse import converse  # noqa: PLC0415 - engines take a second to import
    from assistant.audio.files import read_sound  # noqa: PLC0415
    from assistant.audio.mixing import audible  # noqa: PLC0415

    clips = [audible(read_sound(path)) for path in inputs]
    answered = 0
    ended_s: list[float] = []

    def show(report: Report, began_s: float) -> None:
        nonlocal answered
        if report.handled_by == "announcement":
            return  # a ringing timer is not a turn
        answered += report.refused is None
        if report.refused is None:
            ended_s.append(report.times_s.get("speech_end", began_s))
        print(_turns.as_json(report, began_s) if as_json else _turns.as_text(report), flush=True)

    begun_s = clock.run(converse(settings, clips, output, show, hands_free=hands_free), pace)
    if answered:
        for path, begin_s, end_s in zip(inputs, begun_s, [*begun_s[1:], math.inf], strict=False):
            if not any(begin_s <= at_s < end_s for at_s in ended_s):
                print(f"assistant: no speech was found in {path}.", file=sys.stderr)
    else:
        print("assistant: no speech was found in these recordings.", file=sys.stderr)
    return 0
