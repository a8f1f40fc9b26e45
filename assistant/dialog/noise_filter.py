"""Rejects transcripts of noise and of the assistant's own voice. Pure.

Noise that was transcribed as words is recognized by the shape of the sound, by how much of it the VAD took
for speech, and by the recognizer's confidence. There is no list of phrases: Whisper writes "Thank you." for a
dripping tap, but people say it too.

The check for the assistant's own words backs up the echo canceller. An echo is misrecognized: words run
together, numbers become digits, endings are lost. So letters are compared rather than words, and anywhere
within what was spoken.
"""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

from assistant.core.types import FRAME_SAMPLES, Pcm16, Transcript, Utterance
from assistant.settings.engines import SttGuard
from assistant.text.word_error import normalize_words

Refusal = Literal["no_words", "repetition", "little_speech", "uncertain", "few_words", "steady", "no_vowel"]

_FEW_WORDS_AFTER_MS = 1200
"""A single drawn-out word lasts a second; only longer sound can contain too few words."""

_WORD = re.compile(r"[^\W\d_]+|\d")
"""Letters in a row, or one digit: "12" is said as one or two words."""

_NO_VOWEL = re.compile(r"[^aeiouy\d]*", re.ASCII | re.IGNORECASE)

_ALIKE = 0.7
"""Minimum share of matching letters. Misrecognized echoes reach 0.75 or more, other sentences 0.6 at most."""

_SHORTEST_LETTERS = 12
"""Fewer letters match something in a long answer by chance: they must be whole words of it."""


def refusal(utterance: Utterance, transcript: Transcript, guard: SttGuard) -> Refusal | None:
    """Return why the utterance gets no answer, in one word for the log; None if it is speech."""
    if not any(character.isalnum() for character in transcript.text):
        return "no_words"
    if transcript.compression_ratio > guard.max_compression_ratio:
        return "repetition"
    if utterance.speech_ms < guard.min_speech_ratio * utterance.duration_ms:
        return "little_speech"
    if transcript.no_speech_probability - transcript.average_log_probability > guard.max_uncertainty:
        return "uncertain"
    if transcript.no_speech_probability < guard.suspicious_no_speech_probability:
        return None
    return _suspicion(utterance, transcript.text, guard)


def contrast_db(pcm: Pcm16) -> float:
    """Return how far the loud parts rise above the quiet ones: speech stands out, a motor doesn't.

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


def is_own(heard: str, spoken: str) -> bool:
    """True if ``heard`` may be an echo of some part of ``spoken``."""
    heard_words, spoken_words = normalize_words(heard), normalize_words(spoken)
    letters = "".join(heard_words)
    if not letters:
        return False
    if len(letters) < _SHORTEST_LETTERS:
        return _contains(spoken_words, heard_words)
    return likeness(letters, "".join(spoken_words)) >= _ALIKE


def likeness(part: str, whole: str) -> float:
    """Return how well ``part`` matches the most similar stretch of ``whole``, 0 to 1.

    One minus the number of edits per letter of ``part`` (Sellers 1980).
    """
    if not part:
        return 0.0
    row = list(range(len(part) + 1))
    fewest = row[-1]
    for letter in whole:
        diagonal = 0  # the stretch may begin anywhere
        for i, wanted in enumerate(part, 1):
            diagonal, row[i] = row[i], min(row[i] + 1, row[i - 1] + 1, diagonal + (letter != wanted))
        fewest = min(fewest, row[-1])
    return 1 - fewest / len(part)


def _suspicion(utterance: Utterance, text: str, guard: SttGuard) -> Refusal | None:
    """Return what counts only if the recognizer itself has doubts that anyone spoke."""
    words_per_s = _word_count(text) * 1000 / max(utterance.speech_ms, 1)
    if utterance.speech_ms > _FEW_WORDS_AFTER_MS and words_per_s < guard.min_words_per_s:
        return "few_words"
    if contrast_db(utterance.pcm) < guard.min_contrast_db:
        return "steady"
    if text.isascii() and _NO_VOWEL.fullmatch(text):
        return "no_vowel"  # "Mm-hmm.": humming, barking
    return None


def _word_count(text: str) -> int:
    # Some scripts put no spaces between words, which have two or three of their letters.
    foreign_letters = sum(character.isalpha() and not character.isascii() for character in text)
    return len(_WORD.findall(text)) + foreign_letters // 3


def _contains(words: list[str], sequence: list[str]) -> bool:
    return any(
        words[begin : begin + len(sequence)] == sequence for begin in range(len(words) - len(sequence) + 1)
    )
