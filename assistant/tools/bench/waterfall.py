"""Draws a turn as a picture: what happened when after the last word, and how much other turns differed.

It shows the turn whose response time is nearest to the median of its kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assistant.tools.bench.lib.measuring import median, percentile
from assistant.tools.bench.lib.rehearsal import Answer
from assistant.tools.drawing import figure, printable, svg

BARS = (
    ("wait for the end of the turn", "speech_end", "ended", "#b8c4ce"),
    ("speech to text", "stt_begin", "stt_end", "#3b7dd8"),
    ("first token", "llm_begin", "first_token", "#7a4fbf"),
    ("rest of the first clause", "first_token", "first_clause", "#b39ddb"),
    ("its synthesis", "first_clause", "first_sound", "#e0a030"),
    ("silence after that", "ended", "first_audio", "#e8796b"),
)
"""Lane, start mark, end mark, color."""


def draw(answers: Sequence[Answer], subtitle: str) -> str:
    """Return an SVG document. Raises EngineUnavailable without matplotlib."""
    return svg(drawn(answers, subtitle))


def drawn(answers: Sequence[Answer], subtitle: str) -> Any:
    """Return the figure, with axes for each kind of answer in ``answers``."""
    kinds = (("Answered by the language model", "llm"), ("Answered by a skill", "skill"))
    groups = [(title, [answer for answer in answers if answer.by == by]) for title, by in kinds]
    groups = [(title, group) for title, group in groups if group]
    whole = figure(7.6, 1.2 + 2.4 * len(groups))
    title = "From the last word to the first sound of the answer"
    whole.suptitle(f"{title}\n{printable(' - '.join(subtitle.splitlines()[:2]))}", fontsize=10)
    end_ms = max((percentile(_responses(group), 95) or 0.0 for _, group in groups), default=0.0)
    for number, (name, group) in enumerate(groups):
        _group(whole.add_subplot(len(groups), 1, number + 1), name, group, max(100.0, 1.05 * end_ms))
    return whole


def _group(axes: Any, title: str, group: Sequence[Answer], end_ms: float) -> None:
    """Draw the lanes of one kind of answer."""
    responses = _responses(group)
    middle, late = median(responses) or 0.0, percentile(responses, 95) or 0.0
    turns = "1 turn" if len(group) == 1 else f"{len(group)} turns"
    head = f"{title}: median {middle:.0f} ms, 95 % within {late:.0f} ms, {turns}"
    axes.set_title(head, loc="left", fontsize=9, fontweight="bold")
    typical = min(group, key=lambda answer: abs(answer.marks_ms["first_audio"] - middle))
    for name, begin, end, color in BARS:
        if span := typical.span_ms(begin, end):
            begin_ms, end_of_bar_ms = (min(max(ms, 0.0), end_ms) for ms in span)
            bar = axes.barh(name, end_of_bar_ms - begin_ms, left=begin_ms, color=color)
            axes.bar_label(bar, [f"{span[1] - span[0]:.0f} ms"], padding=3, fontsize=8)
    marks = [min(response, end_ms) for response in responses]
    axes.plot(marks, ["each turn"] * len(marks), "|", color="#222", alpha=0.45, markersize=10)
    axes.set_xlim(0, end_ms)
    axes.invert_yaxis()
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, axis="x", color="#e4e4e4")
    axes.set_axisbelow(True)


def _responses(group: Sequence[Answer]) -> list[float]:
    return [answer.marks_ms["first_audio"] for answer in group]
