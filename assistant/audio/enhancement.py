"""Steady noise taken down and quiet voices brought up, by WebRTC's audio processing.

An extra (``echo``): most microphones need neither. The echo canceller of the same library is not used:
``echo.filter`` leaves less (docs/echo.md).
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

from assistant.core.errors import EngineUnavailable
from assistant.core.types import SAMPLE_RATE_HZ, AudioFrame
from assistant.settings.schema import AudioSettings


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
