"""What a microphone's callback hears, handed to the event loop as frames.

The callback, on PortAudio's thread, only copies; in a calm room it does not even wake the loop, which
looks four times a second. It knows nothing of devices, nor when one is lost.

Waking the event loop costs more than processing 20 ms of room tone. So after a while of nothing but the
room's own noise, ``Calm`` lets quiet blocks wait; the first louder block takes them along at once. So
speech is heard 20 ms later at most, and the silence behind it at once.
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
"""Step of watching a device: one timer for all the blocks that come meanwhile. So late, at most, a calm
room is heard."""

RING_S = 5
"""Sound that is kept when the event loop is held up; a longer hold-up loses some."""

_LEAST_STEP_S = 0.001
"""Of the times of two frames: whoever measures speech must not see time run backwards."""

_NOISE = 33
"""-60 dB of full scale: a wire that carries less carries its own noise, and nothing is played."""

CALM_AFTER_S = 10
"""Silence after which a room is calm: by then every turn, and every pause that may end one, is over."""

_LOUD = 2.0
"""A block that exceeds the usual span by this factor is more than room noise. Steady noise reaches 1.36
times its mean span once in a thousand blocks (computed); intelligible speech is far above."""

_FOLLOWS, _RISES = 0.02, 1.01
"""How fast the usual span follows a quiet block, and how fast it grows with a loud one: a fan that is
switched on counts as room noise after two seconds."""


class Calm:
    """Decides which blocks may wait for the next one; it must be given every block."""

    def __init__(self, blocks_per_s: int) -> None:
        self._after = CALM_AFTER_S * blocks_per_s
        self._quiet = 0
        self._span = 0.0

    def may_wait(self, block: Pcm16) -> bool:
        """True if nothing is lost when this block is processed later.

        In a calm room only every second block is measured: a sound begins to count 20 ms later at most.
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
    """What the callback has heard, becoming frames on the loop; ``begin`` comes before the first callback."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.begin(SAMPLE_RATE_HZ)
        self._arrived = (0, self._loop.time())
        """How many samples there were when the last block had come, and when that was."""
        self._seen = self._arrived
        self._news = asyncio.Event()
        self._watch: asyncio.TimerHandle | None = None
        self._calm = Calm(1000 // FRAME_MS)
        self._pending: Pcm16 = np.zeros(0, np.int16)
        self._framed = 0
        self._end_s = -math.inf
        self.overflows = 0
        self.is_closed = False
        """What is heard from now on is heard by nobody."""

    def begin(self, rate_hz: int, loopback: int | None = None, played: Played | None = None) -> None:
        """The rate is known. Of two channels the ``loopback`` one, 0 or 1, is told to ``played``."""
        self._rate_hz = rate_hz
        self._loopback, self._played = loopback, played
        self.channels = 1 if loopback is None else 2
        self._ring = Ring(RING_S * rate_hz)
        self._clock = SampleClock(rate_hz)
        self._resampler = LiveResampler(rate_hz)

    def callback(self, buffer: Any, _frames: int, _time: Any, status: Any) -> None:
        """On PortAudio's thread."""
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
        """Its channel; what the other one carries is told as played."""
        if self._loopback is None or self._played is None:
            return block
        channels = np.ascontiguousarray(block.reshape(-1, 2).T)
        played = channels[self._loopback]
        is_silent = max(int(played.max()), -int(played.min())) < _NOISE
        self._played.tell(np.zeros_like(played) if is_silent else played)
        microphone: Pcm16 = channels[1 - self._loopback]
        return microphone

    async def more(self) -> bool:
        """Wait for a callback after the last ``take``, for ``WATCH_S`` at most; whether there was one."""
        if self._watch is None:
            self._watch = self._loop.call_later(WATCH_S, self._look)
        await self._news.wait()
        self._news.clear()
        return self._arrived is not self._seen

    def _look(self) -> None:
        self._watch = None
        self._news.set()

    def close(self) -> None:
        """Nobody waits any more, and what still comes is nobody's."""
        self.is_closed = True
        if self._watch is not None:
            self._watch.cancel()

    def take(self) -> list[AudioFrame]:
        """All frames that are complete."""
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
        # The clock believes the earliest block; on a busy machine that may come after frames that were late.
        self._end_s = max(heard_s, self._end_s + _LEAST_STEP_S)
        return AudioFrame(pcm, self._end_s)
