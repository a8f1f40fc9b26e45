"""Applies new settings to a running appliance, without a restart.

Everything new is read, loaded and warmed beside the current parts. When all of it is ready, the loop is asked
to ``Adopt`` it, which it does between two turns. So a mistake in the new settings changes nothing, and
unchanged parts are not touched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from assistant.app import adapter as adapters
from assistant.app import build, proof
from assistant.app import engines as loading
from assistant.audio.files import read_sound
from assistant.core.errors import AssistantError, EngineFailed
from assistant.core.types import SpokenAudio
from assistant.dialog import earcons
from assistant.dialog.conversation import Conversation
from assistant.dialog.earcons import Earcon
from assistant.dialog.loop import VoiceLoop
from assistant.dialog.pipeline import Adopt, Hearing
from assistant.engines import AdaptableLlm, Llm
from assistant.runtime import logs, paths
from assistant.runtime.aio import in_thread
from assistant.settings import load as configuration
from assistant.settings.keys import keys
from assistant.settings.load import Loaded
from assistant.settings.schema import Settings
from assistant.skills import Agent, SkillContext, Skills

log = logging.getLogger(__name__)

_ENGINES = ("stt", "llm", "tts")

_NOT_THE_ENGINE = {
    "stt": {"guard"},
    "llm": {"prompt", "history_tokens", "tools"},
    "tts": {"begin_with"},
}
"""Keys of an engine's section that only other parts use: changing them does not reload the engine."""

_ADAPTER = {"adapter", "adapter_scale"}
"""Keys that the language model can apply without being reloaded, if its engine supports that."""


@dataclass
class _Fresh:
    """The new parts; None for what has not changed."""

    engines: dict[str, Any]
    skills: Skills
    agent: Agent | None
    sounds: Mapping[Earcon, SpokenAudio]
    prompt: str
    hearing: Hearing | None = None
    conversation: Conversation | None = None
    may_call: bool = False
    """True if the new conversation describes the skills."""
    adapts: bool = False
    """True if the language model stays and only its ``adapter`` (or None) changes."""
    adapter: Any = None


class SavedFiles:
    """Detects that one of some files was saved, once writing has finished."""

    def __init__(self, files: Iterable[Path]) -> None:
        self.files = tuple(files)
        self._seen = self._settling = self._look()

    def saved(self) -> bool:
        """True if the files differ from the last time this was True, and have been stable since the last
        check.
        """
        now = self._look()
        settled, self._settling = now == self._settling, now
        if now == self._seen or not settled:
            return False
        self._seen = now
        return True

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_mark(file) for file in self.files)


class Reloader:
    """Reloads the settings of ``voice_loop``, which started with ``loaded``; ``load`` reads them again."""

    def __init__(self, load: Callable[[], Loaded], loaded: Loaded) -> None:
        self._load = load
        self._saved = SavedFiles(_files(loaded))
        self._written = loaded.settings
        self._prompt = configuration.prompt_text(loaded.settings)
        self._one_at_a_time = asyncio.Lock()

    def look(self, voice_loop: VoiceLoop, context: SkillContext) -> Coroutine[Any, Any, None] | None:
        """Return the work to do if a file was saved."""
        return self._follow(voice_loop, context) if self._saved.saved() else None

    async def _follow(self, voice_loop: VoiceLoop, context: SkillContext) -> None:
        with suppress(AssistantError):  # already logged
            await self.reload(voice_loop, context)

    async def reload(self, voice_loop: VoiceLoop, context: SkillContext) -> Mapping[str, object]:
        """Apply what has changed; returns the changed keys. Raises AssistantError, and changes nothing."""
        async with self._one_at_a_time:
            try:
                loaded = await in_thread(self._load)
                before, new = voice_loop.pipeline.settings, loaded.settings
                if kinds := self._stood_in(before, new):
                    new = await in_thread(partial(loading.with_stand_ins, new, kinds))
                changed = changes(before, new)
                fresh = await self._make(voice_loop, context, new, changed)
            except AssistantError as error:
                log.error("reload=refused problem=%s", error)
                raise
            prompt_changed = fresh.prompt != self._prompt
            await _take_over(voice_loop, new, fresh)
            self._written, self._prompt = loaded.settings, fresh.prompt
            self._saved.files = _files(loaded)
            if "audio.volume" in changed:
                voice_loop.pipeline.speaker.volume = new.audio.volume
            if "log.level" in changed:
                logs.set_up(new.log.level)
            told = sorted(changed | ({"llm.prompt"} if prompt_changed else set()))
            log.info("reload=done changed=%s", ",".join(told) or "-")
            return {"changed": told, "after_restart": sorted(key for key in changed if _is_at_start(key))}

    def _stood_in(self, at_work: Settings, new: Settings) -> tuple[proof.Kind, ...]:
        """Return the engines that work with another model than the one still written, which was damaged."""
        return tuple(
            kind
            for kind in proof.KINDS
            if getattr(new, kind).model == getattr(self._written, kind).model != getattr(at_work, kind).model
        )

    async def _make(
        self, voice_loop: VoiceLoop, context: SkillContext, new: Settings, changed: set[str]
    ) -> _Fresh:
        fresh = _Fresh(
            engines={},
            skills=await in_thread(partial(build.load_skills, new, context)),
            agent=await in_thread(partial(build.load_agent, new)),
            sounds=await in_thread(partial(earcons.load, new.audio.earcons, read_sound)),
            prompt=await in_thread(partial(configuration.prompt_text, new)),
        )
        try:
            if any(key.startswith(("vad.", "wake.")) and key != "vad.threshold" for key in changed):
                fresh.hearing = await in_thread(lambda: (loading.load_vad(new), loading.load_wake_word(new)))
            for kind in _ENGINES:
                worker = getattr(voice_loop.pipeline, kind)
                if kind == "llm" and _concerns_adapter_only(changed, worker.engine):
                    fresh.adapts = True
                elif _concerns_engine(kind, changed):
                    fresh.engines[kind] = await in_thread(
                        partial(loading.load_beside, kind, new, worker.cores)
                    )
            if fresh.prompt != self._prompt or any(
                key.startswith(("llm.", "skills.folder")) for key in changed
            ):
                worker = voice_loop.pipeline.llm
                llm = fresh.engines.get("llm") or worker.engine
                fresh.may_call = build.offers_calls(new, llm, fresh.skills)
                known = fresh.skills if fresh.may_call else None
                fresh.conversation = build.new_conversation(new, llm, known, lambda: worker.engine)
            if fresh.conversation and "llm" in fresh.engines:
                await in_thread(partial(build.read_opening, fresh.engines["llm"], fresh.conversation))
            if fresh.adapts and new.llm.adapter:
                fresh.adapter = await voice_loop.pipeline.llm.run(lambda llm, _: _load_adapter(llm, new))
        except BaseException:
            for engine in fresh.engines.values():
                engine.close()
            raise
        return fresh


async def _take_over(voice_loop: VoiceLoop, new: Settings, fresh: _Fresh) -> None:
    """Hand the loop the pipeline that it adopts between two turns, and wait until it has."""
    pipeline = voice_loop.pipeline
    if fresh.adapts:
        await pipeline.llm.run(lambda llm, _: _apply(llm, fresh.adapter))
    phrases = pipeline.wake_phrases
    if fresh.hearing:
        phrases = [word.phrase for word in new.wake.words] if fresh.hearing[1] else []
    pipeline = replace(
        pipeline,
        skills=fresh.skills,
        agent=fresh.agent,
        conversation=fresh.conversation or pipeline.conversation,
        may_call=fresh.may_call if fresh.conversation else pipeline.may_call,
        honesty=build.honesty(new, fresh.engines.get("llm") or pipeline.llm.engine),
        settings=new,
        wake_phrases=phrases,
    )
    adopted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    closing: list[asyncio.Future[None]] = []

    def take_over() -> bool:
        if adopted.done():
            return False
        closing.extend(getattr(pipeline, kind).exchange(engine) for kind, engine in fresh.engines.items())
        adopted.set_result(None)
        return True

    voice_loop.post(Adopt(pipeline, fresh.sounds, fresh.hearing, take_over))
    try:
        await adopted
    except asyncio.CancelledError:
        for engine in () if closing else fresh.engines.values():
            engine.close()
        raise
    await asyncio.gather(*closing)
    if (conversation := fresh.conversation) and "llm" not in fresh.engines:
        await pipeline.llm.run(lambda llm, _: build.read_opening(llm, conversation))


def _load_adapter(llm: Llm, new: Settings) -> Any:
    assert isinstance(llm, AdaptableLlm)  # noqa: S101 - it was looked at before
    with adapters.opened(new) as place:
        return llm.load_adapter(place, new.llm.adapter_scale) if place else None


def _apply(llm: Llm, adapter: Any) -> None:
    """Apply the adapter. Raises EngineFailed, without changes."""
    assert isinstance(llm, AdaptableLlm)  # noqa: S101 - it was looked at before
    try:
        llm.apply_adapter(adapter)
    except EngineFailed:
        if adapter is not None:
            llm.drop_adapter(adapter)
        raise


def changes(before: Settings, new: Settings) -> set[str]:
    """Return the keys whose values differ, such as "llm.model"."""

    def differing(old: Any, now: Any, path: str) -> set[str]:
        if isinstance(old, dict) and isinstance(now, dict):
            names = old.keys() | now.keys()
            return set().union(*(differing(old.get(n), now.get(n), f"{path}.{n}") for n in names))
        return set() if old == now else {path[1:]}

    return differing(before.model_dump(), new.model_dump(), "")


def _is_at_start(key: str) -> bool:
    """Whether that key takes effect at the next start only; of a list's item, its list."""
    known = keys().get(tuple(key.split(".")))
    return known is not None and known.is_at_start


def _concerns_engine(kind: str, changed: set[str]) -> bool:
    """True if the engine must be reloaded; a lost cache folder is not a reason."""
    keys = {key.split(".")[1] for key in changed if key.startswith(f"{kind}.")}
    hears_turns_end = kind == "stt" and "endpoint.turn_model" in changed
    return hears_turns_end or bool(keys - _NOT_THE_ENGINE[kind])


def _concerns_adapter_only(changed: set[str], llm: Llm) -> bool:
    """True if the current language model can apply the change without being reloaded."""
    keys = {key.split(".")[1] for key in changed if key.startswith("llm.")} - _NOT_THE_ENGINE["llm"]
    return bool(keys) and keys <= _ADAPTER and isinstance(llm, AdaptableLlm)


def _files(loaded: Loaded) -> tuple[Path, ...]:
    """Return the files that affect the settings when saved, including ones that don't exist yet."""
    prompt = Path(loaded.settings.llm.prompt)
    own = [loaded.file] if loaded.file else []
    return (*own, *paths.settings_files(), *([prompt] if prompt.is_absolute() else []))


def _mark(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
