"""The picture of size against loss: well formed, everything inside it, names that can be read."""

from __future__ import annotations

from itertools import combinations
from typing import Any
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.tools.quantize.picture import Dot, draw, drawn

SVG = "{http://www.w3.org/2000/svg}"
DOTS = [
    Dot("source", 491_400_064, 0.0),
    Dot("q8_0", 675_710_848, 0.0016),
    Dot("q4_0", 428_730_240, 0.102),
    Dot("q4_0", 429_547_392, 0.0652, "imatrix"),
    Dot("iq4_nl", 430_880_640, 0.0475),
]


def _texts(picture: str) -> list[str]:
    return [text.text or "" for text in ET.fromstring(picture).iter(f"{SVG}text")]  # noqa: S314  our own


def _places(figure: Any) -> list[tuple[float, float]]:
    """Where the dots are, in pixels from the lower left corner."""
    (axes,) = figure.axes
    lines = [line for line in axes.lines if line.get_marker() == "o"]
    return [tuple(axes.transData.transform(place)) for line in lines for place in line.get_xydata()]


def test_smaller_is_left_and_better_is_below() -> None:
    figure, _ = drawn("model", DOTS)
    places = sorted(_places(figure))
    assert len(places) == len(DOTS)
    by_size = sorted(DOTS, key=lambda dot: dot.size_bytes)
    order = sorted(range(len(DOTS)), key=lambda at: places[at][1])
    assert [by_size[at] for at in order] == sorted(DOTS, key=lambda dot: dot.kl)
    assert "<a & b>" in _texts(draw("<a & b>", DOTS))


def test_names_do_not_lie_on_one_another_or_on_dots() -> None:
    figure, labels = drawn("model", [*DOTS, *(Dot(f"q4_{n}", 428_900_000 + n, 0.0655) for n in range(5))])
    assert {"source", "q8_0", "q4_0", "iq4_nl"} < {label.get_text() for label in labels}  # each format once
    boxes = [label.get_window_extent() for label in labels]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert not any(box.contains(*place) for box in boxes for place in _places(figure))


@settings(max_examples=10)
@given(
    st.lists(
        st.builds(Dot, st.text(max_size=20), st.integers(1, 10**12), st.floats(0, 1000)),
        min_size=1,
        max_size=12,
    )
)
def test_every_dot_is_inside(dots: list[Dot]) -> None:
    figure, _ = drawn("", dots)
    (axes,) = figure.axes
    assert all(axes.bbox.contains(*place) for place in _places(figure))


def test_control_letters_and_formulas_do_not_break_it() -> None:
    assert "$x_1$" in _texts(draw("a\x00b", [Dot("c\x1b[2K", 1, 0.1), Dot("$x_1$", 2, 0.2)]))


def test_the_legend_names_the_ways_that_are_there() -> None:
    texts = _texts(draw("model", DOTS))
    assert "plain rounding" in texts
    assert "imatrix" in texts
    assert "gptq" not in texts
    assert "plain rounding" not in _texts(draw("model", DOTS[:3]))
