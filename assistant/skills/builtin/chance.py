"""Coins, dice and random numbers."""

from __future__ import annotations

from random import Random

from assistant.text.en import wording

_MOST_DICE = 20
"""More would be tedious to hear."""


def flip_coin(random: Random) -> str:
    """Flip a coin."""
    return f"It's {random.choice(('heads', 'tails'))}."


def roll_dice(random: Random, count: int = 1, sides: int = 6) -> str:
    """Roll dice and tell what each shows and the total."""
    if not (1 <= count <= _MOST_DICE and 2 <= sides <= 1000):
        return f"I can roll up to {wording.number(_MOST_DICE)} dice."
    rolls = [random.randint(1, sides) for _ in range(count)]
    shown = wording.listing([wording.number(roll) for roll in rolls])
    return (
        f"It's {'an' if _starts_with_vowel(shown) else 'a'} {shown}."
        if count == 1
        else f"{wording.capital(shown)}, together {wording.number(sum(rolls))}."
    )


def _starts_with_vowel(words: str) -> bool:
    return words.startswith(("eight", "eleven"))


def random_number(random: Random, low: int = 1, high: int = 100) -> str:
    """Choose a random number between two numbers, both included."""
    low, high = sorted((low, high))
    return f"{wording.capital(wording.number(random.randint(low, high)))}."
