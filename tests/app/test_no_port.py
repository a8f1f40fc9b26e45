"""Nobody on the network can reach the assistant: as it is set up, it listens on no port."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.app.test_killed import PATIENCE_S, start

TABLES = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6")


@pytest.fixture(autouse=True)
def linux() -> None:
    if not Path("/proc/self/net/tcp").is_file():
        pytest.skip("needs Linux, where /proc tells of sockets")


def open_ports(process: int) -> list[str]:
    """Of all Internet sockets, those that a process holds: table and local address, in hexadecimal."""
    held, target = set(), ""
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            target = descriptor.readlink().name
        if target.startswith("socket:["):
            held.add(target.removeprefix("socket:[").removesuffix("]"))
    found = []
    for table in TABLES:
        lines = Path(f"/proc/{process}/net/{table}").read_text("ascii").splitlines()[1:]
        found += [f"{table} {fields[1]}" for fields in map(str.split, lines) if fields[9] in held]
    return found


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[int]:
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def test_the_appliance_listens_on_no_port(tmp_path: Path) -> None:
    with ended(start(tmp_path)) as pid:
        assert open_ports(pid) == []


def test_a_port_would_be_seen() -> None:
    listening = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", listening], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with child, ended(child) as pid:
        assert child.stdout is not None
        child.stdout.readline()
        assert len(open_ports(pid)) == 1
        assert open_ports(pid)[0].startswith(f"tcp {socket.inet_aton('127.0.0.1')[::-1].hex().upper()}")
