"""Makes a GGUF file of another number format, in a process of its own.

llama.cpp's quantizer cannot be interrupted and ends the whole process on some damaged files, so it
runs in a child (``quantizer_process``): Ctrl-C kills that, and an assertion in it is an error like
any other. The child tells of each tensor; what it says is all that this module knows of it.
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
    """What the child is to do; its paths are texts because it is told in JSON."""

    source: str
    target: str
    format: int
    threads: int
    keep_f16: str = ""
    """Regular expression; tensors whose names it finds stay at 16 bits."""
    output_type: int | None = None
    """Type of the layer that makes the words; None lets the format decide."""
    embedding_type: int | None = None
    importance: str = ""
    """File that ``importance.save`` wrote."""


@dataclass(frozen=True, slots=True)
class Made:
    """A file that was made, alone in its folder with what belongs to it."""

    file: Path
    fell_back: dict[str, tuple[str, str]]
    """Tensor -> the type it should have had, and the one it has because its rows do not divide."""
    types: dict[str, int]
    """Type -> how many tensors of two or more dimensions have it."""

    @property
    def size_bytes(self) -> int:
        """The file with all that was made for it."""
        return sum(file.stat().st_size for file in self.file.parent.iterdir())


def quantize(job: Job, chosen: Format, watcher: Watcher) -> Made:
    """Run ``job``; nothing is left of the target when it fails.

    Raises StorageFull before anything is written when it can be known, EngineFailed.
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
    # A layer that reads and makes the words is told of twice, once under a name that it does not have.
    names = {tensor.name for tensor in made.tensors}
    fell_back = {name: change for name, change in fell_back.items() if name in names}
    return Made(target, fell_back, dict(types.most_common()))


def _run(job: Job) -> Iterator[dict[str, object]]:
    """What the child says, line by line; it is gone when this ends, however it ends."""
    command = [sys.executable, "-m", "assistant.tools.quantize.quantizer_process"]
    pipe = subprocess.PIPE
    with tempfile.TemporaryFile() as complaints:
        child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=complaints, text=True)  # noqa: S603
        assert child.stdin is not None and child.stdout is not None  # noqa: S101, PT018  both are pipes
        reason = ""
        try:
            with contextlib.suppress(BrokenPipeError):  # it ended at once, and its status says so
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
