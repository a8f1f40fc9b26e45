"""What a figure was measured on: the board, the versions of the libraries, and the current settings.

It also measures what the process has used. A figure without this context is meaningless.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from assistant import __version__
from assistant.app import model_choice
from assistant.board import health
from assistant.board.limits import ROOT
from assistant.board.recognise import recognise
from assistant.runtime.engine_spec import spec
from assistant.settings.schema import Settings
from assistant.tools.bench.lib.measuring import Document

_SECTIONS = ("vad", "endpoint", "stt", "llm", "tts", "conversation")
"""Sections whose settings affect the figures."""


def describe(settings: Settings) -> Document:
    """Return a document's ``machine`` and ``settings``. Call it first: it records the load before the
    measurement.
    """
    board = recognise()
    settings = model_choice.resolved(settings)
    return {
        "machine": {
            "board": board.name,
            "why": board.why,
            "cores": board.cores,
            "big_cores": board.big_cores,
            "memory_mb": board.memory_mb,
            "load_before": round(os.getloadavg()[0], 2),
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "python": platform.python_version(),
            "assistant": __version__,
            "libraries": {name: found for name in _libraries(settings) if (found := _version(name))},
        },
        "settings": settings.model_dump(mode="json", include=set(_SECTIONS)),
    }


def headline(document: Document) -> str:
    """Describe the machine in one line, for people."""
    machine = document["machine"]
    settings = document["settings"]
    models = ", ".join(settings[section]["model"] for section in ("stt", "llm", "tts"))
    return (
        f"{machine['board']} ({machine['why']}), {machine['big_cores']} of {machine['cores']} cores, "
        f"load {machine['load_before']:g} before\n{models}"
    )


def peak_rss_mb(process: str = "self", root: Path = ROOT) -> float:
    """Return the peak memory of this process or another one, in units of 1,000,000 bytes."""
    peak = health.memory_bytes("VmHWM", root, of=f"{process}/status")
    if peak is not None:
        return peak / 1e6
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used * (1 if sys.platform == "darwin" else 1024) / 1e6  # macOS counts in bytes.


def rss_mb(process: str = "self") -> float:
    """Return the current memory of this process or another one; its peak if unavailable."""
    now = health.memory_bytes("VmRSS", of=f"{process}/status")
    return peak_rss_mb(process) if now is None else now / 1e6


def anonymous_mb(process: str = "self") -> float | None:
    """Return the part of it that is not backed by a file and cannot be reclaimed; None if unavailable."""
    now = health.memory_bytes("RssAnon", of=f"{process}/status")
    return None if now is None else now / 1e6


def cpu_s() -> float:
    """Return the CPU seconds of this process and of its child processes that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def cpu_s_of(process: str) -> float:
    """Return the CPU seconds of all threads of another process (proc(5), fields 14 and 15)."""
    stat = (Path("/proc") / process / "stat").read_text("ascii", "replace")
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def _libraries(settings: Settings) -> list[str]:
    """Return the distributions behind the configured engines."""
    engines = [spec(kind, getattr(settings, kind).engine) for kind in ("vad", "stt", "llm", "tts")]
    return sorted({"numpy", *(name for each in engines for name in each.packages)})


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
