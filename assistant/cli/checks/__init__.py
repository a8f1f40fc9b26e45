"""Checks for problems with this installation, with a next step for each.

Each check examines one thing and yields findings; a check that fails itself is a finding too, so the others
still run. Nothing here changes anything or opens a sound device; the network is used only if the language
model is on a server. ``cli.doctor`` displays the findings.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from assistant.board.limits import ROOT
from assistant.cli.checks import graphics, hardware, running, software, supplies
from assistant.cli.checks.finding import Check, Finding, Patient
from assistant.core.errors import AssistantError
from assistant.settings import load as configuration
from assistant.settings.schema import Settings
from assistant.store.progress import Unwatched, Watcher

__all__ = ["CHECKS", "Finding", "Patient", "examine"]

log = logging.getLogger(__name__)

CHECKS: dict[str, Check] = {
    **hardware.CHECKS,
    **graphics.CHECKS,
    **software.CHECKS,
    **supplies.CHECKS,
    **running.CHECKS,
}
"""Name -> check, in the order in which they run."""


def examine(
    file: Path | None = None,
    *,
    watcher: Watcher | None = None,
    hash_models: bool = True,
    root: Path = ROOT,
) -> Iterator[Finding]:
    """Yield each finding as soon as it is known. Never raises.

    ``file`` is the user's settings file; /proc and /sys are below ``root``. If the settings are invalid, the
    other checks use the defaults.
    """
    settings = Settings()
    try:
        loaded = configuration.load(file, root=root)
        settings = loaded.settings
        yield Finding("settings", ok=True, what=f"{loaded.file or 'the defaults'}; profile {loaded.profile}")
    except AssistantError as error:
        for line in error.problem.splitlines():
            yield Finding("settings", ok=False, what=line, next_step=error.next_step)
    patient = Patient(settings, watcher or Unwatched(), hash_models, root)
    for name, check in CHECKS.items():
        yield from _guarded(name, check, patient)


def _guarded(name: str, check: Check, patient: Patient) -> Iterator[Finding]:
    """Run a check; any error becomes a finding."""
    try:
        yield from check(patient)
    except AssistantError as error:
        yield Finding(name, ok=False, what=error.problem, next_step=error.next_step)
    except Exception as error:  # a bug in one check must not hide what the others find
        log.debug("check=%s failed", name, exc_info=True)
        what = f"this check failed ({type(error).__name__}: {error})"
        yield Finding(
            name,
            ok=False,
            what=what,
            next_step="This is a bug in `assistant doctor`. Please report this line.",
        )
