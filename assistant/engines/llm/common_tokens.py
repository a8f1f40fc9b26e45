"""What two runs of tokens have in common. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def longest_match(held: Sequence[int], begin: int, wanted: Sequence[int]) -> tuple[int, int]:
    """Where behind ``begin`` most of ``wanted``, from its first token on, is held: start and length."""
    starts = (at for at in range(begin + 1, len(held)) if wanted and held[at] == wanted[0])
    lengths = ((common_length(held[start:], wanted), start) for start in starts)
    length, start = max(lengths, default=(0, begin))
    return start, length


def what_followed(tokens: Sequence[int], alike: int, most: int) -> list[int]:
    """What came, ``most`` tokens at most, where the last ``alike`` tokens stood last before; or nothing."""
    last = list(tokens[-alike:])
    if len(last) < alike:
        return []
    for start in range(len(tokens) - alike - 1, -1, -1):
        if tokens[start] == last[0] and list(tokens[start : start + alike]) == last:
            return list(tokens[start + alike : start + alike + most])
    return []


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens both begin with."""
    pairs = zip(first, second)  # noqa: B905  one is shorter
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))
