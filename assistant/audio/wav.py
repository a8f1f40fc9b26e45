"""Microphone and speaker for recordings, at the pace of the real ones.

Their users cannot tell the difference: frames arrive at the time they would have been heard, and sound takes
as long to play as it lasts. Time is the event loop's, so both also work in time that skips ahead. Independent
of sound hardware.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import numpy as np

from assistant.audio.files import check_writable, write_wav
from assistant.audio.resample import rendered
from assistant.core.types import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ, AudioFrame, Pcm16, SpokenAudio

_SILENCE = np.zeros(FRAME_SAMPLES, np.int16)

GAP_S = 0.3
"""Longest silence kept in the speaker's file: answers stay separate, and long waits are cut."""


class WavMicrophone:
    """Recordings "spoken" one after the other, each on request, with silence around them."""

    def __init__(self, clips: Sequence[Pcm16]) -> None:
        """Set the recordings: samples at 16 kHz. The first one starts with the first frame."""
        self._clips = deque(clips)
        self._waiting: deque[Pcm16] = deque()
        self._sounding = _SILENCE[:0]
        self._finished = False
        self.started_s: list[float] = []
        """When the first sample of each clip was spoken, in order, seconds on the loop's clock."""
        self.feed_next()

    def feed_next(self) -> bool:
        """Start the next clip with the next frame, or after the current one; False if none is left."""
        if not self._clips:
            return False
        self._waiting.append(self._clips.popleft())
        return True

    def finish(self) -> None:
        """End the frames, because nothing more will be said. Without this, silence continues."""
        self._finished = True

    @property
    def sounding(self) -> bool:
        """True if a clip is being spoken, or is about to be."""
        return bool(len(self._sounding) or self._waiting)

    async def frames(self) -> AsyncGenerator[AudioFrame, None]:
        """Yield frame n at its time, n + 1 frames after the first call; late ones follow without a pause."""
        now = asyncio.get_running_loop().time
        begin_s = now()
        number = 0
        while not self._finished:
            due_s = begin_s + (number + 1) * FRAME_MS / 1000
            pcm = self._next_frame(due_s - FRAME_MS / 1000)
            await asyncio.sleep(max(0.0, due_s - now()))
            yield AudioFrame(pcm, end_s=due_s)
            number += 1

    def _next_frame(self, start_s: float) -> Pcm16:
        if not len(self._sounding) and self._waiting:
            self._sounding = self._waiting.popleft()
            self.started_s.append(start_s)
        pcm, self._sounding = self._sounding[:FRAME_SAMPLES], self._sounding[FRAME_SAMPLES:]
        if len(pcm) == FRAME_SAMPLES:
            return pcm
        return np.concatenate([pcm, _SILENCE[len(pcm) :]])


class WavSpeaker:
    """Plays silently, in real time, and writes what was played to a file when closed."""

    def __init__(self, path: Path | None, sample_rate_hz: int | None = None, volume: float = 1.0) -> None:
        """Set the output; with ``path`` None nothing is written. Without a rate, the first sound sets it.

        ``volume`` is 0 to 1.
        """
        self._path = path
        self._rate_hz = sample_rate_hz
        self.volume = volume
        """Volume for sound written from now on."""
        self._pieces: deque[Pcm16] = deque()
        self._written = 0
        self._end_s = -math.inf
        self._replying = False
        self.underruns = 0
        """How many times an answer paused because its next part was not ready."""

    async def open(self) -> None:
        """Check now that the file can be written later. Raises AudioFileInvalid."""
        if self._path is not None and not self._pieces:
            check_writable(self._path)

    async def lost(self) -> None:
        """Wait forever: a file is never disconnected."""
        await asyncio.get_running_loop().create_future()

    def write(self, audio: SpokenAudio) -> None:
        """Append sound, resampled to the file's rate; it plays at once if the queue is empty."""
        now_s = asyncio.get_running_loop().time()
        self._rate_hz = self._rate_hz or audio.sample_rate_hz
        pcm = rendered(audio, self._rate_hz, self.volume)
        if now_s > self._end_s:
            if self._replying:
                self.underruns += 1
            self._keep_pause(now_s - self._end_s)
            self._end_s = now_s
        self._replying = True
        self._keep(pcm)
        self._written += len(pcm)
        self._end_s += len(pcm) / self._rate_hz

    def cut(self) -> None:
        """Drop all sound not yet played."""
        self._replying = False
        if self._rate_hz is None:
            return
        unheard = min(self._written, int(self._unheard_s() * self._rate_hz))
        self._written -= unheard
        self._end_s -= unheard / self._rate_hz
        while unheard and self._pieces:
            piece = self._pieces.pop()
            if len(piece) > unheard:
                self._pieces.append(piece[:-unheard])
            unheard -= min(unheard, len(piece))

    async def drained(self) -> None:
        """Wait until everything written has been played, or was cut."""
        while (left_s := self._unheard_s()) > 0:  # noqa: ASYNC110 - it has a schedule, not an event
            await asyncio.sleep(min(left_s, 0.02))
        self._replying = False

    @property
    def heard_s(self) -> float:
        """Seconds of written sound played so far, without the pauses."""
        if self._rate_hz is None:
            return 0.0
        return max(0.0, self._written / self._rate_hz - self._unheard_s())

    def close(self) -> None:
        """Cut the rest and write the file. Raises AudioFileInvalid, StorageFull."""
        self.cut()
        if self._path is not None:
            heard = np.concatenate([_SILENCE[:0], *self._pieces])
            write_wav(self._path, heard, self._rate_hz or SAMPLE_RATE_HZ)

    def _unheard_s(self) -> float:
        """Return the seconds still to be played, always one contiguous piece up to the end."""
        if self._end_s == -math.inf:
            return 0.0
        return max(0.0, self._end_s - asyncio.get_running_loop().time())

    def _keep_pause(self, pause_s: float) -> None:
        if self._rate_hz is not None and self._pieces:
            self._keep(np.zeros(round(min(pause_s, GAP_S) * self._rate_hz), np.int16))

    def _keep(self, pcm: Pcm16) -> None:
        if self._path is not None:
            self._pieces.append(pcm)
