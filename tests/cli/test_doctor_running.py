"""What the doctor says of shortages, here and in the assistant that is running, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.board.shortage import GIVES_UP
from assistant.cli.main import main
from assistant.dialog.interruptions import why_not_by_voice
from assistant.runtime import paths
from assistant.settings.schema import Settings
from tests.board.test_health import write
from tests.cli import test_ctl
from tests.cli.test_ctl import Served
from tests.cli.test_doctor import check


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setattr(test_ctl, "STATUS", dict(test_ctl.STATUS))
    served = Served(paths.control())
    yield served
    served.close()


def test_what_is_short_now_is_told_with_what_to_do(tmp_path: Path) -> None:
    write(tmp_path, "proc/meminfo", "MemAvailable:  40000 kB\n")
    write(tmp_path, "sys/class/thermal/thermal_zone0/temp", "84000\n")
    memory, heat = check("shortages", tmp_path)
    assert (memory.ok, heat.ok) == (None, None)
    assert memory.what.startswith("41 MB of memory left")
    assert "84 °C" in heat.what
    assert memory.next_step
    assert heat.next_step


def test_bounds_are_the_settings(tmp_path: Path) -> None:
    write(tmp_path, "proc/meminfo", "MemAvailable:  40000 kB\n")
    settings = Settings.model_validate({"shedding": {"memory_mb": 20, "disk_mb": 0}})
    (finding,) = check("shortages", tmp_path, settings)
    assert finding.ok is True
    assert finding.what.startswith("none: 41 MB of memory")


def test_where_none_runs_that_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setattr(paths, "SYSTEM_CONTROL", tmp_path / "none")
    (finding,) = check("running", tmp_path)
    assert finding.ok is None
    assert "assistant run" in finding.next_step


def test_what_the_running_one_has_given_up_is_told(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [finding.ok for finding in check("running", tmp_path)] == [True]
    test_ctl.STATUS["gives_up"] = {"heat": GIVES_UP["heat"], "disk": GIVES_UP["disk"]}
    heat, disk = check("running", tmp_path)
    assert heat.what == "it is low on cooling and has given up half of the language model's threads"
    assert (heat.ok, disk.ok) == (None, None)
    assert heat.next_step
    assert disk.next_step
    assert main(["ctl", "status"]) == 0
    table = capsys.readouterr().out
    assert "too hot     has given up half of the language model's threads" in table
    assert "low disk    has given up saved phrases" in table


@pytest.mark.parametrize("state", ["faulted", "sleeping"])
def test_what_the_running_one_is_missing_is_told(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    part = {"faulted": "microphone", "sleeping": "speaker"}[state]
    fault = {"code": "audio-lost", "problem": "It is gone.", "next_step": "Plug it in."}
    test_ctl.STATUS.update(state=state, missing={part: fault})
    (finding,) = check("running", tmp_path)
    assert (finding.ok, finding.what, finding.next_step) == (False, f"no {part}: It is gone.", "Plug it in.")
    assert main(["ctl", "status"]) == 0
    table = capsys.readouterr().out
    assert f"{state} (no {part})" in table
    assert f"{part:<12}It is gone." in table


ECHO = {"late_ms": 620, "loss_db": 4.0, "drift_ppm": 0.0}


@pytest.mark.parametrize(
    ("interruption", "what"),
    [
        ({"speech_is_off": True, "lately_false": 3}, "own voice would have interrupted it 3 times."),
        ({"echo": {"state": "far", **ECHO}}, "after 620 ms, as with Bluetooth. Only the wake word"),
        ({"echo": {"state": "uncontrolled", **ECHO}}, "too much of the assistant's own voice"),
    ],
)
def test_why_speech_does_not_interrupt_is_told(
    served: Served,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    interruption: dict[str, object],
    what: str,
) -> None:
    calm = {"by": "wake_word", "wanted": "speech", "lately_false": 0, "speech_is_off": False, "echo": None}
    document = calm | interruption
    test_ctl.STATUS["interruption"] = document | {"why_not": why_not_by_voice(document)}
    (doubt, running) = check("running", tmp_path)
    assert (doubt.check, doubt.ok, running.ok) == ("interruption", None, True)
    assert doubt.what.startswith("Voice interruption is off: ")
    assert what in doubt.what
    assert "docs/echo.md" in doubt.next_step
    assert main(["ctl", "status"]) == 0
    table = capsys.readouterr().out
    assert f"interrupted by the wake word. {doubt.what} {doubt.next_step}" in table


@pytest.mark.parametrize(("wanted", "state"), [("speech", "unknown"), ("wake_word", "far")])
def test_what_nobody_wants_or_nobody_knows_yet_is_no_finding(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str], wanted: str, state: str
) -> None:
    document = {
        "by": "wake_word",
        "wanted": wanted,
        "lately_false": 0,
        "speech_is_off": False,
        "echo": {"state": state, **ECHO},
    }
    test_ctl.STATUS["interruption"] = document | {"why_not": why_not_by_voice(document)}
    assert [finding.ok for finding in check("running", tmp_path)] == [True]
    assert main(["ctl", "status"]) == 0
    assert "interrupted by the wake word\n" in capsys.readouterr().out


def test_one_that_is_out_of_order_is_broken(served: Served, tmp_path: Path) -> None:
    test_ctl.STATUS["state"] = "faulted"
    (finding,) = check("running", tmp_path)
    assert finding.ok is False
