"""Numbers on the command line; argparse names these functions in its complaints."""

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


def whole_numbers(text: str) -> list[int]:
    """The same without fractions."""
    return [int(part) for part in text.split(",")]


def part(text: str) -> tuple[int, int]:
    """One of so many, like 2/5."""
    number, _, parts = text.partition("/")
    if not 1 <= int(number) <= int(parts):
        raise argparse.ArgumentTypeError("must be like 2/5")
    return int(number), int(parts)
