"""Whoever asks first gets the lock first, and never two have it."""

from __future__ import annotations

import threading
import time

from assistant.runtime.engine_thread import FairLock


def test_it_is_given_in_the_order_in_which_it_was_asked_for() -> None:
    lock, order = FairLock(), list[int]()

    def take(number: int) -> None:
        with lock:
            order.append(number)

    threads = [threading.Thread(target=take, args=[number]) for number in range(8)]
    with lock:
        for thread in threads:
            thread.start()
            time.sleep(0.02)  # until it waits
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def test_never_two_at_once() -> None:
    lock, inside, most = FairLock(), list[int](), list[int]()

    def work() -> None:
        for _ in range(200):
            with lock:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert len(most) == 800


def test_one_that_takes_it_again_and_again_keeps_nobody_out() -> None:
    lock, taken = FairLock(), list[int]()
    served = threading.Event()

    def hog() -> None:
        while not served.is_set():
            with lock:
                taken.append(1)
                time.sleep(0.001)

    hogging = threading.Thread(target=hog)
    hogging.start()
    while not taken:
        time.sleep(0.001)
    before = len(taken)
    with lock:
        waited_for = len(taken) - before
    served.set()
    hogging.join()
    assert waited_for <= 2


def test_an_error_inside_gives_it_back() -> None:
    lock = FairLock()
    try:
        with lock:
            raise ValueError
    except ValueError:
        pass
    with lock:
        pass
