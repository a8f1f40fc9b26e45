"""Systemd resource limits for the service on this board, as a drop-in for its unit.

The memory limit is what the plan says the chosen models need, plus room for the plan's error and for a second
language model loaded beside the current one. It never exceeds the unit's own share: logging in must stay
possible. CPU time is not limited, which would interrupt the sound in the middle of a word; cores that the
plan leaves unused are available to others.
"""

from __future__ import annotations

from pathlib import Path

from assistant.app import memory_fit
from assistant.board import core_plan, health
from assistant.board.limits import ROOT
from assistant.core.errors import ModelError
from assistant.settings.schema import Settings

_MARGIN = 1.25
"""More than the plan's error (``memory_plan.PLAN_ERROR``): own skills, fragmentation, logs."""

_HIGH_SHARE, _MAX_SHARE = 0.80, 0.90
"""Shares of the machine's memory, as in systemd/assistant.service."""

_HEAD = """\
# This board's resource limits for the assistant, planned for the models in the settings. Written by
# scripts/install. After changing models: sudo /opt/assistant/current/scripts/install --limits
[Service]
"""


def drop_in(settings: Settings, root: Path = ROOT) -> str:
    """Return the text of the drop-in. Without a plan, the unit's own limits apply. Never raises."""
    return "\n".join([_HEAD + "\n".join([*_memory(settings, root), *_cores(settings, root)]), ""])


def _memory(settings: Settings, root: Path) -> list[str]:
    total = health.memory_bytes("MemTotal", root)
    try:
        found = memory_fit.plan(settings, root)
    except ModelError as error:
        return [f"# No memory plan ({error.code})."]
    if total is None:
        return ["# No memory plan: the amount of memory is unknown."]
    need = found.need
    wanted = need.needed * _MARGIN + need.llm.running
    high = min(wanted, _HIGH_SHARE * total)
    if high < need.needed:  # It is tight: slow logins are better than a model that loses its pages.
        high = min(need.needed, _MAX_SHARE * total)
    most = min(wanted * _MARGIN, _MAX_SHARE * total)
    # Root writes this file, but other users may choose the names in the models folder, so it contains none.
    planned = f"# {int(found.context_tokens)} tokens of context: {need.needed / 1e6:.0f} MB needed."
    return [planned, f"MemoryHigh={_mib(high)}M", f"MemoryMax={_mib(max(high, most))}M"]


def _mib(count: float) -> int:
    """Round to systemd's M, which is 1,048,576 bytes."""
    return round(count / 2**20)


def _cores(settings: Settings, root: Path) -> list[str]:
    plan = core_plan.plan(
        root, most_threads=settings.most_threads, chosen=settings.cores.engines, pin=settings.cores.pin
    )
    used = sorted({*plan.engines, *plan.loop})
    if not plan.pinned or used == sorted(plan.all):
        return []
    return [f"AllowedCPUs={' '.join(map(str, used))}"]
