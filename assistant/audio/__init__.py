"""Sound in and out: two small Protocols that devices, WAV files and tests share.

Methods are called on the event loop's thread and never block it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from assistant.core.types import AudioFrame, SpokenAudio

Kind: TypeAlias = Literal["input", "output"]
"""Of a device: the microphone or the speaker."""


async def nothing_plugs_in(_missing: Kind) -> None:
    """Looks anew at what is plugged in where nothing ever is: recordings, and devices that are made up."""


class Microphone(Protocol):
    """A source of 20 ms frames at 16 kHz."""

    def frames(self) -> AsyncGenerator[AudioFrame, None]:
        """Open the device and yield every frame in order; closing the iterator closes the device.

        Ends when there will be no more (a file that is over). Raises DeviceUnavailable when it
        cannot be opened, DeviceLost when it went away, DeviceStuck when its driver does not answer.
        """


class Speaker(Protocol):
    """A queue of sound that somebody hears."""

    volume: float
    """Loudness of what is written from now on, 0 to 1."""

    async def open(self) -> None:
        """Be ready to sound at once; harmless when already open. Raises DeviceUnavailable, DeviceStuck."""

    async def lost(self) -> None:
        """Wait, once it is open: return when it is closed, raise DeviceLost when it went away."""

    def write(self, audio: SpokenAudio) -> None:
        """Append to the queue; resampled to the device's rate. Raises DeviceLost, also when not open."""

    def cut(self) -> None:
        """Drop what has not been heard yet: silence within 50 ms plus what the device already holds."""

    async def drained(self) -> None:
        """Wait until everything written has been heard (or cut). Raises DeviceLost."""

    @property
    def heard_s(self) -> float:
        """Seconds of written sound that have been heard since ``open``, never going back."""

    def close(self) -> None:
        """Release the device, without waiting for it; ``open`` may follow."""


EchoState: TypeAlias = Literal["unknown", "inaudible", "learning", "controlled", "uncontrolled", "far"]
"""``unknown``: nothing was played since the start, or its echo was not found yet. ``inaudible``: the
microphone hears nothing of what is played. ``learning``: something has changed a moment ago.
``uncontrolled``: the canceller leaves too much. ``far``: the echo comes too late for speech to interrupt."""


@dataclass(frozen=True, slots=True)
class EchoStatus:
    """How well the assistant's own voice is kept from its ears."""

    state: EchoState
    late_ms: int | None = None
    """From the speaker's buffer through the room to the microphone's."""
    loss_db: float | None = None
    """How much less is left of what was heard, over the last syllable."""
    drift_ppm: float | None = None
    """How much faster than the microphone the speaker runs."""


class EchoControl(Protocol):
    """Keeps the assistant's own voice from its ears."""

    @property
    def status(self) -> EchoStatus:
        """As of the last frame."""

    def was_wrong(self) -> None:
        """What was taken for somebody said nothing."""
