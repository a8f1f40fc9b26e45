"""A microphone whose frames are filtered, or watched for silence, before anybody hears them.

``FilteredMicrophone`` passes every frame through filters such as ``Enhancement``: steady noise taken down and
quiet voices brought up by WebRTC's audio processing. That is an extra (``echo``), as most microphones need
neither. The echo canceller of the same library is not used: ``echo.filter`` leaves less (docs/echo.md).

``LiveMicrophone`` treats a microphone that gives nothing but zeros for too long as lost. A switch on the
cable, a muted mixer or a driver in trouble look like that; a real room never does, as every converter has
some noise. The microphone is opened again, and counts as found with the first sound.
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
    """Takes every frame in order and gives it back changed, at once."""

    def process(self, frame: AudioFrame) -> AudioFrame:
        """The same 20 ms at the same time, with other samples."""


class FilteredMicrophone:
    """What ``microphone`` hears, after each of ``filters`` in turn."""

    def __init__(self, microphone: Microphone, filters: Sequence[SoundFilter]) -> None:
        self._microphone = microphone
        self._filters = filters

    async def frames(self) -> AsyncGenerator[AudioFrame, None]:
        """Those of the microphone, filtered. Raises what it raises."""
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
        """The frame with less noise, or louder, as it was set."""
        return replace(frame, pcm=self._processor.process(frame.pcm))


def enhancer(settings: AudioSettings) -> Enhancement:
    """What ``settings`` ask for. Raises EngineUnavailable when the extra is not installed."""
    try:
        library = importlib.import_module("pywebrtc_audio")
    except ImportError as error:
        raise EngineUnavailable(
            "Noise suppression and automatic gain need the package pywebrtc-audio.",
            "Install the extra `echo`, or switch both off in the section audio.",
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
    """``microphone`` without long silence: at most ``silent_s`` seconds of zeros, for ever if that is 0."""

    def __init__(self, microphone: Microphone, silent_s: float) -> None:
        self._microphone = microphone
        self._most_frames = silent_s * 1000 / FRAME_MS
        self._is_dead = False

    async def frames(self) -> AsyncGenerator[AudioFrame, None]:
        """Those of the microphone; of a dead one, those from the first sound on. Raises DeviceLost too."""
        zeros = 0
        async with aclosing(self._microphone.frames()) as frames:
            async for frame in frames:
                if np.count_nonzero(frame.pcm):  # a third of the price of any()
                    zeros, self._is_dead = 0, False
                else:
                    zeros += 1
                if 0 < self._most_frames < zeros:
                    self._is_dead = True
                    raise DeviceLost(
                        f"The microphone has given nothing but zeros for {zeros * FRAME_MS / 1000:.0f} s.",
                        "See whether it is switched off or muted (alsamixer), or else plug it in again.",
                    )
                if not self._is_dead:
                    yield frame
