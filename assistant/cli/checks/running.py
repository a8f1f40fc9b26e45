"""Checks for shortages, and how the running assistant copes with them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from assistant.board import strain
from assistant.board.shortage import Shortage, short_of
from assistant.cli.checks.finding import Check, Finding, Patient
from assistant.core.errors import ControlError
from assistant.runtime import paths
from assistant.services.control import client as control_client

_STEPS: Mapping[Shortage, str] = {
    "memory": "Close other programs, or choose a smaller llm.model or llm.context_tokens.",
    "disk": "Free up disk space, or timers and lists can no longer be saved.",
    "heat": "Add a heat sink or fan, or improve the airflow.",
}


def _shortages(patient: Patient) -> Iterator[Finding]:
    """Report current shortages, even if no assistant is running."""
    folder = next(place for place in (paths.data(), *paths.data().parents) if place.exists())
    reading, limits = strain.read(folder, patient.root), patient.settings.shedding
    found = {shortage: short_of(reading, limits, shortage) for shortage in _STEPS}
    for shortage, why in found.items():
        if why:
            yield Finding("shortages", ok=None, what="; ".join(why), next_step=_STEPS[shortage])
    if not any(found.values()):
        known = (
            ("MB of memory free", reading.memory_mb),
            ("MB of disk space free", reading.disk_mb),
            ("°C", reading.hot_c),
        )
        what = ", ".join(f"{value:.0f} {unit}" for unit, value in known if value is not None)
        yield Finding("shortages", ok=True, what=f"none: {what or 'as far as can be told'}")


def _state(_: Patient) -> Iterator[Finding]:
    """Whether timers and lists can be saved."""
    folder = paths.data()
    place = next(each for each in (folder, *folder.parents) if each.exists())
    disk = os.statvfs(place)
    if disk.f_flag & os.ST_RDONLY:
        why, step = (
            "the file system is read-only",
            f"Make {folder} writable; a worn-out SD card turns read-only.",
        )
    elif not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        why, step = f"{place} cannot be written", f"Make {folder} writable for this user."
    elif disk.f_bavail * disk.f_frsize < _LEAST_ROOM:
        why, step = "the disk is full", f"Free some space where {folder} lies."
    else:
        yield Finding("state", ok=True, what=f"timers and lists are kept in {folder}")
        return
    yield Finding("state", ok=False, what=f"timers and lists cannot be saved: {why}", next_step=step)


_LEAST_ROOM = 1_000_000
"""Bytes that a change of the timers may need for a moment."""


def _running(_: Patient) -> Iterator[Finding]:
    """Report what the running assistant says about itself."""
    try:
        status = control_client.ask(paths.controls(), {"order": "status"})
    except ControlError as error:
        yield Finding("running", ok=None, what=error.problem, next_step=error.next_step)
        return
    state, gives_up = status.get("state"), status.get("gives_up") or {}
    for shortage, given_up in gives_up.items():
        what = f"it is low on {_NOUNS.get(shortage, shortage)} and has given up {given_up}"
        yield Finding("running", ok=None, what=what, next_step=_STEPS.get(shortage, ""))
    missing = status.get("missing") or {}
    for part, fault in missing.items():
        what = "an engine hangs" if part == "engine" else f"no {part}"
        step = fault.get("next_step", "Check its log.")
        yield Finding("running", ok=False, what=f"{what}: {fault.get('problem')}", next_step=step)
    if why := (status.get("interruption") or {}).get("why_not"):
        yield Finding("interruption", ok=None, what=why[0], next_step=why[1])
    if state == "faulted" and not missing:
        yield Finding("running", ok=False, what="not working", next_step="Check its log.")
    elif not gives_up and not missing:
        yield Finding("running", ok=True, what=f"the assistant is {state}")


_NOUNS = {"heat": "cooling"}

CHECKS: dict[str, Check] = {"shortages": _shortages, "state": _state, "running": _running}
