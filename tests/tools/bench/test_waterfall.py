"""The picture is well-formed, and what is drawn lies where it happened."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from assistant.tools.bench.lib.rehearsal import Answer
from assistant.tools.bench.waterfall import draw, drawn

SVG = "{http://www.w3.org/2000/svg}"


def answer(by: str, late_ms: float) -> Answer:
    marks_ms = {
        "speech_end": 0.0,
        "stt_begin": 180.0,
        "stt_end": 300.0,
        "ended": 320.0,
        "first_clause": 400 + late_ms,
        "first_sound": 480 + late_ms,
        "first_audio": 480 + late_ms,
    }
    if by == "llm":
        marks_ms |= {"llm_begin": 300.0, "first_token": 380 + late_ms}
    return Answer("<clip> & co", by, marks_ms)


def texts(svg: str) -> list[str]:
    root = ET.fromstring(svg)  # noqa: S314 - our own text
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def test_it_is_well_formed_whatever_the_machine_is_called() -> None:
    found = texts(draw([answer("llm", 0), answer("skill", 0)], 'a <board> & "cores"\nmodels\nmore'))
    assert 'a <board> & "cores" - models' in found
    assert "Answered by the language model: median 480 ms, 95 % within 480 ms, 1 turn" in found
    assert "Answered by a skill: median 480 ms, 95 % within 480 ms, 1 turn" in found


def test_bars_lie_within_the_picture_and_the_median_counts() -> None:
    figure = drawn([answer("llm", late_ms) for late_ms in (0, 100, 5000)], "")
    (axes,) = figure.axes
    assert len(axes.patches) == 6
    for bar in axes.patches:
        assert 0 <= bar.get_x() <= bar.get_x() + bar.get_width() <= axes.get_xlim()[1]
    labels = [text.get_text() for text in axes.texts]
    assert "320 ms" in labels  # the wait
    assert "180 ms" in labels  # the first token of the middle turn


def test_a_kind_without_turns_is_left_out() -> None:
    found = " ".join(texts(draw([answer("skill", 0)], "")))
    assert "language model" not in found
    assert "first token" not in found
    texts(draw([], ""))
