"""What the ears listen for: never to their own voice unless told so, asleep to the wake word only."""

from __future__ import annotations

from typing import Literal

import pytest

from assistant.attention import Attention, attention_in
from assistant.state import State


@pytest.mark.parametrize(
    ("interruption", "with_word", "without_word"),
    [
        ("off", Attention.NOTHING, Attention.NOTHING),
        ("wake_word", Attention.WAKE_WORD, Attention.NOTHING),
        ("speech", Attention.SPEECH, Attention.SPEECH),
    ],
)
def test_while_it_speaks(
    interruption: Literal["off", "wake_word", "speech"], with_word: Attention, without_word: Attention
) -> None:
    heard = [
        attention_in(State.SPEAKING, has_wake_word=has, interruption=interruption) for has in (True, False)
    ]
    assert heard == [with_word, without_word]


@pytest.mark.parametrize("interruption", ["off", "wake_word", "speech"])
def test_while_it_does_not_speak(interruption: Literal["off", "wake_word", "speech"]) -> None:
    for state in (State.LISTENING, State.THINKING):
        for has in (True, False):
            heard = attention_in(state, has_wake_word=has, interruption=interruption)
            assert heard is Attention.SPEECH
    asleep = [
        attention_in(State.SLEEPING, has_wake_word=has, interruption=interruption) for has in (True, False)
    ]
    assert asleep == [Attention.WAKE_WORD, Attention.SPEECH]
