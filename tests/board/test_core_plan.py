"""One plan for all cores: on boards laid out as folders, and on this machine's own threads."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.board import core_plan
from assistant.board.core_plan import CorePlan
from assistant.board.cores import MOST_PROCESSORS, allowed_cores, cpu_list
from assistant.settings.schema import Settings
from tests.board.machines import (
    APPLE_M1,
    JETSON_ORIN_NANO,
    MACHINES,
    NUC_12,
    PI_5,
    RYZEN_5600G,
    VIRTUAL_PC,
    Machine,
)

can_pin = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no core pinning on this system")


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.profile)
def test_nobody_is_oversubscribed(machine: Machine, tmp_path: Path) -> None:
    found = core_plan.plan(machine.lay_out(tmp_path))
    assert found.engines
    assert set(found.engines) <= set(machine.big_cores)
    assert not set(found.engines) & set(found.loop)
    assert set(found.engines) | set(found.loop) <= set(found.all)
    assert bool(found.loop) is found.pinned is (machine.processors > 2)


@pytest.mark.parametrize(
    ("machine", "engines", "loop"),
    [
        (PI_5, (1, 2, 3), (0,)),
        (JETSON_ORIN_NANO, (1, 2, 3, 4, 5), (0,)),
        (APPLE_M1, (4, 5, 6, 7), (0, 1, 2, 3)),
        (RYZEN_5600G, (1, 2, 3, 4, 5), (0, 6)),  # both threads of the core that is left over
        (NUC_12, (0, 2, 4, 6), (8, 9, 10, 11, 12, 13, 14, 15)),
        (VIRTUAL_PC, (0,), ()),
    ],
    ids=lambda value: getattr(value, "profile", ""),
)
def test_who_gets_which(
    machine: Machine, engines: tuple[int, ...], loop: tuple[int, ...], tmp_path: Path
) -> None:
    found = core_plan.plan(machine.lay_out(tmp_path))
    assert (found.engines, found.loop) == (engines, loop)


def test_who_wants_every_core_gets_them(tmp_path: Path) -> None:
    settings = Settings.model_validate({"llm": {"threads": 4}})
    found = core_plan.plan(PI_5.lay_out(tmp_path), most_threads=settings.most_threads)
    assert (found.engines, found.loop) == ((0, 1, 2, 3), ())


def test_chosen_cores_are_taken_as_far_as_they_are_allowed(tmp_path: Path) -> None:
    settings = Settings.model_validate({"cores": {"engines": [2, 3, 9]}})
    found = core_plan.plan(PI_5.lay_out(tmp_path), chosen=settings.cores.engines)
    assert (found.engines, found.loop) == ((2, 3), (0, 1))


def test_who_does_not_want_pinning_has_none(tmp_path: Path) -> None:
    settings = Settings.model_validate({"cores": {"pin": False}})
    found = core_plan.plan(PI_5.lay_out(tmp_path), pin=settings.cores.pin)
    assert (found.engines, found.loop, found.pinned) == ((0, 1, 2, 3), (), False)


def test_a_cpuset_is_kept_to(tmp_path: Path) -> None:
    PI_5.lay_out(tmp_path)
    (tmp_path / "proc/self").mkdir()
    (tmp_path / "proc/self/status").write_text("Name:\tpython3\nCpus_allowed_list:\t1-3\n")
    found = core_plan.plan(tmp_path)
    assert (found.engines, found.loop, found.all) == ((2, 3), (1,), (1, 2, 3))


def test_granted_time_is_not_bound_to_cores(tmp_path: Path) -> None:
    RYZEN_5600G.lay_out(tmp_path)
    for name, text in {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "350000 100000\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = core_plan.plan(tmp_path)
    assert (len(found.engines), found.pinned) == (3, False)
    assert "3.5 cores" in str(found)


def test_the_plan_reads_well() -> None:
    found = CorePlan((1, 2, 3, 6), (0,), (0, 1, 2, 3, 6), pinned=True, why="because")
    assert str(found) == "cores 1-3,6 for the models, core 0 for listening (because)"


# ---- on this machine ---------------------------------------------------------------------------


@can_pin
def test_a_thread_is_put_back_where_it_was() -> None:
    before = os.sched_getaffinity(0)
    with core_plan.kept_on({min(before)}):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before
    with core_plan.kept_on(()):
        assert os.sched_getaffinity(0) == before


@can_pin
def test_programs_started_by_helpers_may_use_every_core_again() -> None:
    before = os.sched_getaffinity(0)
    found = CorePlan((), (min(before),), tuple(sorted(before)), pinned=True, why="")
    ask = "import os; print(*sorted(os.sched_getaffinity(0)))"

    def child() -> set[int]:
        done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
        return set(map(int, done.stdout.split()))

    async def main() -> tuple[set[int], set[int]]:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(core_plan.helpers(found))
        with core_plan.kept_on(found.loop):
            return child(), await loop.run_in_executor(None, child)

    pinned, helped = asyncio.run(main())
    assert (pinned, helped) == ({min(before)}, before)


# ---- the kernel's lists ------------------------------------------------------------------------


@given(st.sets(st.integers(0, 300), max_size=30))
def test_a_written_list_is_read_back(processors: set[int]) -> None:
    assert cpu_list(core_plan._listed(processors).partition(" ")[2]) == processors


@given(st.text(st.sampled_from("0123456789-, \nx"), max_size=30))
def test_any_list_is_survived(text: str) -> None:
    assert all(0 <= cpu <= MOST_PROCESSORS for cpu in cpu_list(text))


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_answers_make_a_plan(
    tmp_path_factory: pytest.TempPathFactory, online: str, allowed: str, siblings: str
) -> None:
    root = tmp_path_factory.mktemp("root")
    files = {
        "sys/devices/system/cpu/online": online,
        "proc/self/status": f"Cpus_allowed_list: {allowed}\n",
        "sys/devices/system/cpu/cpu0/topology/thread_siblings_list": siblings,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8", errors="replace")
    found = core_plan.plan(root)
    assert found.engines
    assert set(found.engines) <= set(found.all) <= set(allowed_cores(root))
