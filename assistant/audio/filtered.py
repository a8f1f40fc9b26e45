"""A microphone whose frames are filtered, or checked for silence, before they are heard.

``FilteredMicrophone`` passes every frame through filters such as ``Enhancement``: WebRTC's audio processing,
which reduces steady noise and amplifies quiet voices. That is an extra (``echo``), because most microphones
need neither. The same library's echo canceller is not used: ``echo.filter`` leaves less (docs/echo.md).

``LiveMicrophone`` treats a microphone that delivers only zeros for too long as lost. The cause may be a
switch on the cable, a muted mixer or a driver problem, but never a real room, because every converter has
some noise. The microphone is reopened, and counts as found with the first sound.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from assistant.audio import Microphone
from assistant.core.errors import DeviceLost, EngineUnavailable
from assistant.core.types import FRAME_MS, SAMPLE_RATE_HZ, AudioFrame
from assistant.settings.schema import AudioSettings


class SoundFilter(Protocol):
    """Processes every frame in order and returns it at once."""

    def process(self, frame: AudioFrame) -> AudioFrame:
        """Return the same 20 ms at the same time, with other samples."""


class FilteredMicrophone:
    """Frames from ``microphone`` after each of ``filters`` in turn."""

    def __init__(self, microphone: Microphone, filters: Sequence[SoundFilter]) -> None:
        self._microphone = microphone
        self._filters = filters

    async def frames(self) -> AsyncGenerator[AudioFrame, None]:
        """Yield the microphone's frames, filtered. Raises the microphone's errors."""
        async with aclosing(self._microphone.frames()) as frames:
            async for frame in frames:
                for each in self._filters:
                    frame = each.process(frame)  # noqa: PLW2901 - one frame on its way
                yield frame


class Enhancement:
    """A stream of frames through WebRTC's processor."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor

    def process(self, frame: AudioFrame) -> AudioFrame:
        """Return the frame with less noise, or louder, according to the settings."""
        return replace(frame, pcm=self._processor.process(frame.pcm))


def enhancer(settings: AudioSettings) -> Enhancement:
    """Create the filter for ``settings``. Raises EngineUnavailable if the extra is not installed."""
    try:
        library = importlib.import_module("pywebrtc_audio")
    except ImportError as error:
        raise EngineUnavailable(
            "Noise suppression and automatic gain need the Python package "
            "'pywebrtc-audio', which is not installed.",
            "Install the `echo` extra, or turn both off in the audio section of the settings.",
        ) from error
    return Enhancement(
        library.AudioProcessor(
            sample_rate=SAMPLE_RATE_HZ,
            noise_suppression=settings.noise_suppression > 0,
            ns_level=max(0, settings.noise_suppression),
            auto_gain_control=settings.automatic_gain,
        )
    )


class LiveMicrophone:
    """``microphone`` with at most ``silent_s`` seconds of zeros; 0 means no limit."""

    def __init__(self, microphone: Microphone, silent_s: float) -> None:
        self._microphone = microphone
        self._most_frames = silent_s * 1000 / FRAME_MS
        self._is_dead = False

    async def frames(self) -> AsyncGenerator[AudioFrame, None]:
        """Yield the microphone's frames; after long silence, those from the first sound on. Raises
        DeviceLost too.
        """
        zeros = 0
        async with aclosing(self._microphone.frames()) as frames:
            async for frame in frames:
                # The last sample is enough but for silence; counting takes a third of the time of any().
                if frame.pcm[-1] or np.count_nonzero(frame.pcm):
                    zeros, self._is_dead = 0, False
                else:
                    zeros += 1
                if 0 < self._most_frames < zeros:
                    self._is_dead = True
                    raise DeviceLost(
                        f"The microphone has delivered only zeros for {zeros * FRAME_MS / 1000:.0f} s.",
                        "Check whether it is switched off or muted (alsamixer), "
                        "or unplug it and plug it in again.",
                    )
                if not self._is_dead:
                    yield frame
