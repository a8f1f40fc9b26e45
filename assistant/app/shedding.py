"""Gives things up when resources run low, and restores them when there is enough again.

Each check measures the machine and applies what ``shortage`` says to the engines, the conversation and the
saved files, between two turns. So an engine loaded in the meantime is told too, and whatever need not be
given up anymore is restored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from assistant.app import build
from assistant.board import heap
from assistant.board.shortage import KEPT_UP, Reading, Shortage, Shortages, short_of
from assistant.core.state import BETWEEN_TURNS
from assistant.dialog.loop import VoiceLoop
from assistant.engines import FrugalLlm, KeepingTts, Llm
from assistant.runtime.aio import in_thread

log = logging.getLogger(__name__)

_CONTEXT_SHARE = 0.5
_CONTEXT_STEP = 256
"""llama.cpp rounds a context up to a multiple of this."""
_THREADS_SHARE = 0.5
_LIMIT: Mapping[Shortage, str] = {"memory": "context_tokens", "heat": "threads_share"}
"""Which parameter of the language model is limited for each shortage."""


@dataclass(frozen=True, slots=True)
class _Frugality:
    """Limits for a language model; the defaults mean none."""

    context_tokens: int | None = None
    threads_share: float = 1.0


class Shedding:
    """Sheds for one voice loop; ``read`` measures the machine, and ``shortages`` keeps track.

    ``prompts`` is the folder for saved states of the prompt's beginning.
    """

    def __init__(
        self, voice_loop: VoiceLoop, shortages: Shortages, read: Callable[[], Reading], prompts: Path
    ) -> None:
        self._voice_loop = voice_loop
        self._shortages = shortages
        self._read = read
        self._prompts = prompts
        self._done: dict[str, tuple[Any, object]] = {}
        """Last engine per kind that was told to shed, and what it was told."""

    async def look(self) -> None:
        """Check once, and act on it if nobody is being answered."""
        limits = self._voice_loop.pipeline.settings.shedding
        now_s = asyncio.get_running_loop().time()
        reading = await in_thread(self._read)
        llm = self._voice_loop.pipeline.llm.engine
        limits_of_llm = llm.limits if isinstance(llm, FrugalLlm) else ()
        kept_up = self._shortages.kept_up = [name for name in KEPT_UP if _LIMIT[name] not in limits_of_llm]
        for shortage, begins in self._shortages.look(reading, limits, now_s):
            if begins:
                why = "; ".join(short_of(reading, limits, shortage))
                action = "none" if shortage == "heat" and shortage in kept_up else "shed"
                log.warning("short_of=%s action=%s why=%r", shortage, action, why)
            else:
                log.warning("short_of=%s action=restored", shortage)
        if self._voice_loop.state in BETWEEN_TURNS:
            short = self._shortages.now
            await self._tell_voice(short)
            await self._tell_language_model(short)

    async def _tell_voice(self, short: Collection[Shortage]) -> None:
        worker, keeps = self._voice_loop.pipeline.tts, "disk" not in short
        if isinstance(worker.engine, KeepingTts) and self._told("tts", worker.engine, as_new=True) != keeps:
            await worker.run(lambda tts, _: tts.keep_phrases(keeps) if isinstance(tts, KeepingTts) else None)
            self._done["tts"] = (worker.engine, keeps)

    async def _tell_language_model(self, short: Collection[Shortage]) -> None:
        """Limit the conversation first, so it never has more than the context holds."""
        pipeline, keep = self._voice_loop.pipeline, "disk" not in short
        worker, engine = pipeline.llm, pipeline.llm.engine
        wanted = _Frugality(
            context_tokens=self._shorter_context() if "memory" in short else None,
            threads_share=_THREADS_SHARE if "heat" in short else 1.0,
        )
        if not keep:
            await in_thread(partial(_forget, self._prompts))
        told, kept = self._told("llm", engine, as_new=(_Frugality(), True))
        if (told, kept) == (wanted, keep):
            return

        def limit(llm: Llm) -> None:
            before = llm.context_tokens
            if isinstance(llm, FrugalLlm):
                llm.limit(context_tokens=wanted.context_tokens, threads_share=wanted.threads_share)
            if llm.context_tokens != before or (keep and not kept):
                build.read_opening(llm, pipeline.conversation, keep=keep)

        self._allow(wanted.context_tokens)
        await worker.run(lambda llm, _: limit(llm))
        self._allow(wanted.context_tokens)
        if wanted.context_tokens:
            await in_thread(heap.trim)
        self._done["llm"] = (engine, (wanted, keep))

    def _told(self, kind: str, engine: object, *, as_new: Any) -> Any:
        """Return what this engine was told last; a new engine has no limits yet."""
        who, what = self._done.get(kind, (None, None))
        return what if who is engine else as_new

    def _shorter_context(self) -> int:
        """Return half of the configured context, but enough for a question and its answer."""
        pipeline = self._voice_loop.pipeline
        taken = build.tokens_taken(pipeline.settings, pipeline.llm.engine, pipeline.conversation.beginning)
        wanted = max(taken, int(pipeline.settings.llm.context_tokens * _CONTEXT_SHARE))
        return -(-wanted // _CONTEXT_STEP) * _CONTEXT_STEP

    def _allow(self, context_tokens: int | None) -> None:
        """Limit the conversation to that context, or to all that the model has now."""
        pipeline = self._voice_loop.pipeline
        llm, conversation = pipeline.llm.engine, pipeline.conversation
        tokens = min(context_tokens or llm.context_tokens, llm.context_tokens)
        conversation.allow(build.history_tokens(pipeline.settings, llm, conversation.beginning, tokens))


def _forget(prompts: Path) -> None:
    for file in prompts.glob("*.prefix"):
        with suppress(OSError):
            file.unlink()
