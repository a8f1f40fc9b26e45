"""Where in a recording somebody speaks, found out at leisure and apart from the assistant.

The assistant's own idea of when speech ended must not be the measure of its speed: a VAD that
holds on for 200 ms would make every answer look 200 ms faster. So the last sample of speech is
taken from the sound itself. It is the end of the last 10 ms that are as loud as speech is in this
very recording; a speech network, asked about the whole of it, only says which loud moments
are speech and which a click, a door or a chair, and has no say in where the speech ends.

On 74 recordings this lies 20 to 120 ms before the end that Silero or WebRTC give.
Pure, but for ``find`` that asks the network.
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
"""10 ms: short against every sound of speech, long against its periods."""

_BELOW_SPEECH_DB = 35.0
"""Speech fades by this much: the final consonant of "minutes" is 25 to 30 dB below its vowels."""

_ABOVE_FLOOR_DB = 8.0
"""What is not this much above the room is the room."""

_NOTHING_DB = 0.0
"""Below this no microphone was on: silence that was put there says nothing about the room."""

_BEYOND_S = 0.1
"""How far outside the network's speech a loud moment may lie and still be part of it."""

_IS_SPEECH = 0.5


@dataclass(frozen=True, slots=True)
class Spoken:
    """From the first to the last sample of speech, seconds from the beginning of the recording."""

    begin_s: float
    end_s: float


def load_network() -> Vad:
    """The speech network. Raises EngineUnavailable when its package is not installed."""
    network: Vad = engines.load("vad", "silero", settings=VadSettings(engine="silero"))
    return network


def find(pcm: Pcm16, network: Vad) -> Spoken | None:
    """Where ``pcm``, 16 kHz, is speech; None when nobody speaks."""
    network.reset()
    # The network answers for what it has heard, so the last frames need some silence behind them.
    padded = np.concatenate([pcm, np.zeros(2 * FRAME_SAMPLES + -len(pcm) % FRAME_SAMPLES, np.int16)])
    frames = padded.reshape(-1, FRAME_SAMPLES)
    return locate(pcm, [network.speech_probability(frame) for frame in frames])


def locate(pcm: Pcm16, probabilities: Sequence[float]) -> Spoken | None:
    """Where speech begins and ends, given the probability of speech in each 20 ms of ``pcm`` (16 kHz)."""
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
    """Level of each whole 10 ms, against one step of int16.

    Of the differences between samples: hum and offset have next to none, and an "s" counts like a vowel.
    """
    steps = np.diff(pcm.astype(np.float64), prepend=0.0)
    count = len(steps) // WINDOW_SAMPLES
    power = np.square(steps[: count * WINDOW_SAMPLES]).reshape(count, WINDOW_SAMPLES).mean(axis=1)
    levels: npt.NDArray[np.float64] = 10 * np.log10(power + 1e-3)
    return levels
