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
    """What every engine has. One that does not compute but waits for others may have a ``waits``: then it
    does not keep the cores from other engines while that is true (``engine_thread``)."""

    def warm_up(self) -> None:
        """Do the work once, so that the first real call is as fast as the tenth."""

    def close(self) -> None:
        """Free the model. Called once, last."""


class WakeWord(Engine, Protocol):
    """Hears one of its words in a stream of frames."""

    def detect(self, pcm: Pcm16) -> str | None:
        """Take the next frame (FRAME_SAMPLES at 16 kHz); the word's name if it just ended."""

    def reset(self) -> None:
        """Forget the stream so far."""


class Vad(Engine, Protocol):
    """Tells speech from everything else in a stream of frames."""

    def speech_probability(self, pcm: Pcm16) -> float:
        """Take the next frame (FRAME_SAMPLES at 16 kHz); probability of speech, 0 to 1."""

    def reset(self) -> None:
        """Forget the stream so far."""


class Stt(Engine, Protocol):
    """Turns an utterance into text."""

    def transcribe(self, pcm: Pcm16, cancel: Cancel) -> Transcript:
        """Recognise samples at 16 kHz, from tens of milliseconds to a minute.

        Returns an empty text for silence. Raises EngineFailed.
        """


class Llm(Engine, Protocol):
    """Continues a conversation."""

    context_tokens: int
    """How many tokens prompt and reply may have together."""

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Length of the prompt that these messages become, template included."""

    def prime(self, messages: Sequence[Message], cache: Path | None = None) -> None:
        """Read what these messages and any later prompt have in common, ahead of time.

        With ``cache``, a folder, what was read is kept there for the next start.
        """

    def read_ahead(self, messages: Sequence[Message], cancel: Cancel) -> None:
        """Read the beginning of a prompt whose last message will go on; stops soon after ``cancel``.

        Raises EngineFailed.
        """

    def stream(self, messages: Sequence[Message], cancel: Cancel) -> Iterator[str]:
        """Yield the reply piece by piece, each whole Unicode text; stops soon after ``cancel``.

        A last message of the assistant's own is the beginning of the reply, which goes on from there.
        Raises PromptTooLong before the first piece, EngineFailed at any time.
        """


@runtime_checkable
class CallingLlm(Llm, Protocol):
    """One that can keep to a grammar, so that what it calls can be called."""

    parameters: int
    """How many weights it has: small ones call skills that were not asked for."""

    def stream_or_call(
        self, messages: Sequence[Message], cancel: Cancel, grammar: str
    ) -> Iterator[str | Call]:
        """As ``stream``; or one Call alone, of the ``grammar`` (GBNF), of which all texts begin with "@"."""


@runtime_checkable
class AdaptableLlm(Llm, Protocol):
    """One whose adapter can be exchanged while its weights stay loaded."""

    def load_adapter(self, place: Path, scale: float) -> Any:
        """Load an adapter from its file or that file's folder. Raises ModelMissing, ModelCorrupt."""

    def drop_adapter(self, adapter: Any) -> None:
        """Free an adapter that will not be applied."""

    def apply_adapter(self, adapter: Any) -> None:
        """Answer with it, or with none (None), from now on; the one before is freed.

        Raises EngineFailed, and then goes on with the one before.
        """


class BatchLlm(Protocol):
    """Answers many prompts at once, when no one waits for a single reply."""

    def answer_all(self, prompts: Sequence[Sequence[Message]], cancel: Cancel) -> Iterator[BatchReply]:
        """Yield the replies in the order in which they are done; stops soon after ``cancel``.

        The failure of one prompt is the ``error`` of its reply. Raises PromptTooLong before the first
        one, EngineFailed at any time.
        """

    def close(self) -> None:
        """Free the model."""


@runtime_checkable
class FrugalLlm(Llm, Protocol):
    """One that can do with less for a while."""

    @property
    def limits(self) -> Collection[str]:
        """Those of the parameters of ``limit`` that change anything here."""

    def limit(self, *, context_tokens: int | None = None, threads_share: float = 1.0) -> None:
        """Use at most ``context_tokens`` and this share of the threads until the next call.

        None and 1 restore the values it was made with. Another context forgets what was read. Raises
        EngineFailed when there is no memory for a longer one, and changes nothing then.
        """


class Tts(Engine, Protocol):
    """Speaks a sentence."""

    sample_rate_hz: int

    def synthesize(self, sentence: Sentence, cancel: Cancel) -> Pcm16:
        """Samples at ``sample_rate_hz``; empty when there is nothing to pronounce or ``cancel`` is set.

        Ends in the pause that belongs after it. Raises EngineFailed.
        """


@runtime_checkable
class KeepingTts(Tts, Protocol):
    """One that keeps sound on the disk."""

    def keep_phrases(self, keep: bool) -> None:  # noqa: FBT001 - it says what it says
        """Whether to keep more of it; if not, most of what is there goes, too."""


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
            f"Install it, or choose another engine in the settings ({kind}.engine).",
        ) from error
    return create(**what)
