"""A decoder in ONNX to be looked at: the scores it gives to the tokens of a text, as ``probe`` has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from assistant.core.errors import EngineFailed
from assistant.engines.llm.chat_template import ChatTemplate
from assistant.engines.llm.onnx import model as onnx_model
from assistant.engines.llm.onnx.decoder import OnnxDecoder, run_options
from assistant.engines.onnx_providers import Place, first_line
from assistant.tools.quantize.dialogues import Texts
from assistant.tools.quantize.passages import BATCH_TOKENS, WINDOW_TOKENS, Passage, read


class OnnxProbe:
    """One model on the processor. Raises ModelMissing or ModelCorrupt when it cannot be had."""

    def __init__(self, folder: Path, threads: int) -> None:
        found = onnx_model.find(folder)
        self.vocabulary = found.vocabulary
        words = self.vocabulary
        self._chat = ChatTemplate(found.chat_template, words.begin, words.end, words.first)
        self._decoder = OnnxDecoder(
            found.file, [Place("cpu")], threads=threads, context_tokens=2 * WINDOW_TOKENS
        )
        self.vocabulary_size = self._evaluate((0,), 0).shape[1]

    def close(self) -> None:
        """Free everything; harmless when done twice."""
        self._decoder.close()

    def passages(self, texts: Texts) -> list[Passage]:
        """The texts as this model reads them."""
        return read(texts, self.vocabulary, self._chat)

    def scores(self, passage: Passage) -> Iterator[npt.NDArray[np.float32]]:
        """The logits that predict each scored token, [some, vocabulary size], in order, in pieces.

        Raises EngineFailed.
        """
        wanted = np.zeros(len(passage.tokens), dtype=np.bool_)
        wanted[[position - 1 for position in passage.scored]] = True
        for start in range(0, len(passage.tokens), BATCH_TOKENS):
            end = start + BATCH_TOKENS
            scores = self._evaluate(passage.tokens[start:end], start, keep=0)
            if wanted[start:end].any():
                yield scores[wanted[start:end]]

    def read(self, passage: Passage) -> None:
        """Evaluate a passage for the sake of its last scored token only. Raises EngineFailed."""
        for start in range(0, len(passage.tokens), BATCH_TOKENS):
            self._evaluate(passage.tokens[start : start + BATCH_TOKENS], start)

    def append(self, token: int, position: int) -> None:
        """Evaluate one token after those before it, as when a reply is written. Raises EngineFailed."""
        self._evaluate((token,), position)

    def _evaluate(self, tokens: tuple[int, ...], start: int, keep: int = 1) -> npt.NDArray[np.float32]:
        try:
            return self._decoder.evaluate(tokens, start, keep, run_options())
        except Exception as error:  # ONNX Runtime's exceptions share no class of their own.
            raise EngineFailed(
                f"The model failed while it read a text: {first_line(error)}.",
                "Choose another source, or close other programs if memory is short.",
            ) from error
