"""A throw-away root for ``scripts/install``, with programs in it that play the system.

What changes the system is replaced by programs that note how they were called; ``systemctl``
also plays systemd, for which a version is ready unless it is marked as broken, or never if it is
marked as hanging. In the root of an image that is being built it answers nothing, as the real one does.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import CHECKOUT

NOTING = '#!/bin/sh\necho "${0##*/} $*" >>"$CALLS"\n'
SYSTEMCTL = """\
for word; do
  case $word in
    is-active) [ -e "$ROOT/image" ] || echo active ;;
    restart | start)
      [ ! -e "$ROOT/image" ] || exit 0
      case "$*" in *--no-block*) exit 0 ;; esac
      [ ! -e "$ROOT/opt/assistant/current/hanging" ] || {
        touch "$ROOT/hangs"
        while [ -e "$ROOT/hangs" ]; do sleep 0.1; done
      }
      [ ! -e "$ROOT/opt/assistant/current/broken" ] || exit 1 ;;
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
        with self.started(*arguments) as process:
            out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def started(self, *arguments: str) -> subprocess.Popen[str]:
        """The installation, under way."""
        return subprocess.Popen(
            [self.checkout / "scripts" / "install", "--root", str(self.root), *arguments],
            env={"PATH": self.path, "ROOT": str(self.root), "CALLS": str(self.root / "calls")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def interrupted(self, how: signal.Signals) -> str:
        """Install, be stopped by that signal while waiting for a version that hangs; what was said."""
        sign = self.root / "hangs"
        with self.started() as process:
            deadline_s = time.monotonic() + 120
            while not sign.exists():
                assert process.poll() is None
                assert time.monotonic() < deadline_s
                time.sleep(0.05)
            process.send_signal(how)
            _, said = process.communicate(timeout=120)
        assert process.returncode != 0
        sign.unlink(missing_ok=True)
        return said

    def calls(self) -> str:
        """How the system's programs were called since the last look."""
        file = self.root / "calls"
        text = file.read_text() if file.exists() else ""
        file.write_text("")
        return text

    def release(self, version: str, *, marks: tuple[str, ...] = ()) -> None:
        """Make the checkout another version; ``marks`` are files in its scripts folder."""
        (self.checkout / "assistant" / "__init__.py").write_text(f'__version__ = "{version}"\n')
        (self.checkout / "assistant" / "limits").write_text(f"[Service]\n# {version}\nMemoryMax=1024M\n")
        for file in ("broken", "hanging", "cannot-be-set-up"):
            (self.checkout / "scripts" / file).unlink(missing_ok=True)
        for mark in marks:
            (self.checkout / "scripts" / mark).touch()

    def versions(self) -> list[str]:
        return sorted(folder.name.split("-")[0] for folder in (self.opt / "versions").iterdir())

    def current(self) -> str:
        return self.linked("current")

    def linked(self, link: str) -> str:
        """The version that a link is to; empty if there is none."""
        there = (self.opt / link).resolve()
        return there.name.split("-")[0] if there.is_dir() else ""

    @property
    def limits(self) -> Path:
        """The drop-in with what the board's plan gives the service."""
        return self.root / "etc" / "systemd" / "system" / "assistant.service.d" / "10-board.conf"

    @property
    def opt(self) -> Path:
        return self.root / "opt" / "assistant"


def lay_out(tmp_path: Path) -> Machine:
    """An empty root and a checkout of version 1.0 below ``tmp_path``."""
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
    setup = SETUP + 'for mark in broken hanging; do [ ! -e "scripts/$mark" ] || touch "$mark"; done\n'
    setup = setup.replace("cannot-be-set-up", "scripts/cannot-be-set-up")
    write_program(checkout / "scripts" / "setup", setup)
    for name in ("useradd", "usermod", "userdel", "chown"):
        write_program(programs / name, NOTING)
    write_program(programs / "systemctl", NOTING + SYSTEMCTL)
    write_program(programs / "runuser", NOTING + AS_USER)
    made = Machine(root, checkout, f"{programs}:{os.environ['PATH']}")
    made.release("1.0")
    return made


def write_program(file: Path, text: str) -> None:
    """A script that can be run."""
    file.write_text(text)
    file.chmod(0o755)
