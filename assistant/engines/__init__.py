"""The kinds of engine, one small Protocol each. ``specs`` lists the engines.

An engine is a loaded model. Its methods block and are only ever called from the one worker
thread that owns it; ``Cancel`` is the sole thing another thread may touch. Only the module of
the selected engine is imported. A new engine is one module with a ``create`` function, one ``EngineSpec``,
and what the contract tests ask of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from assistant.core.errors import EngineUnavailable
from assistant.core.types import BatchReply, Call, Message, Pcm16, Sentence, Transcript
from assistant.runtime.cancel import Cancel
from assistant.runtime.engine_spec import spec
from assistant.runtime.extensions import imported


class Engine(Protocol):
    """What every engine has. An engine that waits for others instead of computing may have a ``waits``:
    while it is true, the engine doesn't keep the cores from other engines (``engine_thread``).
    """

    def warm_up(self) -> None:
        """Run once on dummy input, so the first real call is as fast as the tenth."""

    def close(self) -> None:
        """Free the model. Called once, last."""


class WakeWord(Engine, Protocol):
    """Detects its wake words in a stream of frames."""

    def detect(self, pcm: Pcm16) -> str | None:
        """Process the next frame (FRAME_SAMPLES at 16 kHz); returns a word's name if it just ended."""

    def reset(self) -> None:
        """Forget the stream so far."""


class Vad(Engine, Protocol):
    """Voice activity detection: tells speech from everything else in a stream of frames."""

    def speech_probability(self, pcm: Pcm16) -> float:
        """Process the next frame (FRAME_SAMPLES at 16 kHz); returns the probability of speech, 0 to 1."""

    def reset(self) -> None:
        """Forget the stream so far."""


class Stt(Engine, Protocol):
    """Turns an utterance into text."""

    def transcribe(self, pcm: Pcm16, cancel: Cancel) -> Transcript:
        """Recognize samples at 16 kHz, from tens of milliseconds to a minute long.

        Returns an empty text for silence. Raises EngineFailed.
        """


class Llm(Engine, Protocol):
    """Continues a conversation."""

    context_tokens: int
    """Maximum tokens of prompt and reply together."""

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return the prompt length of these messages in tokens, template included."""

    def prime(self, messages: Sequence[Message], cache: Path | None = None) -> None:
        """Process ahead of time what these messages and any later prompt have in common.

        With ``cache``, a folder, the result is saved there for the next start.
        """

    def read_ahead(self, messages: Sequence[Message], cancel: Cancel) -> None:
        """Process the beginning of a prompt whose last message is unfinished; stops soon after ``cancel``.

        Raises EngineFailed.
        """

    def stream(self, messages: Sequence[Message], cancel: Cancel) -> Iterator[str]:
        """Yield the reply piece by piece, each piece whole Unicode text; stops soon after ``cancel``.

        If the last message is the assistant's own, it is the beginning of the reply, which continues from
        there. Raises PromptTooLong before the first piece, EngineFailed at any time.
        """


@runtime_checkable
class FactualLlm(Llm, Protocol):
    """A language model that can leave chance out of a reply."""

    is_factual: bool
    """True: the next replies take the likeliest tokens, whatever the temperature."""


@runtime_checkable
class CallingLlm(Llm, Protocol):
    """A language model that can follow a grammar, so its tool calls are always valid."""

    parameters: int
    """Number of parameters: small models call skills that nobody asked for."""

    def stream_or_call(
        self, messages: Sequence[Message], cancel: Cancel, grammar: str
    ) -> Iterator[str | Call]:
        """Like ``stream``, or yields one Call of the ``grammar`` (GBNF), all of whose texts begin with
        "@".
        """


@runtime_checkable
class AdaptableLlm(Llm, Protocol):
    """A language model whose adapter can be replaced while its weights stay loaded."""

    def load_adapter(self, place: Path, scale: float) -> Any:
        """Load an adapter from its file or that file's folder. Raises ModelMissing, ModelCorrupt."""

    def drop_adapter(self, adapter: Any) -> None:
        """Free an adapter that won't be applied."""

    def apply_adapter(self, adapter: Any) -> None:
        """Use this adapter, or none (None), from now on; the previous one is freed.

        Raises EngineFailed, and then keeps the previous one.
        """


class BatchLlm(Protocol):
    """Answers many prompts at once, when nobody is waiting for a single reply."""

    def answer_all(self, prompts: Sequence[Sequence[Message]], cancel: Cancel) -> Iterator[BatchReply]:
        """Yield the replies in order of completion; stops soon after ``cancel``.

        If one prompt fails, its reply has an ``error``. Raises PromptTooLong before the first reply,
        EngineFailed at any time.
        """

    def close(self) -> None:
        """Free the model."""


@runtime_checkable
class FrugalLlm(Llm, Protocol):
    """A language model that can temporarily use fewer resources."""

    @property
    def limits(self) -> Collection[str]:
        """Names of the parameters of ``limit`` that have an effect on this engine."""

    def limit(self, *, context_tokens: int | None = None, threads_share: float = 1.0) -> None:
        """Use at most ``context_tokens`` and this share of the threads until the next call.

        None and 1 restore the original values. Changing the context discards everything processed so far.
        Raises EngineFailed, without changes, if there is no memory for a longer one.
        """


class Tts(Engine, Protocol):
    """Speaks a sentence."""

    sample_rate_hz: int

    def synthesize(self, sentence: Sentence, cancel: Cancel) -> Pcm16:
        """Return samples at ``sample_rate_hz``; empty if nothing is pronounceable or ``cancel`` is set.

        The sound ends with the pause that belongs after the sentence. Raises EngineFailed.
        """


@runtime_checkable
class KeepingTts(Tts, Protocol):
    """A voice that caches audio on disk."""

    def keep_phrases(self, keep: bool) -> None:  # noqa: FBT001 - it says what it says
        """Set whether to cache more audio; if not, most of the cache is deleted, too."""


def load(kind: str, name: str, **what: Any) -> Any:
    """Import the one engine module that is wanted and create the engine; of kind "batch" a ``BatchLlm``.

    ``what`` is ``settings`` (the section of that kind) and, but for wake and VAD, ``model``
    (a Path, the model's folder; None where an engine does without) and ``threads`` (int).
    Raises EngineUnavailable when its package is not installed.
    """
    wanted = spec("llm" if kind == "batch" else kind, name)
    if wanted.settings is not None:
        what["own"] = getattr(what["settings"], name, None) or wanted.settings()
    try:
        create = imported(wanted.create_batch if kind == "batch" else wanted.create)
    except ImportError as error:
        raise EngineUnavailable(
            f"The {kind} engine '{name}' needs the Python package '{error.name}', which is not installed.",
            f"Install it, or choose a different engine in the settings ({kind}.engine).",
        ) from error
    return create(**what)
