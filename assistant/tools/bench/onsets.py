"""Replays recorded frames and playback to the listener, and counts what would have interrupted an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from assistant.app import engines as loading
from assistant.audio import nothing_plugs_in
from assistant.audio.echo.reference import Reference
from assistant.audio.filtered import SoundFilter
from assistant.core.events import Event, Faulted, NothingSaid, RecordingEnded, SpeechStarted, TurnEnded
from assistant.core.state import ListeningMode
from assistant.core.types import FRAME_MS, SAMPLE_RATE_HZ, AudioFrame
from assistant.dialog.listener import Listener
from assistant.engines import Vad
from assistant.runtime import clock
from assistant.settings.schema import Settings
from assistant.tools.bench.lib.echo_trace import Begun, Step, Told

_AUDIBLE = 33
"""In int16 steps, -60 dBFS: anything quieter is a pause."""

_STILL_HEARD_S = 0.7
"""The echo of what was played within this time can still arrive."""


@dataclass
class Found:
    """The result for one recording."""

    heard_s: float = 0.0
    echo_frames: int = 0
    """Frames judged to be only echo."""
    near_frames: int = 0
    same_frames: int = 0
    """Frames judged the same as when they were recorded."""
    playing_s: float = 0.0
    """How long something was played, including its echo."""
    onsets_s: list[float] = field(default_factory=list)
    """When someone seemed to start speaking during playback, from the first frame."""
    others_s: list[float] = field(default_factory=list)
    """The same, without playback."""


def listen(settings: Settings, steps: Sequence[Step], vad: Vad) -> Found:
    """Feed ``steps`` to a new canceller, and its output to a listener that waits for an interruption."""
    return clock.run(_listen(settings, steps, vad), "virtual")


async def _listen(settings: Settings, steps: Sequence[Step], vad: Vad) -> Found:
    reference = Reference()
    recording = _Recording(steps, reference, loading.sound_filters(settings, reference))
    found = recording.found
    over = asyncio.Event()
    failed: list[Exception] = []

    def heard(event: Event) -> None:
        if isinstance(event, SpeechStarted):
            (found.onsets_s if recording.plays else found.others_s).append(recording.at_s)
            listener.mode = ListeningMode.SPEECH
        elif isinstance(event, TurnEnded | NothingSaid):
            listener.endpointer.reset()
            listener.mode = ListeningMode.INTERRUPTION
        elif isinstance(event, RecordingEnded | Faulted):
            if isinstance(event, Faulted):
                failed.append(event.error)
            over.set()

    listener = Listener(
        microphone=recording,
        vad=vad,
        wake_word=None,
        settings=settings,
        post=heard,
        rescan=nothing_plugs_in,
    )
    listener.mode = ListeningMode.INTERRUPTION
    listener.open()
    await over.wait()
    await listener.close()
    if failed:
        raise failed[0]
    return found


class _Recording:
    """A microphone that replays a recording, telling the speaker first what was played before each frame."""

    def __init__(self, steps: Sequence[Step], reference: Reference, filters: Sequence[SoundFilter]) -> None:
        self._steps = steps
        self._reference = reference
        self._filters = filters
        self._loud_s = -np.inf
        self._first_s: float | None = None
        self.found = Found()
        self.at_s = 0.0
        """The end of the last frame, measured from the start of the first."""
        self.plays = False

    async def frames(self) -> AsyncGenerator[AudioFrame, None]:
        for frame in self._frames():
            yield frame

    def _frames(self) -> Iterator[AudioFrame]:
        played = self._reference.begin(SAMPLE_RATE_HZ)
        for step in self._steps:
            if isinstance(step, Begun):
                played = self._reference.begin(step.rate_hz)
            elif isinstance(step, Told):
                played.tell(step.block)
                if np.abs(step.block.astype(np.int32)).max(initial=0) > _AUDIBLE:
                    self._loud_s = self.at_s
            else:
                yield self._filtered(step)

    def _filtered(self, heard: AudioFrame) -> AudioFrame:
        frame_s = FRAME_MS / 1000
        if self._first_s is None:
            self._first_s = heard.end_s - frame_s
        self.at_s = heard.end_s - self._first_s
        self.plays = self.at_s < self._loud_s + _STILL_HEARD_S
        frame = AudioFrame(heard.pcm, heard.end_s)
        for each in self._filters:
            frame = each.process(frame)
        self.found.heard_s += frame_s
        self.found.playing_s += frame_s * self.plays
        self.found.echo_frames += frame.is_echo
        self.found.near_frames += frame.is_near
        self.found.same_frames += (frame.is_echo, frame.is_near) == (heard.is_echo, heard.is_near)
        return frame
