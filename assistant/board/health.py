"""The current condition of the hardware: memory, swap, clock governor, heat, power.

Plain facts from /proc and /sys; ``doctor`` explains what they mean for a voice assistant.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from assistant.board.limits import ROOT, text

THROTTLING = {
    0: "the power supply is too weak",
    1: "the CPU clock is capped",
    2: "the CPU is throttled",
    3: "the CPU is near its temperature limit",
    16: "the power supply was too weak at some point since boot",
    17: "the CPU clock was capped at some point since boot",
    18: "the CPU was throttled at some point since boot",
    19: "the CPU was near its temperature limit at some point since boot",
}
"""Bits of a Raspberry Pi's get_throttled (raspberrypi.com/documentation, vcgencmd): now, and since boot."""

SELF_REGULATING = ("intel_pstate", "amd-pstate", "amd_pstate")
"""Drivers for which "powersave" only means that the processor chooses its own clock."""

_OF_THE_PROCESSOR = re.compile("cpu|soc|pkg|core|tj")
"""Parts of Linux sensor names: cpu-thermal (Raspberry Pi), CPU-therm (Jetson), x86_pkg_temp."""


def available_mb(root: Path = ROOT) -> int | None:
    """Memory available to programs without swapping, in units of 1,000,000 bytes; None if unknown."""
    return _meminfo_mb("MemAvailable", root)


def swap_used_mb(root: Path = ROOT) -> int | None:
    """Memory moved to swap, in units of 1,000,000 bytes; None if unknown."""
    total, free = _meminfo_mb("SwapTotal", root), _meminfo_mb("SwapFree", root)
    return None if total is None or free is None else total - free


def governor(root: Path = ROOT) -> tuple[str, bool]:
    """The CPU clock governor, and True if it keeps the clock low; empty if the kernel names none.

    If processors differ, one that keeps the clock low counts.
    """
    first = ""
    for frequency in sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq")):
        name = text(frequency / "scaling_governor")
        driver = text(frequency / "scaling_driver")
        if name == "powersave" and not driver.startswith(SELF_REGULATING):
            return name, True
        first = first or name
    return first, False


def hottest_c(root: Path = ROOT) -> float | None:
    """Temperature of the hottest CPU sensor in degrees Celsius; None without sensors.

    If no sensor is named after the CPU, all others count except a Jetson's PMIC, which always reports 100.
    """
    kinds: dict[bool, list[float]] = {True: [], False: []}
    for zone in (root / "sys/class/thermal").glob("thermal_zone*"):
        kind, reading = text(zone / "type").lower(), text(zone / "temp")
        if reading.isdecimal() and "pmic" not in kind:
            kinds[bool(_OF_THE_PROCESSOR.search(kind))].append(int(reading) / 1000)
    return max(kinds[True] or kinds[False], default=None)


def stalled_percent(root: Path = ROOT) -> float | None:
    """Percent of the last ten seconds in which some program waited for memory (PSI); None if unknown."""
    found = re.search(r"^some avg10=(\d+\.\d+)", text(root / "proc/pressure/memory"), re.MULTILINE)
    return float(found[1]) if found else None


def throttling(root: Path = ROOT) -> tuple[str, ...]:
    """What limits a Raspberry Pi's speed according to its firmware, now or since boot; empty elsewhere.

    If the kernel does not pass it on, the Pi's own program is run.
    """
    said = text(root / "sys/devices/platform/soc/soc:firmware/get_throttled")
    program = shutil.which("vcgencmd") if not said and root == ROOT else None
    if program is not None:
        said = _said_by(program, "get_throttled")
    said = said.removeprefix("throttled=").removeprefix("0x")
    bits = int(said, 16) if re.fullmatch("[0-9a-fA-F]{1,8}", said) else 0
    return tuple(meaning for bit, meaning in THROTTLING.items() if bits >> bit & 1)


def _said_by(*command: str) -> str:
    """Run a small program and return its output; empty if it fails or hangs."""
    try:
        done = subprocess.run(  # noqa: S603 - a program found on the PATH, and our own words
            command, capture_output=True, text=True, errors="replace", timeout=2, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def memory_bytes(key: str, root: Path = ROOT, of: str = "meminfo") -> int | None:
    """Return a value of /proc/meminfo, such as "MemAvailable", or of a similar file; None if missing."""
    found = re.search(rf"^{key}:\s*(\d+) kB", text(root / "proc" / of), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _meminfo_mb(key: str, root: Path) -> int | None:
    found = memory_bytes(key, root)
    return None if found is None else found // 1_000_000
