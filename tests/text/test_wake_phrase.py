"""Wake words as Whisper tiny wrote them, taken off; everything else left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.text.wake_phrase import without_wake_phrase

PHRASES = ["okay nabu", "hey jarvis", "alexa", "hey mycroft", "hey rhasspy"]


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        # What whisper-tiny.en made of real and synthetic speech.
        ("Okay, Naboo, what time is it?", "What time is it?"),
        ("Ok now, Boo, set a timer for 10 minutes.", "Set a timer for 10 minutes."),
        ("Okay now boo stop", "Stop"),
        ("Hey Jarvis, what time is it?", "What time is it?"),
        ("Hey my craft. May I have a cappuccino?", "May I have a cappuccino?"),
        ("Hey, my craft, good morning.", "Good morning."),
        ("Hey raspy, turn off the light.", "Turn off the light."),
        ("Alexa give me a latte", "Give me a latte"),
        # Nothing but the word, and the word several times.
        ("Okay, now, boo.", ""),
        ("Alexa.", ""),
        ("Alexa! Alexa, stop.", "Stop."),
        ("Hey Jarvis. Hey Jarvis stop", "Stop"),
    ],
)
def test_it_is_taken_off(text: str, rest: str) -> None:
    assert without_wake_phrase(text, PHRASES) == rest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        "What time is it?",
        "Okay, set a timer.",
        "Okay, nobody knows.",
        "Okay.",
        "Hey, what is that?",
        "Like so.",
        "Set a timer called Alexa.",
        "Microphone off.",
        "Ask Jarvis.",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert without_wake_phrase(text, PHRASES) == text


@given(st.text(max_size=60))
def test_without_phrases_every_text_stays(text: str) -> None:
    assert without_wake_phrase(text, []) == text


@given(st.text(max_size=60))
def test_what_is_left_is_the_end_of_the_text(text: str) -> None:
    rest = without_wake_phrase(text, PHRASES)
    assert text == rest or not rest or text.endswith(rest[1:]) or rest[1:] in text


@given(st.sampled_from(PHRASES), st.sampled_from(["What time is it?", "Stop.", ""]))
def test_the_phrase_itself_is_always_recognised(phrase: str, words: str) -> None:
    assert without_wake_phrase(f"{phrase.capitalize()}, {words}", PHRASES) == words
