"""``assistant bench wake``: missed calls and false wake-ups, compared with plain use of the library.

Ours is everything the appliance does with a frame while it waits: its detectors, the gate they open, and the
network behind it. Plain is the same network, given every frame, as its package does. A recording in a folder
named like a built-in word is a call; all others are talk. Talk should trigger neither the configured words
nor those of the calls.

With noises, each call is heard in each of them, at each level and from several places in the noise. Talk is
heard in quiet, and in each noise at the loudest of these levels. Each noise is also heard by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np

from assistant.app import engines as loading
from assistant.audio import nothing_plugs_in
from assistant.audio.files import read_sound
from assistant.audio.wav import WavMicrophone
from assistant.core.errors import AssistantError
from assistant.core.events import Event, Woken
from assistant.core.state import ListeningMode
from assistant.core.types import SAMPLE_RATE_HZ, Pcm16
from assistant.dialog.listener import Listener
from assistant.runtime import clock
from assistant.settings.engines import BuiltInWord, WakeSettings
from assistant.settings.schema import Settings
from assistant.tools.bench.idle import ROOM_AMPLITUDE, PlainWakeWord
from assistant.tools.bench.lib.clips import sound_files
from assistant.tools.bench.lib.measuring import Document, Result, ratio, rounded, share, table
from assistant.tools.bench.lib.noisy import with_noise

_ROOM_S = 1.0
"""Silence, or only noise, before and after each recording."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording with its room, and the wake word in it; empty for talk."""

    name: str
    word: str
    pcm: Pcm16


@dataclass(frozen=True, slots=True)
class Heard:
    """Which words were detected in each recording, and what that cost."""

    words: list[list[str]]
    cpu_s: float


def run(
    settings: Settings,
    *,
    folders: Sequence[Path],
    noises: Sequence[Path],
    snrs_db: Sequence[float],
    offsets: int,
    progress: Callable[[str], None],
) -> Result:
    """Let both hear every recording in the folders. Raises AudioFileInvalid, EngineUnavailable."""
    document: Document = {}
    clean = [each for folder in folders for each in _read(folder)]
    recordings = _heard_in(clean, noises, snrs_db, offsets)
    called = sorted({each.word for each in recordings} - {""})
    chosen = [word.label for word in settings.wake.words]
    calls = [each for each in recordings if each.word]
    talk = [each for each in recordings if not each.word]
    document.update(calls=len(calls), talk=len(talk), words=called, chosen=chosen)
    document.update(noises=[file.stem for file in noises], snrs_db=list(snrs_db))
    for name, hear in (("ours", _ours), ("plain", _plain)):
        progress(f"{name}: {len(recordings)} recordings")
        document[name] = _judged(settings, calls, talk, called, hear)
    seconds = sum(len(each.pcm) / SAMPLE_RATE_HZ for each in recordings)
    document["audio_s"] = round(seconds, 1)
    document["cost_ratio"] = ratio(document["ours"]["cpu_s"], document["plain"]["cpu_s"])
    rows = [_row(name, document[name], len(calls), len(talk), seconds) for name in ("ours", "plain")]
    head = ("", "calls missed", "of all", "woken by talk", "% of one core")
    missed = [f"missed: {name}" for name in document["ours"]["missed"]]
    woken = [f"woken by: {name}" for name in document["ours"]["woken_by"]]
    text = "\n".join([table(head, rows), *missed, *woken])
    return Result(text, document)


def _row(name: str, found: Document, calls: int, talk: int, seconds: float) -> Sequence[object]:
    missed = len(found["missed"])
    return (
        name,
        f"{missed} of {calls}",
        share(missed / calls) if calls else None,
        f"{len(found['woken_by'])} of {talk}",
        100 * found["cpu_s"] / seconds,
    )


def _judged(
    settings: Settings,
    calls: Sequence[Recording],
    talk: Sequence[Recording],
    called: Sequence[str],
    hear: Callable[[Settings, Sequence[Recording]], Heard],
) -> Document:
    """Judge calls with all called words active, and talk with the configured ones in addition."""
    of_calls = hear(_listening_for(settings, called), calls)
    of_talk = hear(_listening_for(settings, called, chosen=True), talk)
    by_word: dict[str, Counter[str]] = {word: Counter() for word in called}
    for each, words in zip(calls, of_calls.words, strict=True):
        by_word[each.word].update(calls=1, missed=int(each.word not in words))
    return {
        "missed": [c.name for c, words in zip(calls, of_calls.words, strict=True) if c.word not in words],
        "woken_by": [t.name for t, words in zip(talk, of_talk.words, strict=True) if words],
        "by_word": {word: dict(counts) for word, counts in by_word.items()},
        "cpu_s": rounded(of_calls.cpu_s + of_talk.cpu_s, 2),
    }


def _listening_for(settings: Settings, called: Sequence[str], *, chosen: bool = False) -> Settings:
    words = settings.wake.words if chosen or not called else ()
    labels = {word.label for word in words}
    others = [word for word in called if word not in labels]
    wake = WakeSettings.model_validate({"engine": "open_wake_word", "words": [*words, *others]})
    return settings.model_copy(update={"wake": wake})


def _heard_in(
    recordings: Sequence[Recording], noises: Sequence[Path], snrs_db: Sequence[float], offsets: int
) -> list[Recording]:
    """Return each recording in each noise, at each level below the speech, from several places in its
    file.
    """
    if not noises:
        return [replace(each, pcm=_in_a_room(each.pcm)) for each in recordings]
    found = [replace(each, pcm=_in_a_room(each.pcm)) for each in recordings if not each.word]
    for file in noises:
        noise = read_sound(file)
        found.append(Recording(f"{file.stem} alone", "", noise))
        for each in recordings:
            for snr_db in snrs_db if each.word else [min(snrs_db)]:
                for number in range(offsets):
                    offset = number / offsets
                    pcm = with_noise(each.pcm, noise, snr_db=snr_db, offset=offset, around_s=_ROOM_S)
                    found.append(Recording(f"{each.name} {file.stem} {snr_db:g} dB {number}", each.word, pcm))
    return found


def _read(folder: Path) -> list[Recording]:
    words = set(get_args(BuiltInWord))
    return [
        Recording(
            f"{file.parent.name}/{file.stem}",
            file.parent.name if file.parent.name in words else "",
            read_sound(file),
        )
        for file in sound_files(folder)
    ]


def _in_a_room(pcm: Pcm16) -> Pcm16:
    room = np.random.default_rng(0).normal(0, ROOM_AMPLITUDE, round(_ROOM_S * SAMPLE_RATE_HZ))
    quiet: Pcm16 = room.astype(np.int16)
    return np.concatenate([quiet, pcm, quiet])


def _ours(settings: Settings, recordings: Sequence[Recording]) -> Heard:
    return clock.run(_listen(settings, recordings), "virtual")


async def _listen(settings: Settings, recordings: Sequence[Recording]) -> Heard:
    wake_word = loading.load_wake_word(settings)
    if wake_word is None:
        raise AssistantError("No wake word is active.", "Set wake.engine to open_wake_word.")
    vad = loading.load_vad(settings)
    words: list[list[str]] = []
    began_s = time.process_time()
    for each in recordings:
        said: list[str] = []
        microphone = WavMicrophone([each.pcm])

        def heard(event: Event, said: list[str] = said) -> None:
            if isinstance(event, Woken):
                said.append(event.by)

        listener = Listener(
            microphone=microphone,
            vad=vad,
            wake_word=wake_word,
            settings=settings,
            post=heard,
            rescan=nothing_plugs_in,
        )
        listener.mode = ListeningMode.WAKE_WORD
        listener.open()
        while microphone.sounding:
            listener.mode = ListeningMode.WAKE_WORD  # Waits for the wake word again at once.
            await asyncio.sleep(0.1)
        await listener.close()
        words.append(said)
    cpu_s = time.process_time() - began_s
    wake_word.close()
    return Heard(words, cpu_s)


def _plain(settings: Settings, recordings: Sequence[Recording]) -> Heard:
    package = PlainWakeWord(settings)
    began_s = time.process_time()
    words = [package.heard(each.pcm) for each in recordings]
    return Heard(words, time.process_time() - began_s)
