"""The assistant's own voice is taken out of what the microphone hears.

Stands between the microphone and everything that listens. Each frame loses the echo of what is
being played (``echo_filter``), and is marked when nothing else was in it (``near_speech``): so that
whoever asks for speech does not take the rest of an echo for it. While nothing is played, frames
pass as they are. It has no thread, and adds no delay.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import numpy as np

from assistant.audio.alignment import Alignment
from assistant.audio.echo_filter import PARTITIONS, EchoFilter, Heard
from assistant.audio.near_speech import NearSpeech
from assistant.audio.reference import Reference
from assistant.audio.resample import Samples, to_float, to_pcm16
from assistant.types import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ, AudioFrame

log = logging.getLogger(__name__)

_AUDIBLE = 1e-4
"""Of full scale, -80 dB: quieter sound makes no echo."""

_ECHOING_FRAMES = 2 * PARTITIONS
"""A second after the last sound a room is quiet again."""

_KNOWN, _WELL_KNOWN = 0.5, 0.1
"""Share of what is heard that the filter leaves once it knows the room at all, and once it knows it well.
Where it then leaves more, somebody else speaks, and what he says would be taken for drift."""

_SINCE = 0.9
"""Memory of that share: 200 ms."""

_SETTLED_FRAMES = 50
"""After a second of echo its delay is known."""

_FIRST_FRAME = 1
"""Where in the filter the echo shall begin: behind what the loudspeaker's own lag may move."""


class EchoCanceller:
    """Frames in, frames out, in order; ``reference`` is told by the speaker what it plays."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._filter = EchoFilter()
        self._near = NearSpeech()
        self._alignment = Alignment()
        self._silent_frames = _ECHOING_FRAMES
        self._echo_frames = 0
        self._known = _KNOWN
        self._heard_power = self._rest_power = 0.0

    @property
    def drift_ppm(self) -> float:
        """How much faster than the microphone the speaker turned out to run."""
        return self._alignment.drift_ppm

    def process(self, frame: AudioFrame) -> AudioFrame:
        """The frame without the echo, marked when that was all it held."""
        clock_position = self._reference.position_at(frame.end_s - FRAME_MS / 1000)
        if math.isnan(clock_position):
            return frame
        position, step = self._alignment.next(clock_position)
        played = self._reference.read(position - FRAME_SAMPLES, step, 2 * FRAME_SAMPLES)
        self._silent_frames = 0 if np.abs(played).max() > _AUDIBLE else self._silent_frames + 1
        if self._silent_frames >= _ECHOING_FRAMES:
            return frame
        heard = to_float(frame.pcm)
        parts = self._filter.process(heard, played)
        is_near = self._near.in_frame(parts)
        if not is_near:
            self._follow(heard, parts)
        return replace(frame, pcm=to_pcm16(parts.rest), is_echo=not is_near, is_near=is_near)

    def _follow(self, heard: Samples, parts: Heard) -> None:
        """Keep the two clocks together, once the echo can be told from the rest."""
        echo_power = float(np.square(parts.echo).mean())
        self._heard_power = _SINCE * self._heard_power + float(np.square(heard).mean())
        self._rest_power = _SINCE * self._rest_power + float(np.square(parts.rest).mean())
        if echo_power < _AUDIBLE**2 or self._rest_power > self._known * self._heard_power:
            return
        self._alignment.heard(heard, parts.echo)
        self._echo_frames += 1
        late_frames = self._filter.delay_frames - _FIRST_FRAME
        if self._rest_power < _WELL_KNOWN * self._heard_power:
            self._known = _WELL_KNOWN
        if self._echo_frames >= _SETTLED_FRAMES and late_frames > 0:
            self._filter.shift(late_frames)
            self._alignment.moved(late_frames * FRAME_SAMPLES)
            self._echo_frames = 0
            log.debug("echo=later by_ms=%d", late_frames * FRAME_SAMPLES * 1000 // SAMPLE_RATE_HZ)
