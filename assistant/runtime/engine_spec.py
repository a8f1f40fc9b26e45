"""An engine's specification: what other rooms need to know of an engine before it is imported.

Ours are in ``engines/specs.py``; another package adds one by an entry point in ``shelf_assistant.engines``.
The settings offer their names, the store recognizes their models, the memory plan, the doctor and the
benches ask them. Everything heavy is named by an import path ("package.module:name") and imported only when
it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from assistant.core.errors import EngineUnavailable
from assistant.runtime.extensions import found, imported

EngineKind: TypeAlias = Literal["wake", "vad", "stt", "turn", "llm", "tts"]

_OURS = "assistant.engines.specs:SPECS"


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """One engine. ``kind`` and ``name`` are what the settings choose it by: ``stt: {engine: name}``."""

    kind: EngineKind
    name: str
    create: str
    """Import path of the function that creates it. It is given ``settings`` (the section of its kind) and,
    except for wake and VAD, ``model`` (the folder of its model) and ``threads``; with ``settings`` below
    also ``own``. What it returns follows the Protocol of its kind in ``assistant.engines``."""
    create_batch: str = ""
    """For a language model that answers many prompts at once: the same for a ``BatchLlm``, which is also
    given ``at_once``."""
    offers: tuple[str, ...] = ()
    """Names of further Protocols in ``assistant.engines`` that it follows, such as "CallingLlm"."""
    settings: type[Any] | None = None
    """Its own keys, a subclass of ``assistant.settings.engines.Section``; they are ``stt: {name: ...}``."""
    recognises: str = ""
    """Import path of a function that looks at the files of a model (name -> path) and says what keeps it
    from being one for this engine: "" when it is one."""
    memory: str = ""
    """Import path of a function that returns the bytes it takes at work, from the section of its kind and the
    model's folder. Without one, ``board`` plans the model by its files, as it does for ours."""
    needs_model: bool = True
    """False where it is given no model (None): it has its own, or none."""
    packages: tuple[str, ...] = ()
    """Distributions that do its work; their versions belong to every measurement."""
    programs: tuple[str, ...] = ()
    """Programs that it calls."""
    is_scripted: bool = False
    """It is for tests and simulations: the settings don't offer it."""


def specs(kind: str) -> Mapping[str, EngineSpec]:
    """All engines of a kind by name, ours first; another package can't replace one of ours."""
    ours = {each.name: each for each in imported(_OURS) if each.kind == kind}
    others = (each for each in found("engines", EngineSpec).values() if each.kind == kind)
    return {**ours, **{each.name: each for each in others if each.name not in ours}}


def spec(kind: str, name: str) -> EngineSpec:
    """Raises EngineUnavailable when there is no such engine."""
    known = specs(kind)
    if name not in known:
        raise EngineUnavailable(
            f"There is no {kind} engine '{name}' here.", f"Choose one of {', '.join(sorted(known))}."
        )
    return known[name]
