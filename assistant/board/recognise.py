"""Recognizes the board: the name of its profile in config/devices/, and its equipment.

Arm boards describe themselves in the device tree, PCs in their firmware's DMI tables; failing that, the
processor's name decides. Containers (Docker) hide the device tree, so a Raspberry Pi is recognized there by
its processor number and the model name that its kernel adds. Each profile has the ``signs`` of its board.
"""

from __future__ import annotations

import functools
import logging
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.board import cores, graphics, limits
from assistant.board.limits import ROOT, text
from assistant.runtime import paths, yaml

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Board:
    name: str
    """Its profile: a file name in config/devices/ without the extension."""
    why: str
    """How it was recognized, shown to the user."""
    cores: int
    """Threads that can run at once within affinity and control groups."""
    big_cores: int
    """Physical cores of the fastest kind among them."""
    memory_mb: int
    """Memory that the assistant may use, in units of 1,000,000 bytes; 0 if unknown."""
    gpus: tuple[str, ...]
    """Names of its GPUs."""

    @property
    def equipment(self) -> str:
        """Describe its equipment for the user."""
        memory = f"{self.memory_mb} MB" if self.memory_mb else "unknown memory"
        gpus = f"GPU {' and '.join(self.gpus)}" if self.gpus else "no usable GPU"
        return f"{self.cores} processors ({self.big_cores} big cores), {memory}, {gpus}"


_SOURCES = ("device tree", "firmware", "processor", "system")

_GENERIC = (
    ("generic-arm", "processor", r"CPU implementer"),
    ("generic-x86", "processor", r"vendor_id"),
    ("generic-arm", "system", r"arm|aarch64"),
)
"""Profile, where to look, pattern: for machines that match no profile's signs."""


def recognise(root: Path = ROOT) -> Board:
    """Read /proc and /sys below ``root``. Never raises: an unknown machine is generic-x86."""
    evidence = _evidence(root)
    name, why = "generic-x86", "the board was not recognized"
    for profile, source, pattern in (*signs(), *_GENERIC):
        said, everything = evidence[source]
        if re.search(pattern, everything):
            name, why = profile, f"the {source} says '{said}'"
            break
    big = len(cores.big_cores(root))
    return Board(name, why, cores.usable_cores(root), big, _memory_mb(root), graphics.gpus(root))


def signs() -> Sequence[tuple[str, str, str]]:
    """Return profile, where to look, and pattern (a regular expression); the first match counts."""
    return tuple(sign for name, file in paths.shipped_files("devices").items() for sign in _signs(name, file))


@functools.cache
def _signs(profile: str, file: Path) -> Sequence[tuple[str, str, str]]:
    """Read the ``signs`` of a profile, without invalid ones."""
    value = yaml.read(text(file)).value
    signs = value.get("signs") if isinstance(value, dict) else None
    found = []
    for source, pattern in signs.items() if isinstance(signs, dict) else ():
        try:
            re.compile(str(pattern))
        except re.error as error:
            log.warning("board=%s sign=%r problem=%s", profile, pattern, error)
            continue
        if source in _SOURCES:
            found.append((profile, source, str(pattern)))
    return found


def _evidence(root: Path) -> Mapping[str, tuple[str, str]]:
    """Source -> its value in short, and in full."""
    tree, dmi = root / "proc/device-tree", root / "sys/class/dmi/id"
    model, compatible = (text(tree / file).replace("\0", " ").strip() for file in ("model", "compatible"))
    firmware = " ".join(text(dmi / file) for file in ("sys_vendor", "product_name", "board_name"))
    processor = text(root / "proc/cpuinfo")
    keys = ("Model", "model name", "CPU part")
    names = (re.search(rf"^{key}\s*: (.+)$", processor, re.MULTILINE) for key in keys)
    system = f"{platform.system()} {platform.machine()}" if root == ROOT else ""
    return {
        "device tree": (model or compatible, compatible),
        "firmware": (firmware, firmware),
        "processor": (next((name[1] for name in names if name), "nothing more"), processor),
        "system": (system, system),
    }


def _memory_mb(root: Path) -> int:
    """Return the machine's memory, or the control group's limit if lower."""
    total = re.search(r"^MemTotal:\s*(\d+) kB", text(root / "proc/meminfo"), re.MULTILINE)
    if total:
        have = int(total[1]) * 1024
    elif root == ROOT and "SC_PHYS_PAGES" in os.sysconf_names:
        have = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    else:
        have = 0
    return int(min(have, limits.memory_bytes(root))) // 1_000_000
