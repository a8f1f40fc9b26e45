"""Removes the assistant's own voice from the microphone signal.

It sits between the microphone and everything that listens. While something is played, the echo is removed
from each frame (``filter``), and a frame with nothing else in it is marked (``near_speech``), so that the
rest of an echo is not taken for speech. The echo's position is found from the sound (``delay``), never from a
clock; while it is unknown, or the filter leaves more than there was, frames pass unchanged and count as echo.
It has no thread and adds no delay.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import replace

import numpy as np

from assistant.audio import EchoState, EchoStatus
from assistant.audio.echo.alignment import Alignment
from assistant.audio.echo.delay import HEARD_SAMPLES, RANGE_SAMPLES, Delay, DelayEstimator
from assistant.audio.echo.filter import PARTITIONS, RESPONSE_SAMPLES, EchoFilter, Heard, predicted
from assistant.audio.echo.memory import EchoMemory
from assistant.audio.echo.move import CERTAIN, Move, find_move
from assistant.audio.echo.near_speech import Gate, NearSpeech, Unheard
from assistant.audio.echo.reference import REACH, Played, Reference
from assistant.audio.resample import Samples, to_float, to_pcm16
from assistant.core.types import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ, AudioFrame

log = logging.getLogger(__name__)

_AUDIBLE = 1e-4
"""Fraction of full scale, -80 dB: quieter sound produces no echo."""

_ECHOES_S = 1.5
"""After the last sound: one second until it is heard (``delay``), half a second until the room is quiet."""

_LOOK_FRAMES = 100 // FRAME_MS
"""Between two delay measurements."""
_BEFORE_SAMPLES = FRAME_SAMPLES
"""Where in the filter the echo starts, to leave room for what comes before the strongest path."""

_GAP_S = 0.3
"""A larger gap between frames means that the microphone was reopened."""
_MEMORY = 0.9
"""For the powers that are compared: 200 ms, a syllable."""

_GOOD, _BAD = 0.25, 0.5
"""Share of the power that is left if the filter fits (6 dB less), and if it doesn't (3 dB less)."""

_WORSE = 1.25
"""1 dB more is left than was heard: chance effects are smaller when a person drowns out the echo."""

_BETTER = 0.5
"""Share of the current residual that another delay or filter must reach to take over."""

_TRIAL_FRAMES = 300 // FRAME_MS
"""Frames of echo before a second filter is compared with the first."""

_FURTHEST = 300 * SAMPLE_RATE_HZ // 1000
"""Samples within which a moved echo is found at once: 0.3 s on either side."""

_SAME_GAIN, _AGREES = 2.0, 1.25
"""A larger change of volume must be found in two frames that agree: in one soft frame it may be chance."""

_NEAR_SAMPLES = 4
"""Delays that differ by less are the same: the filter absorbs that."""

_FAR_S = 0.55
"""From the speaker's buffer to the microphone's. After a longer delay (Bluetooth) speech can't interrupt."""

_KEEP_EVERY_FRAMES = 60_000 // FRAME_MS
"""The room's response is saved once a minute at most."""


class EchoCanceller:
    """Takes frames and returns frames, in order; the speaker reports to ``reference`` what it plays.

    The learned room is kept in ``memory``, and verified before it is used again.
    """

    def __init__(self, reference: Reference, memory: EchoMemory | None = None) -> None:
        self._reference = reference
        self._memory = memory
        self._known: Samples | None = None
        """This speaker's room, from before a pause or a restart."""
        self._late_s = 0.0
        self._kept_at = -_KEEP_EVERY_FRAMES
        self._stream: Played | None = None
        self._estimator = DelayEstimator()
        self._alignment = Alignment()
        self._filter = EchoFilter()
        self._second: EchoFilter | None = None
        self._near = NearSpeech()
        self._unheard = Unheard()
        self._heard: deque[Samples] = deque(maxlen=HEARD_SAMPLES // FRAME_SAMPLES)
        self._heard_at = 0
        """Position of the current frame in the microphone stream."""
        self._last_s = 0.0
        self._is_placed = False
        self._frames = 0
        """Frames since something was played, for periodic tasks."""
        self._powers = np.zeros(3)
        """Power over the last syllable: the microphone signal, the first and the second filter's residual."""
        self._trial_frames = 0
        self._gate = Gate()
        self._is_learnt = False  # has the filter fitted since it was new?
        self._gain: float | None = None
        """Gain found in one frame after the echo's volume changed."""
        self._candidate: Delay | None = None

    @property
    def drift_ppm(self) -> float:
        """How much faster the speaker runs than the microphone, as measured."""
        return self._alignment.drift_ppm

    @property
    def status(self) -> EchoStatus:
        """How well the echo is cancelled, as of the last frame."""
        if not self._is_placed:
            return EchoStatus("inaudible" if self._unheard.is_sure else "unknown")
        heard, left = self._powers[:2] + 1e-12
        loss_db = round(float(10 * np.log10(max(heard / left, 1.0))), 1)
        return EchoStatus(self._state, round(1000 * self._late_s), loss_db, round(self.drift_ppm, 1))

    @property
    def _state(self) -> EchoState:
        if self._is_far:
            return "far"
        if self._gate.is_open:
            return "controlled"
        return "learning" if self._fits else "uncontrolled"

    def was_wrong(self) -> None:
        """Report that sound taken for a person's speech contained no words, so be more cautious."""
        self._near.was_wrong()

    def process(self, frame: AudioFrame) -> AudioFrame:
        """Return the frame without echo, marked if it contained nothing else."""
        self._heard_at += FRAME_SAMPLES
        stream = self._follow_streams(frame)
        position, step = self._alignment.next()
        if stream is None:
            return frame
        self._frames += 1
        if stream.silent_s > _ECHOES_S:
            if self._frames % 50 == 0:
                stream.take()
            self._keep(stream)
            self._heard.clear()
            return frame
        stream.take()
        heard = to_float(frame.pcm)
        self._heard.append(heard)
        if self._frames % _LOOK_FRAMES == 0:
            self._look(stream)
        if not self._is_placed:
            last = stream.between(stream.end - SAMPLE_RATE_HZ, SAMPLE_RATE_HZ)
            return replace(frame, is_echo=not self._unheard.is_somebody(heard, last))
        played = stream.read(position - FRAME_SAMPLES, step, 2 * FRAME_SAMPLES)
        parts = self._filter.process(heard, played)
        self._compare(heard, played, parts)
        is_open = self._gate.judge(heard, parts, is_worse=self._is_worse) and not self._is_far
        self._is_learnt = self._is_learnt or is_open
        is_near = self._near.in_frame(parts, may_be_near=is_open)
        if is_near or (self._is_learnt and not self._gate.is_open):
            is_near = not self._has_moved(heard, parts, stream) and is_near
        if self._is_worse or np.square(parts.rest).sum() > _WORSE * np.square(heard).sum():
            return replace(frame, is_echo=True)
        if not is_near and self._fits and np.square(parts.echo).mean() > _AUDIBLE**2:
            self._alignment.follow(heard, parts.echo)
        return replace(frame, pcm=to_pcm16(parts.rest), is_echo=not is_near, is_near=is_near)

    def _has_moved(self, heard: Samples, parts: Heard, stream: Played) -> bool:
        """If the echo itself has moved or changed volume, continue from there and return True."""
        begin = round(self._position_now)
        played = stream.between(begin - _FURTHEST - RESPONSE_SAMPLES, 2 * _FURTHEST + RESPONSE_SAMPLES)
        echo = predicted(self._filter.response, played)
        move = find_move(heard, parts.rest, echo)
        if move is None:
            return False
        if move.left < CERTAIN and self._is_change(move):
            log.debug("echo=moved by=%.1f gain=%.2f", move.samples, move.gain)
            reverberant = self._filter.reverberant
            self._near.moved(reverberant, fits=bool(move.samples))
            if move.samples:  # same volume: the frame in which it jumped contains two echoes
                self._go_to(stream, self._alignment.position - move.samples)
            else:
                self._begin_to_judge()
                self._filter.louder(move.gain)
            self._gate.moved(reverberant)
        return True

    def _is_change(self, move: Move) -> bool:
        """True for a new position or a clear volume change; a large one must be found twice."""
        if 1 / _SAME_GAIN < move.gain < _SAME_GAIN:
            return bool(move.samples) or not 1 / _AGREES < move.gain < _AGREES
        before, self._gain = self._gain, move.gain
        return before is not None and 1 / _AGREES < move.gain / before < _AGREES

    @property
    def _is_far(self) -> bool:
        return self._late_s > _FAR_S

    @property
    def _fits(self) -> bool:
        return bool(self._powers[1] < _GOOD * self._powers[0])

    @property
    def _is_worse(self) -> bool:
        return bool(self._powers[1] > _WORSE * self._powers[0])

    def _follow_streams(self, frame: AudioFrame) -> Played | None:
        """Forget the echo's position if either device was reopened."""
        stream = self._reference.stream
        if stream is not self._stream or frame.end_s - self._last_s > _GAP_S:
            if self._is_placed and self._fits:
                self._known = self._filter.response
            elif stream and self._memory and self._known is None:
                self._known = self._memory.recall(stream.device)
            self._stream, self._is_placed, self._candidate = stream, False, None
            self._unheard = Unheard()
            self._estimator.forget()
            self._heard.clear()
        self._last_s = frame.end_s
        return stream

    def _compare(self, heard: Samples, played: Samples, parts: Heard) -> None:
        """Record how well the filter does, and let a second one learn while it does badly."""
        left = [heard, parts.rest, heard]
        if self._second is not None:
            left[2] = self._second.process(heard, played).rest
        self._powers = _MEMORY * self._powers + np.square(left).mean(axis=1)
        if np.abs(played).max() < _AUDIBLE:
            return
        self._trial_frames += 1
        if self._second is None:
            if self._powers[1] > _BAD * self._powers[0]:
                self._second, self._trial_frames = EchoFilter(), 0
        elif self._trial_frames >= _TRIAL_FRAMES:
            if self._powers[2] < _BETTER * self._powers[1]:
                self._filter, self._powers[1] = self._second, self._powers[2]
                self._second = None
                self._gate.close()
                log.debug("echo=learnt-anew")
            elif self._fits:
                self._second = None

    # Finding the echo

    def _look(self, stream: Played) -> None:
        if len(self._heard) < HEARD_SAMPLES // FRAME_SAMPLES:
            return
        played_at = stream.end - HEARD_SAMPLES - RANGE_SAMPLES
        played = stream.between(played_at, HEARD_SAMPLES + RANGE_SAMPLES)
        if np.abs(played).max() < _AUDIBLE:
            return
        heard = np.concatenate(self._heard)
        heard_at = self._heard_at + FRAME_SAMPLES - HEARD_SAMPLES
        found = self._estimator.look(heard, heard_at, played, played_at)
        if found is None:
            return
        before, self._candidate = self._candidate, found
        if before is None or abs(found.samples - before.samples) > _NEAR_SAMPLES:
            return
        now = self._heard_at - self._position_now
        self._late_s = (stream.end - self._heard_at - FRAME_SAMPLES + found.samples) / SAMPLE_RATE_HZ
        if not self._is_placed:
            self._begin(found, stream, heard)
        elif abs(found.samples - (now + _BEFORE_SAMPLES)) > _NEAR_SAMPLES and not self._fits:
            begin = round(heard_at - now)
            if np.abs(stream.between(begin, HEARD_SAMPLES // 2)).max() > _AUDIBLE:  # an echo was expected
                self._try(found, stream, heard, heard_at)

    def _begin(self, delay: Delay, stream: Played, heard: Samples) -> None:
        """Use the known room if it still fits; otherwise learn from the latest sound."""
        log.debug("echo=found late_ms=%d", 1000 * self._late_s)
        self._is_placed, self._is_learnt = True, False
        self._filter, self._second = EchoFilter(), None
        self._place(delay, stream)
        begin = round(self._alignment.position) - len(heard)
        if self._known is not None and _left(self._known, stream, heard, begin) < _GOOD:
            self._filter.believe(self._known)
            self._is_learnt = True
            return
        self._recall(stream, begin)
        for at in range(0, len(heard), FRAME_SAMPLES):
            played = stream.between(begin + at - FRAME_SAMPLES, 2 * FRAME_SAMPLES)
            self._filter.process(heard[at : at + FRAME_SAMPLES], played)

    def _keep(self, stream: Played) -> None:
        """Save the learned room, in the silence after an answer."""
        is_due = self._heard and self._frames - self._kept_at >= _KEEP_EVERY_FRAMES
        if self._memory and is_due and self._is_placed and self._fits:
            self._kept_at = self._frames
            self._memory.keep(stream.device, self._filter.response)

    @property
    def _position_now(self) -> float:
        """Position of the current frame."""
        return self._alignment.position - FRAME_SAMPLES

    def _place(self, delay: Delay, stream: Played) -> None:
        """Start the filter a little before the delay, as far as the played sound is known."""
        heard_end = self._heard_at + FRAME_SAMPLES - delay.samples
        before = min(_BEFORE_SAMPLES, max(0, stream.end - heard_end - REACH))
        self._go_to(stream, heard_end + before)

    def _go_to(self, stream: Played, position: float) -> None:
        """Set the played position of the next frame's first sample."""
        self._alignment.place(position)
        self._begin_to_judge()
        self._recall(stream, round(position))

    def _begin_to_judge(self) -> None:
        """Reset the measurements of how well the filter fits."""
        self._gate.close()
        self._gain = None
        self._powers[:] = 0
        self._heard.clear()
        self._candidate = None
        self._estimator.forget()

    def _recall(self, stream: Played, position: int) -> None:
        """Fill the filter's history with the sound played before that position."""
        count = (PARTITIONS + 1) * FRAME_SAMPLES
        self._filter.recall(stream.between(position - count, count))

    def _try(self, delay: Delay, stream: Played, heard: Samples, heard_at: int) -> None:
        """Check whether the known room fits at another delay; otherwise start over there."""
        left = [
            _left(self._filter.response, stream, heard, heard_at - offset)
            for offset in (self._heard_at - self._position_now, delay.samples - _BEFORE_SAMPLES)
        ]
        if left[1] < _BETTER * left[0]:
            log.debug("echo=moved to=%d", delay.samples)
            self._place(delay, stream)
        elif left[0] > _BAD:
            log.debug("echo=lost to=%d", delay.samples)
            self._filter, self._second, self._is_learnt = EchoFilter(), None, False
            self._place(delay, stream)


def _left(response: Samples, stream: Played, heard: Samples, position: float) -> float:
    """Return the share of the power that remains with this response at this position."""
    played = stream.between(round(position) - RESPONSE_SAMPLES, len(heard) + RESPONSE_SAMPLES)
    rest = heard - predicted(response, played)
    return float(np.square(rest).sum() / max(np.square(heard).sum(), 1e-9))
