"""What two runs of tokens have in common. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def longest_match(held: Sequence[int], begin: int, wanted: Sequence[int]) -> tuple[int, int]:
    """Where behind ``begin`` most of ``wanted``, from its first token on, is held: start and length."""
    starts = (at for at in range(begin + 1, len(held)) if wanted and held[at] == wanted[0])
    lengths = ((common_length(held[start:], wanted), start) for start in starts)
    length, start = max(lengths, default=(0, begin))
    return start, length


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = zip(first, second)  # noqa: B905  one is shorter
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))
