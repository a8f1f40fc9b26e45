"""Draws risk against coverage as an SVG: lower is truer, further right answers more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 50, 48
COLORS = ("#2b6cb0", "#d1495b", "#38a3a5", "#e8a33d", "#7b4fa3", "#555")

STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#444}.title{font-size:15px;font-weight:600;fill:#222}"
    ".grid{stroke:#ddd}polyline{fill:none;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#bbb}.title{fill:#eee}.grid{stroke:#444}}"
)

LEAST = 5
"""The first few answers of a curve only jump."""


def draw(curves: Mapping[str, Sequence[tuple[float, float]]], questions: int) -> str:
    """The SVG; a curve is (coverage, risk) for each answer, the surest first."""

    def x(coverage: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * coverage

    def y(risk: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * risk

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>Risk against coverage</title><style>{STYLE}</style>",
        f'<text class="title" x="{LEFT}" y="22">False answers by how many questions are answered</text>',
        f'<text x="{LEFT}" y="40">From memory, the surest first; {questions} questions</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">answered</text>',
    ]
    for tenth in range(0, 11, 2):
        at = tenth / 10
        parts += [
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(at):.1f}" y2="{y(at):.1f}"/>',
            f'<text x="{LEFT - 8}" y="{y(at) + 4:.1f}" text-anchor="end">{tenth * 10} %</text>',
            f'<text x="{x(at):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tenth * 10} %</text>',
        ]
    for number, (name, points) in enumerate(curves.items()):
        color = COLORS[number % len(COLORS)]
        line = " ".join(f"{x(coverage):.1f},{y(risk):.1f}" for coverage, risk in points[LEAST - 1 :])
        parts += [
            f'<polyline points="{line}" stroke="{color}"/>',
            f'<text x="{LEFT + 12}" y="{TOP + 18 + 17 * number}" style="fill:{color}">{escape(name)}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"
