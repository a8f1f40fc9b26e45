"""Do the models that the settings name fit into this machine's memory, and if not, what would?

Brings together what the rooms know: settings, the store's files, the header of the model and
``board.memory_plan``. Nothing is loaded. Only models of llama.cpp are planned; for another engine, or
where the memory cannot be told, there is no plan and nothing is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from assistant import adapters, paths
from assistant.board import health, memory_plan
from assistant.board.limits import ROOT, text
from assistant.board.llm_memory import LlmMemory, of_gguf
from assistant.board.memory_plan import Need, Remedy, Room
from assistant.engines import gguf_model
from assistant.errors import ModelTooBig
from assistant.gguf import GgufHeader
from assistant.settings import Settings
from assistant.store import open_store

RAISE_LIMIT = "If this is the service: sudo /opt/assistant/current/scripts/install --limits gives it more."
_LOOKED_AT = "`assistant doctor` and `assistant models list --fit` show the plan."


@dataclass(frozen=True, slots=True)
class Fit:
    """What is needed, what there is, and what would fit where that is too little."""

    model: str
    context_tokens: int
    need: Need
    room: Room
    remedy: Remedy | None
    """None when it fits, or nobody knows."""

    @property
    def fits(self) -> bool | None:
        """None where it cannot be told how much is free."""
        return None if self.room.free is None else self.need.needed <= self.room.free

    @property
    def tight(self) -> bool:
        """It fits by less than a plan may be wrong by."""
        margin = memory_plan.PLAN_ERROR * self.need.needed
        return bool(self.fits) and self.need.needed + margin > (self.room.free or 0)

    def __str__(self) -> str:
        llm, free = self.need.llm, self.room.free
        there = "how much is free is unknown" if free is None else f"{_mb(free)} MB {self.room.why}"
        return (
            f"{_mb(self.need.needed)} MB needed (weights {_mb(llm.mapped + llm.copied)}, "
            f"{self.context_tokens} tokens {_mb(llm.kv)}, buffers {_mb(llm.compute + llm.tables)}, "
            f"hearing words {_mb(self.need.stt)}, voice {_mb(self.need.tts)}, "
            f"for a moment {_mb(self.need.spike)}, program {_mb(self.need.program)}); {there}"
        )


def plan(settings: Settings, root: Path = ROOT, *, already: int = 0, llm_only: bool = False) -> Fit | None:
    """The plan for everything that the settings name; None where the LLM is not llama.cpp's.

    ``already`` is what this process has taken of the memory. ``llm_only`` leaves out who hears and
    speaks. Raises ModelError when the model is not
    there or damaged.
    """
    if settings.llm.engine != "llama_cpp":
        return None
    store = open_store(paths.models(settings.store.models), key_file=settings.store.key_file)
    entries = {entry.name: entry for entry in store.entries()}
    header = store.header(settings.llm.model)
    gguf_model.require_model(header, settings.llm.model)
    voice = settings.tts.model if settings.tts.runtime == "onnx" else ""
    rest = [entries.get(name) for name in (() if llm_only else (settings.stt.model, voice))]
    stt_file, tts_file = (entry.size_bytes if entry else 0 for entry in rest) if rest else (0, 0)
    with_rest = partial(
        memory_plan.need,
        stt_file=stt_file,
        tts_file=tts_file,
        in_memory=sum(entry.size_bytes for entry in rest if entry and entry.encrypted),
        hears=not llm_only,
    )
    room = memory_plan.room(root, already=already)
    return fit(
        settings,
        header,
        with_rest,
        room,
        root,
        adapter_bytes=adapters.size_bytes(settings),
        in_memory=entries[settings.llm.model].encrypted,
    )


def fit(
    settings: Settings,
    header: GgufHeader,
    with_rest: Callable[[LlmMemory], Need],
    room: Room,
    root: Path,
    *,
    adapter_bytes: int = 0,
    in_memory: bool = False,
) -> Fit:
    """Hold a model against the memory there is; ``in_memory`` is one that is encrypted on the disk.

    Raises ModelCorrupt for a header that cannot be planned.
    """
    abilities = frozenset(text(root / "proc/cpuinfo").split())

    def with_context(tokens: int) -> LlmMemory:
        return of_gguf(
            header,
            context_tokens=tokens,
            kv_type=settings.llm.kv_type,
            flash_attention=settings.llm.flash_attention,
            micro_batch=settings.llm.micro_batch,
            mmap=settings.llm.mmap,
            in_memory=in_memory,
            abilities=abilities,
            adapter_bytes=adapter_bytes,
        )

    def fits(llm: LlmMemory) -> bool:
        return room.free is None or with_rest(llm).needed <= room.free

    wanted = settings.llm.context_tokens
    llm = with_context(wanted)
    remedy = None if fits(llm) else memory_plan.remedy(header, with_context, wanted, fits)
    return Fit(settings.llm.model, wanted, with_rest(llm), room, remedy)


def require(settings: Settings, root: Path = ROOT, *, llm_only: bool = False) -> None:
    """Raise ModelTooBig, with what would fit, when the models do not; before any of them is loaded.

    Also raises what ``plan`` raises.
    """
    # What this process has of its own, and not of files: free memory does not count that any more.
    own = health.memory_bytes("RssAnon", root, of="self/status") or 0
    found = plan(settings, root, already=own, llm_only=llm_only)
    if found is not None and found.fits is False:
        raise too_big(found, settings)


def too_big(found: Fit, settings: Settings) -> ModelTooBig:
    """The refusal, with the way out of it."""
    steps = [advice(found.remedy, settings), _LOOKED_AT]
    if found.room.why == memory_plan.OF_GROUP:
        steps.insert(0, RAISE_LIMIT)
    return ModelTooBig(f"{found.model} does not fit: {found}.", " ".join(steps))


def advice(remedy: Remedy | None, settings: Settings) -> str:
    """What to write or to run to have what would fit."""
    if remedy is not None and remedy.what == "context":
        tokens = int(remedy.value)
        # What is left beside the longest reply is shared by history, system prompt and question.
        longest = min(settings.llm.max_tokens, tokens // 4)
        history = min(settings.llm.history_tokens, max(0, (tokens - longest) // 2))
        wanted = f"context_tokens: {tokens}, history_tokens: {history}, max_tokens: {longest}"
        return f"{tokens} tokens of context fit; write into your settings:  llm: {{{wanted}}}"
    if remedy is not None and remedy.what == "format":
        command = f"assistant quantize {settings.llm.model} --to {remedy.value}"
        return f"As {remedy.value} it would fit: run `{command}`, and name what it makes in llm.model."
    return "Choose a smaller llm.model, or end other programs."


def _mb(count: int) -> int:
    return round(count / 1e6)
