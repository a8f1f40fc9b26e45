"""What is wrong with this installation, and what to do about it.

Each check looks at one thing and yields findings; a check that fails itself is a finding too, so
whatever is broken the others are still looked at. Nothing here changes anything or opens a sound
device; the network is used only where the language model is on a server. How findings are shown is
for ``cli.doctor``.
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
"""Name -> check, in the order in which they are made."""


def examine(
    file: Path | None = None,
    *,
    watcher: Watcher | None = None,
    hash_models: bool = True,
    root: Path = ROOT,
) -> Iterator[Finding]:
    """Yield every finding as it is made. Never raises.

    ``file`` is the person's settings file; below ``root`` are /proc and /sys. Where the settings
    are invalid the other checks look at the defaults.
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
    """Whatever a check runs into is its finding."""
    try:
        yield from check(patient)
    except AssistantError as error:
        yield Finding(name, ok=False, what=error.problem, next_step=error.next_step)
    except Exception as error:  # a fault of one check must not hide what the others find
        log.debug("check=%s failed", name, exc_info=True)
        what = f"this could not be looked at ({type(error).__name__}: {error})"
        yield Finding(
            name, ok=False, what=what, next_step="Please report this line as a fault of the doctor."
        )
