"""``assistant run``: the appliance with microphone and speaker."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from assistant.app import replacement
from assistant.audio.lines import DRIVER, devices
from assistant.cli import _turns, converse
from assistant.core.errors import DeviceStuck, DeviceUnavailable
from assistant.dialog.report import Report
from assistant.runtime import clock, logs
from assistant.settings import load as configuration
from assistant.settings.load import Loaded
from assistant.settings.schema import Settings

_DEMO = Path(__file__).parent / "demo" / "how_old_is_the_brooklyn_bridge.wav"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("run")
    parser.add_argument(
        "--or-demo",
        action="store_true",
        help="if there is no microphone, answer a recorded question instead",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    # The appliance handles these once it runs; until then they would end the process.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGHUP})
    loaded = configuration.load(arguments.config)
    logs.keep_stderr()
    logs.set_up(loaded.settings.log.level)
    if arguments.or_demo and not _has_microphone(loaded.settings.audio.backend):
        return _demo(loaded.settings)
    try:
        clock.run(_live(loaded, lambda: configuration.load(arguments.config)))
    except replacement.Replaced as replaced:
        replacement.begin_anew(replaced.kept)
    if DRIVER.stuck_s:
        sys.stdout.flush()
        os._exit(0)  # Python would wait for PortAudio, which waits for the driver
    return 0


def _has_microphone(backend: str) -> bool:
    try:
        return backend != "portaudio" or any(device.inputs for device in devices())
    except DeviceUnavailable:  # without PortAudio there is no sound at all
        return False
    except DeviceStuck:  # the appliance can wait for it
        return True


def _demo(settings: Settings) -> int:
    answer = Path("assistant-answer.wav")
    print(f"There is no microphone, so a recorded question is used instead: {_DEMO.name}", flush=True)
    status = converse.hold(settings, [_DEMO], answer, as_json=False, pace="real")
    print(f"The spoken answer is in {answer}. Connect a microphone to talk to the assistant.")
    return status


async def _live(loaded: Loaded, load: Callable[[], Loaded]) -> None:
    from assistant.app import service as appliance  # noqa: PLC0415 - engines take a second to import
    from assistant.audio import backends  # noqa: PLC0415

    if sys.stdout.isatty():
        print("Speak. Press Ctrl-C to quit.", flush=True)
    devices = backends.create(loaded.settings.audio)
    await appliance.until_ended(appliance.live(loaded, load, devices, on_report=_show))


def _show(report: Report) -> None:
    """Show the conversation on a terminal, but never in a log or journal (``privacy``)."""
    if sys.stdout.isatty():
        print(_turns.as_text(report), flush=True)
