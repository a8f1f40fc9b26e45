"""Records the input of the echo canceller, so that it can be replayed.

``NAME_mic.wav`` is what the microphone delivered, before anything was taken out of it, and ``NAME_lpb.wav``
what the speaker was given, silence included; both at 16 kHz and beginning at the same moment, as the
AEC Challenge has them. ``NAME.jsonl`` holds what happened, in order, a line each:

    {"begins": 44100, "at": -512}       a speaker is opened; its first sample would be there in NAME_lpb
    {"played": 441}                     it was given this many samples, at its rate
    {"heard": 12.35, "flags": 1}        a frame that ended then; 1: is_echo, 2: is_near
    {"heard": 12.40, "flags": 0, "at": 320}    sound was lost before it: its place in NAME_mic

Knows nothing of devices.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from assistant.audio import Microphone
from assistant.audio.echo.reference import Played, Reference
from assistant.audio.files import read_sound, write_wav
from assistant.audio.filtered import SoundFilter
from assistant.audio.resample import LiveResampler
from assistant.core.errors import AudioFileInvalid
from assistant.core.types import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ, AudioFrame, Pcm16

_LOST_S = 0.1
"""A frame this late means that earlier frames were lost."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A speaker was opened."""

    rate_hz: int


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """The speaker was given these samples, at its rate."""

    block: Pcm16


Step = Begun | Told | AudioFrame
"""What happened; a frame is stored as it was heard, with its verdict."""


class Stamps(Protocol):
    """Alters the times at which frames were heard."""

    def __call__(self, at_s: float) -> float:
        """Return the time to report instead of ``at_s``."""


def honest(at_s: float) -> float:
    return at_s


class TracedReference(Reference):
    """Keeps in ``steps`` what it is told and what ``TracedMicrophone`` hears."""

    def __init__(self, stamps: Stamps = honest, *, keep: bool = True) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.stamps = stamps
        self._keep = keep

    def note(self, step: Step) -> None:
        if self._keep:
            self.steps.append(step)

    def begin(self, rate_hz: int, device: str = "") -> Played:
        self.note(Begun(rate_hz))
        self.stream = _TracedPlayed(rate_hz, device, self)
        return self.stream


class _TracedPlayed(Played):
    def __init__(self, rate_hz: int, device: str, reference: TracedReference) -> None:
        super().__init__(rate_hz, device)
        self._reference = reference

    def tell(self, block: Pcm16) -> None:
        """Record a played block; runs on the speaker's thread."""
        self._reference.note(Told(block.copy()))
        super().tell(block)

    def tell_silence(self, count: int) -> None:
        self.tell(np.zeros(count, np.int16))


class TracedMicrophone:
    """A microphone that applies ``filters`` and records in the reference what was heard before them."""

    def __init__(
        self, microphone: Microphone, filters: Sequence[SoundFilter], reference: TracedReference
    ) -> None:
        self._microphone = microphone
        self._filters = filters
        self._reference = reference

    async def frames(self) -> AsyncGenerator[AudioFrame, None]:
        async with aclosing(self._microphone.frames()) as frames:
            async for honest_frame in frames:
                heard = replace(honest_frame, end_s=self._reference.stamps(honest_frame.end_s))
                self._reference.note(heard)
                frame = heard
                for each in self._filters:
                    frame = each.process(frame)
                self._judged(heard, frame)
                yield frame

    def _judged(self, heard: AudioFrame, frame: AudioFrame) -> None:
        """Record the verdict. The speaker may have reported more since; that goes after the frame."""
        steps = self._reference.steps
        for number in range(len(steps) - 1, -1, -1):
            if steps[number] is heard:
                steps[number] = replace(heard, is_echo=frame.is_echo, is_near=frame.is_near)
                return


def write(steps: Sequence[Step], folder: Path, name: str) -> None:
    """Write the three files. Raises StorageFull, AudioFileInvalid."""
    frames = [step for step in steps if isinstance(step, AudioFrame)]
    if not frames:
        raise AudioFileInvalid(f"Nothing was heard in {name}.", "Check that the microphone works.")
    zero_s = frames[0].end_s - FRAME_MS / 1000
    played, heard = _Track(), _Track()
    lines: list[dict[str, float]] = []
    stream: _Stream | None = None
    first_s = _first_times(steps)
    for number, step in enumerate(steps):
        if isinstance(step, Begun):
            at = round((first_s.get(number, zero_s) - zero_s) * SAMPLE_RATE_HZ)
            stream = _Stream(step.rate_hz, played, at)
            lines.append({"begins": step.rate_hz, "at": at})
        elif isinstance(step, Told):
            if stream is not None:
                stream.feed(step.block)
            lines.append({"played": len(step.block)})
        else:
            line = {"heard": round(step.end_s, 6), "flags": step.is_echo + 2 * step.is_near}
            at = round((step.end_s - zero_s) * SAMPLE_RATE_HZ) - FRAME_SAMPLES
            if at - heard.end > _LOST_S * SAMPLE_RATE_HZ:
                line["at"] = at
                heard.end = at
            heard.put(heard.end, step.pcm)
            lines.append(line)
    folder.mkdir(parents=True, exist_ok=True)
    write_wav(folder / f"{name}_mic.wav", heard.pcm(), SAMPLE_RATE_HZ)
    write_wav(folder / f"{name}_lpb.wav", played.pcm(), SAMPLE_RATE_HZ)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


def read(folder: Path, name: str) -> list[Step]:
    """Read the files written by ``write``; the speaker then has a rate of 16 kHz. Raises AudioFileInvalid."""
    lpb, mic = (sound_of(folder, f"{name}_{which}") for which in ("lpb", "mic"))
    try:
        with (folder / f"{name}.jsonl").open(encoding="utf-8") as lines:
            return list(_steps([json.loads(line) for line in lines], lpb, mic))
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise AudioFileInvalid(
            f"{folder / name}.jsonl is not a recording of the bench.", "Record it again with --record."
        ) from error


def sound_of(folder: Path, stem: str) -> Pcm16:
    """Read the WAV or FLAC file ``stem``, at 16 kHz. Raises AudioFileInvalid."""
    for ending in (".wav", ".flac"):
        if (file := folder / f"{stem}{ending}").is_file():
            return read_sound(file)
    raise AudioFileInvalid(
        f"{folder} contains no {stem}.wav or {stem}.flac.", "Put both files of a pair there."
    )


def _steps(lines: Sequence[dict[str, Any]], lpb: Pcm16, mic: Pcm16) -> Iterator[Step]:
    rate_hz, at, told, place = SAMPLE_RATE_HZ, 0, 0, 0
    for line in lines:
        if "begins" in line:
            rate_hz, at, told = line["begins"], line["at"], 0
            yield Begun(SAMPLE_RATE_HZ)
        elif "played" in line:
            begin, end = (at + round(n * SAMPLE_RATE_HZ / rate_hz) for n in (told, told + line["played"]))
            told += line["played"]
            yield Told(_cut(lpb, begin, end))
        else:
            place = line.get("at", place)
            pcm = _cut(mic, place, place + FRAME_SAMPLES)
            place += FRAME_SAMPLES
            flags = line["flags"]
            yield AudioFrame(pcm, line["heard"], is_echo=bool(flags & 1), is_near=bool(flags & 2))


def _cut(pcm: Pcm16, begin: int, end: int) -> Pcm16:
    """Return the samples from ``begin`` to ``end``, padded with silence."""
    inside = pcm[max(0, begin) : max(0, end)]
    before = min(end - begin, max(0, -begin))
    return np.pad(inside, (before, end - begin - before - len(inside)))


def _first_times(steps: Sequence[Step]) -> dict[int, float]:
    """Return, for each time a speaker was opened, when its first sample was reported, relative to the next
    frame.
    """
    times: dict[int, float] = {}
    begun, rate_hz, told = None, SAMPLE_RATE_HZ, 0
    for number, step in enumerate(steps):
        if isinstance(step, Begun):
            begun, rate_hz, told = number, step.rate_hz, 0
        elif isinstance(step, Told):
            told += len(step.block)
        elif begun is not None:
            times.setdefault(begun, step.end_s - told / rate_hz)
    return times


class _Track:
    """Audio placed at sample positions: gaps are silent, and anything before the start is dropped."""

    def __init__(self) -> None:
        self._pieces: list[tuple[int, Pcm16]] = []
        self.end = 0

    def put(self, at: int, pcm: Pcm16) -> None:
        self._pieces.append((at, pcm))
        self.end = at + len(pcm)

    def pcm(self) -> Pcm16:
        last = max((at + len(pcm) for at, pcm in self._pieces), default=0)
        whole: Pcm16 = np.zeros(max(0, last), np.int16)
        for at, pcm in self._pieces:
            inside = pcm[max(0, -at) :]
            whole[max(0, at) : max(0, at) + len(inside)] = inside
        return whole


class _Stream:
    """A speaker's audio at 16 kHz since it was opened."""

    def __init__(self, rate_hz: int, track: _Track, at: int) -> None:
        self._resampler = LiveResampler(rate_hz)
        self._track = track
        self._at = at

    def feed(self, block: Pcm16) -> None:
        pcm = self._resampler.feed(block)
        self._track.put(self._at, pcm)
        self._at += len(pcm)
