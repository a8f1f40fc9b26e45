"""Measures this machine's power use through RAPL, a sensor chip, or tegrastats.

RAPL counts the processor's energy in microjoules; sensor chips (INA3221 and the like, under hwmon) report
current power. Missing or unreadable values are left out.
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
    """Reading of a RAPL domain."""

    joules: float
    wraps_at_joules: float
    """At this value the counter starts over from 0."""


def counted(root: Path = ROOT) -> Mapping[str, Counter]:
    """Return a counter per package, by its name ("package-0"); empty if they are not readable."""
    found = {}
    for domain in sorted((root / "sys/class/powercap").glob("intel-rapl:[0-9]*")):
        name, used, most = (text(domain / file) for file in ("name", "energy_uj", "max_energy_range_uj"))
        if domain.name.count(":") == 1 and name and used.isdecimal():
            found[name] = Counter(int(used) / 1e6, int(most) / 1e6 if most.isdecimal() else 0.0)
    return found


def spent_joules(before: Mapping[str, Counter], after: Mapping[str, Counter]) -> Mapping[str, float]:
    """Return the energy used between two readings."""
    spent = {}
    for name in before.keys() & after.keys():
        used = after[name].joules - before[name].joules
        spent[name] = used if used >= 0 else used + after[name].wraps_at_joules
    return spent


def flowing_watts(root: Path = ROOT) -> Mapping[str, float]:
    """Return the sensor chips' current power, under the board's own names."""
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
    """Average the watts of each rail over lines printed by tegrastats.

    A Jetson Nano prints "POM_5V_IN 1750/1628", an Orin "VDD_IN 4800mW/4752mW": the current value and the
    average since it was started, in milliwatts.
    """
    readings: dict[str, list[float]] = {}
    for line in lines:
        for rail, now in re.findall(r"\b((?:POM|VDD|VIN)_\w+) (\d{1,6})(?:mW)?/\d{1,6}(?:mW)?\b", line):
            readings.setdefault(rail, []).append(int(now) / 1000)
    return {rail: fmean(watts) for rail, watts in readings.items()}


def load_of_tegrastats(lines: Sequence[str]) -> Mapping[str, float]:
    """Average the load of memory bandwidth (EMC) and GPU (GR3D) over these lines, in percent, if reported."""
    found = {}
    for name, key in (("memory bandwidth", "EMC_FREQ"), ("graphics", "GR3D_FREQ")):
        shares = [int(share) for line in lines for share in re.findall(rf"\b{key} (\d{{1,3}})%", line)]
        if shares:
            found[name] = fmean(shares)
    return found
