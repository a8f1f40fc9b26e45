"""Loads each engine named in the settings, with its model, threads and wrappers.

Knows settings, store and engines, but not the conversation they serve.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from assistant import __version__, engines
from assistant.app import adapter as adapters
from assistant.app import memory_fit, model_choice, proof
from assistant.audio.echo.canceller import EchoCanceller
from assistant.audio.echo.memory import EchoMemory
from assistant.audio.echo.reference import Reference
from assistant.audio.filtered import SoundFilter, enhancer
from assistant.board import memory_plan, storage
from assistant.board.core_plan import kept_on
from assistant.board.cores import big_cores
from assistant.core.errors import EngineUnavailable, ModelCorrupt, ModelMissing, ModelUnknown, OrderRefused
from assistant.engines import BatchLlm, Llm, Stt, Tts, Vad, WakeWord
from assistant.engines.tts.phrase_cache import PhraseCache
from assistant.engines.vad.confirmed import ConfirmedVad
from assistant.runtime import paths
from assistant.runtime.engine_spec import spec, specs
from assistant.settings.engines import LlmSettings, SttSettings, TtsSettings
from assistant.settings.schema import Settings
from assistant.store import Store, open_store

log = logging.getLogger(__name__)


def tables_folder(settings: Settings) -> Path | None:
    """Where the knowledge tables are; None where they have not been made, or aren't wanted."""
    if settings.knowledge.tables is None:
        return None
    try:
        return store_of(settings).place(settings.knowledge.tables, "knowledge")
    except (ModelMissing, ModelUnknown):
        log.info("knowledge=missing next_step='scripts/knowledge makes the tables'")
        return None
    except ModelCorrupt as error:
        log.error("knowledge=damaged problem=%s", error)
        return None


def store_of(settings: Settings) -> Store:
    """Open the model store named in the settings."""
    return open_store(paths.models(settings.store.models), key_file=settings.store.key_file)


def with_stand_ins(settings: Settings, kinds: tuple[proof.Kind, ...] = proof.KINDS) -> Settings:
    """Return the settings as they are, but with another model in the place of each damaged one.

    Raises ModelCorrupt when there is none.
    """
    found = model_choice.resolved(settings)
    used = proof.usable(found, store_of(settings), kinds)
    pairs = {str(kind): (getattr(found, kind), getattr(used, kind)) for kind in kinds}
    return settings.model_copy(update={kind: now for kind, (old, now) in pairs.items() if now != old})


def load_vad(settings: Settings) -> Vad:
    vad: Vad = engines.load("vad", settings.vad.engine, settings=settings.vad)
    if settings.vad.engine == "webrtc" and settings.vad.confirm:
        vad = ConfirmedVad(vad, engines.load("vad", "silero", settings=settings.vad))
    vad.warm_up()
    return vad


def load_wake_word(settings: Settings) -> WakeWord | None:
    """Load the wake word detector; None if any speech wakes the assistant.

    Raises EngineUnavailable if the settings require a wake word and this board has none.
    """
    engine = settings.wake.engine
    if engine == "none":
        return None
    try:
        wake_word: WakeWord = engines.load(
            "wake", "open_wake_word" if engine == "auto" else engine, settings=settings.wake
        )
    except EngineUnavailable as error:
        if engine != "auto":
            raise
        log.info("wakes_by=speech reason=%r", error.problem)
        return None
    wake_word.warm_up()
    log.info("wakes_by=%s", ",".join(word.label for word in settings.wake.words))
    return wake_word


def load_stt(settings: Settings) -> Stt:
    stt: Stt = _load("stt", settings, settings.stt)
    if name := settings.endpoint.turn_model:
        with store_of(settings).opened(name, "turn") as folder:
            stt = engines.load(
                "turn", "smart_turn", stt=stt, model=folder, threads=_threads(settings.stt.threads)
            )
    return stt


def load_llm(settings: Settings) -> Llm:
    llm: Llm
    if settings.llm.needs_model:
        if settings.llm.model == model_choice.AUTO:
            found = model_choice.choice(settings)
            log.info("llm_model=%s chosen=auto reason=%r", found.model, found.why)
        settings = model_choice.resolved(settings)
        began_s = perf_counter()
        with _with_adapter(settings) as section:
            llm = _load("llm", settings, section)
        _warn_of_slow_disk(settings, perf_counter() - began_s)
    else:
        llm = engines.load("llm", settings.llm.engine, settings=settings.llm, model=None, threads=0)
    return llm


def _warn_of_slow_disk(settings: Settings, load_s: float) -> None:
    """Log one line if the language model's disk slowed down the start."""
    why = storage.slow_load(store_of(settings).place(settings.llm.model, "llm"), load_s)
    if why:
        log.warning("llm_load_s=%.1f reason=%r next_step=%r", load_s, why, storage.ADVICE)


def load_batch(settings: Settings, at_once: int) -> BatchLlm:
    """Load an engine that answers this many prompts at once. Raises EngineUnavailable if it can't,
    ModelTooBig.
    """
    settings = model_choice.resolved(settings)
    name = settings.llm.engine
    if not spec("llm", name).create_batch:
        able = " or ".join(sorted(name for name, each in specs("llm").items() if each.create_batch))
        raise EngineUnavailable(
            f"The llm engine '{name}' answers one prompt at a time.",
            f"Set llm.engine to {able} to use --batch.",
        )
    load = partial(engines.load, "batch", name, threads=_threads(settings.llm.threads), at_once=at_once)
    batch: BatchLlm
    if name == "openai" or not settings.llm.needs_model:
        batch = load(settings=settings.llm, model=None)
    else:
        memory_fit.require(settings, llm_only=True)
        opened = store_of(settings).opened(settings.llm.model, "llm")
        with _with_adapter(settings) as section, opened as folder:
            batch = load(settings=section, model=folder)
    return batch


@contextlib.contextmanager
def _with_adapter(settings: Settings) -> Iterator[LlmSettings]:
    """Yield the language model's section with the adapter's path instead of its name, for loading.

    Raises ModelError.
    """
    with adapters.opened(settings) as place:
        yield settings.llm.model_copy(update={"adapter": None if place is None else str(place)})


def load_tts(settings: Settings) -> Tts:
    tts: Tts = _load("tts", settings, settings.tts)
    if settings.tts.phrase_cache:
        sound = settings.tts.model_dump_json(exclude={"phrase_cache", "begin_with", "threads"})
        needs_model = spec("tts", settings.tts.engine).needs_model
        model = store_of(settings).place(settings.tts.model, "tts").stat().st_mtime_ns if needs_model else 0
        tts = PhraseCache(tts, paths.cache() / "phrases", f"{__version__} {sound} {model}")
    return tts


def load_beside(kind: str, settings: Settings, cores: Collection[int]) -> Any:
    """Load a new engine beside the current one: for new settings, or after a hang. Blocks for seconds.

    Returns the warm engine of that ``kind`` (stt, llm or tts) on these cores. Raises OrderRefused if the
    memory is too small for both, EngineError, ModelError.
    """
    settings = model_choice.resolved(settings)
    taken, room = memory_fit.taken_bytes(kind, settings), memory_plan.room()
    if room.free is not None and taken > room.free:
        step = "Restart the assistant, so that only the new one is loaded."
        name, need_mb, free_mb = getattr(settings, kind).model, taken // 1_000_000, room.free // 1_000_000
        raise OrderRefused(
            f"{name} needs about {need_mb} MB while the current one is loaded, "
            f"but only {free_mb} MB is {room.why}.",
            f"{memory_fit.RAISE_LIMIT} {step}" if room.why == memory_plan.OF_GROUP else step,
        )
    with kept_on(cores):
        engine = {"stt": load_stt, "llm": load_llm, "tts": load_tts}[kind](settings)
        try:
            engine.warm_up()
        except BaseException:
            engine.close()
            raise
        return engine


def sound_filters(settings: Settings, reference: Reference | None) -> list[SoundFilter]:
    """Return the filters for each frame before it is heard.

    Without the extra `echo`, there is neither noise suppression nor gain control, and the log says so.
    """
    filters: list[SoundFilter] = []
    if reference is not None and settings.audio.echo_cancellation:
        filters.append(EchoCanceller(reference, EchoMemory(paths.cache() / "echo")))
    if settings.audio.noise_suppression or settings.audio.automatic_gain:
        try:
            filters.append(enhancer(settings.audio))
        except EngineUnavailable as error:
            log.warning("enhanced=no problem=%r next_step=%r", error.problem, error.next_step)
    return filters


def _load(kind: proof.Kind, settings: Settings, section: SttSettings | LlmSettings | TtsSettings) -> Any:
    load = partial(engines.load, kind, section.engine, settings=section, threads=_threads(section.threads))
    if not spec(kind, section.engine).needs_model:
        return load(model=None)
    store = store_of(settings)
    with store.opened(section.model, kind) as folder:
        proof.require(kind, settings, store, folder)
        with proof.marked(kind, section.model):
            return load(model=folder)


def _threads(wanted: int) -> int:
    """Return one thread for each core that this loading thread may use, or fewer if set."""
    cores = len(big_cores())
    return min(wanted or cores, cores)
