"""Makes a GGUF file in another number format, in a separate process.

llama.cpp's quantizer cannot be interrupted and aborts the process on some damaged files, so it runs in a
child (``quantizer_process``): Ctrl-C kills the child, and a failed assertion in it is an ordinary error. The
child reports each tensor; this module knows only those reports.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from assistant.core.errors import EngineFailed
from assistant.store.disk import free_bytes, require
from assistant.store.formats.gguf import read_header
from assistant.store.progress import Meter, Watcher
from assistant.tools.quantize.recipe import Format
from assistant.tools.quantize.workspace import last_line


@dataclass(frozen=True, slots=True)
class Job:
    """The child's job; paths are strings because it is sent as JSON."""

    source: str
    target: str
    format: int
    threads: int
    keep_f16: str = ""
    """Regular expression; tensors with matching names stay at 16 bits."""
    output_type: int | None = None
    """Type of the output layer; None: decided by the format."""
    embedding_type: int | None = None
    importance: str = ""
    """File written by ``importance.save``."""


@dataclass(frozen=True, slots=True)
class Made:
    """A new file, alone in its folder with everything that belongs to it."""

    file: Path
    fell_back: dict[str, tuple[str, str]]
    """Tensor -> the intended type, and the actual one, because its rows are not divisible."""
    types: dict[str, int]
    """Type -> number of tensors with two or more dimensions."""

    @property
    def size_bytes(self) -> int:
        """Return the size of the file and everything that belongs to it."""
        return sum(file.stat().st_size for file in self.file.parent.iterdir())


def quantize(job: Job, chosen: Format, watcher: Watcher) -> Made:
    """Run ``job``; the target is removed on failure.

    Raises StorageFull before anything is written if that can be known, EngineFailed.
    """
    target = Path(job.target)
    tensors = {tensor.name: tensor for tensor in read_header(Path(job.source)).tensors}
    meter = Meter(f"Making {chosen.name}", sum(tensor.size_bytes for tensor in tensors.values()), watcher)
    fell_back: dict[str, tuple[str, str]] = {}
    try:
        for said in _run(job):
            if "needs_bytes" in said:
                require(int(str(said["needs_bytes"])), target.parent)
            elif "fell_back" in said:
                fell_back[str(said["fell_back"])] = (str(said["from"]).upper(), str(said["to"]).upper())
            elif (name := str(said.get("tensor"))) in tensors:
                meter.add(tensors[name].size_bytes)
        made = read_header(target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    types = Counter(tensor.type for tensor in made.tensors if len(tensor.shape) > 1)
    # A layer shared by input and output is reported twice, once under a name it doesn't have.
    names = {tensor.name for tensor in made.tensors}
    fell_back = {name: change for name, change in fell_back.items() if name in names}
    return Made(target, fell_back, dict(types.most_common()))


def _run(job: Job) -> Iterator[dict[str, object]]:
    """Yield the child's output line by line; the child is killed if this ends early."""
    command = [sys.executable, "-m", "assistant.tools.quantize.quantizer_process"]
    pipe = subprocess.PIPE
    with tempfile.TemporaryFile() as complaints:
        child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=complaints, text=True)  # noqa: S603
        assert child.stdin is not None and child.stdout is not None  # noqa: S101, PT018  both are pipes
        reason = ""
        try:
            with contextlib.suppress(BrokenPipeError):  # It ended immediately; its exit status tells why.
                child.stdin.write(json.dumps(asdict(job)))
                child.stdin.close()
            for line in child.stdout:
                if line.startswith("{"):
                    said = json.loads(line)
                    reason = str(said.get("failed", reason))
                    yield said
            status = child.wait()
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
        if status != 0:
            _fail(reason or last_line(complaints), Path(job.target).parent)


def _fail(reason: str, folder: Path) -> None:
    left = free_bytes(folder)
    full = f" The disk under {folder} has {left // 1_000_000} MB left." if left < 100_000_000 else ""
    raise EngineFailed(
        f"llama.cpp could not write the file: {reason.rstrip('.')}.{full}",
        "Free some space and try again." if full else "Choose another format or another source.",
    )
