"""Separate Python environments for libraries that are large or conflict with the assistant's dependencies.

Each is a list of pinned packages in models/environments (written by scripts/lock, with the hash of every
file), installed into the cache when first needed. Its folder's name contains a checksum of the list, so that
a new list makes a new environment. Code in an environment runs in a child process and is never imported here.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from pathlib import Path

from assistant.core.errors import DownloadFailed, EngineUnavailable
from assistant.runtime import paths
from assistant.store.disk import free_bytes, require, writing
from assistant.store.progress import Meter, Watcher, megabytes, timed
from assistant.tools.quantize.workspace import last_line

NEEDED_BYTES = 7_000_000_000
"""During the installation of one with torch for CUDA; it then takes up 5.1 GB, or 1.1 GB for CPU only."""

GPU_LIBRARIES = re.compile(r"(nvidia-|cuda-|triton\b)")
"""Packages that only torch for CUDA needs."""

QUIETLY = ("--no-input", "--disable-pip-version-check")
PIP = ("-m", "pip", *QUIETLY, "install", "--no-deps", "--require-hashes", "--no-compile")
"""Python compiles what is imported, which is a small part, on its own."""

COMPLETE = "complete"
"""A file that marks a finished installation."""


def plan(name: str, watcher: Watcher) -> None:
    """Report what installing the environment ``name`` takes, if it is missing. Raises StorageFull."""
    folder = folder_of(name, _pins(name))
    if (folder / COMPLETE).exists():
        return
    watcher.note(
        f"Installing the environment '{name}' first needs at most "
        f"{megabytes(NEEDED_BYTES)} of disk space "
        f"({megabytes(free_bytes(folder.parent))} is free)."
    )
    require(NEEDED_BYTES, folder.parent)


def interpreter(name: str, watcher: Watcher) -> Path:
    """Return the Python of the environment ``name``, installing it if missing.

    Raises EngineUnavailable, DownloadFailed, StorageFull.
    """
    pins = _pins(name)
    folder = folder_of(name, pins)
    python = folder / "bin" / "python"
    with writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.with_suffix(".lock")):
        if not (folder / COMPLETE).exists():
            watcher.note(f"Installing the environment '{name}' in {folder}. This happens only once.")
            shutil.rmtree(folder, ignore_errors=True)
            require(NEEDED_BYTES, folder.parent)
            try:
                _install(pins, folder, watcher)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
    return python


def versions(name: str, packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of ``packages`` in the environment ``name``, and the checksum of its list of
    pins.
    """
    pins = _pins(name)
    places = [str(place) for place in folder_of(name, pins).glob("lib/python*/site-packages")]
    found = {
        package: each.version
        for package in packages
        for each in metadata.distributions(name=package, path=places)
    }
    return found | {f"environment {name}": hashlib.sha256(pins.read_bytes()).hexdigest()}


def _pins(name: str) -> Path:
    return paths.shipped_folder("models") / "environments" / f"{name}.txt"


def folder_of(name: str, pins: Path) -> Path:
    """Return the folder of an environment with these pins and this Python."""
    here = f"{platform.python_version()} {platform.machine()} {sys.executable}"
    checksum = hashlib.sha256(pins.read_bytes() + here.encode()).hexdigest()
    return paths.cache() / "environments" / f"{name}-{checksum[:12]}"


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one process install while others wait."""
    with writing(lock.parent), lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(pins: Path, folder: Path, watcher: Watcher) -> None:
    _run([sys.executable, "-m", "venv", str(folder)], EngineUnavailable)
    python = str(folder / "bin" / "python")
    wanted = requirements(pins.read_text(encoding="utf-8"))
    only_processor = pins.with_name(f"{pins.stem}-cpu.txt")
    if only_processor.is_file():
        with contextlib.suppress(DownloadFailed), timed("Installing torch for processors", watcher):
            _run([python, *PIP, "-r", str(only_processor)], DownloadFailed)
            wanted = [one for one in wanted if not GPU_LIBRARIES.match(one) and not one.startswith("torch==")]
    chosen = folder / "requirements.txt"
    chosen.write_text("\n".join(wanted) + "\n", encoding="utf-8")
    meter = Meter("Fetching packages", len(wanted), watcher, unit="packages")
    with contextlib.ExitStack() as unpacking:

        def see(line: bytes) -> None:
            if line.startswith((b"Collecting ", b"Processing ", b"Ignoring ")):
                meter.add(1)
            elif line.startswith(b"Installing collected packages"):
                unpacking.enter_context(timed("Unpacking packages", watcher))

        _run([python, *PIP, "-r", str(chosen)], DownloadFailed, see)
    (folder / COMPLETE).touch()


def requirements(pins: str) -> list[str]:
    """Return the entries of a list of pins, each with its hashes."""
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", pins, flags=re.MULTILINE).strip())
    return [entry for entry in entries if entry]


def _run(
    command: list[str],
    error: type[DownloadFailed | EngineUnavailable],
    see: Callable[[bytes], None] = lambda _: None,
) -> None:
    """Run pip or venv and pass its output to ``see``; the process is killed if this is interrupted."""
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(  # noqa: S603  a list of words
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
        )
        assert child.stdout is not None  # noqa: S101  it is a pipe
        try:
            with child.stdout as lines:
                for line in lines:
                    see(line)
            child.wait()
        except BaseException:
            child.kill()
            child.wait()
            raise
        if child.returncode != 0:
            raise error(
                f"The packages could not be installed: {last_line(said)}.",
                "Check the network and pip's settings, and try again.",
            )
