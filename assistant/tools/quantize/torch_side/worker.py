"""The child process that has torch: it loads a checkpoint, tells scores, rounds or trains it.

Runs in the environment "torch" and knows nothing of the assistant: orders come as lines of JSON on
stdin, answers go as lines of JSON to stdout, scores behind theirs as raw numbers. Nothing is
downloaded, and no code of a checkpoint is run.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch
import transformers

ROUNDED: dict[str, dict[str, Any]] = {
    "hf-int8": {"load_in_8bit": True},
    "hf-nf4": {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_compute_dtype": torch.float32,
        "bnb_4bit_use_double_quant": True,
    },
}
"""Format -> what bitsandbytes is told."""


class Worker:
    """Does one order after the other with the checkpoint that was loaded last."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._model: Any = None
        self._past: Any = None

    def load(self, folder: str, threads: int) -> None:
        """Load a checkpoint to be asked for scores."""
        torch.set_num_threads(threads)
        self._model = _loaded(folder)
        self._say(vocabulary=self._model.config.vocab_size)

    def scores(self, tokens: list[int], start: int, wanted: list[int]) -> None:
        """Read ``tokens`` behind the ``start`` first of what was read; the scores at ``wanted`` of them."""
        if start == 0:
            self._past = transformers.DynamicCache(config=self._model.config)
        elif start < self._past.get_seq_length():
            self._past.crop(start)
        with torch.inference_mode():
            result = self._model(
                torch.tensor([tokens]), past_key_values=self._past, logits_to_keep=torch.tensor(wanted)
            )
        logits = result.logits[0].float().contiguous().numpy()
        self._say(shape=list(logits.shape))
        self._answers.write(logits.tobytes())
        self._answers.flush()

    def round(self, folder: str, to: str, format: str) -> None:  # noqa: A002  an order's key
        """Round a plain checkpoint with bitsandbytes and save it."""
        settings = transformers.BitsAndBytesConfig(**ROUNDED[format])
        _loaded(folder, quantization_config=settings).save_pretrained(to)
        self._say(done=True)

    def train(self, folder: str, to: str, passages: list[list[int]], plan: list[int], threads: int) -> None:
        """Quantization-aware training (``training``), told step by step."""
        training = importlib.import_module("training")  # it lies beside this file
        torch.set_num_threads(threads)
        training.train(
            _loaded(folder), Path(to), passages, (plan[0], plan[1]), lambda loss: self._say(loss=loss)
        )
        self._say(done=True)

    def _say(self, **answer: object) -> None:
        self._answers.write(json.dumps(answer).encode() + b"\n")
        self._answers.flush()


def _loaded(folder: str, **settings: Any) -> Any:
    """Computed with 32 bits, because processors have nothing faster that is as exact."""
    packed = '"pack-quantized"' in Path(folder, "config.json").read_text(encoding="utf-8")
    if packed:  # unpacked once, not for every token
        settings["quantization_config"] = transformers.CompressedTensorsConfig(run_compressed=False)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False, **settings
    )
    return model.eval()


def main() -> None:
    """Until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    os.umask(0o077)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print where they like
    sys.path.append(str(Path(__file__).parent))
    worker = Worker(answers)
    orders: dict[str, Callable[..., None]] = {
        "load": worker.load,
        "scores": worker.scores,
        "round": worker.round,
        "train": worker.train,
    }
    for line in sys.stdin:
        order = json.loads(line)
        orders[order.pop("do")](**order)


if __name__ == "__main__":
    main()
