"""The doctor: whatever is broken is found, said in words, and hides nothing else."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from assistant.cli import checks
from assistant.cli import doctor as command
from assistant.cli.checks import CHECKS, Finding, Patient, examine
from assistant.cli.checks.finding import Check
from assistant.core.errors import DeviceUnavailable
from assistant.engines import specs
from assistant.runtime.engine_spec import spec
from assistant.settings.schema import Settings
from assistant.store.progress import Unwatched
from tests.board.machines import JETSON_NANO, PI_4
from tests.http_double import says, serving
from tests.installation import install


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "STATE_DIRECTORY"):
        monkeypatch.delenv(variable, raising=False)
    return install(tmp_path, monkeypatch)


def check(name: str, root: Path, settings: Settings | None = None) -> list[Finding]:
    """What one check finds; its errors become findings as ``examine`` makes them."""
    patient = Patient(settings or Settings(), Unwatched(), hash_models=True, root=root)
    return list(checks._guarded(name, CHECKS[name], patient))


def test_nothing_at_all_is_here_and_every_line_says_what_to_do(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    findings = list(examine(root=home / "root"))
    broken = {finding.check for finding in findings if finding.ok is False}
    assert {"stt model", "llm model", "tts model", "espeak-ng"} <= broken
    assert all(finding.next_step for finding in findings if finding.ok is False)
    assert all(finding.what for finding in findings)
    assert not [finding for finding in findings if "this check failed" in finding.what]


def test_wrong_settings_are_named_line_by_line_and_the_rest_is_still_looked_at(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / "mine.yaml"
    file.write_text("llm:\n  top_p: 7\n  temprature: 1\n")
    monkeypatch.setattr(checks, "CHECKS", {"board": CHECKS["board"]})
    findings = list(examine(file, root=home / "root"))
    assert [(finding.check, finding.ok) for finding in findings] == [
        ("settings", False), ("settings", False), ("board", True),
    ]  # fmt: skip
    assert findings[0].what.startswith(f"{file}:2: llm.top_p")


def test_a_check_that_fails_itself_hides_no_other(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crashes(_patient: Patient) -> Iterator[Finding]:
        yield Finding("first", ok=True, what="so far so good")
        raise RuntimeError("the disk is a\nlie")

    def refuses(_patient: Patient) -> Iterator[Finding]:
        raise DeviceUnavailable("It is busy.", "End the other program.")
        yield

    monkeypatch.setattr(checks, "CHECKS", {"crashes": crashes, "refuses": refuses, "board": CHECKS["board"]})
    findings = list(examine(root=home / "root"))[1:]
    assert [(finding.check, finding.ok) for finding in findings] == [
        ("first", True), ("crashes", False), ("refuses", False), ("board", True),
    ]  # fmt: skip
    assert "RuntimeError" in findings[1].what
    assert (findings[2].what, findings[2].next_step) == ("It is busy.", "End the other program.")


# ---- hardware ----------------------------------------------------------------------------------


def test_the_board_is_named_with_what_it_has(tmp_path: Path) -> None:
    (finding,) = check("board", JETSON_NANO.lay_out(tmp_path))
    assert finding.ok is True
    assert finding.what.startswith("jetson-nano: the device tree says 'NVIDIA Jetson Nano Developer Kit'")
    assert "4156 MB" in finding.what


@pytest.mark.parametrize(
    ("total_kb", "available_kb", "ok"),
    [(4_000_000, 3_000_000, True), (4_000_000, 300_000, None), (400_000, 300_000, False)],
)
def test_memory_is_compared_with_what_the_models_take(
    home: Path, total_kb: int, available_kb: int, ok: bool | None
) -> None:
    meminfo = home / "root/proc/meminfo"
    meminfo.write_text(f"MemTotal: {total_kb} kB\nMemAvailable: {available_kb} kB\n")
    (finding,) = check("memory", home / "root")
    assert finding.ok is ok
    assert bool(finding.next_step) is (ok is not True)


def test_unknown_memory_is_no_fault(home: Path) -> None:
    (finding,) = check("memory", home / "root")
    assert finding.ok is None


def test_swapping_is_worth_knowing(tmp_path: Path) -> None:
    root = PI_4.lay_out(tmp_path)
    assert check("swap", root)[0].ok is True
    (root / "proc/meminfo").write_text("SwapTotal: 500000 kB\nSwapFree: 200000 kB\n")
    (finding,) = check("swap", root)
    assert finding.ok is None
    assert "308 MB" in finding.what


@pytest.mark.parametrize(("free_mb", "ok"), [(0, False), (600, False), (800, None), (5000, True)])
def test_missing_models_must_fit_on_the_disk(
    home: Path, monkeypatch: pytest.MonkeyPatch, free_mb: int, ok: bool | None
) -> None:
    usage = SimpleNamespace(free=free_mb * 1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    (finding,) = check("disk", home / "root")
    assert finding.ok is ok
    assert bool(finding.next_step) is (ok is not True)


def test_a_slow_and_underpowered_pi_is_told_so(tmp_path: Path) -> None:
    root = PI_4.lay_out(tmp_path)
    for name, text in {
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "10000",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    findings = check("speed", root)
    assert [finding.ok for finding in findings] == [None, None]
    assert all(finding.next_step for finding in findings)
    assert all(word in finding.what for word, finding in zip(("powersave", "power"), findings, strict=True))


@pytest.mark.parametrize(("throttled", "ok"), [("4", [None]), ("0", [True])])
def test_only_what_nothing_slows_down_is_well(throttled: str, ok: list[bool | None], tmp_path: Path) -> None:
    root = PI_4.lay_out(tmp_path)
    for name, text in {
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand",
        "sys/devices/platform/soc/soc:firmware/get_throttled": throttled,
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    findings = check("speed", root)
    assert [finding.ok for finding in findings] == ok
    assert ("governor is 'ondemand'" in findings[0].what) is (throttled == "0")


# ---- software ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("", "starts"),
        ("import not_installed_anywhere", "ModuleNotFoundError: No module named 'not_installed_anywhere'"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "built for a different processor"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "exit status -11"),
    ],
)
def test_an_engine_that_kills_its_process_does_not_kill_the_doctor(
    body: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "engine_under_test.py").write_text(body)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    under_test = replace(spec("vad", "webrtc"), create="engine_under_test:create")
    monkeypatch.setattr(specs, "SPECS", [under_test])
    (finding,) = check("vad engine", tmp_path)
    assert told in finding.what
    assert finding.ok is (body == "")
    assert bool(finding.next_step) is (body != "")


@pytest.mark.parametrize("name", ["turn engine", "turn model"])
def test_what_hears_the_turns_end_is_looked_at_where_it_is_chosen(name: str, home: Path) -> None:
    assert check(name, home / "root") == []
    chosen = Settings.model_validate({"endpoint": {"turn_model": "smart-turn-v3"}})
    (finding,) = check(name, home / "root", chosen)
    assert finding.ok is (name == "turn engine"), finding


def woken_by(**wake: object) -> Settings:
    return Settings.model_validate({"wake": wake})


def test_no_wake_word_is_no_engine_to_start(tmp_path: Path) -> None:
    assert check("wake engine", tmp_path, woken_by(engine="none")) == []


def test_a_wake_word_is_loaded_and_named(tmp_path: Path) -> None:
    pytest.importorskip("pyopen_wakeword")
    (finding,) = check("wake engine", tmp_path, woken_by(words=["hey_jarvis", {"name": "alexa"}]))
    assert finding.ok is True
    assert "hey jarvis, alexa" in finding.what


@pytest.mark.parametrize(("engine", "ok"), [("auto", None), ("open_wake_word", False)])
def test_a_board_without_the_wake_word_is_broken_only_where_one_was_asked_for(
    engine: str, ok: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyopen_wakeword.py").write_text("raise ImportError('no wheel')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (finding,) = check("wake engine", tmp_path, woken_by(engine=engine))
    assert finding.ok is ok
    assert "not available on this board" in finding.what
    assert finding.next_step


def test_a_wake_word_file_that_is_missing_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyopen_wakeword")
    wanted = woken_by(words=[{"file": "/nowhere/hey_bob.tflite"}])
    (finding,) = check("wake engine", tmp_path, wanted)
    assert finding.ok is False
    assert "/nowhere/hey_bob.tflite" in finding.what


def test_llama_cpp_must_use_what_the_processor_can(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "proc/cpuinfo"
    cpuinfo.parent.mkdir()
    cpuinfo.write_text("Features\t: fp asimd asimddp\nflags\t\t: fpu sse avx2\n")  # of two processors at once
    (finding,) = check("llama.cpp", tmp_path)
    assert finding.ok is None
    assert "built without this processor's" in finding.what
    cpuinfo.write_text("flags\t\t: fpu\n")
    assert check("llama.cpp", tmp_path)[0].ok is True


def test_python_and_its_packages_are_told(tmp_path: Path) -> None:
    assert check("python", tmp_path)[0].ok is True
    (finding,) = check("packages", tmp_path)
    assert finding.ok in {True, None}


# ---- supplies ----------------------------------------------------------------------------------


def test_a_damaged_model_is_found_by_its_hash(home: Path) -> None:
    folder = home / "models-here" / "whisper-tiny.en"
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(b"not a model")
    settings = Settings.model_validate({"store": {"models": folder.parent}})
    (finding,) = check("stt model", home / "root", settings)
    assert finding.ok is False
    assert "damaged" in finding.what
    assert "assistant models pull whisper-tiny.en" in finding.next_step


@pytest.mark.models
def test_models_that_are_whole_are_well(tmp_path: Path) -> None:
    for kind in ("stt", "tts"):
        (finding,) = check(f"{kind} model", tmp_path)
        assert finding.ok is True, finding
        assert "hashes correct" in finding.what


def test_coquis_own_voices_are_left_to_coqui(home: Path) -> None:
    settings = Settings.model_validate({"tts": {"runtime": "torch", "model": "tts_models/en/ljspeech/vits"}})
    assert [finding.ok for finding in check("tts model", home / "root", settings)] == [None]


def test_a_microphone_that_the_settings_name_must_be_there(tmp_path: Path) -> None:
    settings = Settings.model_validate({"audio": {"input": "no such thing"}})
    (finding,) = check("microphone", tmp_path, settings)
    assert finding.ok is False
    assert finding.next_step


# ---- command -----------------------------------------------------------------------------------


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["doctor", *words])
    arguments.config = None
    status: int = arguments.run(arguments)
    return status


def test_a_server_of_the_language_model_is_asked_for_a_word(tmp_path: Path) -> None:
    with serving(says("Hello.")) as server:
        llm = {"engine": "openai", "server": {"url": server.url, "fallback": False}}
        settings = Settings.model_validate({"llm": llm})
        (finding,) = check("llm server", tmp_path, settings)
    assert (finding.ok, server.url in finding.what) == (True, True)
    (finding,) = check("llm model", tmp_path, settings)
    assert finding.ok is None
    (finding,) = check("llm server", tmp_path, settings)
    assert finding.ok is False, "by now it is gone"
    assert check("llm server", tmp_path) == []


def _finds(*findings: Finding) -> dict[str, Check]:
    return {"found": lambda _: iter(findings)}


FINE = Finding("disk", ok=True, what="5000 MB are free")
NOTE = Finding("swap", ok=None, what="300 MB are swapped out", next_step="End other programs.")
BROKEN = Finding("espeak-ng", ok=False, what="not there", next_step="Run: sudo apt install espeak-ng")


@pytest.mark.parametrize(("findings", "status"), [((FINE,), 0), ((FINE, NOTE), 0), ((BROKEN, FINE), 1)])
def test_only_what_is_broken_makes_the_exit_status_1(
    home: Path, monkeypatch: pytest.MonkeyPatch, findings: tuple[Finding, ...], status: int
) -> None:
    monkeypatch.setattr(checks, "CHECKS", _finds(*findings))
    assert run() == status
    assert run("--json") == status


def test_people_get_a_line_each_with_what_to_do(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checks, "CHECKS", _finds(FINE, NOTE, BROKEN))
    run()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "ok      disk          5000 MB are free"
    assert "BROKEN  espeak-ng     not there" in lines
    assert "                      -> Run: sudo apt install espeak-ng" in lines
    assert lines[-1] == "1 of 4 checks found a problem."


def test_programs_get_one_json_document(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checks, "CHECKS", _finds(NOTE, BROKEN))
    run("--json")
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert document["findings"][2] == {
        "check": "espeak-ng",
        "ok": False,
        "what": "not there",
        "next_step": "Run: sudo apt install espeak-ng",
    }
