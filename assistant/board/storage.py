"""Measures how fast a file can be read from its storage medium, and names the medium.

Data in the page cache is read at memory speed, which says nothing about the next start. So the cache is
bypassed (O_DIRECT) if the file system allows it. Limited in time and bytes.
"""

from __future__ import annotations

import mmap
import os
import time
from dataclasses import dataclass
from pathlib import Path

from assistant.board.limits import ROOT, text

PIECE_BYTES = 1024 * 1024
"""At least as much as the kernel reads ahead on such boards."""
MOST_BYTES = 64 * 1024 * 1024
MOST_S = 1.0
SLOW_BYTES_PER_S = 60_000_000
"""A Raspberry Pi 4 reads at most 50 MB/s from a card (DDR50), a Pi 5 about 90 (SDR104), USB disks
hundreds. Below this rate, half a gigabyte takes more than eight seconds.
"""
ADVICE = "Set store.models to a folder on a USB 3 or NVMe disk, or use a faster card (A2, SDR104)."
"""Advice for a slow disk."""


@dataclass(frozen=True, slots=True)
class Rate:
    bytes_per_s: float
    direct: bool
    """True if measured past the page cache, so it is the medium's own speed."""


def is_slow(rate: Rate) -> bool:
    """True if the disk slows down startup; False if that is unknown because the file came from the cache."""
    return rate.direct and rate.bytes_per_s < SLOW_BYTES_PER_S


def largest_file(folder: Path) -> Path | None:
    """Return the model file that holds the weights, in any format; None if there is none."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return max(files, key=lambda file: file.stat().st_size, default=None)


def slow_load(folder: Path, load_s: float) -> str:
    """Explain a slow model load if the disk caused it; measured only if the load took long.

    Empty if the load was as fast as from a disk that is not slow, or if something else delayed it.
    """
    file = largest_file(folder)
    if file is None or file.stat().st_size > SLOW_BYTES_PER_S * load_s:
        return ""
    rate = read_rate(file)
    if rate is None or not is_slow(rate):
        return ""
    return f"{medium(file) or 'its disk'} reads {rate.bytes_per_s / 1e6:.0f} MB/s"


def read_rate(file: Path, *, most_s: float = MOST_S) -> Rate | None:
    """Read up to 64 MB for up to a second; None if the file is unreadable or smaller than a piece."""
    for flag, direct in ((getattr(os, "O_DIRECT", 0), True), (0, False)):
        if direct and not flag:
            continue
        try:
            found = _read(file, flag, most_s)
        except OSError:  # this file system has no O_DIRECT
            continue
        return Rate(found, direct) if found else None
    return None


def _read(file: Path, flag: int, most_s: float) -> float:
    """Return bytes per second; 0 if nothing was read. A mapping's memory is aligned, as O_DIRECT requires."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | flag)
    try:
        with mmap.mmap(-1, PIECE_BYTES) as piece:
            began_s, done = time.perf_counter(), 0
            while done < MOST_BYTES and time.perf_counter() - began_s < most_s:
                count = os.readv(descriptor, [piece])
                done += count
                if count < PIECE_BYTES:
                    break
            return done / (time.perf_counter() - began_s)
    finally:
        os.close(descriptor)


def medium(file: Path, root: Path = ROOT) -> str:
    """Name the medium for the user: "the SD card (mmcblk0)"; empty if the kernel doesn't report it."""
    try:
        device = file.stat().st_dev
    except OSError:
        return ""
    place = root / f"sys/dev/block/{os.major(device)}:{os.minor(device)}"
    uevent = dict(line.partition("=")[::2] for line in text(place / "uevent").splitlines())
    name = uevent.get("DEVNAME", "")
    if not name:
        return ""
    kinds = (("mmcblk", "the SD card or eMMC"), ("nvme", "the NVMe disk"), ("sd", "the USB or SATA disk"))
    kind = next((kind for start, kind in kinds if name.startswith(start)), "the disk")
    return f"{kind} ({name})"
