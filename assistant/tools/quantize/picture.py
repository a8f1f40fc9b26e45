"""Draws size against loss as an SVG: better is further down and to the left.

A dot for each model; those of one format hang together by a line, and their colours say how they were made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape as escaped

WIDTH, HEIGHT = 820, 560
LEFT, RIGHT, TOP, BOTTOM = 80, 20, 56, 56
"""Margins, in the picture's units."""

LETTER_WIDTH = 6.6
"""Of the labels, which are 12 high."""

LEAST = 1e-3
"""Nats per token; what loses less lies on the lower edge, or all the others would be in one corner."""

NEAR = 16
"""A name further than this from its dot has a line to it."""

STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#444}.title{font-size:15px;font-weight:600;fill:#222}"
    ".grid{stroke:#ddd}.to{stroke:#999}.ways{stroke:#bbb;stroke-width:2}.dot{fill:#2b6cb0}.source{fill:#888}.name{fill:#222}"
    ".imatrix{fill:#38a3a5}.gptq{fill:#d1495b}.awq{fill:#e8a33d}.qat{fill:#7b4fa3}"
    "@media(prefers-color-scheme:dark){text{fill:#bbb}.title,.name{fill:#eee}.grid{stroke:#444}"
    ".dot{fill:#63b3ed}.qat{fill:#b794f4}}"
)

WAYS = ("imatrix", "gptq", "awq", "qat")
"""Ways to make a format that have a colour of their own."""


@dataclass(frozen=True, slots=True)
class Dot:
    """One format."""

    name: str
    size_bytes: int
    kl: float
    """Nats per token; 0 for the source itself."""
    way: str = ""
    """One of ``WAYS``, or nothing for plain rounding."""


def draw(title: str, dots: Sequence[Dot]) -> str:
    """The SVG. Both scales are logarithmic: losses span decades, and sizes crowd near the least."""
    losses = [dot.kl for dot in dots if dot.kl > 0] or [0.01]
    low = math.floor(math.log10(max(min(losses), LEAST)))
    high = max(math.ceil(math.log10(max(losses))), low + 1)
    left_mb = 0.85 * min(dot.size_bytes for dot in dots) / 1e6
    right_mb = 1.15 * max(dot.size_bytes for dot in dots) / 1e6

    def x(megabytes: float) -> float:
        share = math.log(megabytes / left_mb) / math.log(right_mb / left_mb)
        return LEFT + (WIDTH - LEFT - RIGHT) * share

    def y(kl: float) -> float:
        """A loss of nothing lies on the lower edge."""
        share = (math.log10(kl) - low) / (high - low) if kl > 0 else 0.0
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(max(share, 0.0), 1.0)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>',
        f'<text x="{LEFT}" y="42">Loss against the source (KL, nats per token): lower is better</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 12}" text-anchor="end">Size, MB: left is smaller</text>',
    ]
    for exponent in range(low, high + 1):
        at = y(10.0**exponent)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{10.0**exponent:g}</text>')
    for mark_mb in _marks(left_mb, right_mb):
        at = x(mark_mb)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{mark_mb:g}</text>')
    parts += _legend([way for way in WAYS if way in {dot.way for dot in dots}])
    places = [(x(dot.size_bytes / 1e6), y(dot.kl)) for dot in dots]
    of_name: dict[str, list[tuple[float, float]]] = {}
    for dot, place in zip(dots, places, strict=True):
        of_name.setdefault(dot.name, []).append(place)
    for ends in (sorted(alike, key=lambda place: place[1]) for alike in of_name.values()):
        parts.append(_line("ways", ends[0], ends[-1]))
    for dot, (across, down) in zip(dots, places, strict=True):
        kind = (dot.way or "dot") if dot.kl > 0 else "source"
        parts.append(f'<circle class="{kind}" cx="{across:.1f}" cy="{down:.1f}" r="5"/>')
    named = [min(alike, key=lambda place: place[1]) for alike in of_name.values()]
    for name, place, label in zip(of_name, named, _labels(list(of_name), named, places), strict=True):
        label_x, label_y, anchor = label
        if abs(label_y - 4 - place[1]) > NEAR:
            parts.append(_line("to", place, (label_x, label_y - 4)))
        where = f'x="{label_x:.1f}" y="{label_y:.1f}" text-anchor="{anchor}"'
        parts.append(f'<text class="name" {where}>{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _line(kind: str, start: tuple[float, float], end: tuple[float, float]) -> str:
    return (
        f'<line class="{kind}" x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"/>'
    )


def escape(text: str) -> str:
    """A name fit for XML, which has no place for control characters."""
    return escaped("".join(letter for letter in text if letter.isprintable()))


def _marks(low: float, high: float) -> list[float]:
    """Round values between two others, about eight."""
    rough = (high - low) / 8
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1) if number]


def _legend(ways: Sequence[str]) -> Iterator[str]:
    """What the colours mean, in the upper right corner."""
    for line, (kind, name) in enumerate(
        [("dot", "plain rounding"), *zip(ways, ways, strict=True)] * bool(ways)
    ):
        down = TOP + 18 + 18 * line
        yield f'<circle class="{kind}" cx="{WIDTH - RIGHT - 110}" cy="{down}" r="5"/>'
        yield f'<text x="{WIDTH - RIGHT - 98}" y="{down + 4}">{name}</text>'


def _labels(
    names: Sequence[str], places: Sequence[tuple[float, float]], dots: Sequence[tuple[float, float]]
) -> list[tuple[float, float, str]]:
    """Where each name stands: at the first place around its own where neither dot nor name is."""
    taken = [(across - 6, down - 6, across + 6, down + 6) for across, down in dots]
    labels = []
    for name, (across, down) in zip(names, places, strict=True):
        width = LETTER_WIDTH * len(name)
        spots = list(_around(across, down, width))
        free = [spot for spot in spots if not any(_overlap(spot[1], other) for other in taken)]
        label, box = (free or spots)[0]
        taken.append(box)
        labels.append(label)
    return labels


Box = tuple[float, float, float, float]


def _around(across: float, down: float, width: float) -> Iterator[tuple[tuple[float, float, str], Box]]:
    """Places for a label beside, below and above a dot, with the room that each takes."""
    for shift in (4, -9, 17, *(4 + sign * 13 * step for step in range(2, 12) for sign in (-1, 1))):
        if not TOP + 8 < down + shift < HEIGHT - BOTTOM - 2 and shift != 4:
            continue
        base = down + shift
        if across + 10 + width < WIDTH - RIGHT:
            yield (across + 10, base, "start"), (across + 8, base - 11, across + 10 + width, base + 3)
        if across - 10 - width > LEFT:
            yield (across - 10, base, "end"), (across - 10 - width, base - 11, across - 8, base + 3)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
