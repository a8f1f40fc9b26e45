"""Opens a model for scoring text: in llama.cpp, ONNX Runtime, or transformers, depending on its folder.

Unlike an engine, which needs only the next token, a scorer needs the whole distribution at many positions;
llama.cpp's can also report every matrix product to an observer. Independent of file formats and of the
meaning of the scores. llama.cpp's log output is captured instead of printed.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as lib
import numpy as np
import numpy.typing as npt

from assistant.core.errors import EngineFailed, ModelCorrupt
from assistant.engines.llm.llama_cpp.gguf import find_model
from assistant.engines.llm.llama_cpp.model import LOG_LEVEL_ERROR, Vocabulary
from assistant.engines.llm.onnx import model as onnx_model
from assistant.engines.llm.onnx.decoder import OnnxDecoder, run_options
from assistant.engines.onnx_providers import Place, first_line
from assistant.store.progress import Watcher
from assistant.tools.quantize.scoring import BATCH_TOKENS, WINDOW_TOKENS, Passage, Scorer
from assistant.tools.quantize.torch_child import TorchScorer


def engine_of(folder: Path) -> str:
    """Return the ``llm.engine`` for the model in ``folder``; empty if no engine runs it."""
    if any(folder.glob("*.gguf")):
        return "llama_cpp"
    return "onnx" if any(folder.glob("*.onnx")) else ""


def opened(folder: Path, threads: int, watcher: Watcher) -> Scorer:
    """Open the model in ``folder``; the caller closes it. Raises ModelMissing, ModelCorrupt, or
    EngineFailed.
    """
    match engine_of(folder):
        case "llama_cpp":
            return LlamaCppScorer(folder, threads)
        case "onnx":
            return OnnxScorer(folder, threads)
        case _:
            return TorchScorer(folder, threads, watcher)


class LlamaCppScorer(Scorer):
    """A model in llama.cpp. Raises ModelMissing, ModelCorrupt, or EngineFailed if it cannot be opened."""

    def __init__(self, folder: Path, threads: int, observer: Any = None, adapter: Path | None = None) -> None:
        """``folder`` contains one GGUF model; ``observer`` is a ggml_backend_sched_eval_callback or None.

        ``adapter`` is a GGUF file that changes the model.
        """
        found = find_model(folder)
        file = found.file
        self._observer = observer  # Keeps a reference, because C doesn't.
        self._context = None
        with quiet() as said:
            lib.llama_backend_init()
            parameters = lib.llama_model_default_params()
            parameters.check_tensors = True  # Checks for NaN and infinity in the weights.
            self._model = lib.llama_model_load_from_file(bytes(file), parameters)
        if not self._model:
            raise ModelCorrupt(
                f"llama.cpp cannot load {file.name}{said.reason()}.",
                "Choose an intact source with an architecture that llama.cpp supports.",
            )
        words = Vocabulary(self._model)
        super().__init__(words, found.chat_template)
        self.vocabulary_size = words.size
        with quiet():
            self._context = lib.llama_init_from_model(self._model, self._parameters(threads))
        if not self._context:
            self.close()
            raise EngineFailed(
                f"There isn't enough memory for {file.name}.",
                "Close other programs, or use a larger machine.",
            )
        if adapter is not None:
            self._apply_adapter(adapter)
        self._memory = lib.llama_get_memory(self._context)
        self._batch = lib.llama_batch_init(BATCH_TOKENS, 0, 1)

    def _parameters(self, threads: int) -> Any:
        parameters = lib.llama_context_default_params()
        parameters.n_ctx = WINDOW_TOKENS * 2
        parameters.n_batch = parameters.n_ubatch = parameters.n_outputs_max = BATCH_TOKENS
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.flash_attn_type = (
            lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        )  # As in the engine: it is faster here.
        if self._observer is not None:
            parameters.cb_eval = self._observer
        return parameters

    def _apply_adapter(self, file: Path) -> None:
        with quiet() as said:
            adapter = lib.llama_adapter_lora_init(self._model, bytes(file))  # Freed with the model.
        if not adapter:
            lib.llama_free(self._context)
            self._context = None
            self.close()
            raise ModelCorrupt(
                f"llama.cpp cannot load the adapter {file.name}{said.reason()}.",
                "Use it with the model it was trained for.",
            )
        handles = (lib.llama_adapter_lora_p_ctypes * 1)(adapter)
        lib.llama_set_adapters_lora(self._context, handles, 1, (ctypes.c_float * 1)(1.0))

    def close(self) -> None:
        if self._context:
            lib.llama_batch_free(self._batch)
            lib.llama_free(self._context)
        if self._model:
            lib.llama_model_free(self._model)
        self._context = self._model = None
        gc.collect()

    def scores(self, passage: Passage) -> Iterator[npt.NDArray[np.float32]]:
        lib.llama_memory_clear(self._memory, True)  # noqa: FBT003
        wanted = {position - 1 for position in passage.scored}
        for start in range(0, len(passage.tokens), BATCH_TOKENS):
            tokens = passage.tokens[start : start + BATCH_TOKENS]
            outputs = self._decode(tokens, start, wanted)
            if outputs:
                yield np.stack([self._logits(index) for index in outputs])

    def append(self, token: int, position: int) -> None:
        self._decode([token], position, {position})

    def _decode(self, tokens: Sequence[int], start: int, wanted: set[int]) -> list[int]:
        """Evaluate tokens at positions from ``start``; return the batch indices that have scores."""
        outputs = [index for index in range(len(tokens)) if start + index in wanted]
        for index, token in enumerate(tokens):
            self._batch.token[index] = token
            self._batch.pos[index] = start + index
            self._batch.n_seq_id[index] = 1
            self._batch.seq_id[index][0] = 0
            self._batch.logits[index] = start + index in wanted
        self._batch.n_tokens = len(tokens)
        with quiet():
            status = lib.llama_decode(self._context, self._batch)
        if status != 0:
            raise EngineFailed(
                f"The model failed while reading text (llama_decode returned {status}).",
                "Choose another source, or close other programs if memory is short.",
            )
        return outputs

    def _logits(self, index: int) -> npt.NDArray[np.float32]:
        pointer = lib.llama_get_logits_ith(self._context, index)
        return np.ctypeslib.as_array(
            ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)), (self.vocabulary_size,)
        ).copy()


MAX_REASON = 200


class Said:
    """Choose a different source, or close other programs if memory is short."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def reason(self) -> str:
        """Return the first error, as the rest of a sentence; empty without one."""
        if not self.errors:
            return ""
        text = " ".join(self.errors[0].split("error loading model:")[-1].split())
        return f": {''.join(letter for letter in text if letter.isprintable())[:MAX_REASON].rstrip('.')}"


_listeners: list[Said] = []


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _receive(level: int, text: bytes, _: Any) -> None:
    if level == LOG_LEVEL_ERROR and _listeners:
        _listeners[-1].errors.append(text.decode("utf-8", "replace"))


@contextmanager
def quiet() -> Iterator[Said]:
    """Capture what llama.cpp prints inside the block, and keep its errors."""
    said = Said()
    _listeners.append(said)
    lib.llama_log_set(_receive, None)
    try:
        yield said
    finally:
        _listeners.pop()


class OnnxScorer(Scorer):
    """A model in ONNX Runtime, on the CPU. Raises ModelMissing or ModelCorrupt."""

    def __init__(self, folder: Path, threads: int) -> None:
        found = onnx_model.find(folder)
        super().__init__(found.vocabulary, found.chat_template)
        self._decoder = OnnxDecoder(
            found.file, [Place("cpu")], threads=threads, context_tokens=2 * WINDOW_TOKENS
        )
        self.vocabulary_size = self._evaluate((0,), 0).shape[1]

    def close(self) -> None:
        self._decoder.close()

    def scores(self, passage: Passage) -> Iterator[npt.NDArray[np.float32]]:
        wanted = np.zeros(len(passage.tokens), dtype=np.bool_)
        wanted[[position - 1 for position in passage.scored]] = True
        for start in range(0, len(passage.tokens), BATCH_TOKENS):
            end = start + BATCH_TOKENS
            scores = self._evaluate(passage.tokens[start:end], start, keep=0)
            if wanted[start:end].any():
                yield scores[wanted[start:end]]

    def read(self, passage: Passage) -> None:
        for start in range(0, len(passage.tokens), BATCH_TOKENS):
            self._evaluate(passage.tokens[start : start + BATCH_TOKENS], start)

    def append(self, token: int, position: int) -> None:
        self._evaluate((token,), position)

    def _evaluate(self, tokens: tuple[int, ...], start: int, keep: int = 1) -> npt.NDArray[np.float32]:
        try:
            return self._decoder.evaluate(tokens, start, keep, run_options())
        except Exception as error:  # ONNX Runtime's exceptions have no common base class.
            raise EngineFailed(
                f"The model failed while reading text: {first_line(error)}.",
                "Choose a different source, or close other programs if memory is short.",
            ) from error
