"""Prepares a voice's raw output for playback: trim it, set the volume, add a pause.

Plain functions on samples, independent of the engine.
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
"""Silence after a piece, by its last mark. VITS voices pause about 300 ms at a comma inside a sentence."""

BREATH = "~"
"""Placeholder mark for a piece that breaks off within a sentence."""

EDGE_MS = 20
"""Kept on both sides of the sound, so that soft consonants stay; the rest of the silence is removed."""

HEARD_DB = -45.0
"""Level that counts as sound at the edges, relative to the loudest sample of the piece."""

SPEECH_DB = -18.0
"""Level of a voice while it speaks, relative to full scale; its peaks are about 17 dB higher."""

KNEE = 0.7
"""Samples above this are compressed so that none can reach full scale."""


def trim(wave: Wave, sample_rate_hz: int) -> Wave:
    """Cut ``wave`` to EDGE_MS before the first and after the last sound in it, faded in and out."""
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
    """Return the factor that brings the speech in ``wave`` to SPEECH_DB, ignoring gaps.

    At most 12 dB either way: a voice that seems further off was not measured correctly. It applies to
    everything a voice says; a factor for each piece would make short and soft ones stand out.
    """
    frame = sample_rate_hz // 100
    energy = np.square(wave[: len(wave) // frame * frame].reshape(-1, frame)).mean(axis=1)
    spoken = energy[energy > energy.max(initial=0.0) / 1000]
    if not spoken.size:
        return 1.0
    return float(np.clip(10 ** (SPEECH_DB / 20) / np.sqrt(spoken.mean()), 0.25, 4.0))


def to_pcm(wave: Wave) -> Pcm16:
    """Convert to 16-bit samples; peaks above KNEE are compressed smoothly below full scale."""
    loudness = np.abs(wave)
    bent = KNEE + (1 - KNEE) * np.tanh((loudness - KNEE) / (1 - KNEE))
    pcm: Pcm16 = np.round(np.copysign(np.where(loudness > KNEE, bent, loudness), wave) * 32_440).astype(
        np.int16
    )
    return pcm


def pause_after(mark: str, sample_rate_hz: int) -> Pcm16:
    """Return the silence that belongs after a piece of text that ends in ``mark``, or in BREATH."""
    if mark == BREATH:
        pause_ms = BREATH_PAUSE_MS
    else:
        pause_ms = SENTENCE_PAUSE_MS if mark in (".", "?", "!") else CLAUSE_PAUSE_MS
    return np.zeros(pause_ms * sample_rate_hz // 1000, dtype=np.int16)
