"""``scripts/install`` in a throw-away root: install, plan its limits, and away with it."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

import pytest

from tests.install_machine import Machine, lay_out

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("flock", "timeout"))), reason="needs Linux's command line tools"
)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return lay_out(tmp_path)


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


def test_the_first_time_everything_is_laid_out(machine: Machine) -> None:
    done = machine.install()
    assert done.returncode == 0, done.stderr
    calls = machine.calls()
    assert "useradd" in calls
    assert "--append --groups audio assistant" in calls
    assert "gpio" not in calls, "there is no such group here"
    assert "assistant models pull" in calls
    assert "enable --quiet assistant-models.service assistant.service" in calls
    assert calls.index("daemon-reload") < calls.index("restart assistant.service")
    assert machine.current() == "1.0"
    assert not (machine.opt / "previous").exists()
    for unit in ("assistant.service", "assistant-models.service", "assistant.slice"):
        expected = (machine.checkout / "systemd" / unit).read_text()
        assert (machine.root / "etc" / "systemd" / "system" / unit).read_text() == expected
    assert not (machine.opt / "current" / "models" / "weights.gguf").exists()
    assert (machine.opt / "current" / "models" / "catalog.yaml").exists()
    link = machine.root / "usr" / "local" / "bin" / "assistant"
    assert str(link.readlink()) == "/opt/assistant/current/.venv/bin/assistant"


def test_a_board_with_pins_gets_what_drives_them(machine: Machine) -> None:
    machine.install()
    assert "setup run\n" in machine.calls()
    with (machine.root / "etc" / "group").open("a") as groups:
        groups.write("gpio:x:997:\n")
    machine.release("1.1")
    assert machine.install().returncode == 0
    calls = machine.calls()
    assert "setup run gpio\n" in calls
    assert "--append --groups gpio assistant" in calls


def test_the_settings_are_the_owners_and_private(machine: Machine) -> None:
    machine.install()
    file = machine.root / "etc" / "assistant" / "assistant.yaml"
    expected = "# schema: /opt/assistant/current/config\nstore:\n  models: /var/lib/assistant/models\n"
    assert file.read_text() == expected
    assert (mode(file), mode(file.parent)) == ("0o640", "0o750")
    assert mode(machine.root / "var" / "lib" / "assistant") == "0o700"
    assert mode(machine.root / "var" / "cache" / "assistant-install") == "0o700"
    file.write_text("audio: {volume: 0.5}\n")
    machine.release("1.1")
    assert machine.install().returncode == 0
    assert file.read_text() == "audio: {volume: 0.5}\n"


def test_the_service_gets_what_the_version_in_use_plans_for_this_board(machine: Machine) -> None:
    machine.install()
    assert "# 1.0" in machine.limits.read_text()
    calls = machine.calls()
    assert calls.index("assistant config limits") < calls.index("daemon-reload") < calls.index("restart ")
    machine.release("1.1")
    machine.install()
    assert "# 1.1" in machine.limits.read_text()
    machine.release("1.2", marks=("broken",))
    assert machine.install("--ready-within", "5").returncode == 1
    assert "# 1.1" in machine.limits.read_text(), "the limits go back with the version"


def test_for_other_models_the_limits_are_planned_anew(machine: Machine) -> None:
    assert machine.install("--limits").returncode == 1, "there is nothing to limit"
    machine.install()
    machine.limits.write_text("[Service]\n")
    machine.calls()
    done = machine.install("--limits")
    assert done.returncode == 0, done.stderr
    assert "MemoryMax=1024M" in machine.limits.read_text()
    assert "MemoryMax=1024M" in done.stderr
    calls = machine.calls()
    assert calls.index("daemon-reload") < calls.index("try-restart assistant.service")
    assert machine.versions() == ["1.0"]


def test_without_a_plan_no_limits_of_another_version_stay(machine: Machine) -> None:
    machine.install()
    (machine.root / "planless").touch()
    machine.release("1.1")
    assert machine.install().returncode == 0
    assert not list(machine.limits.parent.iterdir())


def test_an_owners_own_changes_of_the_unit_stay(machine: Machine) -> None:
    machine.install()
    own = machine.limits.with_name("override.conf")
    own.write_text("[Service]\nMemoryMax=3G\n")
    assert own.name > machine.limits.name, "the last one counts"
    assert machine.install("--uninstall").returncode == 0
    assert [file.name for file in own.parent.iterdir()] == ["override.conf"]


def test_the_first_version_stays_though_it_is_not_ready(machine: Machine) -> None:
    machine.release("1.0", marks=("broken",))
    done = machine.install()
    assert done.returncode == 1
    assert "assistant doctor" in done.stderr
    assert machine.current() == "1.0"


def test_without_models_nothing_is_fetched_or_waited_for(machine: Machine) -> None:
    (machine.root / "offline").touch()
    assert machine.install("--without-models").returncode == 0
    calls = machine.calls()
    assert "models pull" not in calls
    assert "start --no-block assistant-models.service" in calls
    assert "restart --no-block assistant.service" in calls
    machine.release("1.1", marks=("broken",))
    done = machine.install("--without-models", "--ready-within", "5")
    assert "Going back to 1.0" in done.stderr, "an upgrade has something to go back to"
    assert (done.returncode, machine.versions()) == (1, ["1.0"])


def test_uninstalled_the_data_stays_until_it_is_purged(machine: Machine) -> None:
    machine.install()
    timers = machine.root / "var" / "lib" / "assistant" / "timers.db"
    timers.touch()
    assert machine.install("--uninstall").returncode == 0
    assert "disable --now" in machine.calls()
    assert not machine.opt.exists()
    assert not list((machine.root / "etc" / "systemd" / "system").iterdir())
    assert not (machine.root / "usr" / "local" / "bin" / "assistant").is_symlink()
    assert timers.exists()
    assert machine.install("--uninstall", "--purge").returncode == 0
    assert not timers.exists()
    assert not (machine.root / "etc" / "assistant").exists()
    assert machine.install("--uninstall").returncode == 0


def test_two_at_once_do_not_meet(machine: Machine) -> None:
    machine.install()
    with (machine.opt / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "Another installation" in machine.install().stderr


@pytest.mark.parametrize("wrong", [["--dance"], ["--ready-within", "soon"]])
def test_a_wrong_word_shows_how_it_is_used(machine: Machine, wrong: list[str]) -> None:
    done = machine.install(*wrong)
    assert done.returncode == 2
    assert "--without-models" in done.stderr
