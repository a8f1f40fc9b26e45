"""Argument types for numbers on the command line; argparse names these functions in its complaints."""

from __future__ import annotations

import argparse


def count(text: str) -> int:
    """At least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def numbers(text: str) -> list[float]:
    """Some, with commas between them."""
    return [float(part) for part in text.split(",")]


def gains(text: str) -> list[float]:
    """The same, and more than nothing."""
    found = numbers(text)
    if min(found) <= 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return found


def delays(text: str) -> list[int]:
    """Whole numbers with commas between them, 0 or more."""
    found = [int(part) for part in text.split(",")]
    if min(found) < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return found


def part(text: str) -> tuple[int, int]:
    """One of so many, like 2/5."""
    number, _, parts = text.partition("/")
    if not 1 <= int(number) <= int(parts):
        raise argparse.ArgumentTypeError("must be like 2/5")
    return int(number), int(parts)
