"""What the ears listen for: never to their own voice unless told so, asleep to the wake word only."""

from __future__ import annotations

import pytest

from assistant.core.attention import Attention, Interruption, attention_in, interruption_by
from assistant.core.state import State


@pytest.mark.parametrize(
    ("interruption", "with_word", "without_word"),
    [
        ("off", Attention.NOTHING, Attention.NOTHING),
        ("wake_word", Attention.WAKE_WORD, Attention.NOTHING),
        ("speech", Attention.INTERRUPTION, Attention.INTERRUPTION),
    ],
)
def test_while_it_speaks(interruption: Interruption, with_word: Attention, without_word: Attention) -> None:
    heard = [
        attention_in(State.SPEAKING, has_wake_word=has, interruption=interruption) for has in (True, False)
    ]
    assert heard == [with_word, without_word]


@pytest.mark.parametrize("interruption", ["off", "wake_word", "speech"])
def test_while_it_does_not_speak(interruption: Interruption) -> None:
    for state in (State.LISTENING, State.THINKING):
        for has in (True, False):
            heard = attention_in(state, has_wake_word=has, interruption=interruption)
            assert heard is Attention.SPEECH
    asleep = [
        attention_in(State.SLEEPING, has_wake_word=has, interruption=interruption) for has in (True, False)
    ]
    assert asleep == [Attention.WAKE_WORD, Attention.SPEECH]


def test_only_who_does_not_hear_its_own_voice_is_stopped_by_any_speech() -> None:
    assert interruption_by("auto", hears_itself=True) == "wake_word"
    assert interruption_by("auto", hears_itself=False) == "speech"


@pytest.mark.parametrize("chosen", ["off", "wake_word", "speech"])
def test_what_was_chosen_is_kept(chosen: Interruption) -> None:
    assert [interruption_by(chosen, hears_itself=hears) for hears in (True, False)] == [chosen, chosen]
