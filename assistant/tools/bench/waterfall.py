"""A turn as a picture: what happened when after the last word, and how far the other turns strayed.

Drawn is the turn whose response is nearest to the median of its kind. SVG, written by hand: a
few rectangles and words. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from assistant.tools.bench.lib.measuring import median, percentile
from assistant.tools.bench.lib.rehearsal import Answer

BARS = (
    ("wait for the end of the turn", "speech_end", "ended", "#b8c4ce"),
    ("speech to text", "stt_begin", "stt_end", "#3b7dd8"),
    ("first token", "llm_begin", "first_token", "#7a4fbf"),
    ("rest of the first clause", "first_token", "first_clause", "#b39ddb"),
    ("its synthesis", "first_clause", "first_sound", "#e0a030"),
    ("silence after that", "ended", "first_audio", "#e8796b"),
)
"""Lane, mark at which it begins, mark at which it ends, colour."""

WIDTH, LEFT, RIGHT = 760, 200, 30
LANE, GAP = 18, 6
HEAD, FOOT = 68, 24
_FONT = 'font-family="sans-serif"'


def draw(answers: Sequence[Answer], subtitle: str) -> str:
    """An SVG document. Of ``subtitle`` two lines have room."""
    groups = [
        (title, [answer for answer in answers if answer.by == by])
        for title, by in (("Answered by the language model", "llm"), ("Answered by a skill", "skill"))
    ]
    groups = [(title, group) for title, group in groups if group]
    end_ms = max((percentile(_responses(group), 95) or 0.0 for _, group in groups), default=0.0)
    end_ms = max(100.0, math.ceil(end_ms * 1.05 / 100) * 100)
    body: list[str] = []
    y = HEAD
    for title, group in groups:
        drawn, y = _group(title, group, y, end_ms)
        body += drawn
    axis = list(_axis(y, end_ms))
    height = y + FOOT
    size = f'width="{WIDTH}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {WIDTH} {height}" {_FONT}>',
            f'<rect {size} fill="white"/>',
            _text(10, 20, "From the last word to the first sound of the answer", size=15, weight="bold"),
            *(
                _text(10, 38 + 14 * number, line, size=11, color="#666")
                for number, line in enumerate(subtitle.splitlines()[:2])
            ),
            *axis,
            *body,
            "</svg>\n",
        ]
    )


def _group(title: str, group: Sequence[Answer], y: int, end_ms: float) -> tuple[list[str], int]:
    """The lanes of one kind of answer from ``y`` down, and where they end."""
    responses = _responses(group)
    middle, late = median(responses) or 0.0, percentile(responses, 95) or 0.0
    turns = "1 turn" if len(group) == 1 else f"{len(group)} turns"
    head = f"{title}: median {middle:.0f} ms, 95 % within {late:.0f} ms, {turns}"
    drawn = [_text(10, y + 14, head, weight="bold")]
    y += LANE + GAP
    typical = min(group, key=lambda answer: abs(answer.marks_ms["first_audio"] - middle))
    for name, begin, end, color in BARS:
        if span := typical.span_ms(begin, end):
            drawn += [_text(LEFT - 8, y + 13, name, anchor="end"), *_bar(span, y, end_ms, color)]
            y += LANE
    drawn.append(_text(LEFT - 8, y + 13, "each turn", anchor="end"))
    for response in responses:
        x = _x(min(response, end_ms), end_ms)
        drawn.append(_line(x, y + 2, y + LANE - 4, 'stroke="#222" stroke-opacity="0.45"'))
    return drawn, y + LANE + 2 * GAP


def _bar(span: tuple[float, float], y: int, end_ms: float, color: str) -> Iterator[str]:
    """A rectangle with its duration beside it, on the side where there is room."""
    x, end_x = (_x(min(ms, end_ms), end_ms) for ms in span)
    width = max(1.0, end_x - x)
    yield f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{LANE - 3}" fill="{color}"/>'
    duration = f"{span[1] - span[0]:.0f} ms"
    if x + width > WIDTH - RIGHT - 45:
        yield _text(x - 4, y + 12, duration, size=10, color="#444", anchor="end")
    else:
        yield _text(x + width + 4, y + 12, duration, size=10, color="#444")


def _axis(bottom: int, end_ms: float) -> Iterator[str]:
    step_ms = next((step for step in (50, 100, 200, 500, 1000) if end_ms / step <= 10), 2000)
    for ms in range(0, int(end_ms) + 1, step_ms):
        x = _x(ms, end_ms)
        yield _line(x, HEAD, bottom, 'stroke="#e4e4e4"')
        yield _text(x, bottom + 14, str(ms) if ms else "0 ms", size=10, color="#666", anchor="middle")


def _x(ms: float, end_ms: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * max(0.0, ms) / end_ms


def _responses(group: Sequence[Answer]) -> list[float]:
    return [answer.marks_ms["first_audio"] for answer in group]


def _line(x: float, top: int, bottom: int, how: str) -> str:
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" {how}/>'


def _text(
    x: float,
    y: float,
    words: str,
    *,
    size: int = 12,
    color: str = "#222",
    anchor: str = "start",
    weight: str = "normal",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" font-size="{size}" fill="{color}" text-anchor="{anchor}" '
        f'font-weight="{weight}">{escape(words)}</text>'
    )
