"""Which GPUs this machine has, according to the kernel and NVIDIA's driver.

Display-only adapters (of virtual machines, of servers) don't count. Whether an installed engine can compute
on a GPU depends on how it was built: see ``cli.checks.graphics``.
"""

from __future__ import annotations

import platform
import re
from pathlib import Path

from assistant.board.limits import ROOT, text

VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel"}
"""IDs from the PCI Special Interest Group."""


def gpus(root: Path = ROOT) -> tuple[str, ...]:
    """Return a name for each GPU, such as "NVIDIA GeForce RTX 3060" or "AMD"; empty if none is found."""
    found = _with_nvidias_driver(root)
    tegra = re.search(r"nvidia,(tegra\d+)", text(root / "proc/device-tree/compatible"))
    if tegra and not found:  # it isn't a PCI device, and has no vendor below /sys/class/drm
        found = [f"NVIDIA {tegra[1].capitalize()}"]
    cards = sorted((root / "sys/class/drm").glob("card[0-9]*/device/vendor"))
    vendors = [VENDORS.get(text(card), "") for card in cards if "-" not in card.parts[-3]]
    found += [name for name in vendors if name and not (name == "NVIDIA" and found)]
    if root == ROOT and (platform.system(), platform.machine()) == ("Darwin", "arm64"):
        found.append("Apple")
    return tuple(found)


def _with_nvidias_driver(root: Path) -> list[str]:
    """Return the names of the GPUs that NVIDIA's own driver runs."""
    folder = root / "proc/driver/nvidia/gpus"
    said = (text(file) for file in sorted(folder.glob("*/information")))
    models = (re.search(r"^Model:\s*(.+)$", lines, re.MULTILINE) for lines in said)
    names = (model[1].strip() for model in models if model)
    return [name if name.startswith("NVIDIA") else f"NVIDIA {name}" for name in names]
