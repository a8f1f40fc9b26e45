"""Reads what ``perf stat -x,`` wrote: hardware counters, where the processor lets us have them.

The fields of a line are value, unit, event, run time of the counter, and the share of the time that it ran
(perf-stat(1), "CSV format"). A virtual machine often has no counters: its lines say "<not supported>".
"""

from __future__ import annotations

from collections.abc import Mapping

EVENTS = (
    "task-clock",
    "context-switches",
    "cpu-migrations",
    "page-faults",
    "cycles",
    "instructions",
    "cache-references",
    "cache-misses",
)
"""By names that perf translates for every processor."""

LINE_BYTES = 64
"""What a miss fetches from memory on every processor that this runs on."""

_FIELDS = 3


def counters(text: str) -> Mapping[str, float]:
    """Event -> count (task-clock in ms), without those that could not be counted."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        fields = line.split(",")
        if line.startswith("#") or len(fields) < _FIELDS:
            continue
        try:
            value = float(fields[0])
        except ValueError:  # "<not supported>", "<not counted>"
            continue
        # "cycles:u" where the kernel's part may not be counted; where there are two kinds of cores each has a
        # line, "cpu_atom/cycles/u".
        parts = fields[2].split(":")[0].split("/")
        event = parts[1] if len(parts) > 1 else parts[0]
        found[event] = found.get(event, 0.0) + value
    return found


def told(found: Mapping[str, float], wall_s: float) -> list[tuple[str, str]]:
    """What the counters mean, a line each; empty when there are none."""
    lines = []
    cycles, instructions, misses = (found.get(name) for name in ("cycles", "instructions", "cache-misses"))
    if cycles:
        lines.append(("cycles", f"{cycles / 1e9:.2f} billion"))
    if cycles and instructions:
        lines.append(("instructions a cycle", f"{instructions / cycles:.2f}"))
    if misses is not None and instructions:
        lines.append(("cache misses of 1000 instructions", f"{1000 * misses / instructions:.1f}"))
    if misses is not None and wall_s > 0:
        # What is fetched ahead of time misses nothing, so it is not counted.
        lines.append(("read from memory, at least", f"{misses * LINE_BYTES / wall_s / 1e6:.0f} MB/s"))
    others = {"context-switches": "context switches", "cpu-migrations": "moves to another core"}
    others["page-faults"] = "page faults"
    return lines + [(words, f"{found[name]:.0f}") for name, words in others.items() if name in found]
