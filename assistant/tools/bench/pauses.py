"""Hesitation, made: a pause put between two words of a recording, as if the person had to think.

The pause sounds like the room of that recording, since digital silence would be easy to tell from
speech. Where words begin and end is what Whisper's attention says, moved to the quietest moment near
there. The same recording always gets the same pause.
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
"""Pauses within a sentence that people make while they think are mostly this long."""

_NEAR_S = 0.1
"""Whisper's word times are off by about this much."""

_TONE_WINDOWS = 20
"""The piece of room that is repeated lasts 200 ms."""

_FADE_SAMPLES = SAMPLE_RATE_HZ // 200
"""5 ms: no click where two pieces meet."""

_SENTENCE_ENDS = (".", "?", "!")


@dataclass(frozen=True, slots=True)
class Word:
    """One word as it was recognised."""

    text: str
    begin_s: float
    end_s: float


def hesitating(clip: Clip, words: Iterable[Word]) -> Clip | None:
    """``clip`` with a pause between two of its ``words``; None when it has no place for one."""
    gaps = places(clip.pcm, clip.spoken, list(words))
    if not gaps:
        return None
    chance = np.random.default_rng(zlib.crc32(clip.name.encode()))
    at = gaps[int(chance.integers(len(gaps)))]
    pause = room_tone(clip.pcm, round(chance.uniform(SHORTEST_S, LONGEST_S) * SAMPLE_RATE_HZ))
    spoken = replace(clip.spoken, end_s=round(clip.spoken.end_s + len(pause) / SAMPLE_RATE_HZ, 3))
    return replace(clip, pcm=joined(clip.pcm[:at], pause, clip.pcm[at:]), spoken=spoken)


def places(pcm: Pcm16, spoken: Spoken, words: Sequence[Word]) -> list[int]:
    """Samples at which a pause may stand: between words, within a sentence and within what is spoken.

    Whisper writes "twelve-ounce" as two words, of which the second begins with the hyphen.
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
    """That many samples of what the recording sounds like where it is quietest, to and fro."""
    windows = pcm[: len(pcm) - len(pcm) % WINDOW_SAMPLES].reshape(-1, WINDOW_SAMPLES)
    if len(windows) < _TONE_WINDOWS:
        return np.zeros(samples, np.int16)
    power = np.square(windows.astype(np.float64)).mean(axis=1)
    start = int(np.argmin(np.convolve(power, np.ones(_TONE_WINDOWS), "valid")))
    quiet = windows[start : start + _TONE_WINDOWS].ravel()
    # Forwards and backwards there is no seam to hear.
    return np.resize(np.concatenate([quiet, quiet[::-1]]), samples)


def joined(*pieces: Pcm16) -> Pcm16:
    """One after the other; each begins and ends softly where another one meets it."""
    ramp = np.linspace(0.0, 1.0, _FADE_SAMPLES)
    soft = [piece.astype(np.float64) for piece in pieces]
    for number, piece in enumerate(soft):
        length = min(len(piece), _FADE_SAMPLES)
        if number > 0:
            piece[:length] *= ramp[:length]
        if number < len(soft) - 1:
            piece[len(piece) - length :] *= ramp[::-1][_FADE_SAMPLES - length :]
    return np.concatenate(soft).round().astype(np.int16)
