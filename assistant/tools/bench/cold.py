"""``assistant bench cold``: from the start of the program until it can hear, with nothing cached.

In each round, a separate process loads and warms everything as the appliance does, first with its files
dropped from the kernel's page cache, then with them cached. The difference is the disk. What can be dropped
depends on the user: root can empty the whole cache; anyone else can only tell the kernel that a file's pages
are no longer needed, which keeps the pages that another process has mapped.
"""

from __future__ import annotations

import asyncio
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from assistant.app import build as app
from assistant.app import engines as loading
from assistant.app import model_choice
from assistant.audio.wav import WavMicrophone, WavSpeaker
from assistant.board import storage
from assistant.runtime import clock
from assistant.settings.schema import Settings
from assistant.tools.bench.lib.child import in_own_process
from assistant.tools.bench.lib.measuring import Document, Result, columned, in_turn, median, ratio, rounded

DROP = Path("/proc/sys/vm/drop_caches")
_EVERYTHING = b"1"
"""Drops the page cache, but not dentries and inodes (proc(5))."""


def run(settings: Settings, *, rounds: int, models_only: bool, progress: Callable[[str], None]) -> Result:
    """Start cold and warm in turn, emptying the whole cache where allowed, or only the models with
    ``models_only``.

    Raises AssistantError if a start fails.
    """
    files = model_files(settings)
    how = ""

    def cold() -> Document:
        nonlocal how
        how = empty_cache(files, everything=not models_only)
        progress(f"a start with {how}")
        return _started(settings)

    def warm() -> Document:
        progress("a start with everything in the cache")
        return _started(settings)

    _started(settings)
    found = in_turn([warm, cold], rounds)
    largest = max(files, key=lambda file: file.stat().st_size, default=None)
    rate = storage.read_rate(largest) if largest else None
    document: Document = {
        "rounds": rounds,
        "emptied": how,
        "warm": _figures(found[0]),
        "cold": _figures(found[1]),
        "read_mb": round(sum(file.stat().st_size for file in files) / 1e6, 1),
        "disk": storage.medium(largest) if largest else "",
        "disk_mb_per_s": rounded(rate.bytes_per_s / 1e6, 1) if rate else None,
        "disk_past_cache": rate.direct if rate else None,
        "slow_disk": bool(rate and storage.is_slow(rate)),
    }
    document["ratio"] = ratio(document["cold"]["ready_p50_s"], document["warm"]["ready_p50_s"])
    return Result(_as_text(document), document)


def model_files(settings: Settings) -> list[Path]:
    """Return every file of the configured models. Raises ModelError if one is missing."""
    store = loading.store_of(settings)
    folders = [store.place(settings.stt.model, "stt"), store.place(settings.tts.model, "tts")]
    if settings.llm.needs_model:
        folders.append(store.place(model_choice.choice(settings).model, "llm"))
    return sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())


def empty_cache(files: Iterable[Path], *, everything: bool) -> str:
    """Drop the files read at startup from the kernel's cache, and return a description of what was
    dropped.
    """
    os.sync()  # Dirty pages cannot be dropped.
    if everything:
        try:
            DROP.write_bytes(_EVERYTHING)
        except OSError:
            pass
        else:
            return "the cache was emptied"
    if not hasattr(os, "posix_fadvise"):
        return "the cache was not emptied, because this system does not allow it"
    for file in files:
        with file.open("rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return "the models were dropped from the cache"


def _started(settings: Settings) -> Document:
    return in_own_process(start, settings, "The start", began_s=time.time())


def start(settings: Settings, began_s: float) -> Document:
    """Start the assistant; runs in a separate process that was launched at ``began_s``. Returns when it
    was ready.
    """
    imported_s = time.time()
    ready_s = clock.run(_ready(settings))
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_majflt
    return {"imported_s": imported_s - began_s, "ready_s": ready_s - began_s, "faults": faults}


async def _ready(settings: Settings) -> float:
    """Return the wall-clock time at which everything was loaded and warm."""
    microphone, speaker = WavMicrophone([]), WavSpeaker(None)
    with tempfile.TemporaryDirectory() as folder, app.skill_context(Path(folder)) as context:
        async with app.open_loop(
            settings, microphone, speaker, on_report=lambda _: None, context=context, hands_free=True
        ):
            await asyncio.sleep(0)
            return time.time()


def _figures(starts: Sequence[Document]) -> Document:
    return {
        "imported_p50_s": rounded(median(each["imported_s"] for each in starts), 2),
        "ready_p50_s": rounded(median(each["ready_s"] for each in starts), 2),
        "faults_p50": rounded(median(each["faults"] for each in starts), 0),
        "n": len(starts),
    }


def _as_text(document: Document) -> str:
    starts = [
        {"with": document["emptied"], **document["cold"]},
        {"with": "all in the cache", **document["warm"]},
    ]
    columns = [("start with", "with"), ("program there, s", "imported_p50_s"), ("ready, s", "ready_p50_s")]
    columns += [("pages read from disk", "faults_p50"), ("n", "n")]
    lines = ["From the start of the program", "", columned(columns, starts), ""]
    if speed := document["disk_mb_per_s"]:
        how = "past the cache" if document["disk_past_cache"] else "perhaps from the cache"
        disk = document["disk"] or "the disk"
        lines.append(f"{disk} reads {speed} MB/s ({how}); the models have {document['read_mb']} MB")
    if document["slow_disk"]:
        lines.append(storage.ADVICE)
    return "\n".join(lines)
