"""Passes what a microphone's callback receives to the event loop as frames.

The callback, on PortAudio's thread, only copies; in a calm room it does not even wake the loop, which checks
four times a second. Independent of devices, and of detecting that one is lost.

Waking the event loop costs more than processing 20 ms of room tone. So after a while of nothing but room
noise, ``Calm`` lets quiet blocks wait; the first louder block brings them along at once. So speech arrives 20
ms later at most, and the silence after it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import Any

import numpy as np

from assistant.audio.echo.reference import Played
from assistant.audio.resample import LiveResampler
from assistant.audio.ring import Ring
from assistant.audio.sample_clock import SampleClock
from assistant.core.types import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ, AudioFrame, Pcm16

WATCH_S = 0.25
"""Interval of checking a device: one timer for all the blocks that arrive meanwhile. It is also the
maximum delay in a calm room.
"""

RING_S = 5
"""Sound kept while the event loop is delayed; a longer delay loses some."""

_LEAST_STEP_S = 0.001
"""Minimum time between two frames: speech timing must never see time run backwards."""

_NOISE = 33
"""-60 dB of full scale: a line with less carries its own noise, and nothing is played.
"""

CALM_AFTER_S = 10
"""Silence after which a room is calm: by then, every turn and every pause that may end one is over."""

_LOUD = 2.0
"""A block that exceeds the usual span by this factor is more than room noise. Steady noise reaches 1.36
times its mean span once in a thousand blocks (computed); intelligible speech is far above.
"""

_FOLLOWS, _RISES = 0.02, 1.01
"""How fast the usual span tracks a quiet block, and how fast it grows with a loud one: a fan that is
switched on counts as room noise after two seconds.
"""


class Calm:
    """Decides which blocks can wait for the next one; it must see every block."""

    def __init__(self, blocks_per_s: int) -> None:
        self._after = CALM_AFTER_S * blocks_per_s
        self._quiet = 0
        self._span = 0.0

    def may_wait(self, block: Pcm16) -> bool:
        """True if this block can be processed later without losing anything.

        In a calm room only every second block is measured: a sound counts 20 ms later at most.
        """
        is_calm = self._quiet > self._after
        if is_calm and self._quiet % 2:
            self._quiet += 1
            return True
        span = int(np.maximum.reduce(block)) - int(np.minimum.reduce(block))
        if span > _LOUD * self._span:
            self._span = max(1.0, self._span * _RISES)
            self._quiet = 0
            return False
        self._span += _FOLLOWS * (span - self._span)
        self._quiet += 1
        return is_calm


class Heard:
    """Turns callback data into frames on the loop; ``begin`` comes before the first callback."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.begin(SAMPLE_RATE_HZ)
        self._arrived = (0, self._loop.time())
        """Number of samples when the last block arrived, and when that was."""
        self._seen = self._arrived
        self._news = asyncio.Event()
        self._watch: asyncio.TimerHandle | None = None
        self._calm = Calm(1000 // FRAME_MS)
        self._pending: Pcm16 = np.zeros(0, np.int16)
        self._framed = 0
        self._end_s = -math.inf
        self.overflows = 0
        self.is_closed = False
        """Sound that arrives from now on is discarded."""

    def begin(self, rate_hz: int, loopback: int | None = None, played: Played | None = None) -> None:
        """Set the rate. Of two channels, the ``loopback`` one, 0 or 1, goes to ``played``."""
        self._rate_hz = rate_hz
        self._loopback, self._played = loopback, played
        self.channels = 1 if loopback is None else 2
        self._ring = Ring(RING_S * rate_hz)
        self._clock = SampleClock(rate_hz)
        self._resampler = LiveResampler(rate_hz)

    def callback(self, buffer: Any, _frames: int, _time: Any, status: Any) -> None:
        """Store a block, on PortAudio's thread."""
        if self.is_closed:
            return
        dropped = self._ring.dropped
        block = self._microphone_of(np.frombuffer(buffer, np.int16))
        self._ring.write(block)
        self._arrived = (self._ring.written, self._loop.time())
        if (status and status.input_overflow) or self._ring.dropped > dropped:
            self.overflows += 1
        if self._calm.may_wait(block):
            return
        with contextlib.suppress(RuntimeError):  # the loop was closed a moment ago
            self._loop.call_soon_threadsafe(self._news.set)

    def _microphone_of(self, block: Pcm16) -> Pcm16:
        """Return the microphone's channel; the other channel is reported as played."""
        if self._loopback is None or self._played is None:
            return block
        channels = np.ascontiguousarray(block.reshape(-1, 2).T)
        played = channels[self._loopback]
        is_silent = max(int(played.max()), -int(played.min())) < _NOISE
        self._played.tell(np.zeros_like(played) if is_silent else played)
        microphone: Pcm16 = channels[1 - self._loopback]
        return microphone

    async def more(self) -> bool:
        """Wait up to ``WATCH_S`` for a callback after the last ``take``; True if there was one."""
        if self._watch is None:
            self._watch = self._loop.call_later(WATCH_S, self._look)
        await self._news.wait()
        self._news.clear()
        return self._arrived is not self._seen

    def _look(self) -> None:
        self._watch = None
        self._news.set()

    def close(self) -> None:
        """Stop waiting, and discard what still arrives."""
        self.is_closed = True
        if self._watch is not None:
            self._watch.cancel()

    def take(self) -> list[AudioFrame]:
        """Return all complete frames."""
        self._seen = self._arrived
        if not self._ring.written:
            return []
        self._clock.block_arrived(*self._seen)
        self._pending = np.concatenate([self._pending, self._resampler.feed(self._ring.read())])
        whole = len(self._pending) // FRAME_SAMPLES * FRAME_SAMPLES
        pieces, self._pending = self._pending[:whole], self._pending[whole:]
        return [self._frame(pcm) for pcm in pieces.reshape(-1, FRAME_SAMPLES)]

    def _frame(self, pcm: Pcm16) -> AudioFrame:
        self._framed += FRAME_SAMPLES
        heard_s = self._clock.time_of(self._framed * self._rate_hz / SAMPLE_RATE_HZ)
        # The clock trusts the earliest block; on a busy machine that may come after frames that were late.
        self._end_s = max(heard_s, self._end_s + _LEAST_STEP_S)
        return AudioFrame(pcm, self._end_s)
