"""How the hardware is doing right now: memory, swap, clock governor, heat, power.

Plain facts from /proc and /sys; what they mean for a voice assistant is for ``doctor`` to say.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from assistant.board.limits import ROOT, text

THROTTLING = {
    0: "the power supply is too weak",
    1: "the clock is capped",
    2: "it is throttled",
    3: "it is near its temperature limit",
    16: "the power supply has been too weak",
    17: "the clock has been capped",
    18: "it has been throttled",
    19: "it has been near its temperature limit",
}
"""Bits of a Raspberry Pi's get_throttled (raspberrypi.com/documentation, vcgencmd): now, and since boot."""

SELF_REGULATING = ("intel_pstate", "amd-pstate", "amd_pstate")
"""Drivers whose "powersave" only means that the processor chooses its clock itself."""

_OF_THE_PROCESSOR = re.compile("cpu|soc|pkg|core|tj")
"""In the names that Linux gives its sensors: cpu-thermal (Raspberry Pi), CPU-therm (Jetson), x86_pkg_temp."""


def available_mb(root: Path = ROOT) -> int | None:
    """Memory that programs could take without swapping, in 1,000,000 bytes; None when it cannot be told."""
    return _meminfo_mb("MemAvailable", root)


def swap_used_mb(root: Path = ROOT) -> int | None:
    """What has been moved out of memory, in 1,000,000 bytes; None when it cannot be told."""
    total, free = _meminfo_mb("SwapTotal", root), _meminfo_mb("SwapFree", root)
    return None if total is None or free is None else total - free


def governor(root: Path = ROOT) -> tuple[str, bool]:
    """The processor's clock governor and whether it keeps it slow; empty where the kernel names none.

    Where processors have several, one that keeps them slow counts.
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
    """The hottest of the processor's sensors in degrees Celsius; None without sensors.

    Where none says that it is the processor's all others count, but for a Jetson's PMIC: that one says 100.
    """
    kinds: dict[bool, list[float]] = {True: [], False: []}
    for zone in (root / "sys/class/thermal").glob("thermal_zone*"):
        kind, reading = text(zone / "type").lower(), text(zone / "temp")
        if reading.isdecimal() and "pmic" not in kind:
            kinds[bool(_OF_THE_PROCESSOR.search(kind))].append(int(reading) / 1000)
    return max(kinds[True] or kinds[False], default=None)


def stalled_percent(root: Path = ROOT) -> float | None:
    """How much of the last ten seconds some program waited for memory (PSI); None where that is not told."""
    found = re.search(r"^some avg10=(\d+\.\d+)", text(root / "proc/pressure/memory"), re.MULTILINE)
    return float(found[1]) if found else None


def throttling(root: Path = ROOT) -> tuple[str, ...]:
    """What a Raspberry Pi's firmware says slows it down, or did since boot; empty elsewhere.

    Kernels that do not pass it on leave it to the Pi's own program.
    """
    said = text(root / "sys/devices/platform/soc/soc:firmware/get_throttled")
    program = shutil.which("vcgencmd") if not said and root == ROOT else None
    if program is not None:
        said = _said_by(program, "get_throttled")
    said = said.removeprefix("throttled=").removeprefix("0x")
    bits = int(said, 16) if re.fullmatch("[0-9a-fA-F]{1,8}", said) else 0
    return tuple(meaning for bit, meaning in THROTTLING.items() if bits >> bit & 1)


def _said_by(*command: str) -> str:
    """What a small program prints; empty when it fails or hangs."""
    try:
        done = subprocess.run(  # noqa: S603 - a program found on the PATH, and our own words
            command, capture_output=True, text=True, errors="replace", timeout=2, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def memory_bytes(key: str, root: Path = ROOT, of: str = "meminfo") -> int | None:
    """A figure of /proc/meminfo, such as "MemAvailable", or of such a file; None where it is not given."""
    found = re.search(rf"^{key}:\s*(\d+) kB", text(root / "proc" / of), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _meminfo_mb(key: str, root: Path) -> int | None:
    found = memory_bytes(key, root)
    return None if found is None else found // 1_000_000
