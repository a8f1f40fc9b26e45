"""Is anything short, and how does the assistant that is running here do without it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from assistant.board import strain
from assistant.board.shortage import Shortage, short_of
from assistant.cli.checks.finding import Check, Finding, Patient
from assistant.core.errors import ControlError
from assistant.runtime import paths
from assistant.services.control import client as control_client

_STEPS: Mapping[Shortage, str] = {
    "memory": "End other programs, or choose a smaller llm.model or llm.context_tokens.",
    "disk": "Free some of it, or timers and lists can no longer be saved.",
    "heat": "Give it a heat sink, a fan or more air.",
}


def _shortages(patient: Patient) -> Iterator[Finding]:
    """What is short now, whether an assistant runs or not."""
    folder = next(place for place in (paths.data(), *paths.data().parents) if place.exists())
    reading, limits = strain.read(folder, patient.root), patient.settings.shedding
    found = {shortage: short_of(reading, limits, shortage) for shortage in _STEPS}
    for shortage, why in found.items():
        if why:
            yield Finding("shortages", ok=None, what="; ".join(why), next_step=_STEPS[shortage])
    if not any(found.values()):
        known = (("MB of memory", reading.memory_mb), ("MB of disk", reading.disk_mb), ("°C", reading.hot_c))
        what = ", ".join(f"{value:.0f} {unit}" for unit, value in known if value is not None)
        yield Finding("shortages", ok=True, what=f"none: {what or 'as far as can be told'}")


def _running(_: Patient) -> Iterator[Finding]:
    """What the running assistant says of itself."""
    try:
        status = control_client.ask(paths.controls(), {"order": "status"})
    except ControlError as error:
        yield Finding("running", ok=None, what=error.problem, next_step=error.next_step)
        return
    state, gives_up = status.get("state"), status.get("gives_up") or {}
    for shortage, given_up in gives_up.items():
        what = f"it is short of {_NOUNS.get(shortage, shortage)} and does without {given_up}"
        yield Finding("running", ok=None, what=what, next_step=_STEPS.get(shortage, ""))
    missing = status.get("missing") or {}
    for part, fault in missing.items():
        what = "an engine hangs" if part == "engine" else f"no {part}"
        step = fault.get("next_step", "See its log.")
        yield Finding("running", ok=False, what=f"{what}: {fault.get('problem')}", next_step=step)
    if why := (status.get("interruption") or {}).get("why_not"):
        yield Finding("interruption", ok=None, what=why[0], next_step=why[1])
    if state == "faulted" and not missing:
        yield Finding("running", ok=False, what="out of order", next_step="See its log.")
    elif not gives_up and not missing:
        yield Finding("running", ok=True, what=f"the assistant is {state}")


_NOUNS = {"heat": "coolness"}

CHECKS: dict[str, Check] = {"shortages": _shortages, "running": _running}
