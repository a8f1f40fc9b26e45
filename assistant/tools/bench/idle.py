"""``assistant bench idle``: what waiting for the wake word costs, in a quiet room and next to constant talk.

A child process listens as the appliance does while it waits: the same listener, filters, detectors, and wake
word at a microphone's pace, without a sound card. The parent reads its CPU time and memory from /proc, so
measuring doesn't add to the cost. For comparison, the wake-word package is run directly on all audio of the
quiet room.
"""

from __future__ import annotations

import asyncio
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
from assistant.core.events import Event, Woken
from assistant.core.state import ListeningMode
from assistant.core.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm16
from assistant.dialog.listener import Listener
from assistant.runtime import clock
from assistant.settings.schema import Settings
from assistant.tools.bench import idle_devices
from assistant.tools.bench.idle_devices import cost
from assistant.tools.bench.lib import speech_end
from assistant.tools.bench.lib.child import Child, say, told
from assistant.tools.bench.lib.clips import Clip, read_set
from assistant.tools.bench.lib.measuring import Document, Result, columned, ratio, table

ROOM_AMPLITUDE = 20
"""Standard deviation of a quiet room's noise in int16 steps: -64 dBFS."""

_SETTLES_S = 3.0
"""By this time after the first frame, everything that loading left to do is done."""

PLAIN = "plain"
"""The package by itself in the quiet room."""

STEP_SAMPLES = 1280
"""Samples per call of the package pyopen-wakeword."""


def run(
    settings: Settings, *, folder: Path, seconds: float, path: str, progress: Callable[[str], None]
) -> Result:
    """Listen to each for ``seconds``, or through devices. Raises DeviceUnavailable, EngineFailed."""
    document: Document = {"path": path, "seconds": seconds}
    if path == "devices":
        document["devices"] = found = idle_devices.measure(settings, seconds, progress)
        rows = [(f"room tone at {found['room_tone_db']:g} dB", found["cpu_percent"], found["rss_mb"])]
        return Result(
            table(("the whole appliance, through devices", "% of one core", "RSS, MB"), rows), document
        )
    document["wakes_by"] = [word.label for word in settings.wake.words]
    clips = read_set(folder)
    document["speech_percent"] = _speech_percent(clips)
    names = ["quiet", "speech", *([PLAIN] if document["wakes_by"] else [])]
    for name in names:
        progress(f"{name}: {seconds:g} s")
        talk = [_spoken(folder, clip) for clip in clips] if name == "speech" else []
        document[name] = _measured(settings, talk, seconds, plain=name == PLAIN)
    if PLAIN in document:
        document["ratio"] = ratio(document["quiet"]["cpu_percent"], document[PLAIN]["cpu_percent"])
    columns = [("listening for the wake word", "name"), ("% of one core", "cpu_percent")]
    columns += [("RSS, MB", "rss_mb"), ("woken", "woken"), ("s behind", "behind_s")]
    text = columned(columns, [{"name": name, **document[name]} for name in names])
    density = f"of the talk {document['speech_percent']} % is speech"
    return Result(f"{text}\n{density}; quiet beside plain: {document.get('ratio')}", document)


def _spoken(folder: Path, clip: Clip) -> tuple[str, float, float]:
    """Return a file and the start and end of its speech, so that the files follow each other without a
    pause.
    """
    return str(folder / clip.name), clip.spoken.begin_s, clip.spoken.end_s


def _cut(pcm: Pcm16, begin_s: float, end_s: float) -> Pcm16:
    return pcm[round(begin_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)]


def _speech_percent(clips: Sequence[Clip]) -> float:
    """Return the percentage of frames in which the speech detector finds speech."""
    network = speech_end.load_network()
    talk = np.concatenate([_cut(clip.pcm, clip.spoken.begin_s, clip.spoken.end_s) for clip in clips])
    frames = talk[: len(talk) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    return round(100 * float(np.mean([network.speech_probability(frame) >= 0.5 for frame in frames])), 1)


def _measured(
    settings: Settings, talk: list[tuple[str, float, float]], seconds: float, *, plain: bool
) -> Document:
    with Child(listening, settings, "Listening", talk=talk, plain=plain) as child:
        child.hear()  # It is listening.
        time.sleep(_SETTLES_S)
        used = cost(child.pid, seconds)
        child.finish()
        return {**used, **child.hear()}


def listening(settings: Settings, talk: list[tuple[str, float, float]], *, plain: bool) -> Document:
    """Listen until the parent ends it; runs in a separate process. Returns how often it was woken."""
    return_what_is_freed()
    return clock.run((_listen_plainly if plain else _listen)(settings, talk))


async def _until_told() -> None:
    await asyncio.sleep(0.1)
    say("listening")
    await asyncio.get_running_loop().run_in_executor(None, list, told())


async def _listen(settings: Settings, talk: list[tuple[str, float, float]]) -> Document:
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
    await _until_told()
    await listener.close()
    return {"woken": woken, "behind_s": round(microphone.behind_s, 1)}


async def _listen_plainly(settings: Settings, talk: list[tuple[str, float, float]]) -> Document:
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

    hearing = asyncio.ensure_future(listen())
    await _until_told()
    hearing.cancel()
    return {"woken": woken, "behind_s": round(microphone.behind_s, 1)}


def _sound(talk: list[tuple[str, float, float]]) -> Pcm16:
    """Return the sound to repeat: the talk, or a quiet room."""
    if talk:
        return np.concatenate([_cut(read_sound(Path(name)), *span) for name, *span in talk])
    return np.random.default_rng(0).normal(0, ROOM_AMPLITUDE, 60 * SAMPLE_RATE_HZ).astype(np.int16)


class _Endless(WavMicrophone):
    """A microphone that repeats the same sound."""

    behind_s = 0.0
    """The largest delay of a frame: on an overloaded machine, work was skipped."""

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
    """The configured built-in wake words, detected by the package pyopen-wakeword.

    All audio is processed by the network, including silence.
    """

    def __init__(self, settings: Settings) -> None:
        from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures  # noqa: PLC0415 - an extra

        self._features: Any = OpenWakeWordFeatures.from_builtin()
        self._words = [
            (word, OpenWakeWord.from_builtin(Model(word.name))) for word in settings.wake.words if word.name
        ]

    def heard(self, pcm: Pcm16) -> list[str]:
        """Return the labels of the words that end in ``pcm``, 16 kHz."""
        labels = []
        for start in range(0, len(pcm), STEP_SAMPLES):
            for made in self._features.process_streaming(pcm[start : start + STEP_SAMPLES].tobytes()):
                for word, network in self._words:
                    if any(chance >= word.threshold for chance in network.process_streaming(made)):
                        labels.append(word.label)
        return labels
