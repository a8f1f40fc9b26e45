"""A decoder on ONNX Runtime with the KV cache of what it has read.

If the network can write into the cache it reads (GroupQueryAttention), one block for the whole context is
bound once, and going back costs nothing. Other networks output a longer cache each time, which they read
next. In both cases it stays on the device where the network runs. Knows only tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from assistant.core.errors import ModelCorrupt
from assistant.engines import onnx_providers
from assistant.engines.onnx_providers import ON_CARD, SILENT, Place

Float32s = npt.NDArray[np.float32]

PAST = re.compile(r"past_key_values\.(\d+)\.(key|value)")
FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}

KNOWN = {"input_ids", "attention_mask", "position_ids", "num_logits_to_keep", "use_cache_branch"}
"""Known inputs other than the cache."""

PART_TOKENS = 128
"""Maximum tokens evaluated together: on a CPU, this is as fast as all at once."""

TRIAL_TOKENS = 8


class OnnxDecoder:
    """One network with one KV cache. Raises ModelCorrupt if it isn't a decoder."""

    def __init__(self, file: Path, places: Sequence[Place], *, threads: int, context_tokens: int) -> None:
        self._session, self.provider = onnx_providers.open_session(
            file, _options(threads), places, network="llm", lengths=partial(_lengths, context_tokens)
        )
        self.context_tokens = context_tokens
        self._inputs = {each.name: each for each in self._session.get_inputs()}
        self._past = {name: self._head_shape(name) for name in self._inputs if PAST.fullmatch(name)}
        self._present = {name: name.replace("past_key_values", "present") for name in self._past}
        wanted = {"logits", *self._present.values()}
        missing = wanted - {each.name for each in self._session.get_outputs()}
        unknown = self._inputs.keys() - self._past.keys() - KNOWN
        if not self._past or missing or unknown:
            names = ", ".join(sorted(unknown or missing)[:3]) or "a memory"
            raise _no_decoder(file, f"it needs {names}" if unknown else f"it lacks {names}")
        self._kind = FLOATS.get(self._inputs[next(iter(self._past))].type, np.float32)
        self.keeps_last = "num_logits_to_keep" in self._inputs
        """True if it computes the scores of only the tokens that need them."""
        self._device = "cuda" if self.provider in ON_CARD else "cpu"
        self._binding = self._session.io_binding()
        self._binding.bind_output("logits", "cpu")
        self._in_place = self._can_write_in_place()
        self._memory: dict[str, Any] = {}
        self._length = 0
        """Tokens in the cache; with in-place writing, the rest of the block is free."""
        self.resize(context_tokens)

    def evaluate(self, tokens: Sequence[int], start: int, keep: int, options: Any) -> Float32s:
        """Evaluate ``tokens`` after the first ``start`` cached ones; returns the scores after the last
        ``keep``.

        Shape (keep, vocabulary size); ``keep`` 0 means all. ``options`` are RunOptions. Raises any error of
        ONNX Runtime; the cache then holds ``start`` tokens.
        """
        self.go_back(start)
        total = start + len(tokens)
        binding = self._binding
        for name, values in self._feed(tokens, start, total, keep).items():
            binding.bind_cpu_input(name, values)
        if not self._in_place:
            for name, present in self._present.items():
                binding.bind_ortvalue_input(name, self._memory[name])
                binding.bind_output(present, self._device)
        binding.bind_output("logits", "cpu")
        self._session.run_with_iobinding(binding, options)
        logits, *present = binding.get_outputs()  # in the order in which they were bound first
        if not self._in_place:
            self._memory = dict(zip(self._past, present, strict=True))
        self._length = total
        scores = logits.numpy()[0]
        return np.asarray(scores[-keep:], dtype=np.float32)

    def go_back(self, length: int) -> None:
        """Cut the cache to the first ``length`` tokens."""
        if length < self._length and not self._in_place:
            self._memory = {name: self._value(self._first(name, length)) for name in self._past}
        self._length = min(length, self._length)

    def resize(self, context_tokens: int) -> None:
        """Allocate an empty cache for ``context_tokens``. Raises ONNX Runtime's errors."""
        self.context_tokens = context_tokens
        if self._in_place:
            self._bind_room(context_tokens)
        self.forget()

    def forget(self) -> None:
        """Empty the cache."""
        self._length = 0
        if not self._in_place:
            self._memory = {
                name: self._value(np.zeros((1, heads, 0, width), self._kind))
                for name, (heads, width) in self._past.items()
            }

    def state(self) -> bytes:
        """Return the cache as bytes."""
        return b"".join(
            np.ascontiguousarray(self._first(name, self._length)).tobytes() for name in self._past
        )

    def restore(self, state: bytes, length: int) -> bool:
        """Load the cache of ``length`` tokens from ``state``; returns False if that is impossible."""
        sizes = [heads * length * width for heads, width in self._past.values()]
        if length > self.context_tokens or len(state) != sum(sizes) * np.dtype(self._kind).itemsize:
            return False
        values = np.frombuffer(state, self._kind)
        for (name, (heads, width)), part in zip(
            self._past.items(), np.split(values, np.cumsum(sizes)[:-1]), strict=True
        ):
            block = part.reshape(1, heads, length, width)
            if self._in_place:
                whole = np.zeros((1, heads, self.context_tokens, width), self._kind)
                whole[:, :, :length] = block
                self._memory[name].update_inplace(whole)
            else:
                self._memory[name] = self._value(block)
        self._length = length
        return True

    def close(self) -> None:
        """Free everything; harmless when called twice."""
        self._memory = {}
        self._binding = self._session = None

    def _feed(self, tokens: Sequence[int], start: int, total: int, keep: int) -> dict[str, Any]:
        """Return the network's inputs other than the cache."""
        feed = {
            "input_ids": np.array([tokens], dtype=np.int64),
            "attention_mask": np.ones((1, total), dtype=np.int64),
            "position_ids": np.arange(start, total, dtype=np.int64)[None],
            "num_logits_to_keep": np.array(keep, dtype=np.int64),
            "use_cache_branch": np.ones(1, dtype=np.bool_),
        }
        return {name: values for name, values in feed.items() if name in self._inputs}

    def _first(self, name: str, length: int) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = self._memory[name].numpy()
        return values[:, :, :length]

    def _value(self, values: npt.NDArray[Any]) -> Any:
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(values), self._device, 0)

    def _bind_room(self, tokens: int) -> None:
        """Bind a block for ``tokens`` that the network reads from and writes to."""
        for name, (heads, width) in self._past.items():
            self._memory[name] = self._value(np.zeros((1, heads, tokens, width), self._kind))
            self._binding.bind_ortvalue_input(name, self._memory[name])
            self._binding.bind_ortvalue_output(self._present[name], self._memory[name])

    def _can_write_in_place(self) -> bool:
        """Test it with one token: a network that appends to its cache finds no room for the result."""
        if self.provider == "tensorrt":  # it has no such operator, and would build an engine for this test
            return False
        self._memory = {}
        self._bind_room(TRIAL_TOKENS)
        for name, values in self._feed([0], 0, 1, 1).items():
            self._binding.bind_cpu_input(name, values)
        try:
            self._session.run_with_iobinding(self._binding, run_options())
        except Exception:  # noqa: BLE001  ONNX Runtime's exceptions share no class of their own.
            self._binding = self._session.io_binding()
            self._binding.bind_output("logits", "cpu")
            return False
        return True

    def _head_shape(self, name: str) -> tuple[int, int]:
        """Return heads and width of a shape [1, heads, tokens, width]."""
        shape = self._inputs[name].shape
        if len(shape) != 4 or not isinstance(shape[1], int) or not isinstance(shape[3], int):
            raise _no_decoder(Path(name), "its KV cache has no fixed number of heads")
        return shape[1], shape[3]


def run_options() -> Any:
    """Create run options that allow another thread to end the run (``terminate``), and print nothing."""
    options = onnxruntime.RunOptions()
    options.log_severity_level = SILENT
    return options


def _lengths(context_tokens: int, name: str) -> tuple[int, int, int]:
    """Return shapes to prepare for: usually one token after half a context. In all three, the mask covers
    both.
    """
    if PAST.fullmatch(name):
        return 0, context_tokens // 2, context_tokens
    if name == "attention_mask":
        return 1, context_tokens // 2 + 1, context_tokens + PART_TOKENS
    return 1, 1, PART_TOKENS


def _options(threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Between two tokens, other engines use the cores.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # A memory plan would be kept for every prompt length that ever occurs.
    options.enable_mem_pattern = False
    options.log_severity_level = SILENT
    return options


def _no_decoder(file: Path, why: str) -> ModelCorrupt:
    return ModelCorrupt(
        f"The file {file.name} is not a decoder with a KV cache: {why}.",
        "Export it with its past (Optimum: text-generation-with-past), or choose "
        "a different model (llm.model).",
    )
