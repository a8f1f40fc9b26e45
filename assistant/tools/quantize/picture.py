"""Draws size against loss: better is lower and farther left.

Each model is a dot; dots of the same format are connected, and their colors show how they were made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assistant.tools.drawing import figure, printable, svg

LEAST = 1e-3
"""Nats per token; smaller losses are drawn at the lower edge, so that the others don't crowd into a
corner.
"""

WAYS = {"": "#2b6cb0", "imatrix": "#38a3a5", "gptq": "#d1495b", "awq": "#e8a33d", "qat": "#7b4fa3"}
"""Method -> its color; plain rounding has no name."""

OFFSETS = [
    (side * 9, 12 * step) for step in (0, 1, -1, 2, -2, 3, -3, 4, -4, 6, -6, 8, -8) for side in (1, -1)
]
"""Offsets in points from a dot to its name, in the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class Dot:
    """One format."""

    name: str
    size_bytes: int
    kl: float
    """Nats per token; 0 for the source itself."""
    way: str = ""
    """A key of ``WAYS``."""


def draw(title: str, dots: Sequence[Dot]) -> str:
    """Return the SVG. Raises EngineUnavailable without matplotlib."""
    return svg(drawn(title, dots)[0])


def drawn(title: str, dots: Sequence[Dot]) -> tuple[Any, list[Any]]:
    """Return the figure and its labels. Both scales are logarithmic because losses span decades."""
    whole = figure(8.2, 5.6)
    axes = whole.add_subplot(
        xscale="log",
        yscale="log",
        xlabel="Size, MB: left is smaller",
        ylabel="Loss against the source (KL, nats per token): lower is better",
        title=printable(title),
    )
    axes.grid(visible=True, which="both", color="#ddd", linewidth=0.6)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlim(0.85e-6 * min(d.size_bytes for d in dots), 1.15e-6 * max(d.size_bytes for d in dots))
    axes.set_ylim(LEAST / 1.3, 2 * max(10 * LEAST, *(dot.kl for dot in dots)))
    named: dict[str, list[tuple[float, float]]] = {}
    for dot in sorted(dots, key=lambda dot: dot.kl):
        named.setdefault(dot.name, []).append((dot.size_bytes / 1e6, max(dot.kl, LEAST)))
    for places in named.values():
        axes.plot(*zip(*places, strict=True), color="#bbb", zorder=1)
    for way, color in WAYS.items():
        of_way = [(dot.size_bytes / 1e6, max(dot.kl, LEAST)) for dot in dots if dot.kl > 0 and dot.way == way]
        if of_way:
            axes.plot(*zip(*of_way, strict=True), "o", color=color, label=way or "plain rounding")
    for dot in dots:
        if dot.kl <= 0:
            axes.plot(dot.size_bytes / 1e6, LEAST, "o", color="#888")
    if any(dot.way for dot in dots):
        axes.legend(loc="upper right")
    return whole, _labels(whole, axes, named)


def _labels(whole: Any, axes: Any, named: dict[str, list[tuple[float, float]]]) -> list[Any]:
    """Place each name at the first free position around its lowest dot."""
    from matplotlib.transforms import Bbox  # noqa: PLC0415 - an extra

    whole.draw_without_rendering()
    spots = axes.transData.transform([place for places in named.values() for place in places])
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in spots]
    labels = []
    for name, (place, *_) in named.items():
        for offset in OFFSETS:
            label = axes.annotate(
                printable(name),
                place,
                offset,
                textcoords="offset points",
                ha="left" if offset[0] > 0 else "right",
                va="center",
                fontsize=9,
                arrowprops={"arrowstyle": "-", "color": "#999"} if abs(offset[1]) > 12 else None,
            )
            box = label.get_window_extent()
            if axes.bbox.containsx(box.x0) and axes.bbox.containsx(box.x1) and not box.count_overlaps(taken):
                break
            label.remove()
        else:
            label = axes.annotate(printable(name), place, fontsize=9)
        taken.append(box)
        labels.append(label)
    return labels
