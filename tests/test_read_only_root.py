"""Installed, and then every file system but its own folders is read-only: it starts, listens and sets timers.

With the real engines and a sound server, in a mount namespace of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from assistant.runtime import paths
from assistant.services.control import client as control_client
from assistant.skills import TimerBook
from assistant.tools.bench.room.sound_server import missing, sound_server
from tests.app.test_pulled import SMALL
from tests.cli.test_run_on_devices import PATIENCE_S
from tests.conftest import CHECKOUT
from tests.install_machine import AS_USER, NOTING, write_program

pytestmark = [pytest.mark.models, pytest.mark.sound_server]

SETUP = """\
#!/bin/sh
cd "${0%/*}/.." && here=$(pwd -P) && mkdir -p .venv/bin
cat >.venv/bin/assistant <<X
#!/bin/sh
PYTHONPATH=$here exec @PYTHON@ -c 'from assistant.cli.main import main; raise SystemExit(main())' "\\$@"
X
printf '#!/bin/sh\\nexec @PYTHON@ "$@"\\n' >.venv/bin/python
chmod +x .venv/bin/*
"""
"""As scripts/setup, but with the packages of these tests."""

CANNOT = 77
READ_ONLY = f"""\
mount --bind "$0" "$0" || exit {CANNOT}
mount -o remount,bind,ro / || exit {CANNOT}
if touch "$1/opt/assistant/current/mark" 2>/dev/null; then exit 78; fi
shift
exec "$@"
"""
"""$0 stays writable, nothing else does."""


def install(folder: Path) -> Path:
    """Run scripts/install from a copy of this checkout; the root it was installed into."""
    checkout, root, programs = folder / "checkout", folder / "root", folder / "programs"
    for each in (root / "etc", programs, checkout / "models"):
        each.mkdir(parents=True)
    for name in ("assistant", "config", "docs", "scripts", "systemd"):
        shutil.copytree(CHECKOUT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "pyproject.toml",
        "constraints.txt",
        "models/catalog.yaml",
    ):
        shutil.copy(CHECKOUT / name, checkout / name)
    (root / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc" / "group").write_text("audio:x:29:\n")
    write_program(checkout / "scripts" / "setup", SETUP.replace("@PYTHON@", sys.executable))
    for name, more in {
        "useradd": "",
        "usermod": "",
        "chown": "",
        "systemctl": "",
        "runuser": AS_USER,
    }.items():
        write_program(programs / name, NOTING + more)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "CALLS": str(folder / "calls")}
    done = subprocess.run(
        [checkout / "scripts" / "install", "--root", str(root), "--without-models"],
        env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return root


def test_with_a_read_only_root_it_becomes_ready_and_keeps_timers(tmp_path: Path) -> None:
    if reason := missing():
        pytest.skip(reason)
    root, own = install(tmp_path), tmp_path / "own"
    folders = {name: own / name for name in ("state", "cache", "runtime")}
    for each in folders.values():
        each.mkdir(parents=True)
    with sound_server() as server, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(own / "notify"))
        systemd.settimeout(1)
        environment = {
            "PATH": os.environ["PATH"],
            **server.env,
            **{f"{name.upper()}_DIRECTORY": str(each) for name, each in folders.items()},
            # As in the unit; these are nowhere to be written.
            "HOME": str(root / "var/lib/assistant"),
            "XDG_CACHE_HOME": str(root / "var/cache/assistant"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NOTIFY_SOCKET": str(own / "notify"),
            "ASSISTANT__STORE__MODELS": str(paths.models()),
            "ASSISTANT__LLM__MODEL": SMALL,
        }
        program = str(root / "opt/assistant/current/.venv/bin/assistant")
        settings = str(root / "etc/assistant/assistant.yaml")
        unshared = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            READ_ONLY,
            str(own),
            str(root),
        ]
        with (
            (own / "log").open("wb") as log,
            subprocess.Popen(
                [*unshared, program, "--config", settings, "run"], env=environment, stderr=log
            ) as process,
        ):
            try:
                await_ready(process, systemd, own / "log")
                assert ports(process.pid) == []
                order = {"order": "ask", "text": "Set a timer for one hour called pasta."}
                told = control_client.ask([folders["runtime"] / "control"], order)
                assert told["handled_by"] == "set_timer"
                assert "starting now" in told["reply"]
            finally:
                process.kill()
    assert "Read-only file system" not in (own / "log").read_text()
    timers = TimerBook(folders["state"] / "timers.db")
    assert [timer.name for timer in timers.all()] == ["pasta"]
    timers.close()


def await_ready(process: subprocess.Popen[bytes], systemd: socket.socket, log: Path) -> None:
    """It tells systemd what it is doing in between, which counts as a sign of life."""
    end_s = time.monotonic() + PATIENCE_S
    told = b""
    while b"READY=1" not in told:
        if process.poll() == CANNOT:
            pytest.skip("file systems cannot be made read-only here")
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < end_s, log.read_text()[-3000:]
        with contextlib.suppress(TimeoutError):
            told = systemd.recv(4096)


def ports(pid: int) -> list[str]:
    """Where the process can be reached over a network, as the kernel writes it."""
    links = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # It works meanwhile, and closes files.
            links.append(str(file.readlink()))
    own = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    rows = [
        line.split()
        for protocol in ("tcp", "tcp6", "udp", "udp6")
        for line in Path(f"/proc/{pid}/net/{protocol}").read_text().splitlines()[1:]
    ]
    return [row[1] for row in rows if row[9] in own]
