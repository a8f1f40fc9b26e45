"""Engine specifications: what other rooms need to know about an engine before it is imported.

Ours are in ``engines/specs.py``; another package can add one with an entry point in
``shelf_assistant.engines``. They provide the names in the settings, and are used by the store to recognize
models, and by the memory plan, the doctor and the benches. Everything heavy is given as an import path
("package.module:name") and imported only when needed.
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
    """One engine. ``kind`` and ``name`` select it in the settings: ``stt: {engine: name}``."""

    kind: EngineKind
    name: str
    create: str
    """Import path of the function that creates it. Its arguments are ``settings`` (the section of its
    kind) and, except for wake and VAD, ``model`` (the folder of its model) and ``threads``; with
    ``settings`` below, also ``own``. The result implements the Protocol of its kind in
    ``assistant.engines``.
    """
    create_batch: str = ""
    """For a language model that answers many prompts at once: the same for a ``BatchLlm``, with the
    additional argument ``at_once``.
    """
    offers: tuple[str, ...] = ()
    """Names of other Protocols in ``assistant.engines`` that it implements, such as "CallingLlm"."""
    settings: type[Any] | None = None
    """Its own keys, a subclass of ``assistant.settings.section.Section``, set as ``stt: {name: ...}``."""
    recognises: str = ""
    """Import path of a function that checks a model's files (name -> path) and returns why they don't suit
    this engine; "" if they do.
    """
    memory: str = ""
    """Import path of a function that returns the bytes it uses while working, given the section of its
    kind and the model's folder. Without one, ``board`` plans the model by its files, as for ours.
    """
    needs_model: bool = True
    """False if it gets no model (None), because it has its own or needs none."""
    packages: tuple[str, ...] = ()
    """Distributions that do its work; their versions are part of every measurement."""
    programs: tuple[str, ...] = ()
    """Programs that it calls."""
    is_scripted: bool = False
    """True for tests and simulations: the settings don't offer it."""


def specs(kind: str) -> Mapping[str, EngineSpec]:
    """All engines of a kind by name, ours first; another package can't replace one of ours."""
    ours = {each.name: each for each in imported(_OURS) if each.kind == kind}
    others = (each for each in found("engines", EngineSpec).values() if each.kind == kind)
    return {**ours, **{each.name: each for each in others if each.name not in ours}}


def spec(kind: str, name: str) -> EngineSpec:
    """Return an engine's specification. Raises EngineUnavailable if there is no such engine."""
    known = specs(kind)
    if name not in known:
        raise EngineUnavailable(
            f"There is no {kind} engine named '{name}'.", f"Choose one of {', '.join(sorted(known))}."
        )
    return known[name]
