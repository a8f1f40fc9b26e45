"""What the ears listen for in each state. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Literal

from assistant.core.state import State

Interruption = Literal["off", "wake_word", "speech"]
"""What may stop an answer."""


class Attention(Enum):
    """What the ears listen for."""

    NOTHING = "nothing"
    """Frames are taken and not judged."""
    WAKE_WORD = "wake word"
    """Only the wake word; everything else is forgotten unheard."""
    SPEECH = "speech"
    """Utterances."""
    COMMAND = "command"
    """Utterances, and the wake word."""
    INTERRUPTION = "interruption"
    """The first sign of speech, over the assistant's own voice."""


def interruption_by(
    setting: Literal["auto", "off", "wake_word", "speech"], *, hears_itself: bool
) -> Interruption:
    """What ``auto`` comes to: only who does not hear their own voice can be stopped by any."""
    if setting == "auto":
        return "wake_word" if hears_itself else "speech"
    return setting


def attention_in(
    state: State, *, has_wake_word: bool, interruption: Interruption, only_commands: bool = False
) -> Attention:
    """What to listen for. Closed ears do not matter. ``only_commands``: nobody has said the wake word."""
    if state is State.SLEEPING and has_wake_word:
        return Attention.WAKE_WORD
    if state is not State.SPEAKING:
        return Attention.COMMAND if only_commands and has_wake_word else Attention.SPEECH
    if interruption == "speech":
        return Attention.INTERRUPTION
    if interruption == "wake_word" and has_wake_word:
        return Attention.WAKE_WORD
    return Attention.NOTHING  # it would hear itself
