"""The picture of size against loss: well formed, everything inside it, names that can be read."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from assistant.tools.quantize.picture import HEIGHT, WIDTH, Dot, draw

SVG = "{http://www.w3.org/2000/svg}"
DOTS = [
    Dot("source", 491_400_064, 0.0),
    Dot("q8_0", 675_710_848, 0.0016),
    Dot("q4_0", 428_730_240, 0.102),
    Dot("q4_0", 429_547_392, 0.0652, "imatrix"),
    Dot("iq4_nl", 430_880_640, 0.0475),
]


def _parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314  our own


def test_smaller_is_left_and_better_is_below() -> None:
    tree = _parsed(draw("<a & b>", DOTS))
    circles = list(tree.iter(f"{SVG}circle"))[-len(DOTS) :]  # those before them are the legend's
    places = [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in circles]
    by_size = sorted(range(len(DOTS)), key=lambda at: DOTS[at].size_bytes)
    by_loss = sorted(range(len(DOTS)), key=lambda at: -DOTS[at].kl)
    assert sorted(range(len(DOTS)), key=lambda at: places[at][0]) == by_size
    assert sorted(range(len(DOTS)), key=lambda at: places[at][1]) == by_loss
    assert "<a & b>" in [text.text for text in tree.iter(f"{SVG}text")]


def test_names_do_not_lie_on_one_another() -> None:
    tree = _parsed(draw("model", DOTS))
    names = [text for text in tree.iter(f"{SVG}text") if text.get("class") == "name"]
    assert [name.text for name in names] == ["source", "q8_0", "q4_0", "iq4_nl"]  # each format once
    spans = []
    for name in names:
        x, width = float(name.attrib["x"]), 6 * len(name.text or "")
        left = x - width if name.attrib["text-anchor"] == "end" else x
        spans.append((left, left + width, float(name.attrib["y"])))
    for at, (left, right, y) in enumerate(spans):
        for other_left, other_right, other_y in spans[at + 1 :]:
            assert abs(y - other_y) >= 10 or right < other_left or other_right < left


@given(
    st.lists(
        st.builds(Dot, st.text(max_size=20), st.integers(1, 10**12), st.floats(0, 1000)),
        min_size=1,
        max_size=12,
    )
)
def test_every_dot_is_inside(dots: list[Dot]) -> None:
    for x, y in re.findall(r'<circle[^>]* cx="([-\d.]+)" cy="([-\d.]+)"', draw("", dots)):
        assert 0 <= float(x) <= WIDTH
        assert 0 <= float(y) <= HEIGHT


def test_control_letters_do_not_break_it() -> None:
    assert _parsed(draw("a\x00b", [Dot("c\x1b[2K", 1, 0.1)])) is not None


def test_the_legend_names_the_ways_that_are_there() -> None:
    texts = [text.text for text in _parsed(draw("model", DOTS)).iter(f"{SVG}text")]
    assert "plain rounding" in texts
    assert "imatrix" in texts
    assert "gptq" not in texts
    assert "plain rounding" not in [text.text for text in _parsed(draw("model", DOTS[:3])).iter(f"{SVG}text")]
