"""What a voice's raw output needs before it is heard: cut to its sound, one loudness, a pause after it.

Plain functions on samples; they do not know which engine the sound comes from.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from assistant.core.types import Pcm16

Wave = npt.NDArray[np.float32]
"""Mono samples, shape (n,), -1 to 1."""

SENTENCE_PAUSE_MS = 320
CLAUSE_PAUSE_MS = 220
BREATH_PAUSE_MS = 40
"""Silence after a piece, by its last mark. VITS voices pause some 300 ms at a comma inside a sentence."""

BREATH = "~"
"""Stands for the mark where a piece breaks off within a sentence."""

EDGE_MS = 20
"""Kept around what is heard, so that soft consonants stay; the rest of the silence goes."""

HEARD_DB = -45.0
"""What counts as sound at the edges, against the loudest sample of the piece."""

SPEECH_DB = -18.0
"""Level of a voice while it speaks, against full scale; its peaks are some 17 dB above it."""

KNEE = 0.7
"""Samples above this are bent so that none can reach full scale."""


def trim(wave: Wave, sample_rate_hz: int) -> Wave:
    """``wave`` from EDGE_MS before the first to EDGE_MS after the last sound in it, faded in and out."""
    threshold = np.abs(wave).max(initial=0.0) * 10 ** (HEARD_DB / 20)
    heard = np.flatnonzero(np.abs(wave) > threshold)
    if not heard.size:
        return wave[:0]
    edge = EDGE_MS * sample_rate_hz // 1000
    cut = wave[max(0, heard[0] - edge) : heard[-1] + 1 + edge].copy()
    ramp = np.linspace(0.0, 1.0, min(edge, len(cut)), dtype=np.float32)
    cut[: len(ramp)] *= ramp
    cut[len(cut) - len(ramp) :] *= ramp[::-1]
    return cut


def gain_for(wave: Wave, sample_rate_hz: int) -> float:
    """The factor that brings the speech in ``wave`` to SPEECH_DB, its gaps not counted.

    At most 12 dB either way: a voice that seems further off was not measured right. It is for all
    that a voice says; a factor for each piece would make short and soft ones jump out.
    """
    frame = sample_rate_hz // 100
    energy = np.square(wave[: len(wave) // frame * frame].reshape(-1, frame)).mean(axis=1)
    spoken = energy[energy > energy.max(initial=0.0) / 1000]
    if not spoken.size:
        return 1.0
    return float(np.clip(10 ** (SPEECH_DB / 20) / np.sqrt(spoken.mean()), 0.25, 4.0))


def to_pcm(wave: Wave) -> Pcm16:
    """16-bit samples; what is above KNEE is bent smoothly below full scale."""
    loudness = np.abs(wave)
    bent = KNEE + (1 - KNEE) * np.tanh((loudness - KNEE) / (1 - KNEE))
    pcm: Pcm16 = np.round(np.copysign(np.where(loudness > KNEE, bent, loudness), wave) * 32_440).astype(
        np.int16
    )
    return pcm


def pause_after(mark: str, sample_rate_hz: int) -> Pcm16:
    """The silence that belongs after a piece of text that ends in ``mark``, or in BREATH."""
    if mark == BREATH:
        pause_ms = BREATH_PAUSE_MS
    else:
        pause_ms = SENTENCE_PAUSE_MS if mark in (".", "?", "!") else CLAUSE_PAUSE_MS
    return np.zeros(pause_ms * sample_rate_hz // 1000, dtype=np.int16)
