"""Which board this is: the name of its profile in config/devices/, and what it has.

Boards with an Arm processor describe themselves in the device tree, PCs in the DMI tables that
their firmware leaves, and where neither helps the processor's own name does. Containers (Docker) hide
the device tree: there a Raspberry Pi is known by its processor's number and the name that its kernel adds.
What each board says is in its profile (``signs``).
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
    """Its profile: a file of config/devices/ without its ending."""
    why: str
    """What gave it away, for people."""
    cores: int
    """Threads that can run at once within affinity and control groups."""
    big_cores: int
    """Physical cores of the fastest kind among them."""
    memory_mb: int
    """Memory that we may use, in units of 1,000,000 bytes; 0 when it cannot be told."""
    gpus: tuple[str, ...]
    """Names of its graphics processors."""

    @property
    def equipment(self) -> str:
        """What it has, for people."""
        memory = f"{self.memory_mb} MB" if self.memory_mb else "unknown memory"
        gpus = f"GPU {' and '.join(self.gpus)}" if self.gpus else "no GPU to compute on"
        return f"{self.cores} processors ({self.big_cores} big cores), {memory}, {gpus}"


_SOURCES = ("device tree", "firmware", "processor", "system")

_GENERIC = (
    ("generic-arm", "processor", r"CPU implementer"),
    ("generic-x86", "processor", r"vendor_id"),
    ("generic-arm", "system", r"arm|aarch64"),
)
"""Profile, where to look, what to find there: of a machine that no profile has signs of."""


def recognise(root: Path = ROOT) -> Board:
    """Look at /proc and /sys below ``root``. Never raises: an unknown machine is generic-x86."""
    evidence = _evidence(root)
    name, why = "generic-x86", "nothing here says what it is"
    for profile, source, pattern in (*signs(), *_GENERIC):
        said, everything = evidence[source]
        if re.search(pattern, everything):
            name, why = profile, f"the {source} says '{said}'"
            break
    big = len(cores.big_cores(root))
    return Board(name, why, cores.usable_cores(root), big, _memory_mb(root), graphics.gpus(root))


def signs() -> Sequence[tuple[str, str, str]]:
    """Profile, where to look, what to find there (a regular expression); the first that fits counts."""
    return tuple(sign for name, file in paths.shipped_files("devices").items() for sign in _signs(name, file))


@functools.cache
def _signs(profile: str, file: Path) -> Sequence[tuple[str, str, str]]:
    """The ``signs`` of a profile. One that makes no sense is left out."""
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
    """Source -> what it says in short, and all that it says."""
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
    """What the kernel has, or what our control group may take of it."""
    total = re.search(r"^MemTotal:\s*(\d+) kB", text(root / "proc/meminfo"), re.MULTILINE)
    if total:
        have = int(total[1]) * 1024
    elif root == ROOT and "SC_PHYS_PAGES" in os.sysconf_names:
        have = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    else:
        have = 0
    return int(min(have, limits.memory_bytes(root))) // 1_000_000
