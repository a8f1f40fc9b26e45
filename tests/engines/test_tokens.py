"""Whole letters and no stop strings, however the bytes come."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.engines.llm.tokens import TextPieces

letters = st.text(st.sampled_from("abAB|<> é語🙂"), max_size=40)


def run(data: bytes, cuts: list[int], stop: list[str]) -> tuple[list[str], TextPieces]:
    """Feed ``data`` cut at ``cuts``; every non-empty piece that came."""
    pieces = TextPieces(stop)
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    given_out = [pieces.feed(data[begin:end]) for begin, end in pairwise(edges)]
    return [piece for piece in (*given_out, pieces.finish()) if piece], pieces


def before_stop(text: str, stop: list[str]) -> str:
    return text[: min((at for at in map(text.find, stop) if at >= 0), default=len(text))]


@given(letters, st.lists(st.integers(0, 1000)))
def test_the_text_is_whole_however_it_is_cut(text: str, cuts: list[int]) -> None:
    pieces, _ = run(text.encode(), cuts, [])
    assert "".join(pieces) == text
    assert "\ufffd" not in "".join(pieces)


@given(
    letters,
    st.lists(st.integers(0, 1000)),
    st.lists(st.text(st.sampled_from("abAB|<>é"), min_size=1, max_size=4), max_size=3),
)
def test_a_stop_string_ends_the_text_however_it_is_cut(text: str, cuts: list[int], stop: list[str]) -> None:
    pieces, state = run(text.encode(), cuts, stop)
    said = "".join(pieces)
    assert not any(mark in said for mark in stop)
    assert text.startswith(said)
    if not stop:
        assert said == text
    assert state.stopped == any(mark in text for mark in stop)
    if len(stop) == 1:
        assert said == before_stop(text, stop)


def test_what_may_become_a_stop_string_is_held_until_it_is_not() -> None:
    pieces = TextPieces(["<end>"])
    assert pieces.feed(b"one <e") == "one "
    assert pieces.feed(b"n") == ""
    assert pieces.feed(b"ough") == "<enough"
    assert pieces.feed(b" <en") == " "
    assert pieces.finish() == "<en"


def test_after_a_stop_string_nothing_comes() -> None:
    pieces = TextPieces(["\n"])
    assert pieces.feed(b"one\ntwo") == "one"
    assert pieces.stopped
    assert pieces.feed(b"three") == ""
    assert pieces.finish() == ""


def test_half_a_letter_at_the_end_is_dropped() -> None:
    pieces = TextPieces()
    assert pieces.feed("é".encode()[:1]) == ""
    assert pieces.finish() == ""


@pytest.mark.parametrize("data", [b"\xff", b"\xc3("])
def test_bytes_that_are_no_text_become_the_replacement_mark(data: bytes) -> None:
    pieces = TextPieces()
    assert (pieces.feed(data) + pieces.finish()).startswith("\ufffd")
