"""``assistant bench idle``: what waiting for the wake word costs, in a quiet room and beside endless talk.

A child process listens as the appliance does while it sleeps: the same listener, filters, detectors and
wake word at a microphone's pace, without a sound card. Its processor time and memory are read
from /proc by the parent, so measuring costs nothing of what is measured. Beside it stands the wake word's
package used plainly, which hears everything in the quiet room too.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assistant.app import engines as loading
from assistant.audio import nothing_plugs_in
from assistant.audio.echo.reference import Reference
from assistant.audio.files import read_sound
from assistant.audio.filtered import FilteredMicrophone
from assistant.audio.wav import WavMicrophone
from assistant.board.heap import return_what_is_freed
from assistant.core.errors import AssistantError
from assistant.core.events import Event, Woken
from assistant.core.state import ListeningMode
from assistant.core.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm16
from assistant.dialog.listener import Listener
from assistant.runtime import clock
from assistant.settings.schema import Settings
from assistant.tools.bench import idle_devices
from assistant.tools.bench.lib import machine, speech_end
from assistant.tools.bench.lib.clips import Clip, read_set
from assistant.tools.bench.lib.measuring import Document, Result, child_command, ratio, table

ROOM_AMPLITUDE = 20
"""Standard deviation of a quiet room's noise, of 32768: -64 dB of full scale."""

_SETTLES_S = 3.0
"""After the first frame; what loading has left to do is done by then."""

PLAIN = "plain"
"""The package by itself in the quiet room."""

_STARTS_WITHIN_S = 120.0

STEP_SAMPLES = 1280
"""Samples that the package pyopen-wakeword takes at a time."""


def run_on_devices(settings: Settings, *, seconds: float, progress: Callable[[str], None]) -> Result:
    """The whole appliance through devices. Raises DeviceUnavailable, EngineFailed."""
    document: Document = {"bench": "idle", "path": "devices", "seconds": seconds}
    document |= machine.describe(settings)
    document["devices"] = found = idle_devices.measure(settings, seconds, progress)
    rows = [(f"room tone at {found['room_tone_db']:g} dB", found["cpu_percent"], found["rss_mb"])]
    text = table(("the whole appliance, through devices", "% of one core", "RSS, MB"), rows)
    return Result(f"{machine.headline(document)}\n\n{text}", document)


def run(settings: Settings, speech: Path, *, seconds: float, progress: Callable[[str], None]) -> Result:
    """Listen for so long to each. Raises AssistantError when the child does not start."""
    document: Document = {"bench": "idle", "seconds": seconds, **machine.describe(settings)}
    document["wakes_by"] = [word.label for word in settings.wake.words]
    clips = read_set(speech)
    document["speech_percent"] = _speech_percent(clips)
    for name, talk in (("quiet", []), ("speech", clips), (PLAIN, [])):
        if name == PLAIN and not document["wakes_by"]:
            continue
        progress(f"{name}: {seconds:g} s")
        document[name] = _measured(
            settings, [_spoken(speech, clip) for clip in talk], seconds, plain=name == PLAIN
        )
    rows = [
        (name, *(document[name].get(key) for key in ("cpu_percent", "rss_mb", "woken", "behind_s")))
        for name in ("quiet", "speech", PLAIN)
        if name in document
    ]
    if PLAIN in document:
        document["ratio"] = ratio(document["quiet"]["cpu_percent"], document[PLAIN]["cpu_percent"])
    text = table(("listening for the wake word", "% of one core", "RSS, MB", "woken", "s behind"), rows)
    density = (
        f"of the talk {document['speech_percent']} % is speech; quiet beside plain: {document.get('ratio')}"
    )
    return Result(f"{machine.headline(document)}\n\n{text}\n{density}", document)


def _spoken(folder: Path, clip: Clip) -> tuple[str, float, float]:
    """A file, and from when to when somebody speaks in it: they follow each other without a pause."""
    return str(folder / clip.name), clip.spoken.begin_s, clip.spoken.end_s


def _cut(pcm: Pcm16, begin_s: float, end_s: float) -> Pcm16:
    return pcm[round(begin_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)]


def _speech_percent(clips: Sequence[Clip]) -> float:
    """Of the talk that is heard, how many frames the speech network takes for speech."""
    network = speech_end.load_network()
    talk = np.concatenate([_cut(clip.pcm, clip.spoken.begin_s, clip.spoken.end_s) for clip in clips])
    frames = talk[: len(talk) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    return round(100 * float(np.mean([network.speech_probability(frame) >= 0.5 for frame in frames])), 1)


def _measured(
    settings: Settings, talk: list[tuple[str, float, float]], seconds: float, *, plain: bool
) -> Document:
    task = json.dumps({"settings": settings.model_dump(mode="json"), "talk": talk, "plain": plain})
    with subprocess.Popen(  # noqa: S603 - our own interpreter and code
        child_command(__name__), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdin and child.stdout  # noqa: S101, PT018
            child.stdin.write(task + "\n")
            child.stdin.flush()
            if child.stdout.readline().strip() != "listening":
                raise AssistantError("The listening process did not start.", "See what it said above.")
            time.sleep(_SETTLES_S)
            process = str(child.pid)
            began_s, before_s = time.perf_counter(), machine.cpu_s_of(process)
            time.sleep(seconds)
            took_s, after_s = time.perf_counter() - began_s, machine.cpu_s_of(process)
            rss_mb = machine.rss_mb(process)
            child.stdin.close()
            told = json.loads(child.stdout.readline() or "{}")
        finally:
            child.kill()
    return {
        "cpu_percent": round(100 * (after_s - before_s) / took_s, 2),
        "rss_mb": round(rss_mb, 1),
        **told,
    }


def in_child() -> None:
    """Listen until the standard input is closed; then tell how often it was woken, and whether it kept up."""
    return_what_is_freed()
    task = json.loads(sys.stdin.readline())
    settings = Settings.model_validate(task["settings"])
    _tell(clock.run((_listen_plainly if task["plain"] else _listen)(settings, task["talk"])))


def _tell(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


async def _listen(settings: Settings, talk: list[tuple[str, float, float]]) -> str:
    woken = 0
    wake_word = loading.load_wake_word(settings)
    microphone = _Endless(_sound(talk))

    def heard(event: Event) -> None:
        nonlocal woken
        if isinstance(event, Woken):
            woken += 1
            listener.mode = ListeningMode.WAKE_WORD

    listener = Listener(
        microphone=FilteredMicrophone(microphone, loading.sound_filters(settings, Reference())),
        vad=loading.load_vad(settings),
        wake_word=wake_word,
        settings=settings,
        post=heard,
        rescan=nothing_plugs_in,
    )
    listener.mode = ListeningMode.WAKE_WORD if wake_word else ListeningMode.SPEECH
    listener.open()
    await asyncio.sleep(0.1)
    _tell("listening")
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await listener.close()
    return json.dumps({"woken": woken, "behind_s": round(microphone.behind_s, 1)})


async def _listen_plainly(settings: Settings, talk: list[tuple[str, float, float]]) -> str:
    microphone, package = _Endless(_sound(talk)), PlainWakeWord(settings)
    woken = 0

    async def listen() -> None:
        nonlocal woken
        piece = np.zeros(0, np.int16)
        async for frame in microphone.frames():
            piece = np.concatenate([piece, frame.pcm])
            if len(piece) >= STEP_SAMPLES:
                woken += len(package.heard(piece))
                piece = piece[:0]

    listening = asyncio.ensure_future(listen())
    await asyncio.sleep(0.1)
    _tell("listening")
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    listening.cancel()
    return json.dumps({"woken": woken, "behind_s": round(microphone.behind_s, 1)})


def _sound(talk: list[tuple[str, float, float]]) -> Pcm16:
    """What is heard again and again: the talk, or a quiet room."""
    if talk:
        return np.concatenate([_cut(read_sound(Path(name)), *span) for name, *span in talk])
    return np.random.default_rng(0).normal(0, ROOM_AMPLITUDE, 60 * SAMPLE_RATE_HZ).astype(np.int16)


class _Endless(WavMicrophone):
    """The same sound again and again."""

    behind_s = 0.0
    """How late a frame was at most: on a machine that is too busy the rest of the work was left undone."""

    def __init__(self, pcm: Pcm16) -> None:
        self._again = pcm
        super().__init__([pcm])

    def _next_frame(self, start_s: float) -> Any:
        self.behind_s = max(self.behind_s, asyncio.get_running_loop().time() - start_s)
        if not self.sounding:
            self._clips.append(self._again)
            self.feed_next()
        return super()._next_frame(start_s)


class PlainWakeWord:
    """The built-in words in the settings, as the package pyopen-wakeword listens for them.

    Every piece of sound goes through the network, also where nobody speaks.
    """

    def __init__(self, settings: Settings) -> None:
        from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures  # noqa: PLC0415 - an extra

        self._features: Any = OpenWakeWordFeatures.from_builtin()
        self._words = [
            (word, OpenWakeWord.from_builtin(Model(word.name))) for word in settings.wake.words if word.name
        ]

    def heard(self, pcm: Pcm16) -> list[str]:
        """The labels of the words that end in the next ``pcm``, 16 kHz."""
        labels = []
        for start in range(0, len(pcm), STEP_SAMPLES):
            for made in self._features.process_streaming(pcm[start : start + STEP_SAMPLES].tobytes()):
                for word, network in self._words:
                    if any(chance >= word.threshold for chance in network.process_streaming(made)):
                        labels.append(word.label)
        return labels
