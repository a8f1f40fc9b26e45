"""The wait that words ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.types import Transcript
from assistant.dialog.endpointer import required_silence_ms
from assistant.settings.schema import EndpointSettings

SETTINGS = EndpointSettings()


def wait_ms(text: str, *, matched: bool = False, language: str = "en", finished: float | None = None) -> int:
    transcript = Transcript(text, language, finished_probability=finished)
    return required_silence_ms(transcript, matched=matched, settings=SETTINGS)


def test_a_turn_model_shortens_what_is_unclear_and_lengthens_what_only_reads_finished() -> None:
    assert wait_ms("one two three", finished=0.95) == SETTINGS.complete_ms
    assert wait_ms("one two three", finished=0.6) == SETTINGS.unclear_ms
    assert wait_ms("And so, my fellow Americans.", finished=0.1) == SETTINGS.unclear_ms
    assert wait_ms("And so, my fellow Americans.", finished=0.7) == SETTINGS.complete_ms
    # It takes some unfinished sentences for finished: what the words ask for counts more.
    assert wait_ms("Turn on the lamp and", finished=0.99) == SETTINGS.unfinished_ms
    assert wait_ms("stop", matched=True, finished=0.0) == SETTINGS.complete_ms


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of France?",
        "Turn on the living room lamp.",
        "What is it for?",
        "Who is she with?",
    ],
)
def test_whole_sentences_are_answered_soon(text: str) -> None:
    assert wait_ms(text) == SETTINGS.complete_ms


@pytest.mark.parametrize(
    "text",
    [
        "Set a timer for",
        "Set a timer for.",
        "I would like the",
        "Turn on the lamp and",
        "Well, um",
        "Get me a coffee with sugar,",
        "So I was thinking...",
        "Remind me to",
        "0 4 7 1",
        "555-12",
    ],
)
def test_unfinished_words_get_time(text: str) -> None:
    assert wait_ms(text) == SETTINGS.unfinished_ms


@pytest.mark.parametrize("text", ["", "Yes.", "Banana", "Hello there"])
def test_anything_else_is_unclear(text: str) -> None:
    assert wait_ms(text) == SETTINGS.unclear_ms


def test_what_a_skill_understood_is_complete() -> None:
    assert wait_ms("stop", matched=True) == SETTINGS.complete_ms


def test_other_languages_have_no_word_list() -> None:
    assert wait_ms("Stell den Wecker auf and", language="de") == SETTINGS.unclear_ms


@given(st.text(max_size=200), st.booleans())
def test_any_text_gets_one_of_three_waits(text: str, matched: bool) -> None:
    waits = {SETTINGS.complete_ms, SETTINGS.unclear_ms, SETTINGS.unfinished_ms}
    assert wait_ms(text, matched=matched) in waits
