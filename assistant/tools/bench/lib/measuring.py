"""What the benches share: percentiles, contenders in turn, tables and the one line of JSON.

Knows nothing of what is measured.
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
    """What a bench found out."""

    text: str
    """Tables for people."""
    document: Document
    """The same and more, for programs; becomes one line of JSON."""

    def json_line(self) -> str:
        return json.dumps(self.document, ensure_ascii=False, allow_nan=False)


def median(values: Iterable[float]) -> float | None:
    """The middle; None of nothing."""
    return percentile(values, 50)


def percentile(values: Iterable[float], percent: float) -> float | None:
    """Linear between the two nearest, as NumPy and spreadsheets do it; None of nothing."""
    known = list(values)
    return float(np.percentile(known, percent)) if known else None


def spread_ms(values: Iterable[float]) -> Document:
    """``{p50_ms, p95_ms, n}`` of durations in milliseconds; None where there are none."""
    known = list(values)
    return {
        "p50_ms": rounded(median(known), 1),
        "p95_ms": rounded(percentile(known, 95), 1),
        "n": len(known),
    }


def ratio(one: float | None, other: float | None) -> float | None:
    """``one / other`` to three digits; None when that cannot be said."""
    return rounded(one / other, 3) if one is not None and other else None


def rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def timed(call: Callable[[], T]) -> tuple[float, T]:
    """Wall seconds that ``call`` took, and what it returned."""
    began_s = time.perf_counter()
    result = call()
    return time.perf_counter() - began_s, result


def in_turn(contenders: Sequence[Callable[[], T]], rounds: int) -> list[list[T]]:
    """What each contender returned in each round, one list a contender.

    They take turns, and every other round goes backwards: whatever else the machine does meanwhile, and
    however warm it gets, meets all of them alike.
    """
    results: list[list[T]] = [[] for _ in contenders]
    order = list(range(len(contenders)))
    for number in range(rounds):
        for which in order if number % 2 == 0 else reversed(order):
            results[which].append(contenders[which]())
    return results


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns with their heads, the first flush left, the others right.

    None is a dash, and floats get one digit behind the point.
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
    """A table with a row for each case; a column is its head and ``key``, ``key.key`` or ``key:format``."""
    heads = [head for head, _ in columns]
    return table(heads, [[_found(case, *path.split(":")) for _, path in columns] for case in cases])


def _found(case: Any, path: str, form: str = "") -> object:
    for key in path.split("."):
        case = case.get(key) if case else None
    return case if case is None or not form else format(case, form)


def share(value: float | None) -> str | None:
    """A fraction as people write it: ``4.2 %``."""
    return None if value is None else f"{value * 100:.1f} %"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.1f}" if isinstance(value, float) else str(value)
