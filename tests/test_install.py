"""``scripts/install`` in a throw-away root: install, upgrade, a failed upgrade, and away with it.

What changes the system is replaced by programs that note how they were called; ``systemctl``
also plays systemd, for which a version is ready unless it is marked as broken.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("flock", "timeout"))), reason="needs Linux's command line tools"
)

NOTING = '#!/bin/sh\necho "${0##*/} $*" >>"$CALLS"\n'
SYSTEMCTL = """\
for word; do
  case $word in
    restart | start) [ ! -e "$ROOT/opt/assistant/current/broken" ] || exit 1 ;;
  esac
done
"""
AS_USER = 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"\n'
SETUP = """\
#!/bin/sh
echo "setup $*" >>"$CALLS"
cd "${0%/*}/.." && [ ! -e cannot-be-set-up ] || exit 1
mkdir -p .venv/bin
cat >.venv/bin/assistant <<'X'
#!/bin/sh
echo "assistant $*" >>"$CALLS"
case "$*" in
  *template*)
    here=$(cd "${0%/*}/../.." && pwd -P)
    printf '# schema: %s/config\\nstore:\\n  #models: null  # a path\\n' "$here" ;;
  "config limits") [ ! -e "$ROOT/planless" ] || exit 2; cat "${0%/*}/../../assistant/limits" ;;
  *pull*) [ ! -e "$ROOT/offline" ] || exit 1 ;;
esac
X
ln -s /bin/true .venv/bin/python
chmod +x .venv/bin/assistant
"""


@dataclass
class Machine:
    """A root folder to install into, and a checkout to install from."""

    root: Path
    checkout: Path
    path: str

    def install(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": self.path, "ROOT": str(self.root), "CALLS": str(self.root / "calls")}
        return subprocess.run(
            [self.checkout / "scripts" / "install", "--root", str(self.root), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def calls(self) -> str:
        """How the system's programs were called since the last look."""
        file = self.root / "calls"
        text = file.read_text() if file.exists() else ""
        file.write_text("")
        return text

    def release(self, version: str, *, marks: tuple[str, ...] = ()) -> None:
        """Make the checkout another version; ``marks`` are files in its scripts folder."""
        (self.checkout / "assistant" / "__init__.py").write_text(f'__version__ = "{version}"\n')
        (self.checkout / "assistant" / "limits").write_text(f"[Service]\n# {version}\nMemoryMax=1G\n")
        for file in ("broken", "cannot-be-set-up"):
            (self.checkout / "scripts" / file).unlink(missing_ok=True)
        for mark in marks:
            (self.checkout / "scripts" / mark).touch()

    def versions(self) -> list[str]:
        return sorted(folder.name.split("-")[0] for folder in (self.opt / "versions").iterdir())

    def current(self) -> str:
        return (self.opt / "current").resolve().name.split("-")[0]

    @property
    def limits(self) -> Path:
        """The drop-in with what the board's plan gives the service."""
        return self.root / "etc" / "systemd" / "system" / "assistant.service.d" / "10-board.conf"

    @property
    def opt(self) -> Path:
        return self.root / "opt" / "assistant"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    checkout, root, programs = tmp_path / "checkout", tmp_path / "root", tmp_path / "programs"
    for folder in (root / "etc", programs, checkout / "scripts"):
        folder.mkdir(parents=True)
    (root / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc" / "group").write_text("audio:x:29:\n")
    for name in ("assistant", "config", "docs", "models", "systemd"):
        (checkout / name).mkdir()
    for name in ("LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "constraints.txt"):
        (checkout / name).touch()
    for unit in (CHECKOUT / "systemd").iterdir():
        shutil.copy(unit, checkout / "systemd")
    shutil.copy(CHECKOUT / "scripts" / "install", checkout / "scripts")
    shutil.copytree(CHECKOUT / "scripts" / "lib", checkout / "scripts" / "lib")
    (checkout / "models" / "catalog.yaml").touch()
    (checkout / "models" / "weights.gguf").touch()
    # The version carries its marks; the fake systemctl looks for them in its root.
    setup = SETUP + "[ ! -e scripts/broken ] || touch broken\n"
    setup = setup.replace("cannot-be-set-up", "scripts/cannot-be-set-up")
    _program(checkout / "scripts" / "setup", setup)
    for name in ("useradd", "usermod", "userdel", "chown"):
        _program(programs / name, NOTING)
    _program(programs / "systemctl", NOTING + SYSTEMCTL)
    _program(programs / "runuser", NOTING + AS_USER)
    made = Machine(root, checkout, f"{programs}:{os.environ['PATH']}")
    made.release("1.0")
    return made


def _program(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


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
    assert "not ready within 5 s; going back to 1.0" in done.stderr
    assert machine.current() == "1.0"
    assert machine.versions() == ["1.0"]
    assert (machine.root / "etc" / "systemd" / "system" / "assistant.service").read_text() == good
    assert machine.calls().count("restart assistant.service") == 2
    machine.release("1.2")
    assert machine.install().returncode == 0
    assert machine.current() == "1.2"


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
    assert "MemoryMax=1G" in machine.limits.read_text()
    assert "MemoryMax=1G" in done.stderr
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
