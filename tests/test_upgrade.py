"""``scripts/install`` run again: what was ready stays until something else is, whatever ends it before."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from tests.install_machine import Machine, lay_out

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("flock", "timeout"))), reason="needs Linux's command line tools"
)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return lay_out(tmp_path)


def test_an_upgrade_keeps_the_version_before_and_no_other(machine: Machine) -> None:
    for version in ("1.0", "1.1", "1.2"):
        machine.release(version)
        assert machine.install().returncode == 0
    assert machine.versions() == ["1.1", "1.2"]
    assert machine.current() == "1.2"
    assert (machine.opt / "previous").resolve().name.startswith("1.1-")


def test_a_version_that_is_not_ready_gives_way_to_the_one_before_with_its_units(machine: Machine) -> None:
    machine.install()
    machine.release("1.1", marks=("broken",))
    unit = machine.checkout / "systemd" / "assistant.service"
    good = unit.read_text()
    unit.write_text(good + "# new\n")
    machine.calls()
    done = machine.install("--ready-within", "5")
    assert done.returncode == 1
    assert "ready within 5 s. Going back to 1.0" in done.stderr
    assert machine.current() == "1.0"
    assert machine.versions() == ["1.0"]
    assert (machine.root / "etc" / "systemd" / "system" / "assistant.service").read_text() == good
    assert machine.calls().count("restart assistant.service") == 2
    machine.release("1.2")
    assert machine.install().returncode == 0
    assert machine.current() == "1.2"


def test_after_going_back_the_version_before_that_is_still_kept(machine: Machine) -> None:
    for version in ("1.0", "1.1"):
        machine.release(version)
        assert machine.install().returncode == 0
    machine.release("1.2", marks=("broken",))
    assert machine.install("--ready-within", "5").returncode == 1
    assert (machine.linked("current"), machine.linked("previous")) == ("1.1", "1.0")
    machine.release("1.3")
    assert machine.install().returncode == 0
    assert (machine.linked("current"), machine.linked("previous")) == ("1.3", "1.1")
    assert machine.versions() == ["1.1", "1.3"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_stopped_while_it_waits_it_goes_back(machine: Machine, how: signal.Signals) -> None:
    machine.install()
    machine.release("1.1", marks=("hanging",))
    machine.calls()
    assert "Going back to 1.0" in machine.interrupted(how)
    assert (machine.current(), machine.versions()) == ("1.0", ["1.0"])
    assert machine.calls().count("restart assistant.service") == 2


def test_killed_while_it_waits_the_next_run_goes_back_to_what_was_ready(machine: Machine) -> None:
    machine.install()
    for version in ("1.1", "1.2"):
        machine.release(version, marks=("hanging",))
        machine.interrupted(signal.SIGKILL)
        assert machine.linked("previous") == "1.0"
    machine.release("1.3", marks=("broken",))
    assert "Going back to 1.0" in machine.install("--ready-within", "5").stderr
    assert (machine.current(), machine.versions()) == ("1.0", ["1.0"])


def test_killed_while_it_waits_the_next_run_keeps_what_was_ready(machine: Machine) -> None:
    machine.install()
    machine.release("1.1", marks=("hanging",))
    machine.interrupted(signal.SIGKILL)
    machine.release("1.2")
    assert machine.install().returncode == 0
    assert (machine.linked("current"), machine.linked("previous")) == ("1.2", "1.0")
    assert machine.versions() == ["1.0", "1.2"]


def test_what_a_killed_run_copied_is_removed_by_the_next(machine: Machine) -> None:
    machine.install()
    half = machine.opt / "versions" / "1.05-half"
    half.mkdir()
    (machine.root / "offline").touch()
    assert machine.install().returncode == 1
    assert machine.versions() == ["1.0"]


def test_units_that_cannot_be_put_in_place_bring_back_the_version_before(machine: Machine) -> None:
    machine.install()
    unit = machine.root / "etc" / "systemd" / "system" / "assistant.slice"
    unit.unlink()
    unit.mkdir()
    (unit / "in-the-way").touch()
    machine.release("1.1")
    done = machine.install()
    assert done.returncode != 0
    assert "Going back to 1.0" in done.stderr
    assert machine.current() == "1.0"


def test_in_an_image_nobody_waits_and_the_version_before_stays(machine: Machine) -> None:
    machine.install()
    (machine.root / "image").touch()
    for version in ("1.1", "1.2"):
        machine.release(version)
        done = machine.install("--without-models")
        assert done.returncode == 0
        assert "It is listening" not in done.stderr
    assert (machine.linked("current"), machine.linked("previous")) == ("1.2", "1.0"), "1.1 never was ready"
    (machine.root / "image").unlink()
    machine.release("1.3", marks=("broken",))
    assert "Going back to 1.0" in machine.install("--ready-within", "5").stderr


@pytest.mark.parametrize("fault", ["cannot-be-set-up", "offline"])
def test_what_fails_before_the_change_leaves_everything_as_it_was(machine: Machine, fault: str) -> None:
    machine.install()
    machine.release("1.1", marks=(fault,) if fault == "cannot-be-set-up" else ())
    if fault == "offline":
        (machine.root / "offline").touch()
    machine.calls()
    assert machine.install().returncode != 0
    assert machine.current() == "1.0"
    assert machine.versions() == ["1.0"]
    assert "systemctl" not in machine.calls()
