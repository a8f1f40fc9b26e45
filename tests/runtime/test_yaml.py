"""YAML with lines: what is read, what is refused, and on which line it says so."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.runtime.yaml import MAX_CHARACTERS, MAX_DEPTH, read


def test_values_are_plain_and_know_their_lines() -> None:
    marked = read("llm:\n  stop:\n    - a\n    - 'b'\n\n  seed: 7\n# end\nspeed: 1.5\n")
    assert marked.value == {"llm": {"stop": ["a", "b"], "seed": 7}, "speed": 1.5}
    assert marked.lines == {
        ("llm",): 1, ("llm", "stop"): 2, ("llm", "stop", 0): 3, ("llm", "stop", 1): 4,
        ("llm", "seed"): 6, ("speed",): 8,
    }  # fmt: skip
    assert marked.faults == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("off", "off"), ("yes", "yes"), ("no", "no"),
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("12", 12), ("-3", -3), ("28_000", 28_000), ("010", 10), ("0x1f", "0x1f"),
        ("1e3", 1000.0), (".5", 0.5), ("1.", 1.0), ("1:30", "1:30"), ("2020-01-01", "2020-01-01"),
        ("1.2.3", "1.2.3"), (".inf", ".inf"), (".nan", ".nan"), ("'5'", "5"),
        ('"true"', "true"), ("!!str 5", "5"),
        ("[1, x, {a: null}]", [1, "x", {"a": None}]), ("<<", "<<"), ("9" * 5000, "9" * 5000),
    ],
)  # fmt: skip
def test_how_a_value_is_understood(text: str, value: object) -> None:
    understood = read(f"key: {text}").value
    assert understood == {"key": value}
    assert isinstance(understood, dict)
    assert type(understood["key"]) is type(value)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 1\nllm:\n\ttop_k: 2", 3, "tab"),
        ("a: 1\nb: x: y", 2, "an unexpected ':'"),
        ("a:\n  b: 1\n c: 2", 3, "indentation doesn't match"),
        ("a: 1\nb: 'never closed\nc: 2\n", 2, "quotation mark isn't closed"),
        ("a: 1\nb: [1, 2\nc: 3\n", 2, "bracket isn't closed"),
        ("a: 1\na: 2", 2, "'a' is set here and on line 1"),
        ("x: {a: 1, b: 2,\n a: 3}", 2, "'a' is set here and on line 1"),
        ("a: 1\nb: *anchor", 2, "'*anchor' needs quotes"),
        ("a: 1\nb: !!python/object:os.system ls", 2, "'!' needs quotes"),
        ("a: !!binary aGVsbG8=", 1, "'!' needs quotes"),
        ("a: 1\nb: @home", 2, "needs quotes"),
        ("? [a]\n: 1", 1, "plain word"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("a: 1\nb: \x07", 2, "invisible character U+0007"),
        ('a: "\\ud800"', 1, "not valid characters"),
        ('a: 1\nb: "\\0"', 2, "not valid characters"),
        ('a: "C:\\dir"', 1, "backslash"),
        ('a: "\\UFFFFFFFF"', 1, "does not exist"),
        ("%YAML 2.0\n---\na: 1", 1, "not YAML"),
        ("[" * (MAX_DEPTH + 2), 1, "deep"),
        ("{a: " * 5000, 1, "deep"),
        ("#" * (MAX_CHARACTERS + 1), 1, "longer than"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, problem: str) -> None:
    (fault,) = read(text).faults
    assert fault.line == line
    assert problem in fault.problem


def test_several_faults_come_at_once() -> None:
    assert [fault.line for fault in read("a: 1\na: 2\nb: 1\nb: 2\nc: 'x").faults] == [2, 4, 5]


def test_an_alias_bomb_does_not_explode() -> None:
    lines = ["a0: &a0 [x]", *(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]" for n in range(9))]
    assert "alias" in read("\n".join(lines)).faults[0].problem


printable = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=20)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | printable,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(printable, inner, max_size=4),
    max_leaves=20,
)


@given(plain)
def test_json_is_read_as_json(value: object) -> None:
    marked = read(json.dumps(value, ensure_ascii=False))
    assert (marked.value, marked.faults) == (value, [])


@given(st.text(st.sampled_from("ab:- \n\t'\"[]{},#&*!|>%@`?~1.0\\\x85\0\ud800é")))
def test_any_text_is_read_or_refused_but_never_raises(text: str) -> None:
    marked = read(text)
    assert all(1 <= fault.line <= text.count("\n") + text.count("\x85") + 1 for fault in marked.faults)
