"""Prints the product files whose code one spoken turn runs: ``python -m tests.turn_files``.

The real engines answer the recorded question, which comes from a file instead of a microphone. Loading and
imports don't count.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import FrameType

import assistant
from assistant.app.build import open_loop
from assistant.app.converse import hold
from assistant.audio.files import read_sound
from assistant.audio.wav import WavMicrophone, WavSpeaker
from assistant.core.state import State
from assistant.dialog.report import Report
from assistant.settings import load as configuration

PACKAGE = Path(assistant.__file__).parent
QUESTION = PACKAGE / "cli" / "demo" / "how_old_is_the_brooklyn_bridge.wav"

files: Counter[str] = Counter()
"""File -> functions called in it."""
is_counting = False


def note(frame: FrameType, event: str, _: object) -> None:
    """A profile function for all threads."""
    if is_counting and event == "call" and frame.f_code.co_name != "<module>":
        files[frame.f_code.co_filename] += 1


def count(on: bool) -> None:
    global is_counting  # noqa: PLW0603 - as does a profile function
    is_counting = on


async def answer_once() -> Report:
    """One turn, counted from the first frame to the report."""
    settings = configuration.load(None).settings
    microphone = WavMicrophone([read_sound(QUESTION)])
    reports: list[Report] = []

    def on_report(report: Report) -> None:
        count(on=False)
        reports.append(report)

    def on_change(_: object, state: State) -> None:
        if state is State.SLEEPING and not reports:
            count(on=True)

    with tempfile.TemporaryDirectory() as folder:
        speaker = WavSpeaker(Path(folder) / "answer.wav")
        async with open_loop(
            settings, microphone, speaker, on_report=on_report, observers=[on_change]
        ) as voice_loop:
            await hold(voice_loop, microphone, settings)
    return reports[0]


def product_files() -> dict[str, int]:
    """File of the product -> how many calls, the most first."""
    inside = {file: calls for file, calls in files.items() if file.startswith(f"{PACKAGE}/")}
    ordered = sorted(inside.items(), key=lambda item: -item[1])
    return {Path(file).relative_to(PACKAGE).as_posix(): calls for file, calls in ordered}


def main() -> None:
    threading.setprofile(note)
    sys.setprofile(note)
    report = asyncio.run(answer_once())
    sys.setprofile(None)
    found = product_files()
    in_dialog = sum(file.startswith("dialog/") for file in found)
    lines = [
        *(f"{calls:9d}  {file}" for file, calls in found.items()),
        f"{report.transcript!r} was answered by {report.handled_by}: {report.reply!r}",
        f"{len(found)} product files, {in_dialog} of them in dialog/",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
