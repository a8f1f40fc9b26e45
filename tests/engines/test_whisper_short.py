"""Which transcripts cannot be what was said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.types import Transcript
from assistant.engines.stt.whisper_short import compression_ratio, doubt, token_budget


def transcript(text: str, log_probability: float = -0.3) -> Transcript:
    return Transcript(
        text, average_log_probability=log_probability, compression_ratio=compression_ratio(text)
    )


@pytest.mark.parametrize(
    ("judged", "tokens", "duration_s", "loud_s", "reason"),
    [
        (transcript("Set a timer for 10 minutes."), 8, 2.4, 1.0, None),
        (transcript("Alexa"), 1, 2.7, 1.2, None),
        (transcript("7", log_probability=-0.9), 1, 0.4, 0.3, None),
        (transcript(""), 0, 1.0, 0.0, None),
        (transcript("minutes, " * 20), 40, 4.0, 2.0, "repeats"),
        (transcript("one two three four five six"), 40, 1.0, 0.5, "endless"),
        (transcript("replied he,"), 3, 9.0, 3.2, "unfinished"),
        (transcript("start", log_probability=-1.5), 1, 1.0, 0.5, "guess"),
    ],
)
def test_each_way_to_be_wrong_has_a_name(
    judged: Transcript, tokens: int, duration_s: float, loud_s: float, reason: str | None
) -> None:
    assert doubt(judged, tokens=tokens, duration_s=duration_s, loud_s=loud_s) == reason


def test_no_speech_is_too_fast_for_the_budget() -> None:
    tongue_twister_tokens_per_s = 8
    for duration_s in (0.5, 1, 3, 10, 24):
        assert tongue_twister_tokens_per_s * duration_s < token_budget(duration_s)


@given(st.text())
def test_the_compression_ratio_is_positive(text: str) -> None:
    assert compression_ratio(text) > 0


def test_repetition_compresses() -> None:
    assert compression_ratio("Thank you. " * 12) > 2.4 > compression_ratio("Twelve people thanked us.")
    assert compression_ratio("") == 1.0
