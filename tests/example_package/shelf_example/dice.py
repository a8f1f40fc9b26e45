"""A skill. Its sentences are in dice.yaml."""

from random import Random


def roll_two_dice(random: Random) -> str:
    """Roll two dice."""
    return f"You rolled {random.randint(1, 6) + random.randint(1, 6)}."
