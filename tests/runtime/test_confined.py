"""A confined process changes no file, signals nobody else, and may still end itself."""

from __future__ import annotations

import json
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.runtime import confined

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in confined._DENIED,
    reason="seccomp filters are written for Linux on x86_64 and aarch64",
)

TRIES = """
import ctypes, errno, json, os, resource, signal, sys
from assistant.runtime import confined

file, parent, me = sys.argv[1], os.getppid(), os.getpid()
libc = ctypes.CDLL(None, use_errno=True)
pidfd = os.pidfd_open(parent)
confined.confine(memory_bytes=400_000_000, cpu_s=5)

def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)

def tried(what):
    try:
        what()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"

print(json.dumps({name: tried(what) for name, what in {
    "truncate": lambda: os.truncate(file, 0),
    "chmod": lambda: os.chmod(file, 0o777),
    "fchmod": lambda: os.fchmod(os.open(file, os.O_RDONLY), 0o777),
    "chown": lambda: os.chown(file, os.getuid(), os.getgid()),
    "fchown": lambda: os.fchown(os.open(file, os.O_RDONLY), os.getuid(), os.getgid()),
    "kill": lambda: os.kill(parent, 0),
    "tgkill": lambda: call("tgkill", parent, parent, 0),
    "sigqueue": lambda: call("sigqueue", parent, 0, None),
    "pidfd_send_signal": lambda: signal.pidfd_send_signal(pidfd, 0),
    "io_uring_setup": lambda: call("syscall", 425, 1, ctypes.create_string_buffer(120)),
    "limits of others": lambda: resource.prlimit(parent, resource.RLIMIT_NOFILE),
    "x32": lambda: call("syscall", 0x40000000 | 39),
    "itself": lambda: call("tgkill", me, me, 0),
    "its limits": lambda: resource.getrlimit(resource.RLIMIT_NOFILE),
}.items()}))
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


def test_it_changes_no_file_and_reaches_no_other_process(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("of its owner")
    file.chmod(0o600)
    done = run(TRIES, str(file))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told.pop("itself"), told.pop("its limits")) == ("done", "done")
    assert told == dict.fromkeys(told, "EPERM")
    assert file.read_text() == "of its owner"
    assert file.stat().st_mode & 0o777 == 0o600


def test_it_may_abort() -> None:
    code = (
        "import os\n"
        "from assistant.runtime import confined\n"
        "confined.confine(memory_bytes=400_000_000, cpu_s=5)\n"
        "os.abort()\n"
    )
    assert run(code).returncode == -signal.SIGABRT


def test_landlock_alone_keeps_the_length_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("of its owner")
    code = (
        "import ctypes, os, sys\n"
        "from assistant.runtime import confined\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "version = libc.syscall(444, None, ctypes.c_size_t(0), 1)\n"
        "libc.prctl(38, 1, 0, 0, 0)\n"
        "confined._forbid_writing(libc)\n"
        "open(os.devnull, 'w').write('x')\n"
        "try:\n"
        "    os.truncate(sys.argv[1], 0)\n"
        "except PermissionError:\n"
        "    version = 'refused'\n"
        "print(version)\n"
    )
    told = run(code, str(file)).stdout.strip()
    if told != "refused" and int(told) < 3:
        pytest.skip("this kernel has no LANDLOCK_ACCESS_FS_TRUNCATE")
    assert told == "refused"
    assert file.read_text() == "of its owner"
