"""Which graphics processors this machine has, after what the kernel and NVIDIA's driver say.

Those that only show pictures (of virtual machines, of servers) do not count. Whether an engine here can
compute on one depends on how it was built: ``cli.checks.graphics``.
"""

from __future__ import annotations

import platform
import re
from pathlib import Path

from assistant.board.limits import ROOT, text

VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel"}
"""Numbers of the PCI Special Interest Group."""


def gpus(root: Path = ROOT) -> tuple[str, ...]:
    """A name for each, such as "NVIDIA GeForce RTX 3060" or "AMD"; empty where none is seen."""
    found = _with_nvidias_driver(root)
    tegra = re.search(r"nvidia,(tegra\d+)", text(root / "proc/device-tree/compatible"))
    if tegra and not found:  # is no PCI device, and has no vendor below /sys/class/drm
        found = [f"NVIDIA {tegra[1].capitalize()}"]
    cards = sorted((root / "sys/class/drm").glob("card[0-9]*/device/vendor"))
    vendors = [VENDORS.get(text(card), "") for card in cards if "-" not in card.parts[-3]]
    found += [name for name in vendors if name and not (name == "NVIDIA" and found)]
    if root == ROOT and (platform.system(), platform.machine()) == ("Darwin", "arm64"):
        found.append("Apple")
    return tuple(found)


def _with_nvidias_driver(root: Path) -> list[str]:
    """What NVIDIA's own driver calls those that it runs."""
    folder = root / "proc/driver/nvidia/gpus"
    said = (text(file) for file in sorted(folder.glob("*/information")))
    models = (re.search(r"^Model:\s*(.+)$", lines, re.MULTILINE) for lines in said)
    names = (model[1].strip() for model in models if model)
    return [name if name.startswith("NVIDIA") else f"NVIDIA {name}" for name in names]
