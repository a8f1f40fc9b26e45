"""Sizes as people say them: rounded, and in both systems of units."""

from __future__ import annotations

import math

MILE_KM = 1.609344


def people(count: int) -> str:
    if count >= 1_000_000:
        millions = count / 1_000_000
        if millions >= 1000:
            return f"{millions / 1000:.1f}".rstrip("0").rstrip(".") + " billion"
        return (
            f"{millions:.0f}" if millions >= 10 else f"{millions:.1f}".rstrip("0").rstrip(".")
        ) + " million"
    return f"{rounded(count)}"


def rounded(value: float) -> str:
    """Round to three digits, as people say a size."""
    if value < 1:
        return f"{value:.2g}"
    step = 10 ** max(0, math.floor(math.log10(value)) - 2)
    return f"{round(value / step) * step:,}"


def area(km2: float) -> str:
    return f"{rounded(km2)} square kilometers, or {rounded(km2 / MILE_KM**2)} square miles"
