"""Turns in virtual time through the real loop: what is counted from where, and what is counted at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assistant.settings.schema import Settings
from assistant.tools.bench.endpoint import first_silence_s
from assistant.tools.bench.endpoint import summary as endpoint_summary
from assistant.tools.bench.latency import summary
from assistant.tools.bench.lib.rehearsal import SPANS, answers, is_cut_off
from assistant.tools.bench.lib.variants import PLAIN, changed
from tests.tools.bench.conftest import Rehearse, spoken

QUESTION, TIME, TIMER, LAMP = 1000, 2000, 3000, 4000


def test_response_is_counted_from_the_last_sample_of_speech(rehearsed: Rehearse) -> None:
    session = rehearsed(spoken(QUESTION), conversation={"speculate": False}, llm={"knowledge": "always"})
    (answer,) = answers(session.said)
    # A complete question ends after the wait, then 200 ms of recognition are still to do.
    wait_ms = Settings().endpoint.unclear_ms
    assert answer.by == "llm"
    assert answer.stage_ms("endpoint") == pytest.approx(wait_ms, abs=25)
    assert answer.stage_ms("stt") == pytest.approx(200, abs=1)
    assert answer.stage_ms("first_token") == pytest.approx(200, abs=1)
    assert answer.stage_ms("vad_lag") == pytest.approx(0, abs=20)
    assert answer.stage_ms("response") == pytest.approx(
        sum(
            answer.stage_ms(stage) or 0
            for stage in ("endpoint", "stt", "first_token", "first_clause", "first_audio")
        ),
        abs=25,
    )


def test_a_vad_that_lags_does_not_make_the_response_look_shorter(rehearsed: Rehearse) -> None:
    """The speech in this recording ended 300 ms before the detector let go."""
    prompt = spoken(QUESTION)
    early = prompt.spoken.__class__(prompt.spoken.begin_s, prompt.spoken.end_s - 0.3)
    said = rehearsed(prompt.__class__(prompt.name, prompt.pcm, early)).said
    (answer,) = answers(said)
    response_ms, by_vad_ms = answer.stage_ms("response"), answer.stage_ms("response_by_vad")
    assert response_ms is not None
    assert by_vad_ms is not None
    assert answer.stage_ms("vad_lag") == pytest.approx(300, abs=20)
    assert response_ms - by_vad_ms == pytest.approx(300, abs=20)


def test_an_answer_to_half_a_sentence_is_a_cut_off_and_no_response(rehearsed: Rehearse) -> None:
    session = rehearsed(spoken(LAMP, pause_ms=2500), spoken(QUESTION))
    assert [is_cut_off(said) for said in session.said] == [True, False]
    assert [answer.name for answer in answers(session.said)] == ["1000.wav"]
    document = endpoint_summary(session.said, recordings=2)
    assert document["cut_off"]["rate"] == 0.5
    (cut,) = document["cut_off"]["recordings"]
    assert (cut["recording"], cut["heard"]) == ("4000.wav", "Turn on the lamp.")
    assert 1.5 < cut["at_s"] < 3


def test_a_turn_that_was_taken_back_is_no_cut_off(rehearsed: Rehearse) -> None:
    slow = {"conversation": {"speculate": False}}
    session = rehearsed(spoken(QUESTION, pause_ms=750), **slow)
    document = endpoint_summary(session.said, recordings=1)
    assert document["cut_off"]["n"] == 0
    assert document["taken_back"] == 1
    assert document["unanswered"] == 0


def test_what_is_thrown_away_is_counted(rehearsed: Rehearse) -> None:
    document = summary(rehearsed(spoken(QUESTION, pause_ms=260)), recordings=1)
    assert document["speculation"]["hits"] == 1
    assert document["speculation"]["thrown_away"] == 1
    assert 0.1 < document["speculation"]["wasted_s"] < document["speculation"]["useful_s"]


def test_the_document_has_every_stage_of_every_kind_and_is_json(rehearsed: Rehearse) -> None:
    session = rehearsed(spoken(QUESTION), spoken(TIME), spoken(LAMP))
    document = summary(session, recordings=3)
    assert (document["answered"], document["cut_off"], document["failed"]) == (3, 0, 0)
    for part, n in ((document, 3), (document["llm"], 2), (document["skills"], 1)):
        assert part["response"]["n"] == n
        assert set(SPANS) <= set(part)
        for stage in ("response", "endpoint", "stt", "first_audio"):
            assert 0 <= part[stage]["p50_ms"] <= part[stage]["p95_ms"]
    assert document["skills"]["first_token"] == {"p50_ms": None, "p95_ms": None, "n": 0}
    assert document["word_error_rate"] == 0
    assert document["underruns"] == 0
    assert document["peak_rss_mb"] > 10
    assert document["real_time_factor"]["stt"] == pytest.approx(0.2)
    assert document["real_time_factor"]["tts"] == pytest.approx(0.06, rel=0.1)
    assert [turn["by"] for turn in document["turns"]] == ["llm", "skill", "llm"]
    json.dumps(document, allow_nan=False)


def test_wrong_words_are_counted_over_all_words(rehearsed: Rehearse) -> None:
    said = spoken(QUESTION)
    other = said.__class__(said.name, said.pcm, said.spoken, "Why is the sea blue?")
    document = summary(rehearsed(other, spoken(TIME)), recordings=2)
    assert document["word_error_rate"] == pytest.approx(1 / 9, abs=0.001)


def test_timers_of_a_bench_are_nobodys(rehearsed: Rehearse, tmp_path: Path) -> None:
    session = rehearsed(spoken(TIMER), spoken(TIME))
    assert session.said[0].turns[0].report.handled_by != "llm"
    assert not list(tmp_path.rglob("*.db"))


def test_plainly_chained_every_turn_ends_after_the_same_silence(rehearsed: Rehearse) -> None:
    plain = {section: dict(keys) for section, keys in PLAIN.items()}
    document = summary(rehearsed(spoken(QUESTION), spoken(TIME), **plain), recordings=2)
    assert document["endpoint"]["p50_ms"] == pytest.approx(800, abs=25)
    assert document["speculation"] | {"useful_s": 0} == {
        "hits": 0,
        "misses": 2,
        "thrown_away": 0,
        "wasted_s": 0,
        "useful_s": 0,
    }
    assert not changed(Settings(), PLAIN).stt.short_context


@pytest.mark.parametrize(
    ("speech", "end_s"),
    [
        ("1" * 10 + "0" * 60, 1.0),
        ("0" * 100, None),
        ("1" * 10 + "0" * 39 + "1" + "0" * 60, 1.8),
        ("1" * 50, None),
    ],
)
def test_a_fixed_silence_ends_a_turn(speech: str, end_s: float | None) -> None:
    assert first_silence_s(each == "1" for each in speech) == end_s
