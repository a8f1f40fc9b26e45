"""Counts the weights of a CTranslate2 model, independent of how many bits each takes.

Its ``model.bin`` is a table of named arrays (``ModelSpec._serialize`` in CTranslate2's model_spec.py). This
reads the table without the contents and trusts nothing.
"""

from __future__ import annotations

import math
import os
import struct
from typing import BinaryIO

from assistant.core.errors import ModelCorrupt

MAX_ARRAYS = 10_000
"""Large models have a few thousand."""
MAX_DIMENSIONS = 8


def numbers_in(file: BinaryIO, size_bytes: int, name: str) -> int:
    """Count the weights in a ``model.bin`` of that length. Raises ModelCorrupt, OSError."""
    try:
        _number(file, "<I")  # the format's version
        _skip_text(file)
        _number(file, "<I")  # the network's version
        arrays = _number(file, "<I")
        if arrays > MAX_ARRAYS:
            raise ValueError
        found = 0
        for _ in range(arrays):
            _skip_text(file)
            dimensions = _number(file, "<B")
            if dimensions > MAX_DIMENSIONS:
                raise ValueError
            shape = [_number(file, "<I") for _ in range(dimensions)]
            _number(file, "<B")  # the type
            length = _number(file, "<I")
            if file.seek(length, os.SEEK_CUR) > size_bytes:
                raise ValueError
            found += min(math.prod(shape), length)  # each number takes at least a byte
    except (ValueError, struct.error):
        raise ModelCorrupt(
            f"The model file {name} isn't a CTranslate2 model, or it is incomplete.",
            "Fetch the model again, or choose a different one (stt.model).",
        ) from None
    return found


def _number(file: BinaryIO, form: str) -> int:
    value: int = struct.unpack(form, file.read(struct.calcsize(form)))[0]
    return value


def _skip_text(file: BinaryIO) -> None:
    file.seek(_number(file, "<H"), os.SEEK_CUR)
