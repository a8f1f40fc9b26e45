"""What systemd shall limit the service to on this board, as a drop-in beside its unit.

The memory is what the plan says that the chosen models need, with room for what a plan may be wrong by
and for a language model that is loaded beside the one at work. Never more than the unit's own shares:
whoever logs in must find a machine that answers. Time of the processor is not limited, which would stop
the sound in the middle of a word; cores that the plan leaves unused are left to others.
"""

from __future__ import annotations

from pathlib import Path

from assistant.app import memory_fit
from assistant.board import core_plan, health
from assistant.board.limits import ROOT
from assistant.core.errors import ModelError
from assistant.settings.schema import Settings

_MARGIN = 1.25
"""More than what a plan may be wrong by (``memory_plan.PLAN_ERROR``): own skills, fragments, logs."""

_HIGH_SHARE, _MAX_SHARE = 0.80, 0.90
"""Of the machine's memory, as in systemd/assistant.service."""

_HEAD = """\
# What this board gives the assistant, by its own plan for the models that are set. Written by
# scripts/install; after choosing others: sudo /opt/assistant/current/scripts/install --limits
[Service]
"""


def drop_in(settings: Settings, root: Path = ROOT) -> str:
    """The text of the drop-in. Where nothing can be planned, the unit's own limits hold. Never raises."""
    return "\n".join([_HEAD + "\n".join([*_memory(settings, root), *_cores(settings, root)]), ""])


def _memory(settings: Settings, root: Path) -> list[str]:
    total = health.memory_bytes("MemTotal", root)
    try:
        found = memory_fit.plan(settings, root)
    except ModelError as error:
        return [f"# No memory plan ({error.code})."]
    if total is None:
        return ["# No memory plan: how much there is cannot be told."]
    need = found.need
    wanted = need.needed * _MARGIN + need.llm.running
    high = min(wanted, _HIGH_SHARE * total)
    if high < need.needed:  # It is tight: rather slow logins than a model whose pages are lost.
        high = min(need.needed, _MAX_SHARE * total)
    most = min(wanted * _MARGIN, _MAX_SHARE * total)
    # Root writes this down, and who may write to the models' folder chooses the names there: no names.
    planned = f"# {int(found.context_tokens)} tokens of context: {need.needed / 1e6:.0f} MB needed."
    return [planned, f"MemoryHigh={_mib(high)}M", f"MemoryMax={_mib(max(high, most))}M"]


def _mib(count: float) -> int:
    """systemd's M is 1,048,576 bytes."""
    return round(count / 2**20)


def _cores(settings: Settings, root: Path) -> list[str]:
    plan = core_plan.plan(
        root, most_threads=settings.most_threads, chosen=settings.cores.engines, pin=settings.cores.pin
    )
    used = sorted({*plan.engines, *plan.loop})
    if not plan.pinned or used == sorted(plan.all):
        return []
    return [f"AllowedCPUs={' '.join(map(str, used))}"]
