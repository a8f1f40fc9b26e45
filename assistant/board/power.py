"""How much energy this machine takes, where something measures it: RAPL, a sensor chip, or tegrastats.

RAPL counts microjoules of the processor; sensor chips (INA3221 and the like, under hwmon) say what flows now.
Figures that are missing or unreadable are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from assistant.board.limits import ROOT, text


@dataclass(frozen=True, slots=True)
class Counter:
    """What a RAPL domain has counted."""

    joules: float
    wraps_at_joules: float
    """Then it begins at 0 again."""


def counted(root: Path = ROOT) -> Mapping[str, Counter]:
    """Of each package, by its name ("package-0"); empty where they are not to be read."""
    found = {}
    for domain in sorted((root / "sys/class/powercap").glob("intel-rapl:[0-9]*")):
        name, used, most = (text(domain / file) for file in ("name", "energy_uj", "max_energy_range_uj"))
        if domain.name.count(":") == 1 and name and used.isdecimal():
            found[name] = Counter(int(used) / 1e6, int(most) / 1e6 if most.isdecimal() else 0.0)
    return found


def spent_joules(before: Mapping[str, Counter], after: Mapping[str, Counter]) -> Mapping[str, float]:
    """What was used between two looks."""
    spent = {}
    for name in before.keys() & after.keys():
        used = after[name].joules - before[name].joules
        spent[name] = used if used >= 0 else used + after[name].wraps_at_joules
    return spent


def flowing_watts(root: Path = ROOT) -> Mapping[str, float]:
    """What the sensor chips say now, by the names that the board gives them."""
    found = {}
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        place = text(chip / "name") or chip.name
        for power in sorted(chip.glob("power[0-9]*_input")):
            label = text(chip / power.name.replace("_input", "_label")) or power.name.removesuffix("_input")
            if (said := text(power)).isdecimal():
                found[f"{place} {label}"] = int(said) / 1e6
        for volts in sorted(chip.glob("in[0-9]*_input")):
            amperes = text(chip / volts.name.replace("in", "curr", 1))
            label = text(chip / volts.name.replace("_input", "_label"))
            if label and (said := text(volts)).isdecimal() and amperes.isdecimal():
                found[f"{place} {label}"] = int(said) * int(amperes) / 1e6
    return found


def of_tegrastats(lines: Sequence[str]) -> Mapping[str, float]:
    """Mean watts of each rail over the lines that tegrastats printed.

    A Jetson Nano prints "POM_5V_IN 1750/1628", an Orin "VDD_IN 4800mW/4752mW": now, and on the average since
    it was started, in milliwatts.
    """
    readings: dict[str, list[float]] = {}
    for line in lines:
        for rail, now in re.findall(r"\b((?:POM|VDD|VIN)_\w+) (\d{1,6})(?:mW)?/\d{1,6}(?:mW)?\b", line):
            readings.setdefault(rail, []).append(int(now) / 1000)
    return {rail: fmean(watts) for rail, watts in readings.items()}


def load_of_tegrastats(lines: Sequence[str]) -> Mapping[str, float]:
    """Mean percent of memory bandwidth (EMC) and graphics (GR3D) over these lines, where they tell."""
    found = {}
    for name, key in (("memory bandwidth", "EMC_FREQ"), ("graphics", "GR3D_FREQ")):
        shares = [int(share) for line in lines for share in re.findall(rf"\b{key} (\d{{1,3}})%", line)]
        if shares:
            found[name] = fmean(shares)
    return found
