"""Fewer threads while others are busy, all of them again afterwards."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assistant.engines.thread_choice import ThreadChoice


def write(choice: ThreadChoice, tokens: int, *, busy: bool) -> list[int]:
    """The threads that each token got; one thread takes 80 ms, many share that, and busy ones take 2 s."""
    used = []
    for _ in range(tokens):
        used.append(choice.threads)
        choice.took(2.0 if busy and choice.threads > 1 else 0.08 / choice.threads)
    return used


def test_a_quiet_machine_keeps_all_threads() -> None:
    assert set(write(ThreadChoice(4), 500, busy=False)) == {4}


def test_beside_a_busy_program_it_goes_down_to_what_waits_for_nobody() -> None:
    choice = ThreadChoice(4)
    write(choice, 20, busy=False)
    used = write(choice, 200, busy=True)
    assert used[:5] == [4, 4, 2, 2, 1]
    assert used.count(1) > 180
    # Each attempt costs two slow tokens, so they become rare.
    assert sum(threads > 1 for threads in used[100:]) <= 4


def test_all_threads_come_back_when_the_machine_is_quiet_again() -> None:
    choice = ThreadChoice(4)
    write(choice, 20, busy=False)
    write(choice, 40, busy=True)
    write(choice, 300, busy=False)
    assert choice.threads == 4


def test_one_slow_token_changes_nothing() -> None:
    choice = ThreadChoice(2)
    for _ in range(50):
        write(choice, 3, busy=False)
        choice.took(5.0)
    assert choice.threads == 2


@given(st.integers(1, 64), st.lists(st.floats(1e-6, 10)))
def test_there_is_always_a_thread_and_never_one_too_many(most: int, times_s: list[float]) -> None:
    choice = ThreadChoice(most)
    for each_s in times_s:
        choice.took(each_s)
        assert 1 <= choice.threads <= most
