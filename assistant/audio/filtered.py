"""A microphone whose frames are worked over before anybody hears them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

from assistant.audio import Microphone
from assistant.core.types import AudioFrame


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
