"""Sound input and output: two small Protocols that devices, WAV files and tests implement.

Methods are called on the event loop's thread and never block it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from assistant.core.types import AudioFrame, SpokenAudio

Kind: TypeAlias = Literal["input", "output"]
"""Kind of device: the microphone or the speaker."""


async def nothing_plugs_in(_missing: Kind) -> None:
    """Rescan that does nothing, for recordings and scripted devices."""


class Microphone(Protocol):
    """A source of 20 ms frames at 16 kHz."""

    def frames(self) -> AsyncGenerator[AudioFrame, None]:
        """Open the device and yield every frame in order; closing the iterator closes the device.

        Ends when there are no more frames (at the end of a file). Raises DeviceUnavailable if it cannot be
        opened, DeviceLost if it was disconnected, DeviceStuck if its driver doesn't respond.
        """


class Speaker(Protocol):
    """A queue of sound being played."""

    volume: float
    """Volume for sound written from now on, 0 to 1."""

    async def open(self) -> None:
        """Open the device, so that sound plays at once; harmless if it is open. Raises DeviceUnavailable,
        DeviceStuck.
        """

    async def lost(self) -> None:
        """Wait until an open device is closed; raises DeviceLost if it is disconnected."""

    def write(self, audio: SpokenAudio) -> None:
        """Append to the queue, resampled to the device's rate. Raises DeviceLost, also if it isn't open."""

    def cut(self) -> None:
        """Drop all sound not yet played: silence within 50 ms plus what the device has buffered."""

    async def drained(self) -> None:
        """Wait until everything written has been played (or cut). Raises DeviceLost."""

    @property
    def heard_s(self) -> float:
        """Seconds of written sound played since ``open``; never decreases."""

    def close(self) -> None:
        """Release the device without waiting for it; ``open`` may follow."""


EchoState: TypeAlias = Literal["unknown", "inaudible", "learning", "controlled", "uncontrolled", "far"]
"""``unknown``: nothing was played since startup, or its echo was not found yet. ``inaudible``: the
microphone doesn't pick up the speaker. ``learning``: something changed a moment ago. ``uncontrolled``:
the canceller leaves too much. ``far``: the echo is too late for interrupting by speech.
"""


@dataclass(frozen=True, slots=True)
class EchoStatus:
    """How well echo cancellation works."""

    state: EchoState
    late_ms: int | None = None
    """Delay from the speaker's buffer through the room to the microphone's."""
    loss_db: float | None = None
    """Echo reduction over the last syllable."""
    drift_ppm: float | None = None
    """How much faster the speaker's clock runs than the microphone's."""


class EchoControl(Protocol):
    """Removes the assistant's own voice from the microphone signal."""

    @property
    def status(self) -> EchoStatus:
        """The status as of the last frame."""

    def was_wrong(self) -> None:
        """Report that sound taken for a person's speech contained no words."""
