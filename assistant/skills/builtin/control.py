"""Commands to the assistant itself: stop, repeat, louder, mute, forget, help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from assistant.skills.contract import Forget, LastSource, Mute, Outcome, Repeat, Stop, Volume
from assistant.skills.timer_book import Timer
from assistant.text.en import wording
from assistant.text.en.numbers import number


@dataclass(frozen=True, slots=True)
class Level:
    """A volume: "5" of ten, "40 percent", "half", "maximum"."""

    GRAMMAR: ClassVar[str] = '("100" | [1-9] [0-9]?) " percent"'

    value: float
    """0 to 1; a higher value is louder than possible."""

    @classmethod
    def from_keys(cls, keys: Sequence[str]) -> Level | None:
        if (named := _NAMED.get(" ".join(keys))) is not None:
            return cls(named)
        percent = keys[-1] == "percent"
        value = number(keys[:-1] if percent else keys)
        if value is None or not 0 <= value <= 1000:
            return None
        # Up to ten it is out of ten, and eleven is one louder; from twelve on it is percent.
        return cls(float(value / 100 if percent or value > 11 else value / 10))


_NAMED = {
    **dict.fromkeys(("maximum", "max", "full", "the maximum", "full volume"), 1.0),
    **dict.fromkeys(("half", "medium", "the middle"), 0.5),
    **dict.fromkeys(("minimum", "min", "the minimum"), 0.1),
}

_STEP = Level(0.1)


def dismiss(ringing: Sequence[Timer]) -> Outcome:  # noqa: ARG001 - it is asked only while there are some
    """End what is ringing."""
    return Outcome("", Stop())


def stop() -> Outcome:
    """Stop talking or ringing."""
    return Outcome("", Stop())


def repeat() -> Outcome:
    """Say the last answer again."""
    return Outcome("", Repeat())


def mute() -> Outcome:
    """Close the microphone."""
    return Outcome("The microphone is off.", Mute())


def forget() -> Outcome:
    """Forget the conversation so far."""
    return Outcome("Okay, let's start over.", Forget())


def louder(volume: float, by: Level = _STEP) -> Outcome:
    """Turn the volume up."""
    return _volume(volume + by.value) if volume < 1 else Outcome("This is as loud as I can be.")


def quieter(volume: float, by: Level = _STEP) -> Outcome:
    """Turn the volume down, never to silence."""
    lowest = _STEP.value
    return (
        _volume(max(lowest, volume - by.value))
        if volume > lowest
        else Outcome("This is as quiet as I can be.")
    )


def set_volume(level: Level) -> Outcome:
    """Set the volume."""
    if level.value > 1:
        return Outcome("One hundred percent is the maximum. Volume one hundred percent.", Volume(1.0))
    if level.value == 0:
        return silence()
    return _volume(level.value)


def turn_up_to(level: Level, volume: float) -> Outcome:
    """Set the volume, but not to less than it is."""
    return set_volume(level) if level.value >= volume else _already(volume)


def turn_down_to(level: Level, volume: float) -> Outcome:
    """Set the volume, but not to more than it is."""
    return set_volume(level) if level.value <= volume else _already(volume)


def _already(volume: float) -> Outcome:
    return Outcome(f"The volume is already at {wording.number(round(volume * 100))} percent.")


def silence() -> Outcome:
    """Turn the volume off."""
    return Outcome("The sound is off. To hear me again, say: volume five.", Volume(0.0))


def unmute() -> str:
    """Tell how to turn the microphone on."""
    return (
        "The microphone is on. When it's muted, I can't hear you: unmute it with its button or assistant ctl."
    )


def tell_name() -> str:
    """Tell the name."""
    return "I'm your voice assistant. I don't have any other name."


def tell_volume(volume: float) -> str:
    """Tell how loud the volume is."""
    return f"The volume is at {wording.number(round(volume * 100))} percent."


def _volume(level: float) -> Outcome:
    level = round(min(1.0, max(0.0, level)), 2)
    return Outcome(f"Volume {wording.number(round(level * 100))} percent.", Volume(level))


def tell_abilities() -> str:
    """Tell what the assistant can do."""
    return (
        "I can answer questions, tell the time and the date, set timers, alarms and reminders, "
        "keep a shopping list and notes, do sums and convert units. Say stop to interrupt me."
    )


def tell_source(source: LastSource) -> str:
    """Tell where the last answer came from."""
    if source.is_model:
        return "From my language model, which can be wrong."
    if source.name is None:
        return "I haven't told you anything yet."
    return f"I have that from {source.name}." if source.name else "I worked it out myself."
