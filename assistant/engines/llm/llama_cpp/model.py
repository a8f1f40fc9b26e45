"""A GGUF file loaded into llama.cpp: its weights and vocabulary, and how to create contexts and samplers.

Contexts hold what was read (``context`` for one conversation, ``batch`` for many prompts at once); the
weights are here, once.
"""

from __future__ import annotations

import ctypes
import logging
import mmap
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as lib

from assistant.core.errors import EngineFailed, ModelCorrupt, ModelError
from assistant.engines.llm.chat_template import ChatTemplate
from assistant.engines.llm.llama_cpp.gguf import GgufModel, check_adapter, find_model
from assistant.engines.llm.sampling import PENALTY_WINDOW
from assistant.settings.engines import LlmSettings

log = logging.getLogger(__name__)

BATCH_TOKENS = 512
"""Maximum tokens per llama.cpp call."""
FLASH_ATTENTION = {False: lib.LLAMA_FLASH_ATTN_TYPE_DISABLED, True: lib.LLAMA_FLASH_ATTN_TYPE_ENABLED}
KV_TYPES = {"f16": lib.GGML_TYPE_F16, "q8_0": lib.GGML_TYPE_Q8_0}
LOG_LEVEL_ERROR = 4
"""GGML_LOG_LEVEL_ERROR of ggml.h; the numbers in llama-cpp-python itself are outdated."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter in memory."""

    handle: Any
    scale: float
    """Adapter strength: 1 as trained, 0 off."""
    version: tuple[object, ...]
    """Identifies the adapter and its strength, because cached states depend on them."""


class LlamaCppModel:
    """The weights of one file. Raises ModelCorrupt if llama.cpp cannot load it."""

    def __init__(self, found: GgufModel, settings: LlmSettings) -> None:
        file = self.file = found.file
        self._found = found
        lib.llama_log_set(_while_loading, None)
        lib.llama_backend_init()
        loading = lib.llama_model_default_params()
        loading.use_mmap, loading.use_mlock = settings.mmap, settings.mlock
        self.handle = lib.llama_model_load_from_file(bytes(file), loading)
        if not self.handle and resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
            raise EngineFailed(
                f"{file.name} could not be loaded: too little memory may be used here (ulimit -v).",
                "Allow more, or choose a smaller llm.model.",
            )
        if not self.handle:
            raise ModelCorrupt(
                f"llama.cpp cannot load the model file {file.name}.",
                "Fetch the model again, or choose one with an architecture that llama.cpp supports.",
            )
        if settings.mmap and not settings.mlock:
            drop_mapped_pages(file)
        self.vocabulary = Vocabulary(self.handle)
        self.train_context_tokens: int = lib.llama_model_n_ctx_train(self.handle)
        self.parameters: int = lib.llama_model_n_params(self.handle)

    def new_context(
        self,
        settings: LlmSettings,
        threads: int,
        tokens: int,
        *,
        sequences: int = 1,
        adapter: Adapter | None = None,
    ) -> Any:
        """Create a context of ``tokens`` for ``sequences`` texts; the caller frees it. Raises
        EngineFailed.
        """
        parameters = lib.llama_context_default_params()
        parameters.n_ctx = tokens
        parameters.n_batch = BATCH_TOKENS
        parameters.n_ubatch = settings.micro_batch
        parameters.n_seq_max = sequences
        parameters.kv_unified = sequences > 1  # store what they have in common once
        parameters.n_outputs_max = sequences * (1 + settings.draft_tokens)
        # Scores are needed only after the last token of each text, and after drafted tokens.
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.flash_attn_type = FLASH_ATTENTION[settings.flash_attention]
        parameters.type_k = parameters.type_v = KV_TYPES[settings.kv_type]
        context = lib.llama_init_from_model(self.handle, parameters)
        lib.llama_log_set(_while_running, None)
        if not context:
            raise EngineFailed(
                f"There isn't enough memory for a context of {tokens} tokens.",
                "Lower llm.context_tokens, or choose a smaller model (llm.model).",
            )
        if adapter is not None:
            handles = (lib.llama_adapter_lora_p_ctypes * 1)(adapter.handle)
            lib.llama_set_adapters_lora(context, handles, 1, (ctypes.c_float * 1)(adapter.scale))
        return context

    def new_sampler(self, settings: LlmSettings) -> Any:
        """Create llama.cpp's samplers in its usual order, but top_k first: the penalty is slow on all tokens.

        The caller frees it.
        """
        chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())

        def add(sampler: Any) -> None:
            lib.llama_sampler_chain_add(chain, sampler)

        greedy = settings.temperature == 0
        if settings.top_k and not (greedy and settings.repeat_penalty == 1):
            add(lib.llama_sampler_init_top_k(settings.top_k))
        if settings.repeat_penalty != 1:
            add(
                lib.llama_sampler_init_penalties(
                    self.vocabulary.size, PENALTY_WINDOW, settings.repeat_penalty, 0, 0
                )
            )
        if greedy:
            add(lib.llama_sampler_init_greedy())
            return chain
        add(lib.llama_sampler_init_top_p(settings.top_p, 1))
        add(lib.llama_sampler_init_min_p(settings.min_p, 1))
        add(lib.llama_sampler_init_temp(settings.temperature))
        # For llama.cpp, the largest number means to pick a seed itself.
        pick: int = lib.LLAMA_DEFAULT_SEED
        add(lib.llama_sampler_init_dist(pick if settings.seed is None else min(settings.seed, pick - 1)))
        return chain

    def load_adapter(self, place: Path, scale: float) -> Adapter:
        """Load an adapter for contexts created from now on; freed with the model, or by ``drop_adapter``.

        Raises ModelMissing, ModelCorrupt.
        """
        told = check_adapter(place, self._found.header.architecture, self._found.shapes)
        lib.llama_log_set(_while_loading, None)
        handle = lib.llama_adapter_lora_init(self.handle, bytes(told.file))
        lib.llama_log_set(_while_running, None)
        if not handle:
            raise ModelCorrupt(
                f"llama.cpp cannot load the adapter {told.file.name}.",
                "Choose the model it was trained for (llm.model), or a different adapter (llm.adapter).",
            )
        return Adapter(handle, scale, (told.size_bytes, told.saved_ns, scale))

    def drop_adapter(self, adapter: Adapter) -> None:
        """Free an adapter that no context uses anymore."""
        lib.llama_adapter_lora_free(adapter.handle)

    def close(self) -> None:
        """Free the weights, after the contexts; harmless when called twice."""
        if self.handle:
            lib.llama_model_free(self.handle)
        self.handle = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A model opened for conversations."""

    model: LlamaCppModel
    chat: ChatTemplate
    adapter: Adapter | None
    """The adapter named in the settings."""


def opened_for_chats(settings: LlmSettings, folder: Path) -> Opened:
    """Load the GGUF file in ``folder`` and the adapter. Raises ModelMissing, ModelCorrupt."""
    found = find_model(folder)
    model = LlamaCppModel(found, settings)
    vocabulary = model.vocabulary
    try:
        chat = ChatTemplate(found.chat_template, vocabulary.begin, vocabulary.end, vocabulary.first)
        adapter = None
        if settings.adapter is not None:
            adapter = model.load_adapter(Path(settings.adapter), settings.adapter_scale)
    except ModelError:
        model.close()
        raise
    return Opened(model, chat, adapter)


def _errors_to(write: Callable[..., None]) -> Any:
    """Create a callback for what llama.cpp would print on stderr; only errors pass."""

    @lib.llama_log_callback  # type: ignore[untyped-decorator]
    def receive(level: int, text: bytes, _: Any) -> None:
        if level == LOG_LEVEL_ERROR:
            write("llama_cpp=%r", text.decode("utf-8", "replace").strip())

    return receive


_while_loading = _errors_to(log.warning)
"""Explains why a model cannot be loaded, which llama.cpp reports nowhere else."""
_while_running = _errors_to(log.debug)
"""At this point, return values report failures, and llama.cpp logs each interruption as an error."""


class Vocabulary:
    """A model's tokens and their texts. Can be used from any thread."""

    def __init__(self, model: Any) -> None:
        self.handle = lib.llama_model_get_vocab(model)
        self.size: int = lib.llama_vocab_n_tokens(self.handle)
        self.begin = self._text(lib.llama_vocab_bos(self.handle))
        """Spelling of the token that begins a text; empty if there is none."""
        self.end = self._text(lib.llama_vocab_eos(self.handle))
        """Spelling of the token that ends a text; empty if there is none."""
        self.first = self.begin if lib.llama_vocab_get_add_bos(self.handle) else ""
        """What every prompt must begin with; may be empty."""

    def tokenize(self, text: str) -> list[int]:
        """Convert text to tokens; spelled-out control tokens become those tokens."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 8  # a token is at least a byte; some vocabularies add a leading space
        tokens = (lib.llama_token * room)()
        count = lib.llama_tokenize(self.handle, data, len(data), tokens, room, False, True)  # noqa: FBT003
        if count < 0:
            raise EngineFailed(
                "The text could not be split into tokens.", "Choose a different model (llm.model)."
            )
        return list(tokens[:count])

    def piece(self, token: int, *, spell_control: bool = False) -> bytes:
        """Return the bytes of a token; empty for control tokens, unless they are to be spelled out."""
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            length = lib.llama_token_to_piece(self.handle, token, buffer, room, 0, spell_control)
            if length >= 0:
                return buffer.raw[:length]
            room = -length

    def is_control(self, token: int) -> bool:
        """True if the token controls the model rather than representing text."""
        return bool(lib.llama_vocab_is_control(self.handle, token))

    def ends_reply(self, token: int) -> bool:
        """True if it is one of the model's end tokens."""
        return bool(lib.llama_vocab_is_eog(self.handle, token))

    def _text(self, token: int) -> str:
        return "" if token < 0 else self.piece(token, spell_control=True).decode("utf-8", "replace")


_MAPS = Path("/proc/self/maps")


def drop_mapped_pages(file: Path) -> None:
    """Drop the mapped pages of ``file``; each is loaded again when it is read. Errors are ignored.

    llama.cpp maps a model with all its pages, then copies some tensors into a faster layout, and reads only
    one row per token of the embedding. In a 0.5 B model of 485 MB, about 120 MB are never read again. Does
    nothing without /proc.
    """
    advice = getattr(mmap, "MADV_DONTNEED", None)
    if advice is None or not _MAPS.exists():
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, end in list(_mappings(str(file.resolve()))):
        madvise(start, end - start, advice)


def _mappings(path: str) -> Iterator[tuple[int, int]]:
    """Yield the addresses of a file's read-only mappings: dropping a modified private page would lose it."""
    for line in _MAPS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        span, permissions, _, _, inode, *name = line.split(maxsplit=5)
        if inode != "0" and name == [path] and "w" not in permissions:
            start, end = span.split("-")
            yield int(start, 16), int(end, 16)
