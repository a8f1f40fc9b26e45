"""A microphone that gives nothing but zeros for too long is as good as lost.

A switch on the cable, a muted mixer or a driver in trouble look like that; a real room never does,
as every converter has some noise. It is opened again, and counts as found with the first sound.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np

from assistant.audio import Microphone
from assistant.core.errors import DeviceLost
from assistant.core.types import FRAME_MS, AudioFrame


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
