"""What a model loses relative to another: perplexity, and the distance between their predictions.

Both read the same tokens. The mean surprise over the tokens of a reply (negative log-probability of the
actual token, in nats) gives the perplexity; the Kullback-Leibler divergence (nats per token) compares the
complete distributions, which distinguishes a small loss from chance.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from assistant.core.errors import ModelCorrupt
from assistant.store.formats.gguf import Value
from assistant.tools.quantize.block_numbers import Float32s
from assistant.tools.quantize.scoring import Passage, Scorer

Report = Callable[[int], None]
"""Called with how many more tokens are done."""


@dataclass(frozen=True, slots=True)
class Loss:
    """The prediction loss of a model, relative to a reference if there is one."""

    tokens: int
    """Number of scored tokens."""
    nats: float
    """Mean surprise per token."""
    kl: float = 0.0
    """Mean Kullback-Leibler divergence from the reference, nats per token."""
    kl_error: float = 0.0
    """Standard error of ``kl`` across conversations."""
    same_first: float = 1.0
    """Fraction of tokens for which both predict the same most likely token."""

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.nats, 700.0))


class Reference:
    """The source's predictions, stored in an unnamed file that disappears with this process.

    Log-probabilities are stored at 16 bits; a model's divergence from itself is then below 0.0001 nats.
    """

    def __init__(self, passages: Sequence[Passage], folder: Path) -> None:
        """``folder`` is where the file takes up space."""
        self.passages = tuple(passages)
        self.loss = Loss(0, 0.0)
        self.pieces: tuple[bytes, ...] = ()
        """The text of each of the source's tokens."""
        self.shape: Mapping[str, Value] = {}
        """The source's hyperparameters, from its header."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed in close

    @property
    def tokens(self) -> int:
        return sum(len(passage.scored) for passage in self.passages)

    def __enter__(self) -> Reference:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file and its disk space."""
        self._file.close()

    def record(self, scorer: Scorer, report: Report) -> Loss:
        """Record the source's predictions. Raises ModelCorrupt, EngineFailed, OSError on a full disk."""
        surprises: list[Float32s] = []
        for passage in self.passages:
            for log_probabilities, said in _predictions(scorer, passage):
                self._file.write(log_probabilities.astype(np.float16).tobytes())
                surprises.append(_surprise(log_probabilities, said))
            report(len(passage.scored))
        self._file.flush()
        self.loss = Loss(self.tokens, float(np.concatenate(surprises).mean()))
        return self.loss

    def compare(self, scorer: Scorer, report: Report) -> Loss:
        """Return the loss of a model with the same vocabulary. Raises ModelCorrupt, EngineFailed."""
        self._file.seek(0)
        surprises: list[Float32s] = []
        divergences: list[float] = []
        counts: list[int] = []
        same = 0
        for passage in self.passages:
            total = 0.0
            for ours, said in _predictions(scorer, passage):
                theirs = self._next(ours.shape)
                total += float(np.sum(np.exp(theirs) * (theirs - ours), dtype=np.float64))
                same += int(np.sum(theirs.argmax(axis=1) == ours.argmax(axis=1)))
                surprises.append(_surprise(ours, said))
            divergences.append(total)
            counts.append(len(passage.scored))
            report(len(passage.scored))
        mean = sum(divergences) / self.tokens
        return Loss(
            self.tokens,
            float(np.concatenate(surprises).mean()),
            mean,
            _standard_error(divergences, counts, mean),
            same / self.tokens,
        )

    def _next(self, shape: tuple[int, ...]) -> Float32s:
        """Return the recorded predictions for the next positions."""
        data = self._file.read(2 * math.prod(shape))
        return np.frombuffer(data, np.float16).reshape(shape).astype(np.float32)


def _predictions(scorer: Scorer, passage: Passage) -> Iterator[tuple[Float32s, npt.NDArray[np.int64]]]:
    """Yield log-probabilities [positions, vocabulary size] with the actual next tokens, in batches."""
    said = np.array([passage.tokens[position] for position in passage.scored])
    start = 0
    for logits in scorer.scores(passage):
        if not np.isfinite(logits).all():
            raise ModelCorrupt(
                "The model computes invalid numbers (NaN or infinity).",
                "Its weights are damaged, or its type doesn't suit it. Fetch the source again, or try q8_0.",
            )
        yield _log_softmax(logits), said[start : start + len(logits)]
        start += len(logits)


def _log_softmax(logits: Float32s) -> Float32s:
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: Float32s = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def _surprise(log_probabilities: Float32s, said: npt.NDArray[np.int64]) -> Float32s:
    picked: Float32s = -log_probabilities[np.arange(len(said)), said]
    return picked


def _standard_error(totals: Sequence[float], counts: Sequence[int], mean: float) -> float:
    """Return the standard error of a ratio of sums, with the passages as independent samples."""
    if len(totals) < 2:
        return 0.0
    residuals = [total - mean * count for total, count in zip(totals, counts, strict=True)]
    spread = sum(residual**2 for residual in residuals) * len(totals) / (len(totals) - 1)
    return math.sqrt(spread) / sum(counts)
