"""Each case comes out as expected."""

from __future__ import annotations

import pytest

from tests.cases.judge import CASES, Case, complaints


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_case_comes_out_as_expected(case: Case) -> None:
    assert complaints(case) == []


def test_the_judge_can_say_no() -> None:
    wrong = {"id": "x", "kind": "x", "input": "set a timer for ten minutes", "expected": "", "book": []}
    assert complaints(wrong)
    assert complaints({**wrong, "input": "It is 5.", "spoken": "It is six."})
    assert complaints({**wrong, "settings": "llm: {max_tokens: many}"})
    assert complaints({**wrong, "template": ""})
