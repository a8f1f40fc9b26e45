"""Code that benches share: percentiles, alternating runs, tables, and the one line of JSON.

It is independent of what is measured.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a bench."""

    text: str
    """Tables for people."""
    document: Document
    """The same data and more, for programs; becomes one line of JSON."""

    def json_line(self) -> str:
        return json.dumps(self.document, ensure_ascii=False, allow_nan=False)


def median(values: Iterable[float]) -> float | None:
    """Return the median; None for no values."""
    return percentile(values, 50)


def percentile(values: Iterable[float], percent: float) -> float | None:
    """Return the percentile, interpolated linearly as in NumPy and spreadsheets; None for no values."""
    known = list(values)
    return float(np.percentile(known, percent)) if known else None


def spread_ms(values: Iterable[float]) -> Document:
    """Return ``{p50_ms, p95_ms, n}`` of durations in milliseconds; None for no values."""
    known = list(values)
    return {
        "p50_ms": rounded(median(known), 1),
        "p95_ms": rounded(percentile(known, 95), 1),
        "n": len(known),
    }


def ratio(one: float | None, other: float | None) -> float | None:
    """Return ``one / other`` to three digits; None if undefined."""
    return rounded(one / other, 3) if one is not None and other else None


def rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def timed(call: Callable[[], T]) -> tuple[float, T]:
    """Return the wall-clock seconds that ``call`` took, and its return value."""
    began_s = time.perf_counter()
    result = call()
    return time.perf_counter() - began_s, result


def in_turn(contenders: Sequence[Callable[[], T]], rounds: int) -> list[list[T]]:
    """Return what each contender returned in each round, one list per contender.

    The contenders take turns, and every other round runs in reverse order, so that other load on the machine
    and its temperature affect all of them alike.
    """
    results: list[list[T]] = [[] for _ in contenders]
    order = list(range(len(contenders)))
    for number in range(rounds):
        for which in order if number % 2 == 0 else reversed(order):
            results[which].append(contenders[which]())
    return results


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Format a table; the first column is left-aligned, the others right-aligned.

    None is shown as a dash; floats have one decimal.
    """
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def columned(columns: Sequence[tuple[str, str]], cases: Iterable[Document]) -> str:
    """Format a table with one row per case; a column is its heading and ``key``, ``key.key``, or
    ``key:format``.
    """
    heads = [head for head, _ in columns]
    return table(heads, [[_found(case, *path.split(":")) for _, path in columns] for case in cases])


def _found(case: Any, path: str, form: str = "") -> object:
    for key in path.split("."):
        case = case.get(key) if case else None
    return case if case is None or not form else format(case, form)


def share(value: float | None) -> str | None:
    """Format a fraction as a percentage: ``4.2 %``."""
    return None if value is None else f"{value * 100:.1f} %"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.1f}" if isinstance(value, float) else str(value)
