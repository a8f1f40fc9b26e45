"""Which language model ``llm.model: auto`` is on this machine, and why.

What ``assistant models choose`` measured here counts first. Before that it is the board profile's model
(``llm.auto_model``), or else the largest of ``LADDER`` that the memory has room for. While that one isn't
installed, a smaller one stands in.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from assistant.board import health, limits
from assistant.board.limits import ROOT
from assistant.runtime import paths
from assistant.runtime.json_file import facts
from assistant.settings.schema import Settings
from assistant.store import Store, open_store
from assistant.store.disk import replace_content
from assistant.store.listing import installed

AUTO = "auto"

LADDER: tuple[str, ...] = (
    "qwen2.5-coder-1.5b-instruct-q4_k_m",
    "qwen2.5-coder-0.5b-instruct-q4_k_m",
    "smollm2-135m-instruct-q4_1",
)
"""The best first. The 1.5B answers twice as many questions rightly as the 0.5B (docs/answers.md)."""

STAND_IN = LADDER[1]
"""Installed together with a larger one, for when that one doesn't fit or isn't there yet."""

REST_BYTES = 450_000_000
"""What the recognizer, the voice and the program take besides; measured (docs/boards.md)."""

ROOM_SHARE = 0.7
"""Of all memory, for everything together: the rest is for the system and other programs."""

KEPT = "model-choice.json"


@dataclass(frozen=True, slots=True)
class Choice:
    """A language model, and why it is this one."""

    model: str
    why: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What ``assistant models choose`` found out here."""

    model: str
    as_of: str
    board: str


def resolved(settings: Settings, root: Path = ROOT) -> Settings:
    """The settings with the name of a model in the place of ``auto``."""
    if settings.llm.model != AUTO:
        return settings
    llm = settings.llm.model_copy(update={"model": choice(settings, root).model})
    return settings.model_copy(update={"llm": llm})


def choice(settings: Settings, root: Path = ROOT) -> Choice:
    """The model that is used now."""
    if settings.llm.model != AUTO:
        return Choice(settings.llm.model, "set by name")
    store = open_store(paths.models(settings.store.models))
    if (kept := read_kept()) and installed(store.models_dir, store.catalog, kept.model):
        return Choice(kept.model, f"`assistant models choose` measured it here on {kept.as_of}")
    best = wanted(settings, root)
    if installed(store.models_dir, store.catalog, best.model):
        return best
    for name in _from(best.model):
        if installed(store.models_dir, store.catalog, name):
            return Choice(name, f"stands in for {best.model}: run `assistant models pull {best.model}`")
    return best


def wanted(settings: Settings, root: Path = ROOT) -> Choice:
    """The model that the profile names and the memory has room for, installed or not."""
    store = open_store(paths.models(settings.store.models))
    first = settings.llm.auto_model or LADDER[0]
    named = "the board profile names it" if settings.llm.auto_model else "the largest that fits"
    total = min(health.memory_bytes("MemTotal", root) or math.inf, limits.memory_bytes(root))
    candidates = _from(first)
    for name in candidates:
        if takes_bytes(store, name) <= ROOM_SHARE * total:
            why = named if name == first else f"{first} needs more memory than {total / 1e9:.1f} GB allow"
            return Choice(name, why)
    return Choice(candidates[-1], "the smallest there is")


def keep(found: Kept, figures: Sequence[Mapping[str, object]] = ()) -> None:
    """Save the choice with the measured figures. Raises StorageFull."""
    folder = paths.data()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_content(folder / KEPT, json.dumps({**asdict(found), "figures": list(figures)}, indent=1) + "\n")


def read_kept() -> Kept | None:
    """What was measured here last; None before that."""
    found = facts(paths.data() / KEPT)
    fields = [found.get(name) for name in ("model", "as_of", "board")]
    return Kept(*map(str, fields)) if all(isinstance(field, str) for field in fields) else None


def answers() -> dict[str, str]:
    """How each model that was measured here answered."""
    told = {}
    for each in facts(paths.data() / KEPT).get("figures") or ():
        if isinstance(each, dict) and {"model", "right", "false", "questions"} <= each.keys():
            told[str(each["model"])] = f"{each['right']} of {each['questions']}, {each['false']} false"
    return told


def _from(name: str) -> tuple[str, ...]:
    """The model and those that come after it."""
    if name not in LADDER:
        return (name, *LADDER[1:])
    return LADDER[LADDER.index(name) :]


def takes_bytes(store: Store, name: str) -> float:
    """What a model of the catalog and everything beside it take."""
    known = store.catalog.models.get(name)
    return (known.ram_mb * 2**20 if known else 0) + REST_BYTES
