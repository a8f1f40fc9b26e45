"""The instruments of the profile, on what perf wrote, and on work whose cost is known."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.cli.main import main
from assistant.tools.bench.lib import meters
from assistant.tools.bench.lib.meters import Meters
from assistant.tools.bench.profile import Ledger, Metered, waited_s

HARDWARE = """\
# started on Mon Nov 23 10:00:00 2026

1204.51,msec,task-clock:u,1204507931,100.00,1.870,CPUs utilized
312,,context-switches:u,1204507931,100.00,259.027,/sec
4,,cpu-migrations:u,1204507931,100.00,3.321,/sec
5120,,page-faults:u,1204507931,100.00,4.251,K/sec
3600000000,,cycles:u,1204507931,100.00,2.989,GHz
5400000000,,instructions:u,1204507931,100.00,1.50,insn per cycle
54000000,,cache-misses:u,1204507931,100.00,,
"""
"""As perf 6.1 writes it (perf-stat(1)) where the processor's counters may be read."""

VIRTUAL = """\
# started on Mon Nov 23 19:55:15 2026

0.78,msec,task-clock,783588,100.00,0.470,CPUs utilized
1,,context-switches,783588,100.00,1.276,K/sec
<not supported>,,cycles,0,100.00,,
<not counted>,,instructions,0,0.00,,
"""
"""What perf 6.1 wrote on a virtual machine."""

TWO_KINDS = """\
100,,cpu_core/cycles/,783588,100.00,,
40,,cpu_atom/cycles/,783588,50.00,,
7,,armv8_cortex_a72/cycles/u,783588,50.00,,
"""


def test_counters_of_a_processor_and_what_they_mean() -> None:
    found = meters.perf_counters(HARDWARE)
    assert found["cycles"] == 3_600_000_000
    assert found["task-clock"] == 1204.51
    told = dict(meters.counter_rows(found, wall_s=2.0))
    assert told["instructions a cycle"] == "1.50"
    assert told["cache misses of 1000 instructions"] == "10.0"
    assert told["read from memory, at least"] == "1728 MB/s"
    assert told["context switches"] == "312"


def test_what_cannot_be_counted_is_left_out() -> None:
    found = meters.perf_counters(VIRTUAL)
    assert found == {"task-clock": 0.78, "context-switches": 1}
    assert dict(meters.counter_rows(found, 1.0)) == {"context switches": "1"}


def test_kinds_of_cores_are_added() -> None:
    assert meters.perf_counters(TWO_KINDS) == {"cycles": 147}


@given(st.text(max_size=200))
def test_anything_else_is_no_counter_or_a_number(text: str) -> None:
    assert all(isinstance(value, float) for value in meters.perf_counters(text).values())


def burn(seconds: float) -> None:
    """Use so much of the processor on this thread."""
    until_s = time.thread_time() + seconds
    while time.thread_time() < until_s:
        pass


class Worker:
    """An engine whose work is done by a thread of its own, as libraries do it."""

    name = "a worker"

    def work(self, seconds: float) -> str:
        helper = threading.Thread(target=burn, args=(seconds,))
        helper.start()
        helper.join()
        return "done"

    def pieces(self) -> Iterator[int]:
        for number in range(2):
            burn(0.05)
            yield number


def test_who_computed_is_told_whichever_thread_it_was() -> None:
    ledger = Ledger()
    ledger.begin()
    one, other = Metered(Worker(), "one", ledger), Metered(Worker(), "other", ledger)
    burn(0.1)
    results: list[object] = []

    def engines() -> None:
        results.append(one.work(0.2))
        results.extend(other.pieces())

    thread = threading.Thread(target=engines)
    thread.start()
    thread.join()
    assert results == ["done", 0, 1]
    assert one.name == "a worker"
    figures = ledger.figures()
    spent = figures["cpu_s"]
    assert 0.2 <= spent["one"] < 0.3
    assert 0.1 <= spent["other"] < 0.2
    assert 0.1 <= spent["loop"] < 0.2
    assert figures["total_cpu_s"] == pytest.approx(sum(spent.values()), abs=0.01)


def test_waiting_for_a_core_is_summed_over_threads(tmp_path: Path) -> None:
    for number, content in enumerate(("1000 2000000000 5", "1000 500000000 5", "1", "")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "schedstat").write_text(content)
    assert waited_s(tmp_path) == 2.5
    assert waited_s(tmp_path / "nowhere") == 0


def tool(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!{sys.executable}\nimport signal, sys, time\n{script}")
    file.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_tools_are_asked_and_read(tools: Path) -> None:
    waits = "signal.signal(signal.SIGINT, lambda *_: sys.exit())\n"
    perf = (
        f"{waits}to = sys.argv[sys.argv.index('-o') + 1]\nopen(to, 'w').write({HARDWARE!r})\ntime.sleep(60)\n"
    )
    tool(tools, "perf", perf)
    line = "RAM 1/2MB EMC_FREQ 7%@1600 POM_5V_IN 2000/1900"
    log = f"open(sys.argv[sys.argv.index('--logfile') + 1], 'w').write({line!r})\ntime.sleep(60)\n"
    tool(tools, "tegrastats", waits + log)
    with Meters(os.getpid()) as found:
        deadline_s = time.monotonic() + 30
        while time.monotonic() < deadline_s and not (
            (found._folder / "perf").exists() and (found._folder / "tegrastats").exists()
        ):
            time.sleep(0.01)
        time.sleep(0.1)
    assert found.counters["cycles"] == 3_600_000_000
    assert found.watts["POM_5V_IN"] == 2.0
    assert found.load == {"memory bandwidth": 7}
    assert found.missing(is_jetson=True) == []


def test_what_is_not_there_is_named_with_how_to_get_it(tools: Path) -> None:
    with Meters(os.getpid()) as found:
        pass
    assert "perf" in found.missing(is_jetson=False)
    assert {"perf", "tegrastats"} <= set(found.missing(is_jetson=True))
    assert "linux-perf" in meters.MISSING["perf"]
    assert set(found.missing(is_jetson=True)) <= meters.MISSING.keys()


@pytest.mark.models
def test_a_real_turn_is_split_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "profile"]) == 0
    *text, line = capsys.readouterr().out.strip().splitlines()
    document = json.loads(line)
    assert document["turns"] == 1
    spent = document["cpu_s"]
    assert min(spent[who] for who in ("stt", "llm", "tts", "loop")) > 0
    assert spent["rest"] < 0.2 * document["total_cpu_s"]
    assert "language model" in "\n".join(text)
