"""Detects that someone else is speaking over the assistant's own voice.

The echo filter reports how much echo it removed and how much may be left. What it cannot know (the room
beyond half a second, a speaker that rattles or clips) is learned here: how far the residual is below the echo
in each band, while nobody else speaks. A speaker distorts more the louder it plays, so this is learned for
each echo level. A frame that exceeds it in many bands at once is someone else. Pure; without a clock or an
engine.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import numpy.typing as npt

from assistant.audio.echo.filter import BINS, Heard, Power
from assistant.audio.resample import Samples
from assistant.core.types import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ

_Bands = npt.NDArray[np.float64]

_EDGES_HZ = (
    *(200, 300, 400, 510, 630, 770, 920, 1080, 1270),
    *(1480, 1720, 2000, 2320, 2700, 3150, 3700, 4400, 5300, 6400, 7700),
)
"""Critical bands (Zwicker 1961): "six" begins above 4 kHz."""

_EDGES = [round(hz * 2 * (BINS - 1) / SAMPLE_RATE_HZ) for hz in _EDGES_HZ]

_CLEARLY_DB = 8.0
"""A band counts if it is this far above what echo explains."""

_BANDS_NEEDED = 5
"""Of 19; a vowel fills more. With these two, no frame was misjudged in 15 minutes of the loudest echoes;
with 5 dB in 4 bands, one per minute.
"""

_UP_DB, _DOWN_DB = 0.5, 0.05
"""How the residual's level is tracked per frame: it settles where a tenth of all frames is above it."""

_HASTE, _HASTY_FRAMES = 8.0, 100
"""Tracking is this much faster for the first two seconds of an echo level that is still rare."""

_STEP_DB, _STEPS = 4.0, 10
"""Echo levels, in steps down from full scale."""

_WARY_DB, _WARIEST_DB, _CALMS_DB = 2.0, 10.0, 0.002
"""Each false alarm raises the threshold in every band by the first, up to the second; a minute of echo
lowers it by 6 dB.
"""

_WAIT_FRAMES = 500 // FRAME_MS
"""Learning pauses for this long after someone spoke: their softer sounds are not echo either."""

_HIGHEST_DB, _LOWEST_DB = 6.0, -25.0
"""Bounds of the residual relative to the echo. Above: nothing was learned yet; below: no room is that
good.
"""

_UNSURE_DB = -10.0
"""After a volume change, which is known within a tenth and hides what else the filter has yet to learn."""

_REVERBERATION = 0.75
"""Share of a band's echo that may remain a frame later: a very live room, 60 dB down in a second."""

_FLOOR_UP, _FLOOR_DOWN = 1.005, 0.3
"""How the room's own noise is tracked: quickly down to its quietest moments, up by 1 dB per second."""

_FLOOR_ROOM = 4.0
"""A frame's noise has up to this many times the power of its quiet moments: 6 dB."""

_FIRST_FLOOR = 1e-4
"""Power of a bin in a quiet room, -65 dB relative to full scale."""

_LOUD_POWER = 1e-4
"""Power over a second of playback, with full scale at 1: speech has a hundred times as much."""

_QUIET, _SILENT_POWER = 10.0, 1e-8
"""In a room without speech, frames have at most ten times the power of the quietest one."""

_UNHEARD_FRAMES, _UNLESS_HEARD = 1500 // FRAME_MS, 10
"""After this long, the played sound counts as inaudible; each frame in which it is heard subtracts many."""

_SOMEBODY_FRAMES = 500 // FRAME_MS
"""Within the last second: by then, the echo of a speaker that was switched on would have been found."""

_FITS, _FITS_WELL, _ENOUGH = 0.1, 0.01, 4
"""After a change, speech is not detected until the filter has removed 10 dB in four frames, or 20 dB in
two.
"""

_MOVED_FRAMES = 100 // FRAME_MS
"""A person who begins to speak just as a stream jumps is detected this much later."""

_TAIL_FRAMES, _LIVELY = 400 // FRAME_MS, 5.0
"""For a room in which a fifth of an echo arrives more than a frame later, and so on: by then, sound played
before a jump has decayed by 25 dB.
"""

_AUDIBLE_POWER, _NOBODY_POWER = 1e-8, 1e-7
"""Fraction of full scale, -80 and -70 dB: a softer echo shows nothing, and a softer sound is not a person."""

_TINY = 1e-9

_WINDOW = np.hanning(FRAME_SAMPLES + 1)[:-1].astype(np.float32) * np.float32((8 / 3) ** 0.5)
"""Without it, hum would leak into all bands. Scaled to preserve the power of noise."""


class Gate:
    """Decides whether speech can be told from the echo: not while the filter may not fit. Closed at first."""

    def __init__(self) -> None:
        self._needed = _ENOUGH
        """Evidence still required that the filter fits."""
        self._frames = math.inf
        """Frames of audible echo after which it opens anyway."""

    @property
    def is_open(self) -> bool:
        return self._needed <= 0 or self._frames <= 0

    def close(self) -> None:
        """Close it, because the echo has changed, or what is known about it."""
        self._needed, self._frames = _ENOUGH, math.inf

    def moved(self, reverberant: float) -> None:
        """The echo has moved to a known position: close until the earlier sound dies away."""
        tail_frames = round(_TAIL_FRAMES * min(1.0, _LIVELY * reverberant))
        self._needed, self._frames = _ENOUGH + tail_frames, _MOVED_FRAMES + tail_frames

    def judge(self, heard: Samples, frame: Heard, *, is_worse: bool) -> bool:
        """True if it is open for this frame; ``is_worse`` means that the filter leaves more than was
        heard.
        """
        if is_worse:
            self.close()
        elif not self.is_open and np.square(frame.echo).mean() > _AUDIBLE_POWER:
            # Uses differences, because speech is loud in its low tones, where even a wrong position removes
            # some.
            left, power = np.square(np.diff([frame.rest, heard])).sum(axis=1)
            self._needed -= int(left < _FITS * power) + int(left < _FITS_WELL * power)
            self._frames -= 1
        return self.is_open


class NearSpeech:
    """Judges every frame in order."""

    def __init__(self) -> None:
        bands = len(_EDGES) - 1
        self._rest_db: _Bands = np.zeros((_STEPS, bands))
        self._frames = np.zeros(_STEPS, np.int64)
        self._wary_db = 0.0
        self._echo: _Bands = np.zeros(bands)
        self._doubt: _Bands = np.zeros(bands)
        self._floor: _Bands = np.full(bands, _FIRST_FLOOR)
        self._elsewhere: _Bands = np.zeros(bands)
        self._alone_frames = 0
        self._loudness = 0.0

    def moved(self, reverberant: float, *, fits: bool) -> None:
        """The echo has moved; ``reverberant`` is the share of earlier sound that dies away per frame.

        If the filter ``fits`` less well than before, its residual must be learned again.
        """
        self._elsewhere = np.maximum(self._elsewhere, reverberant * self._echo)
        if not fits:
            self._rest_db = np.maximum(self._rest_db, _UNSURE_DB)
            self._frames[:] = 0

    def in_frame(self, frame: Heard, *, may_be_near: bool = True) -> bool:
        """True if the frame contains more than the echo and the room explain.

        With ``may_be_near`` false, the whole residual is learned as echo.
        """
        rest, echo = map(_in_bands, _powers(frame))
        self._echo = np.maximum(echo, _REVERBERATION * self._echo)
        self._doubt = np.maximum(_in_bands(frame.doubt_power), _REVERBERATION * self._doubt)
        lower = (1 - _FLOOR_DOWN) * self._floor + _FLOOR_DOWN * rest
        self._floor = np.where(rest < self._floor, lower, self._floor * _FLOOR_UP)
        self._loudness = max(float(np.abs(frame.echo).max()), _REVERBERATION * self._loudness)
        step = min(int(-20 * np.log10(self._loudness + _TINY) / _STEP_DB), _STEPS - 1)
        self._elsewhere *= _REVERBERATION
        explained = 10 ** (self._rest_db[step] / 10) * self._echo + self._doubt + _FLOOR_ROOM * self._floor
        explained += self._elsewhere
        above_db = 10 * np.log10((rest + _TINY) / (explained + _TINY))
        needed_db = _CLEARLY_DB + self._wary_db
        is_audible = np.square(frame.rest).mean() > _NOBODY_POWER
        is_near = may_be_near and is_audible and int((above_db > needed_db).sum()) >= _BANDS_NEEDED
        self._alone_frames = 0 if is_near else self._alone_frames + 1
        if self._alone_frames > _WAIT_FRAMES or not may_be_near:
            self._learn(above_db, echo, step)
        return bool(is_near)

    def was_wrong(self) -> None:
        """Report that the detected speech contained no words, so be more cautious."""
        self._wary_db = min(self._wary_db + _WARY_DB, _WARIEST_DB)

    def _learn(self, above_db: _Bands, echo: _Bands, step: int) -> None:
        """Track the residual in those bands where it can be part of an echo."""
        haste = _HASTE if self._frames[step] < _HASTY_FRAMES else 1.0
        towards = haste * np.where(above_db > 0, _UP_DB, -_DOWN_DB) * (echo > _FLOOR_ROOM * self._floor)
        self._rest_db[step] = (self._rest_db[step] + towards).clip(_LOWEST_DB, _HIGHEST_DB)
        self._frames[step] += 1
        self._wary_db = max(0.0, self._wary_db - _CALMS_DB)


class Unheard:
    """Detects that the microphone doesn't pick up the speaker: headphones, or a speaker that is off.

    Used until an echo is found. Judges every frame in order.
    """

    def __init__(self) -> None:
        self._floor = 1.0
        self._frames = 0
        self._latest: deque[bool] = deque(maxlen=1000 // FRAME_MS)

    @property
    def is_sure(self) -> bool:
        """True if a second and a half was played, and none of it was heard."""
        return self._frames >= _UNHEARD_FRAMES

    def is_somebody(self, heard: Samples, played: Samples) -> bool:
        """True if ``is_sure``, and something else is heard for longer than it takes to find an echo.

        ``played`` is the last second sent to the speaker.
        """
        power = float(np.square(heard).mean())
        self._floor = min(power, _FLOOR_UP * self._floor)
        is_quiet = power < max(_QUIET * self._floor, _SILENT_POWER)
        if not self.is_sure and np.square(played).mean() > _LOUD_POWER:
            self._frames = max(0, self._frames + (1 if is_quiet else -_UNLESS_HEARD))
        self._latest.append(not is_quiet)
        return self.is_sure and not is_quiet and sum(self._latest) >= _SOMEBODY_FRAMES


def _powers(frame: Heard) -> npt.NDArray[np.float32]:
    """Return the powers of residual and echo, shape (2, BINS)."""
    spectra = np.fft.rfft(np.stack([frame.rest, frame.echo]) * _WINDOW, 2 * FRAME_SAMPLES)
    powers: npt.NDArray[np.float32] = np.square(spectra.real) + np.square(spectra.imag)
    return powers


def _in_bands(power: Power) -> _Bands:
    """Return the mean bin power of each band."""
    sums = np.add.reduceat(power[: _EDGES[-1]].astype(np.float64), _EDGES[:-1])
    means: _Bands = sums / np.diff(_EDGES)
    return means
