"""The picture is well-formed, and what is drawn lies where it happened."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from assistant.tools.bench.lib.rehearsal import Answer
from assistant.tools.bench.waterfall import LEFT, RIGHT, WIDTH, draw

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


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own text


def test_it_is_well_formed_whatever_the_machine_is_called() -> None:
    picture = parsed(draw([answer("llm", 0), answer("skill", 0)], 'a <board> & "cores"\nmodels\nmore'))
    texts = [element.text or "" for element in picture.iter(f"{SVG}text")]
    assert 'a <board> & "cores"' in texts
    assert "Answered by the language model: median 480 ms, 95 % within 480 ms, 1 turn" in texts
    assert "Answered by a skill: median 480 ms, 95 % within 480 ms, 1 turn" in texts


def test_bars_lie_within_the_picture_and_the_median_counts() -> None:
    picture = parsed(draw([answer("llm", late_ms) for late_ms in (0, 100, 5000)], ""))
    bars = [element for element in picture.iter(f"{SVG}rect") if element.get("x")]
    assert len(bars) == 6
    for bar in bars:
        assert float(bar.get("x", 0)) >= LEFT
        assert float(bar.get("x", 0)) + float(bar.get("width", 0)) <= WIDTH - RIGHT + 1
    labels = [element.text for element in picture.iter(f"{SVG}text")]
    assert "320 ms" in labels  # the wait
    assert "180 ms" in labels  # the first token of the middle turn


def test_a_kind_without_turns_is_left_out() -> None:
    picture = draw([answer("skill", 0)], "")
    assert "language model" not in picture
    assert "first token" not in picture
    parsed(draw([], ""))
