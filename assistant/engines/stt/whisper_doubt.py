"""Tells from the figures of a transcript when it cannot be what was said.

Whisper sometimes goes round in circles, stops at the first pause, or guesses. Pure: it knows no
model and hears no sound, it only compares lengths and probabilities. The limits lie in wide gaps
between good and bad results of 850 recordings (clean, faster, slower, noisy, reverberant).
"""

from __future__ import annotations

import zlib
from typing import Literal

from assistant.core.types import Transcript

Doubt = Literal["repeats", "endless", "unfinished", "guess"]

_MAX_COMPRESSION_RATIO = 2.4
"""Whisper's own limit for text that repeats itself (paper, section 4.5)."""

_TOKENS_PER_S = 12
"""Faster than speech: quick English has 6 tokens a second, dictated digits have 8."""
_FEWEST_TOKENS = 16
"""A short clip may still hold a word of several rare tokens, timestamps and a full stop."""

_TOKENS_PER_LOUD_S = 2.5
"""Slower than speech: whole sentences had 3.5 tokens and more for each second within 20 dB of
the loudest one; those that broke off had 1.8 and fewer."""
_SENTENCE_LOUD_S = 1.5
"""A single word, however drawn out, is loud for less than this; then few tokens mean nothing."""

_MIN_AVERAGE_LOG_PROBABILITY = -1.2
"""Anywhere from -0.8 to -1.2 the word error was the same, and the lower the fewer repetitions of the
work. Whisper's own limit for its full window is -1.0."""


def token_budget(duration_s: float) -> int:
    """The most tokens that speech of this length can have."""
    return _FEWEST_TOKENS + round(_TOKENS_PER_S * duration_s)


def doubt(transcript: Transcript, *, tokens: int, duration_s: float, loud_s: float) -> Doubt | None:
    """Why a transcript of ``tokens`` tokens cannot be trusted, or None.

    ``loud_s`` seconds of the ``duration_s`` seconds of sound are within 20 dB of the loudest.
    """
    if transcript.compression_ratio > _MAX_COMPRESSION_RATIO:
        return "repeats"
    if tokens >= token_budget(duration_s):
        return "endless"
    if loud_s > _SENTENCE_LOUD_S and tokens < _TOKENS_PER_LOUD_S * loud_s:
        return "unfinished"
    if transcript.average_log_probability < _MIN_AVERAGE_LOG_PROBABILITY:
        return "guess"
    return None


def compression_ratio(text: str) -> float:
    """Bytes of ``text`` over the bytes that zlib makes of them; 1.0 for no text."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 1.0
