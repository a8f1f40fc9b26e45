"""What the service gets of a board is what its plan says, and systemd understands it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from assistant.app import memory_fit as fit
from assistant.cli.limits import drop_in
from assistant.cli.main import main
from assistant.settings.schema import Settings
from assistant.tools.bench.lib.variants import changed
from tests.board.machines import PI_4, RYZEN_5600G
from tests.test_units import installed, needs_systemd_analyze

__all__ = ["installed"]

MODEL = {"llm": {"model": "smollm2-135m-instruct-q4_1"}}


def board(root: Path, total_mb: int) -> Path:
    PI_4.lay_out(root)
    kb = total_mb * 1_000_000 // 1024
    (root / "proc/meminfo").write_text(f"MemTotal: {kb} kB\nMemAvailable: {kb} kB\n")
    return root


def limits(text: str) -> tuple[int, int]:
    """MemoryHigh and MemoryMax in bytes."""
    high, most = (re.search(rf"^{key}=(\d+)M$", text, re.MULTILINE) for key in ("MemoryHigh", "MemoryMax"))
    assert high, text
    assert most, text
    return int(high[1]) << 20, int(most[1]) << 20


@pytest.mark.models
@pytest.mark.parametrize("total_mb", [500, 620, 1000, 2000, 8000])
def test_memory_is_enough_for_the_plan_and_never_all_there_is(total_mb: int, tmp_path: Path) -> None:
    settings = changed(Settings(), MODEL)
    root = board(tmp_path, total_mb)
    plan = fit.plan(settings, root)
    high, most = limits(drop_in(settings, root))
    assert high <= most <= 0.901 * total_mb * 1e6
    if plan.need.needed < 0.9 * total_mb * 1e6:
        assert high >= 0.999 * plan.need.needed
    if total_mb > 4000:
        assert high > plan.need.needed + plan.need.llm.running, "one may be loaded beside the other"
        assert most < 0.25 * total_mb * 1e6, "what goes wrong leaves the board usable"


@pytest.mark.models
def test_a_longer_context_gets_more(tmp_path: Path) -> None:
    root = board(tmp_path, 8000)
    short, long = (
        limits(drop_in(changed(Settings(), {"llm": {**MODEL["llm"], "context_tokens": tokens}}), root))
        for tokens in (2048, 8192)
    )
    assert short[0] + 100e6 < long[0]


def test_without_a_model_or_a_plan_the_units_own_limits_hold(tmp_path: Path) -> None:
    settings = changed(Settings(), {"store": {"models": tmp_path / "none"}})
    assert "Memory" not in re.sub("#.*", "", drop_in(settings, board(tmp_path, 4000)))
    onnx = changed(settings, {"llm": {"engine": "onnx"}})
    assert "Memory" not in re.sub("#.*", "", drop_in(onnx, tmp_path))


def test_cores_that_nothing_is_planned_for_are_left_to_others(tmp_path: Path) -> None:
    settings = changed(Settings(), {"store": {"models": tmp_path / "none"}})
    assert "AllowedCPUs" not in drop_in(settings, PI_4.lay_out(tmp_path / "pi"))
    text = drop_in(settings, RYZEN_5600G.lay_out(tmp_path / "ryzen"))
    assert "AllowedCPUs=0 1 2 3 4 5 6\n" in text, "the second threads of the models' cores"


@needs_systemd_analyze
def test_systemd_reads_them(installed: Path, tmp_path: Path) -> None:
    folder = installed / "assistant.service.d"
    folder.mkdir()
    settings = changed(Settings(), {"store": {"models": tmp_path / "none"}})
    text = drop_in(settings, RYZEN_5600G.lay_out(tmp_path / "ryzen")) + "MemoryHigh=776M\nMemoryMax=873M\n"
    (folder / "10-board.conf").write_text(text)
    unit = str(installed / "assistant.service")
    done = subprocess.run(
        ["systemd-analyze", "--no-pager", "verify", "--man=no", unit],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "10-board.conf" not in done.stderr, done.stderr
    (folder / "10-board.conf").write_text(text.replace("MemoryMax", "MemoryMost"))
    done = subprocess.run(
        ["systemd-analyze", "--no-pager", "verify", "--man=no", unit],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "MemoryMost" in done.stderr, "systemd does not look at it at all"


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "limits"]) == 0
    assert "[Service]\n" in capsys.readouterr().out
