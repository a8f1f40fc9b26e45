"""Finds where the speech in a recording begins and ends, offline and independently of the assistant.

The assistant's own estimate of when speech ended must not be the measure of its speed: a VAD with a 200 ms
hangover would make every answer look 200 ms faster. The last sample of speech is therefore taken from the
audio itself: it is the end of the last 10 ms that are as loud as speech is in this recording. A speech
network, run over the whole recording, only tells which loud moments are speech and which are a click, a door,
or a chair; it doesn't decide where the speech ends.

On 74 recordings, this is 20 to 120 ms before the end that Silero or WebRTC report. Pure, except for ``find``,
which calls the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assistant import engines
from assistant.core.types import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm16
from assistant.engines import Vad
from assistant.settings.engines import VadSettings

_WINDOWS_A_SECOND = 100
WINDOW_SAMPLES = SAMPLE_RATE_HZ // _WINDOWS_A_SECOND
"""10 ms: short compared with any sound of speech, long compared with its periods."""

_BELOW_SPEECH_DB = 35.0
"""Range of speech: the final consonant of "minutes" is 25 to 30 dB below its vowels."""

_ABOVE_FLOOR_DB = 8.0
"""Anything less than this above the room noise counts as room noise."""

_NOTHING_DB = 0.0
"""Below this is digital silence, which reveals nothing about the room."""

_BEYOND_S = 0.1
"""How far outside the network's speech a loud moment may be and still belong to it."""

_IS_SPEECH = 0.5


@dataclass(frozen=True, slots=True)
class Spoken:
    """The first and last sample of speech, in seconds from the start of the recording."""

    begin_s: float
    end_s: float


def load_network() -> Vad:
    """Load the speech network. Raises EngineUnavailable if its package is not installed."""
    network: Vad = engines.load("vad", "silero", settings=VadSettings(engine="silero"))
    return network


def find(pcm: Pcm16, network: Vad) -> Spoken | None:
    """Return where ``pcm``, 16 kHz, contains speech; None if it doesn't."""
    network.reset()
    # The network's output lags, so the last frames need trailing silence.
    padded = np.concatenate([pcm, np.zeros(2 * FRAME_SAMPLES + -len(pcm) % FRAME_SAMPLES, np.int16)])
    frames = padded.reshape(-1, FRAME_SAMPLES)
    return locate(pcm, [network.speech_probability(frame) for frame in frames])


def locate(pcm: Pcm16, probabilities: Sequence[float]) -> Spoken | None:
    """Return the start and end of speech, given the speech probability of each 20 ms of ``pcm`` (16 kHz)."""
    frame_s = FRAME_SAMPLES / SAMPLE_RATE_HZ
    speech = np.flatnonzero(np.asarray(probabilities) >= _IS_SPEECH)
    levels = levels_db(pcm)
    if not len(speech) or not len(levels):
        return None
    begin_s, end_s = float(speech[0] * frame_s), float((speech[-1] + 1) * frame_s)
    first = max(0, round((begin_s - _BEYOND_S) * _WINDOWS_A_SECOND))
    inside = levels[first : round((end_s + _BEYOND_S) * _WINDOWS_A_SECOND)]
    if not len(inside):
        return None
    heard = levels[levels > _NOTHING_DB]
    floor = np.percentile(heard, 10) if len(heard) else 0.0
    threshold = max(np.percentile(inside, 95) - _BELOW_SPEECH_DB, floor + _ABOVE_FLOOR_DB)
    loud = np.flatnonzero(inside >= threshold)
    if not len(loud):
        return Spoken(begin_s, min(end_s, len(pcm) / SAMPLE_RATE_HZ))
    return Spoken((first + int(loud[0])) / _WINDOWS_A_SECOND, (first + int(loud[-1]) + 1) / _WINDOWS_A_SECOND)


def levels_db(pcm: Pcm16) -> npt.NDArray[np.float64]:
    """Return the level of each whole 10 ms, relative to one int16 step.

    It is computed on differences between samples: hum and offset nearly vanish, and an "s" counts like a
    vowel.
    """
    steps = np.diff(pcm.astype(np.float64), prepend=0.0)
    count = len(steps) // WINDOW_SAMPLES
    power = np.square(steps[: count * WINDOW_SAMPLES]).reshape(count, WINDOW_SAMPLES).mean(axis=1)
    levels: npt.NDArray[np.float64] = 10 * np.log10(power + 1e-3)
    return levels
