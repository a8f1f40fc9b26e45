"""Phonemes from the real espeak-ng program."""

# ruff: noqa: RUF001  # phonemes and full-width marks look like other letters

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.errors import EngineFailed, EngineUnavailable
from assistant.engines.tts.espeak import Clause, Espeak, split_at_marks


@pytest.fixture(scope="module")
def espeak() -> Espeak:
    return Espeak("en-us")


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello, world. How are you?", [("Hello", ","), ("world", "."), ("How are you", "?")]),
        ("Costs 3.5 at 10:30, ok...", [("Costs 3.5 at 10:30", ","), ("ok", ".")]),
        (
            "He said “no.” Then (well) left.",
            [("He said no", "."), ("Then", ","), ("well", ","), ("left", ".")],
        ),
        ("It is (now).", [("It is", ","), ("now", ".")]),
        ("Really?! Yes!", [("Really", "?"), ("Yes", "!")]),
        (
            "well-known - yes; no – so—this",
            [("well-known", ","), ("yes", ";"), ("no", ","), ("so", ","), ("this", "")],
        ),
        ("It’s 'fine.' Go", [("It's 'fine", "."), ("' Go", "")]),
        ("你好。再见！", [("你好", "."), ("再见", "!")]),
        ("Hi 😀 there\x01", [("Hi there", "")]),
        ("[[h@l]] <b>", [("h@l", ","), ("<b>", "")]),
        ("... - ,", []),
        ("", []),
    ],
)
def test_marks_cut_and_are_kept(text: str, pieces: list[tuple[str, str]]) -> None:
    assert split_at_marks(text) == pieces


@given(st.text())
def test_every_piece_has_something_to_say(text: str) -> None:
    for words, mark in split_at_marks(text):
        assert any(map(str.isalnum, words))
        assert mark in ("", *".?!,;:")


def test_words_become_phonemes_and_marks_stay(espeak: Espeak) -> None:
    assert espeak.clauses("Hello, world.") == (Clause("həlˈoʊ", ","), Clause("wˈɜːld", "."))


def test_nothing_pronounceable_is_nothing(espeak: Espeak) -> None:
    assert espeak.clauses("... 😀 !") == ()


def test_text_is_never_taken_for_commands(espeak: Espeak) -> None:
    # "[[...]]" would be phonemes, and a control character a command, to espeak-ng.
    assert espeak.clauses("[[h@l'oU]]") == espeak.clauses("h@l'oU,")
    assert espeak.clauses("one\x01100v two") == espeak.clauses("one 100v two")
    assert espeak.clauses("--version") != ()


def test_text_that_espeak_cuts_itself_stays_one_clause(espeak: Espeak) -> None:
    (clause,) = espeak.clauses("word " * 600 + "!")
    assert clause.phonemes.count("wˈɜːd") == 600
    assert clause.mark == "!"


def test_language_switches_are_no_phonemes() -> None:
    (clause,) = Espeak("fr").clauses("le computer")
    assert "(" not in clause.phonemes


def test_an_unknown_voice_says_so() -> None:
    with pytest.raises(EngineUnavailable, match="doesn't have the language 'xx-nowhere'"):
        Espeak("xx-nowhere")


def test_a_missing_program_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineUnavailable, match="apt install espeak-ng"):
        Espeak("en-us")


def test_a_failing_program_is_an_engine_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "espeak-ng"
    program.write_text(
        "#!/bin/sh\nread line\n[ \"$line\" = 1 ] && echo w && exit 0\necho 'It broke.' >&2; exit 3\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    espeak = Espeak("en-us")
    with pytest.raises(EngineFailed, match=r"'espeak-ng' failed: It broke\."):
        espeak.clauses("hello")
