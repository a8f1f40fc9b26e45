"""Skills as calls: whatever the grammar lets through is a call that can be carried out."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.skills import Skills, calls, slot_types
from assistant.skills.builtin.control import Level
from assistant.skills.builtin.units import Measure
from assistant.skills.timer_book import TimerBook
from assistant.text.en.moments import Moment, PlainMoment
from assistant.tools.bench.corpus import QUESTIONS, REQUESTS
from tests.skills.conftest import Home

TYPES: list[Any] = [
    *(str, int, float, timedelta, tuple[str, ...], Level, Moment, timedelta | None, Moment | None),
    Literal["today", "tomorrow"],
]


def skill(slots: dict[str, tuple[Any, bool]], *, is_given: bool = True) -> Callable[..., str]:
    """A skill of that signature: name -> type, and whether it is required."""

    def some_skill(**_: object) -> str:
        """Do something."""
        return ""

    empty = inspect.Parameter.empty
    parameters = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=empty if required else None
        )
        for name, (kind, required) in slots.items()
    ]
    if is_given:
        parameters.append(inspect.Parameter("timers", inspect.Parameter.KEYWORD_ONLY, annotation=TimerBook))
    some_skill.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return some_skill


def as_regex(gbnf: str) -> str:
    """The same language as a regular expression: our grammars are not recursive."""
    rules = dict(line.split(" ::= ", 1) for line in gbnf.splitlines())
    parts = re.compile(r'"(?:\\.|[^"\\])*"|\[[^\]]*\]|[a-z][a-z0-9-]*|[()|?]|\{\d+,\d+\}|\s+')

    def of(rule: str) -> str:
        pieces, end = [], 0
        for found in parts.finditer(rule):
            assert found.start() == end, rule[end:]
            part, end = found.group(), found.end()
            if part.startswith('"'):
                pieces.append(re.escape(re.sub(r"\\(.)", r"\1", part[1:-1])).join(("(?:", ")")))
            elif part[0].isalpha():
                pieces.append(f"(?:{of(rules[part])})")
            elif not part.isspace():
                pieces.append("(?:" if part == "(" else part)
        assert end == len(rule), rule[end:]
        return "".join(pieces)

    return of("root")


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,6}_[a-z]{1,3}", fullmatch=True),
        st.tuples(st.sampled_from(TYPES), st.booleans()),
        max_size=4,
    ),
    st.data(),
)
def test_whatever_the_grammar_lets_through_can_be_called(
    slots: dict[str, tuple[Any, bool]], data: st.DataObject
) -> None:
    call = calls.call_of(skill(slots))
    assert call is not None
    text = data.draw(st.from_regex(as_regex(calls.grammar([call])), fullmatch=True))
    found = calls.read(text, {call.name: call})
    assert found is not None, text
    name, arguments = found
    assert name == "some_skill"
    assert {slot for slot, (_, required) in slots.items() if required} <= arguments.keys() <= slots.keys()
    for slot, value in arguments.items():
        kind = slots[slot][0]
        expected = slot_types.without_none(kind)
        expected = tuple if expected == tuple[str, ...] else expected
        assert isinstance(value, expected if isinstance(expected, type) else str), (slot, value)


@pytest.mark.parametrize("kind", [Measure, PlainMoment.__class__, dict])
def test_a_skill_of_which_no_grammar_can_write_a_value_is_not_offered(kind: Any) -> None:
    assert calls.call_of(skill({"value": (kind, True)})) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "some_skill(a=1)",
        "@some_skill(a=1",
        "@some_skill(1)",
        "@some_skill(a=1, a=2)",
        "@some_skill(a=True)",
        '@some_skill(a="1")',
        "@some_skill(b=1)",
        "@some_skill()",
        "@some_skill(**{'a': 1})",
        "@some_skill(a=__import__('os'))",
        "@other(a=1)",
        "@some_skill(a=" + "(" * 900 + ")",
        "@some_skill(a=1)" + " " * 2000,
        "@x.some_skill(a=1)",
    ],
)
def test_anything_else_is_no_call(text: str) -> None:
    call = calls.call_of(skill({"a": (int, True)}))
    assert call is not None
    assert calls.read("@some_skill(a=1)", {call.name: call}) == ("some_skill", {"a": 1})
    assert calls.read(text, {call.name: call}) is None


@given(st.text())
def test_no_text_does_harm(text: str) -> None:
    call = calls.call_of(skill({"a": (int, True)}))
    assert call is not None
    calls.read(f"@some_skill({text})", {call.name: call})


def test_the_examples_in_the_prompt_are_calls_that_the_grammar_writes(skills: Skills) -> None:
    pattern = re.compile(as_regex(skills.grammar))
    for said, call in (pair for pairs in calls.EXAMPLES.values() for pair in pairs):
        assert pattern.fullmatch(call), call
        assert skills.called(call), call
        assert said in skills.call_prompt
    assert calls.EXAMPLES.keys() == skills.calls.keys()


def test_what_the_bench_asks_is_what_no_sentence_fits(skills: Skills) -> None:
    told = {said for pairs in calls.EXAMPLES.values() for said, _ in pairs}
    assert len(REQUESTS) >= 40
    assert len(QUESTIONS) >= 40
    for said in (*(said for said, _ in REQUESTS), *QUESTIONS):
        assert skills.match(said) is None, said
        assert said not in told
    assert all(skills.called(call) for _, call in REQUESTS)


def test_a_call_does_what_a_sentence_does(home: Home) -> None:
    match = home.skills.called('@set_timer(duration="1 hours and 30 minutes", name="roast")')
    assert match is not None
    assert not match.only_answers
    assert home.timers.all("timer") == []
    assert match.run().speech == "One hour and thirty minutes, roast, starting now."
    (timer,) = home.timers.all("timer")
    assert (timer.name, timer.duration) == ("roast", timedelta(minutes=90))
