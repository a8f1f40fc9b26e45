"""Checks whether the models in the settings fit in memory, and if not, what would.

Combines settings, the store's files, the models' headers and the plans in ``board`` (``memory_plan``,
``llm_memory``, ``onnx_memory``). Nothing is loaded. If free memory is unknown, nothing is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from assistant.app import adapter as adapters
from assistant.app import model_choice
from assistant.board import health, memory_plan, onnx_memory
from assistant.board.limits import ROOT, text
from assistant.board.llm_memory import LlmMemory, of_gguf
from assistant.board.memory_plan import Need, Remedy, Room
from assistant.core.errors import ModelError, ModelTooBig
from assistant.engines.llm.llama_cpp.gguf import require_model
from assistant.engines.tts.voice_folder import coqui_size_bytes
from assistant.runtime import paths
from assistant.runtime.engine_spec import spec
from assistant.runtime.extensions import imported
from assistant.runtime.json_file import facts
from assistant.settings.engines import LlmSettings
from assistant.settings.schema import Settings
from assistant.store import Store, open_store
from assistant.store.formats.ctranslate2 import numbers_in
from assistant.store.formats.gguf import GgufHeader
from assistant.store.formats.onnx import read_header_from
from assistant.store.kinds import CARD

RAISE_LIMIT = (
    "If this is the service, raise its limit with: sudo /opt/assistant/current/scripts/install --limits"
)
UNKNOWN = "SOURCE"
"""Placeholder in a suggested command for a value the user must fill in."""

_LOOKED_AT = "`assistant doctor` and `assistant models list --fit` show the plan."


@dataclass(frozen=True, slots=True)
class Fit:
    """Memory needed and available, and what would fit if it is too little."""

    model: str
    context_tokens: int
    need: Need
    room: Room
    remedy: Remedy | None
    """None if it fits, or if that is unknown."""

    @property
    def fits(self) -> bool | None:
        """True if it fits; None if free memory is unknown."""
        return None if self.room.free is None else self.need.needed <= self.room.free

    @property
    def tight(self) -> bool:
        """True if it fits, but by less than the plan's error."""
        margin = memory_plan.PLAN_ERROR * self.need.needed
        return bool(self.fits) and self.need.needed + margin > (self.room.free or 0)

    def __str__(self) -> str:
        llm, free = self.need.llm, self.room.free
        there = "free memory is unknown" if free is None else f"{_mb(free)} MB {self.room.why}"
        return (
            f"{_mb(self.need.needed)} MB needed (weights {_mb(llm.mapped + llm.copied)}, "
            f"{self.context_tokens} tokens {_mb(llm.kv)}, buffers {_mb(llm.compute + llm.tables)}, "
            f"recognizer {_mb(self.need.stt)}, voice {_mb(self.need.tts)}, "
            f"temporary {_mb(self.need.spike)}, program {_mb(self.need.program)}); {there}"
        )


@dataclass(frozen=True, slots=True)
class Planned:
    """What is needed to plan for a language model."""

    with_context: Callable[[int], LlmMemory]
    """Returns its memory for a given number of context tokens."""
    bits: float = 0
    """Current bits per weight."""
    formats: Mapping[str, float] = field(default_factory=dict)
    """Formats it can be converted to, finest first, with their bits per weight."""
    source: str = ""
    """Model to convert from, if not this one; ``UNKNOWN`` if unknown."""


def plan(settings: Settings, root: Path = ROOT, *, already: int = 0, llm_only: bool = False) -> Fit:
    """Plan for everything in the settings.

    ``already`` is memory this process already uses. ``llm_only`` leaves out recognizer and voice. Raises
    ModelError if the language model is missing, damaged, or cannot be planned.
    """
    settings = model_choice.resolved(settings, root)
    store = open_store(paths.models(settings.store.models), key_file=settings.store.key_file)
    llm = planned_llm(settings, store, root, alone=llm_only)
    alone = partial(memory_plan.need, stt_file=0, tts_file=0, hears=False)
    with_rest = alone if llm_only else _rest(settings, store)
    return fit(settings, llm, with_rest, memory_plan.room(root, already=already))


def taken_bytes(kind: str, settings: Settings) -> int:
    """Return the memory an engine of that kind (stt, llm or tts) uses by itself while working.

    If its model cannot be planned, the catalog's figure or its size is used; loading reports the problem.
    """
    settings = model_choice.resolved(settings)
    store = open_store(paths.models(settings.store.models), key_file=settings.store.key_file)
    if kind == "llm":
        try:
            llm = planned_llm(settings, store, ROOT, alone=False)
            return llm.with_context(settings.llm.context_tokens).running
        except ModelError:
            entry = next((each for each in store.entries() if each.name == settings.llm.model), None)
            return 0 if entry is None else (entry.ram_mb or 0) * 1_000_000 or entry.size_bytes
    need = _rest(settings, store)(LlmMemory())
    return need.stt if kind == "stt" else need.tts


def with_model(settings: Settings, name: str) -> Settings:
    """Return the settings with another language model, and the engine that runs it."""
    folder = paths.models(settings.store.models) / name
    in_onnx = next(folder.rglob("*.onnx*"), None) is not None
    changes: dict[str, Any] = {"model": name, "engine": "onnx" if in_onnx else "llama_cpp"}
    if in_onnx:
        changes["adapter"] = None
    return settings.model_copy(update={"llm": settings.llm.model_copy(update=changes)})


def fit(settings: Settings, llm: Planned, with_rest: Callable[[LlmMemory], Need], room: Room) -> Fit:
    """Compare a model with the available memory. Raises ModelCorrupt if it cannot be planned."""

    def fits(memory: LlmMemory) -> bool:
        return room.free is None or with_rest(memory).needed <= room.free

    wanted = settings.llm.context_tokens
    memory = llm.with_context(wanted)
    remedy = None
    if not fits(memory):
        remedy = memory_plan.remedy(llm.with_context, wanted, fits, llm.bits, llm.formats)
        remedy = replace(remedy, source=llm.source)
    model = settings.llm.model if settings.llm.needs_model else "The recognizer and the voice"
    return Fit(model, wanted, with_rest(memory), room, remedy)


def planned_llm(settings: Settings, store: Store, root: Path, *, alone: bool) -> Planned:
    """Plan the language model in the settings; it needs nothing if only a server answers.

    ``alone``: without recognizer and voice. Raises ModelError.
    """
    llm = settings.llm
    if (taken := _planned_by_itself("llm", settings, store)) is not None:
        return Planned(lambda _: LlmMemory(copied=taken))
    in_memory = bool(store.sealed(llm.model))
    if llm.engine == "onnx":
        return _planned_onnx(llm, store, in_memory=in_memory, alone=alone)
    header = store.header(llm.model)
    require_model(header, llm.model)
    adapter_bytes = adapters.size_bytes(settings)
    return planned_gguf(llm, header, root, in_memory=in_memory, adapter_bytes=adapter_bytes)


def planned_gguf(
    llm: LlmSettings, header: GgufHeader, root: Path, *, in_memory: bool = False, adapter_bytes: int = 0
) -> Planned:
    """Plan a GGUF model; ``in_memory`` means that it is encrypted on disk."""
    with_context = partial(
        of_gguf,
        header,
        kv_type=llm.kv_type,
        flash_attention=llm.flash_attention,
        micro_batch=llm.micro_batch,
        mmap=llm.mmap,
        in_memory=in_memory,
        abilities=frozenset(text(root / "proc/cpuinfo").split()),
        adapter_bytes=adapter_bytes,
    )
    return Planned(
        lambda tokens: with_context(context_tokens=tokens), memory_plan.gguf_bits(header), memory_plan.FORMATS
    )


def _planned_onnx(llm: LlmSettings, store: Store, *, in_memory: bool, alone: bool) -> Planned:
    """Plan an ONNX model. Raises ModelError."""
    header = store.head(llm.model, "llm", ".onnx", read_header_from)
    folder = store.place(llm.model, "llm")
    most = facts(folder / "config.json").get("max_position_embeddings")
    source = facts(folder / CARD).get("source")

    def with_context(tokens: int) -> LlmMemory:
        tokens = min(tokens, most) if isinstance(most, int) and most > 0 else tokens
        return onnx_memory.of_onnx(
            header, context_tokens=tokens, in_memory=in_memory, beside_others=not alone
        )

    return Planned(
        with_context,
        onnx_memory.bits(header),
        memory_plan.ONNX_FORMATS,
        source if isinstance(source, str) and source else UNKNOWN,
    )


def _planned_by_itself(kind: str, settings: Settings, store: Store) -> int | None:
    """What an engine takes that plans itself, or has no model; None where the plans of ``board`` count."""
    section = getattr(settings, kind)
    known = spec(kind, section.engine)
    needs_model = section.needs_model if kind == "llm" else known.needs_model
    if known.memory:
        place = store.place(section.model, kind) if needs_model else None  # type: ignore[arg-type]
        return int(imported(known.memory)(section, place))
    return None if needs_model else 0


def _rest(settings: Settings, store: Store) -> Callable[[LlmMemory], Need]:
    """Return a function that adds the needs of everything except the language model."""
    torch = settings.tts.runtime == "torch"
    voice = settings.tts.model
    names = (settings.stt.model, "" if torch else voice)
    sealed = [entry.size_bytes for entry in store.entries() if entry.encrypted and entry.name in names]
    stt, tts = (_planned_by_itself(kind, settings, store) for kind in ("stt", "tts"))
    need = partial(
        memory_plan.need,
        stt_file=_stt_bytes(settings.stt.model, store) if stt is None else 0,
        tts_file=coqui_size_bytes(voice, store.models_dir / voice) if torch else _size(voice, store),
        stt_type=settings.stt.compute_type,
        torch=torch,
        in_memory=sum(sealed),
    )

    def with_rest(llm: LlmMemory) -> Need:
        every = need(llm)
        return replace(every, stt=every.stt if stt is None else stt, tts=every.tts if tts is None else tts)

    return with_rest


def _stt_bytes(name: str, store: Store) -> int:
    """Size of the recognizer's weights in 16 bits; by the catalog, or else 0, if it isn't installed."""
    try:
        return 2 * store.head(name, "stt", "model.bin", numbers_in)
    except ModelError:
        return _size(name, store)


def _size(name: str, store: Store) -> int:
    """Size of its files; 0 if unknown."""
    return next((entry.size_bytes for entry in store.entries() if entry.name == name), 0)


def require(settings: Settings, root: Path = ROOT, *, llm_only: bool = False) -> None:
    """Raise ModelTooBig, with what would fit, if the models don't fit; before any of them is loaded.

    Also raises the errors of ``plan``.
    """
    # Memory this process already uses, apart from mapped files; it isn't part of free memory anymore.
    own = health.memory_bytes("RssAnon", root, of="self/status") or 0
    found = plan(settings, root, already=own, llm_only=llm_only)
    if found.fits is False:
        raise too_big(found, settings)


def too_big(found: Fit, settings: Settings) -> ModelTooBig:
    """Create the error, with the way out."""
    steps = [advice(found.remedy, settings), _LOOKED_AT]
    if found.room.why == memory_plan.OF_GROUP:
        steps.insert(0, RAISE_LIMIT)
    return ModelTooBig(f"{found.model} does not fit in memory: {found}.", " ".join(steps))


def advice(remedy: Remedy | None, settings: Settings) -> str:
    """Return what to set or to run to make it fit."""
    if remedy is not None and remedy.what == "context":
        tokens = int(remedy.value)
        # The rest, beyond the longest reply, is shared by history, system prompt and question.
        longest = min(settings.llm.max_tokens, tokens // 4)
        history = min(settings.llm.history_tokens, max(0, (tokens - longest) // 2))
        wanted = f"context_tokens: {tokens}, history_tokens: {history}, max_tokens: {longest}"
        return f"{tokens} tokens of context would fit. Add to your settings: llm: {{{wanted}}}"
    if remedy is not None and remedy.what == "format":
        source = remedy.source or settings.llm.model
        made_of = f" ({UNKNOWN} is the GGUF file or checkpoint it was made from)" if source == UNKNOWN else ""
        command = f"assistant quantize {source} --to {remedy.value}"
        return f"It would fit as {remedy.value}: run `{command}`{made_of}, then set llm.model to the result."
    kind = "llm" if settings.llm.needs_model else "stt"
    return f"Choose a smaller {kind}.model, or close other programs."


def _mb(count: int) -> int:
    return round(count / 1e6)
