"""Synthetic hesitation: inserts a pause between two words of a recording, as if the person had to think.

The pause sounds like the room in that recording, since digital silence would be easy to tell from speech.
Word boundaries come from Whisper's attention, moved to the quietest moment nearby. The same recording always
gets the same pause.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from assistant.core.types import SAMPLE_RATE_HZ, Pcm16
from assistant.tools.bench.lib.clips import Clip
from assistant.tools.bench.lib.speech_end import WINDOW_SAMPLES, Spoken, levels_db

SHORTEST_S, LONGEST_S = 0.5, 1.0
"""Most pauses that people make within a sentence while they think are this long."""

_NEAR_S = 0.1
"""Whisper's word times are off by about this much."""

_TONE_WINDOWS = 20
"""The repeated piece of room tone is 200 ms long."""

_FADE_SAMPLES = SAMPLE_RATE_HZ // 200
"""5 ms, to avoid a click where two pieces meet."""

_SENTENCE_ENDS = (".", "?", "!")


@dataclass(frozen=True, slots=True)
class Word:
    """One recognized word."""

    text: str
    begin_s: float
    end_s: float


def hesitating(clip: Clip, words: Iterable[Word]) -> Clip | None:
    """Return ``clip`` with a pause between two of its ``words``; None if there is no place for one."""
    gaps = places(clip.pcm, clip.spoken, list(words))
    if not gaps:
        return None
    chance = np.random.default_rng(zlib.crc32(clip.name.encode()))
    at = gaps[int(chance.integers(len(gaps)))]
    pause = room_tone(clip.pcm, round(chance.uniform(SHORTEST_S, LONGEST_S) * SAMPLE_RATE_HZ))
    spoken = replace(clip.spoken, end_s=round(clip.spoken.end_s + len(pause) / SAMPLE_RATE_HZ, 3))
    return replace(clip, pcm=joined(clip.pcm[:at], pause, clip.pcm[at:]), spoken=spoken)


def places(pcm: Pcm16, spoken: Spoken, words: Sequence[Word]) -> list[int]:
    """Return the sample positions where a pause fits: between words, within a sentence and within the speech.

    Whisper writes "twelve-ounce" as two words, the second starting with the hyphen.
    """
    levels = levels_db(pcm)
    found = []
    for word, following in pairwise(words):
        if word.text.rstrip("\"'").endswith(_SENTENCE_ENDS) or following.text.startswith("-"):
            continue
        first = max(word.begin_s, word.end_s - _NEAR_S, spoken.begin_s)
        last = min(following.end_s, following.begin_s + _NEAR_S, spoken.end_s)
        window = slice(*(round(edge_s * SAMPLE_RATE_HZ) // WINDOW_SAMPLES for edge_s in (first, last)))
        if len(levels[window]):
            quietest = window.start + int(np.argmin(levels[window]))
            found.append(quietest * WINDOW_SAMPLES + WINDOW_SAMPLES // 2)
    return found


def room_tone(pcm: Pcm16, samples: int) -> Pcm16:
    """Return ``samples`` samples of the quietest part of the recording, repeated forward and backward."""
    windows = pcm[: len(pcm) - len(pcm) % WINDOW_SAMPLES].reshape(-1, WINDOW_SAMPLES)
    if len(windows) < _TONE_WINDOWS:
        return np.zeros(samples, np.int16)
    power = np.square(windows.astype(np.float64)).mean(axis=1)
    start = int(np.argmin(np.convolve(power, np.ones(_TONE_WINDOWS), "valid")))
    quiet = windows[start : start + _TONE_WINDOWS].ravel()
    # Playing it forward, then backward, leaves no audible seam.
    return np.resize(np.concatenate([quiet, quiet[::-1]]), samples)


def joined(*pieces: Pcm16) -> Pcm16:
    """Concatenate the pieces with a short fade where two of them meet."""
    ramp = np.linspace(0.0, 1.0, _FADE_SAMPLES)
    soft = [piece.astype(np.float64) for piece in pieces]
    for number, piece in enumerate(soft):
        length = min(len(piece), _FADE_SAMPLES)
        if number > 0:
            piece[:length] *= ramp[:length]
        if number < len(soft) - 1:
            piece[len(piece) - length :] *= ramp[::-1][_FADE_SAMPLES - length :]
    return np.concatenate(soft).round().astype(np.int16)
