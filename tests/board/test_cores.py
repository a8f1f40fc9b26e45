"""Which cores count, and what control groups and affinity leave of them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from assistant.board import limits
from assistant.board.cores import big_cores, usable_cores
from assistant.board.recognise import recognise
from tests.board.machines import JETSON_NANO, MACHINES, PI_4, RYZEN_5600G, Machine


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.profile)
def test_big_cores_are_one_thread_of_each_fast_core(machine: Machine, tmp_path: Path) -> None:
    assert big_cores(machine.lay_out(tmp_path)) == machine.big_cores


def test_offline_cores_do_not_count(tmp_path: Path) -> None:
    PI_4.lay_out(tmp_path)
    (tmp_path / "sys/devices/system/cpu/online").write_text("0,2-3\n")
    assert big_cores(tmp_path) == (0, 2, 3)


def test_only_cores_of_our_affinity_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert usable_cores() == 1
    assert big_cores() == (0,)


def _join_group(root: Path, membership: str, files: Mapping[str, str]) -> None:
    """Lay out /proc/self/cgroup and files below /sys/fs/cgroup."""
    files = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in {"proc/self/cgroup": membership, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_cpu_quota_leaves_whole_cores(tmp_path: Path) -> None:
    RYZEN_5600G.lay_out(tmp_path)
    _join_group(tmp_path, "0::/system.slice/assistant.service\n", {"system.slice/cpu.max": "250000 100000\n"})
    assert limits.cpu_quota(tmp_path) == 2.5
    assert usable_cores(tmp_path) == 2
    assert big_cores(tmp_path) == (0, 1)


def test_half_a_core_is_still_one_thread(tmp_path: Path) -> None:
    PI_4.lay_out(tmp_path)
    _join_group(tmp_path, "0::/\n", {"cpu.max": "50000 100000\n"})
    assert usable_cores(tmp_path) == 1
    assert big_cores(tmp_path) == (0,)


def test_the_tightest_group_counts(tmp_path: Path) -> None:
    _join_group(tmp_path, "0::/a/b\n", {"a/cpu.max": "100000 100000\n", "a/b/cpu.max": "max 100000\n"})
    assert limits.cpu_quota(tmp_path) == 1.0


def test_version_1_groups_are_understood(tmp_path: Path) -> None:
    JETSON_NANO.lay_out(tmp_path)
    files = {
        "cpu/box/cpu.cfs_quota_us": "200000\n",
        "cpu/box/cpu.cfs_period_us": "100000\n",
        "memory/box/memory.limit_in_bytes": "1500000000\n",
    }
    _join_group(tmp_path, "4:memory:/box\n1:cpu:/box\n", files)
    board = recognise(tmp_path)
    assert (board.cores, board.memory_mb) == (2, 1500)


def test_a_memory_limit_is_what_we_have(tmp_path: Path) -> None:
    JETSON_NANO.lay_out(tmp_path)
    _join_group(tmp_path, "0::/box\n", {"box/memory.max": "2000000000\n"})
    assert recognise(tmp_path).memory_mb == 2000


def test_no_limit_is_infinite(tmp_path: Path) -> None:
    files = {
        "cpu.max": "max 100000\n",
        "memory.max": "max\n",
        "cpu/cpu.cfs_quota_us": "-1\n",
        "cpu/cpu.cfs_period_us": "100000\n",
    }
    _join_group(tmp_path, "1:cpu:/\n0::/../../x\n", files)
    assert limits.cpu_quota(tmp_path) == math.inf
    assert limits.memory_bytes(tmp_path) == math.inf
