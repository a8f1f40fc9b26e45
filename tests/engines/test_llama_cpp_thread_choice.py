"""Fewer threads while others are busy, all of them again afterwards, and whatever is faster in between."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from assistant.engines.llm.llama_cpp.threads import ThreadChoice

QUIET_S = {1: 0.042, 2: 0.036, 4: 0.030}
"""A token with so many threads: the memory is what takes the time, as on the machine this was made on."""
BESIDE_ONE_S = {1: 0.043, 2: 0.070, 4: 0.060}
"""Beside a program that keeps one core busy."""
SPINNING_S = {1: 0.043, 2: 2.0, 4: 2.0}
"""Beside one that spins at barriers, as another language model does."""


def write(choice: ThreadChoice, tokens: int, took_s: Callable[[int], float]) -> list[int]:
    """The threads that each token got."""
    used = []
    for _ in range(tokens):
        used.append(choice.threads)
        choice.took(took_s(choice.threads))
    return used


def test_a_quiet_machine_keeps_all_threads() -> None:
    assert set(write(ThreadChoice(4), 500, QUIET_S.__getitem__)) == {4}


def test_beside_a_busy_program_it_keeps_most_of_its_speed() -> None:
    choice = ThreadChoice(2)
    write(choice, 20, QUIET_S.__getitem__)
    used = write(choice, 300, BESIDE_ONE_S.__getitem__)
    assert used[:3] == [2, 2, 1]
    took_s = sum(BESIDE_ONE_S[threads] for threads in used)
    assert 300 * QUIET_S[2] / took_s > 0.8
    assert used[150:].count(2) <= 4, "attempts become rare"


def test_beside_one_that_spins_it_goes_down_to_what_waits_for_nobody() -> None:
    choice = ThreadChoice(4)
    write(choice, 20, QUIET_S.__getitem__)
    used = write(choice, 300, SPINNING_S.__getitem__)
    assert used.count(1) > 270
    assert sum(threads > 1 for threads in used[150:]) <= 4


def test_all_threads_come_back_when_the_machine_is_quiet_again() -> None:
    choice = ThreadChoice(4)
    write(choice, 20, QUIET_S.__getitem__)
    write(choice, 40, SPINNING_S.__getitem__)
    write(choice, 400, QUIET_S.__getitem__)
    assert choice.threads == 4


def test_where_fewer_threads_are_slower_still_it_stays() -> None:
    choice = ThreadChoice(2)
    write(choice, 20, {1: 0.09, 2: 0.05}.__getitem__)
    used = write(choice, 300, {1: 0.10, 2: 0.08}.__getitem__)
    assert used.count(1) < 15
    assert choice.threads == 2


def test_a_long_context_makes_tokens_slower_and_costs_next_to_nothing() -> None:
    choice = ThreadChoice(2)
    used = []
    for token in range(1000):
        used += write(choice, 1, lambda threads, at=token: QUIET_S[threads] * (1 + at / 1000))  # type: ignore[misc]
    assert used.count(2) > 970


def test_one_slow_token_changes_nothing() -> None:
    choice = ThreadChoice(2)
    for _ in range(50):
        write(choice, 3, QUIET_S.__getitem__)
        choice.took(5.0)
    assert choice.threads == 2


@given(st.integers(1, 64), st.lists(st.floats(1e-6, 10)))
def test_there_is_always_a_thread_and_never_one_too_many(most: int, times_s: list[float]) -> None:
    choice = ThreadChoice(most)
    for each_s in times_s:
        choice.took(each_s)
        assert 1 <= choice.threads <= most
