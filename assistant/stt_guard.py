"""Whether what was heard is speech worth answering, or a noise that was written down as words.

Pure: the sound's own shape, how much of it the VAD took for speech, and how sure the recogniser
was. No list of phrases: Whisper writes "Thank you." for a dripping tap, but people say it too.
"""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

from assistant.settings import SttGuard
from assistant.types import FRAME_SAMPLES, Pcm16, Transcript, Utterance

Refusal = Literal[
    "no_words",
    "repetition",
    "little_speech",
    "uncertain",
    "few_words",
    "many_words",
    "steady",
    "no_vowel",
]

_WORD = re.compile(r"[^\W\d_]+|\d")
"""Letters in a row, or one digit: "12" is said as a word or two."""

_NO_VOWEL = re.compile(r"[^aeiouy\d]*", re.ASCII | re.IGNORECASE)


def refusal(utterance: Utterance, transcript: Transcript, guard: SttGuard) -> Refusal | None:
    """Why the utterance gets no answer, in one word for the log; None when it is speech."""
    text, no_speech = transcript.text, transcript.no_speech_probability
    suspicious = no_speech >= guard.suspicious_no_speech_probability
    words_per_s = _word_count(text) * 1000 / max(utterance.speech_ms, 1)
    signs: dict[Refusal, bool] = {
        "no_words": not any(character.isalnum() for character in text),
        "repetition": transcript.compression_ratio > guard.max_compression_ratio,
        "little_speech": utterance.speech_ms < guard.min_speech_ratio * utterance.duration_ms,
        "uncertain": no_speech - transcript.average_log_probability > guard.max_uncertainty,
        "few_words": words_per_s < guard.min_words_per_s * no_speech,
        "many_words": suspicious and words_per_s > guard.max_words_per_s,
        "steady": suspicious and contrast_db(utterance.pcm) < guard.min_contrast_db,
        # Humming and barking: "Mm-hmm."
        "no_vowel": suspicious and text.isascii() and _NO_VOWEL.fullmatch(text) is not None,
    }
    return next((reason for reason, holds in signs.items() if holds), None)


def contrast_db(pcm: Pcm16) -> float:
    """How far the loud parts rise above the quiet ones: speech stands out, a motor does not.

    ``pcm`` is int16, shape (n,). 0.0 for less than one frame.
    """
    whole = len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES
    if not whole:
        return 0.0
    frames = pcm[:whole].reshape(-1, FRAME_SAMPLES).astype(np.float64)
    # One is added for digital silence: a microphone's noise is a few steps.
    level_db = 10 * np.log10((frames**2).mean(axis=1) + 1.0)
    quiet, loud = np.percentile(level_db, (20, 95))
    return float(loud - quiet)


def _word_count(text: str) -> int:
    # Some scripts put no spaces between words, which have two or three of their letters.
    foreign_letters = sum(character.isalpha() and not character.isascii() for character in text)
    return len(_WORD.findall(text)) + foreign_letters // 3
