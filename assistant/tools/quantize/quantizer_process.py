"""The child process of ``quantizer``: reads one job as JSON from stdin, and writes reports as lines of JSON
to stdout.

Progress and fallbacks are parsed from llama.cpp's log, because it reports them nowhere else.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as lib
import numpy as np

from assistant.engines.llm.llama_cpp.model import LOG_LEVEL_ERROR
from assistant.tools.quantize.importance import load_importance
from assistant.tools.quantize.recipe import TENSOR_NUMBERS

BUFFER_BYTES = 512 * 1024 * 1024
"""Largest part of a tensor to unpack at a time; the embeddings of a large vocabulary are larger."""

TENSOR = re.compile(r"\[ *\d+/ *\d+\] +(\S+) ")
NARROW = re.compile(r"warning: (\S+) +- ncols .*required for type +(\w+)\)")
FELL_BACK = re.compile(r"-> falling back to +(\w+)")
SIZE = re.compile(r"quant size += +([\d.]+) MiB")


class _Listener:
    """Turns llama.cpp's log lines into reports."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.dry = True
        self.size_mib = 0.0
        self._narrow: tuple[str, str] | None = None
        self.callback = lib.llama_log_callback(self._hear)

    def _hear(self, level: int, data: bytes, _: Any) -> None:
        text = data.decode("utf-8", "replace")
        if level == LOG_LEVEL_ERROR:
            self.errors.append(text.strip())
        if found := SIZE.search(text):
            self.size_mib = float(found[1])
        if self.dry:
            return
        if found := TENSOR.match(text):
            _say(tensor=found[1])
        if found := NARROW.search(text):
            self._narrow = found[1], found[2]
        if (found := FELL_BACK.search(text)) and self._narrow:
            _say(fell_back=self._narrow[0], **{"from": self._narrow[1], "to": found[1]})


def main() -> int:
    """Run the job on stdin. Returns 1 on failure; the last line then gives the reason."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Ends if the parent is gone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent handles Ctrl-C.
    os.umask(0o077)
    job = json.load(sys.stdin)
    listener = _Listener()
    lib.llama_log_set(listener.callback, None)
    lib.llama_backend_init()
    parameters, held = _parameters(job)
    for dry in (True, False):
        listener.dry = parameters.dry_run = dry
        source, target = job["source"].encode(), job["target"].encode()
        status = lib.llama_model_quantize(source, target, ctypes.byref(parameters))
        if status != 0:
            _say(failed=" ".join(listener.errors[:1]) or f"llama_model_quantize returned {status}")
            return 1
        if dry:
            _say(needs_bytes=int(listener.size_mib * 1024 * 1024) + _header_bytes(job["source"]))
    del held
    return 0


def _parameters(job: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Return the library's parameters, and the objects that must live as long as they do."""
    parameters = lib.llama_model_quantize_default_params()
    parameters.nthread = job["threads"]
    parameters.ftype = job["format"]
    parameters.allow_requantize = True  # The loss is measured afterward.
    parameters.max_buf_size = BUFFER_BYTES
    if job["output_type"] is not None:
        parameters.output_tensor_type = job["output_type"]
    if job["embedding_type"] is not None:
        parameters.token_embedding_type = job["embedding_type"]
    held: list[Any] = []
    if job["keep_f16"]:
        overrides = (lib.llama_model_tensor_override * 2)()  # An empty entry ends the list.
        overrides[0].pattern, overrides[0].type = job["keep_f16"].encode(), TENSOR_NUMBERS["f16"]
        parameters.tt_overrides = overrides
        held.append(overrides)
    if job["importance"]:
        matrix = load_importance(Path(job["importance"]))
        entries = (lib.llama_model_imatrix_data * (len(matrix) + 1))()
        for entry, (name, values) in zip(entries, matrix.items(), strict=False):
            data = np.ascontiguousarray(values, dtype=np.float32)
            entry.name = name.encode()
            entry.data = data.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
            entry.size = data.size
            held.append(data)
        parameters.imatrix = entries
        held.append(entries)
    return parameters, held


def _header_bytes(source: str) -> int:
    from assistant.store.formats.gguf import read_header  # noqa: PLC0415

    return read_header(Path(source)).data_offset


def _say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
