"""A worker's calls stay on one thread, one at a time, and let go of the loop when cancelled."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext

import pytest

from assistant.core.errors import EngineTimeout
from assistant.engines.scripted import ScriptedVad
from assistant.runtime import clock
from assistant.runtime.aio import prefetch
from assistant.runtime.cancel import Cancel
from assistant.runtime.engine_thread import EngineThread, FairLock


async def started(
    cores: Sequence[int] = (), in_turn: AbstractContextManager[object] | None = None
) -> EngineThread[ScriptedVad]:
    worker: EngineThread[ScriptedVad] = EngineThread("test", cores, in_turn or nullcontext())
    await worker.start(ScriptedVad)
    return worker


def test_every_call_runs_on_the_engines_own_thread() -> None:
    async def main() -> set[str]:
        worker = await started()
        names = {await worker.run(lambda *_: threading.current_thread().name) for _ in range(5)}
        await worker.close()
        return names

    (name,) = clock.run(main())
    assert name.startswith("test")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no core pinning on this system")
def test_the_thread_is_pinned() -> None:
    core = min(os.sched_getaffinity(0))

    async def main() -> set[int]:
        worker = await started(cores=[core])
        cores = await worker.run(lambda *_: os.sched_getaffinity(0))
        await worker.close()
        return cores

    assert clock.run(main()) == {core}


def test_workers_that_share_a_lock_take_it_in_turns_item_by_item() -> None:
    order: list[str] = []
    lock = FairLock()

    def write(_: ScriptedVad, cancel: Cancel) -> Iterator[int]:
        for count in range(50):
            order.append("begin")
            cancel.wait(0.002)
            order.append("end")
            yield count

    def speak(*_: object) -> None:
        assert order.count("begin") == order.count("end"), "the writer was at work"
        order.append("spoken")

    async def main() -> None:
        writer, speaker = await started(in_turn=lock), await started(in_turn=lock)
        pieces = writer.stream(write)
        async with aclosing(pieces):
            for _ in range(3):
                await anext(pieces)
            await speaker.run(speak)
            async for _ in pieces:
                pass
        await writer.close()
        await speaker.close()

    clock.run(main())
    assert order.index("spoken") < len(order) - 20, "it waited for the whole stream"


def test_a_stream_that_is_dropped_while_it_waits_for_its_turn_does_nothing() -> None:
    lock = FairLock()
    begun: list[int] = []

    def write(*_: object) -> Iterator[int]:
        begun.append(1)
        yield 1

    async def main() -> None:
        worker = await started(in_turn=lock)
        with lock:
            waiting = asyncio.ensure_future(anext(worker.stream(lambda *_: iter([1]))))
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            pieces = worker.stream(write)
            dropped = asyncio.ensure_future(anext(pieces))
            await asyncio.sleep(0.01)
            dropped.cancel()
            await asyncio.gather(dropped, return_exceptions=True)
        await worker.close()

    clock.run(main())
    assert not begun


def test_an_error_reaches_the_caller() -> None:
    async def main() -> None:
        worker = await started()
        await worker.run(lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        clock.run(main())


def test_cancelling_returns_at_once_and_tells_the_engine() -> None:
    async def main() -> tuple[float, bool]:
        loop = asyncio.get_running_loop()
        worker = await started()
        noticed = threading.Event()

        def work(_: ScriptedVad, cancel: Cancel) -> None:
            if cancel.wait(20):
                noticed.set()

        task = asyncio.ensure_future(worker.run(work))
        await asyncio.sleep(0.1)
        began = loop.time()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        took_s = loop.time() - began
        told = await asyncio.to_thread(noticed.wait, 10)
        await worker.close()
        return took_s, told

    took_s, told = clock.run(main())
    assert took_s < 5
    assert told


def test_the_work_of_an_abandoned_call_is_counted_to_its_end() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        worker = await started()
        spent: list[float] = []
        task = asyncio.ensure_future(worker.run(lambda *_: clock.occupy(loop, 3), spent.append))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not spent
        await worker.close()
        return spent

    assert clock.run(main(), "virtual") == [pytest.approx(3)]


def test_the_next_call_waits_for_an_abandoned_one() -> None:
    async def main() -> list[str]:
        worker = await started()
        order: list[str] = []

        def slow(*_: object) -> None:
            clock.occupy(loop, 3)
            order.append("abandoned")

        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(worker.run(slow))
        await asyncio.sleep(1)
        task.cancel()
        await worker.run(lambda *_: order.append("next"))
        await worker.close()
        return order

    assert clock.run(main(), "virtual") == ["abandoned", "next"]


def test_a_stream_yields_while_it_is_made_and_stops_when_closed() -> None:
    async def main() -> tuple[list[int], int]:
        worker = await started()
        loop = asyncio.get_running_loop()
        made = 0

        def count(_: ScriptedVad, cancel: Cancel) -> Iterator[int]:
            nonlocal made
            while not cancel:
                made += 1
                yield made
                clock.occupy(loop, 1)

        taken = []
        async with aclosing(worker.stream(count)) as numbers:
            async for number in numbers:
                taken.append(number)
                if number == 3:
                    break
        await worker.close()
        return taken, made

    taken, made = clock.run(main(), "virtual")
    assert taken == [1, 2, 3]
    assert made <= 4


def test_an_error_in_a_stream_reaches_the_reader_after_the_items() -> None:
    taken: list[int] = []

    async def main() -> None:
        worker = await started()

        def broken(*_: object) -> Iterator[int]:
            yield 1
            raise ValueError("broken")

        async for number in worker.stream(broken):
            taken.append(number)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(ValueError, match="broken"):
        clock.run(main())
    assert taken == [1]


async def _numbers(upto: int, made: list[int]) -> AsyncGenerator[int, None]:
    for number in range(upto):
        made.append(number)
        yield number
        await asyncio.sleep(1)


def test_prefetch_works_ahead_as_far_as_allowed() -> None:
    async def main() -> tuple[list[int], list[int]]:
        made: list[int] = []
        taken = []
        ahead = []
        async for number in prefetch(_numbers(6, made), 2):
            taken.append(number)
            await asyncio.sleep(100)
            ahead.append(made[-1] - number)
        return taken, ahead

    taken, ahead = clock.run(main(), "virtual")
    assert taken == list(range(6))
    assert max(ahead) == 2


def test_closing_prefetch_closes_its_source() -> None:
    async def main() -> bool:
        closed = False

        async def source() -> AsyncGenerator[int, None]:
            nonlocal closed
            try:
                while True:
                    yield 1
                    await asyncio.sleep(1)
            finally:
                closed = True

        async with aclosing(prefetch(source(), 1)) as items:
            async for _ in items:
                break
        return closed

    assert clock.run(main(), "virtual")


def test_an_engine_that_only_waits_leaves_the_others_their_turn() -> None:
    class Waiting(ScriptedVad):
        waits = True

    async def main() -> bool:
        lock = FairLock()
        worker: EngineThread[Waiting] = EngineThread("test", (), lock)
        await worker.start(Waiting)
        with lock:  # somebody else computes
            waited = await asyncio.wait_for(worker.run(lambda engine, _: engine.waits), 20)
        Waiting.waits = False
        assert not await worker.run(lambda engine, _: engine.waits)
        await worker.close()
        return waited

    assert clock.run(main())


def test_one_that_hangs_is_left_behind_with_its_lock_and_closed_when_it_ends_at_last() -> None:
    lock, released, closed = FairLock(), threading.Event(), threading.Event()

    class Closing(ScriptedVad):
        def close(self) -> None:
            closed.set()

    async def main() -> None:
        worker: EngineThread[ScriptedVad] = EngineThread("test", in_turn=lock)
        other = await started(in_turn=lock)
        await worker.start(Closing)
        hanging = asyncio.ensure_future(worker.run(lambda *_: released.wait()))
        behind = asyncio.ensure_future(worker.run(lambda engine, _: engine))
        blocked = asyncio.ensure_future(other.run(lambda *_: "computed"))
        await asyncio.sleep(0.05)
        assert worker.hangs(limit_s=0.001)
        hanging.cancel()
        fresh = ScriptedVad()
        worker.leave(fresh)
        assert await behind is fresh
        assert await blocked == "computed"
        released.set()
        assert await asyncio.to_thread(closed.wait, 10)
        assert await other.run(lambda *_: "again") == "again", "the late one gave back what was not its"
        assert not worker.hangs(limit_s=0.001)
        await worker.close()
        await other.close()

    clock.run(main())


def test_who_still_waits_for_one_that_is_left_behind_is_told() -> None:
    released = threading.Event()

    async def main() -> None:
        worker = await started()
        waiting = asyncio.ensure_future(worker.run(lambda *_: released.wait()))
        await asyncio.sleep(0.01)
        worker.leave(ScriptedVad())
        with pytest.raises(EngineTimeout):
            await waiting
        await worker.close()

    clock.run(main())
    released.set()


def test_closing_waits_for_one_that_hangs_no_longer_than_told() -> None:
    released = threading.Event()

    async def main() -> None:
        worker = await started()
        waiting = asyncio.ensure_future(worker.run(lambda *_: released.wait()))
        await asyncio.sleep(0.01)
        await worker.close(within_s=0.05)
        assert not waiting.done()
        waiting.cancel()

    clock.run(main())
    released.set()
