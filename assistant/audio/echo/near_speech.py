"""Whether somebody else is heard beside the assistant's own voice.

The echo filter says how much echo it took out and how much may be left; what it does not know
(the room beyond half a second, a speaker that rattles or clips) is learnt here: how far below the echo
the rest lies in each band, whenever nobody else speaks. A speaker distorts more the louder it plays, so
this is learnt for each loudness of the echo. A frame that rises above it in many bands at once is
somebody else. Pure; without a clock or an engine.
"""

from __future__ import annotations

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
"""So far above what echo explains, a band counts."""

_BANDS_NEEDED = 5
"""Of 19. A vowel fills more. With these two no frame was mistaken in 15 minutes of the loudest echoes; with
5 dB in 4 bands, one in a minute."""

_UP_DB, _DOWN_DB = 0.5, 0.05
"""How the rest's level is followed, in each frame: it settles where a tenth of all frames lies above."""

_HASTE, _HASTY_FRAMES = 8.0, 100
"""A loudness that was seldom heard yet is followed so many times faster, for its first two seconds."""

_STEP_DB, _STEPS = 4.0, 10
"""Loudness of the echo, in steps down from full scale."""

_WARY_DB, _WARIEST_DB, _CALMS_DB = 2.0, 10.0, 0.002
"""Each false alarm asks for so much more in every band, up to a limit; a minute of echo takes 6 dB back."""

_WAIT_FRAMES = 500 // FRAME_MS
"""Nothing is learnt so soon after somebody was heard: their softer sounds are no echo either."""

_HIGHEST_DB, _LOWEST_DB = 6.0, -35.0
"""Bounds of the rest below the echo. Above: nothing was learnt yet; below: no room is that good."""

_REVERBERATION = 0.75
"""Share of a band's echo that may still be there a frame later: a very live room, 60 dB down in a second."""

_FLOOR_UP, _FLOOR_DOWN = 1.005, 0.3
"""How the room's own noise is followed: to its quietest moments fast, upwards by 1 dB a second."""

_FLOOR_ROOM = 4.0
"""Noise is this much more powerful in a frame than in its quiet moments: 6 dB."""

_FIRST_FLOOR = 1e-4
"""Power of a bin in a quiet room, -65 dB below full scale."""

_LOUD_POWER = 1e-4
"""Of a second that was played, full scale being 1: speech has a hundred times as much."""

_QUIET, _SILENT_POWER = 10.0, 1e-8
"""Frames of a room in which nobody speaks have at most ten times the power of its quietest."""

_UNHEARD_FRAMES, _UNLESS_HEARD = 1500 // FRAME_MS, 10
"""After so long nothing of what is played is heard here; each frame in which something is takes many away."""

_SOMEBODY_FRAMES = 500 // FRAME_MS
"""Of the last second: by then the echo of a speaker that was switched on would have been found."""

_FITS, _FITS_WELL, _ENOUGH, _CLOSED_FRAMES = 0.1, 0.01, 4, 500 // FRAME_MS
"""After a change nobody is told from the echo until the filter has taken 10 dB off in four frames or 20 dB in
two, or until half a second of echo has shown how much it leaves."""

_MOVED_FRAMES = 100 // FRAME_MS
"""A person who begins to speak just as a stream jumps is heard this much later."""

_AUDIBLE_POWER = 1e-8
"""Of full scale, -80 dB: softer sound is nobody, and no echo that would show anything."""

_TINY = 1e-9

_WINDOW = np.hanning(FRAME_SAMPLES + 1)[:-1].astype(np.float32) * np.float32((8 / 3) ** 0.5)
"""Without it a hum would leak into all bands. Scaled to leave the power of noise as it is."""


class Gate:
    """Whether somebody can be told from the echo: not while the filter may not fit. Closed at first."""

    def __init__(self) -> None:
        self._closed_frames = self._evidence = 0
        self.close()

    @property
    def is_open(self) -> bool:
        return not self._closed_frames

    def close(self) -> None:
        """The echo has changed, or what is known of it."""
        self._closed_frames, self._evidence = _CLOSED_FRAMES, 0

    def moved(self) -> None:
        """The echo lies elsewhere, and it is known where: close until that has shown to be right."""
        self._closed_frames, self._evidence = _MOVED_FRAMES, 0

    def judge(self, heard: Samples, frame: Heard, *, is_worse: bool) -> bool:
        """Whether it is open for this frame; ``is_worse`` says that the filter leaves more than was heard."""
        if is_worse:
            self.close()
        elif self._closed_frames and np.square(frame.echo).mean() > _AUDIBLE_POWER:
            # Of differences, as speech is loud where a wrong place takes it off too: in its low tones.
            left, power = np.square(np.diff([frame.rest, heard])).sum(axis=1)
            self._evidence += int(left < _FITS * power) + int(left < _FITS_WELL * power)
            self._closed_frames = 0 if self._evidence >= _ENOUGH else self._closed_frames - 1
        return self.is_open


class NearSpeech:
    """Ask it about every frame in order."""

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

    def moved(self, reverberant: float) -> None:
        """The echo lies elsewhere from now on; of what was played before it, that share of it dies away."""
        self._elsewhere = np.maximum(self._elsewhere, reverberant * self._echo)

    def in_frame(self, frame: Heard, *, may_be_near: bool = True) -> bool:
        """Whether more is heard than the echo and the room explain.

        Where that cannot be, all that is left is learnt to be echo.
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
        is_audible = np.square(frame.rest).mean() > _AUDIBLE_POWER
        is_near = may_be_near and is_audible and int((above_db > needed_db).sum()) >= _BANDS_NEEDED
        self._alone_frames = 0 if is_near else self._alone_frames + 1
        if self._alone_frames > _WAIT_FRAMES or not may_be_near:
            self._learn(above_db, echo, step)
        return bool(is_near)

    def was_wrong(self) -> None:
        """What was taken for somebody was nobody: be warier."""
        self._wary_db = min(self._wary_db + _WARY_DB, _WARIEST_DB)

    def _learn(self, above_db: _Bands, echo: _Bands, step: int) -> None:
        """Follow the rest in those bands in which there is an echo of which it can be one."""
        haste = _HASTE if self._frames[step] < _HASTY_FRAMES else 1.0
        towards = haste * np.where(above_db > 0, _UP_DB, -_DOWN_DB) * (echo > _FLOOR_ROOM * self._floor)
        self._rest_db[step] = (self._rest_db[step] + towards).clip(_LOWEST_DB, _HIGHEST_DB)
        self._frames[step] += 1
        self._wary_db = max(0.0, self._wary_db - _CALMS_DB)


class Unheard:
    """Whether the microphone hears nothing of what is played: headphones, or a speaker that is switched off.

    For the time until an echo is found. Ask it about every frame in order.
    """

    def __init__(self) -> None:
        self._floor = 1.0
        self._frames = 0
        self._latest: deque[bool] = deque(maxlen=1000 // FRAME_MS)

    @property
    def is_sure(self) -> bool:
        """Whether a second and a half was played, and nothing was heard of it."""
        return self._frames >= _UNHEARD_FRAMES

    def is_somebody(self, heard: Samples, played: Samples) -> bool:
        """Whether this is sure, and something else is heard for longer than an echo takes to be found.

        ``played`` is the last second of what the speaker was given.
        """
        power = float(np.square(heard).mean())
        self._floor = min(power, _FLOOR_UP * self._floor)
        is_quiet = power < max(_QUIET * self._floor, _SILENT_POWER)
        if not self.is_sure and np.square(played).mean() > _LOUD_POWER:
            self._frames = max(0, self._frames + (1 if is_quiet else -_UNLESS_HEARD))
        self._latest.append(not is_quiet)
        return self.is_sure and not is_quiet and sum(self._latest) >= _SOMEBODY_FRAMES


def _powers(frame: Heard) -> npt.NDArray[np.float32]:
    """Of what is left and of the echo, shape (2, BINS)."""
    spectra = np.fft.rfft(np.stack([frame.rest, frame.echo]) * _WINDOW, 2 * FRAME_SAMPLES)
    powers: npt.NDArray[np.float32] = np.square(spectra.real) + np.square(spectra.imag)
    return powers


def _in_bands(power: Power) -> _Bands:
    """Mean power of the bins of each band."""
    sums = np.add.reduceat(power[: _EDGES[-1]].astype(np.float64), _EDGES[:-1])
    means: _Bands = sums / np.diff(_EDGES)
    return means
