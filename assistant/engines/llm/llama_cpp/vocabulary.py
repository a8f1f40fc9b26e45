"""The tokens of a loaded GGUF model and the texts they stand for."""

from __future__ import annotations

import ctypes
from typing import Any

import llama_cpp.llama_cpp as lib

from assistant.core.errors import EngineFailed


class Vocabulary:
    """A model's tokens and their texts. May be used from any thread."""

    def __init__(self, model: Any) -> None:
        self.handle = lib.llama_model_get_vocab(model)
        self.size: int = lib.llama_vocab_n_tokens(self.handle)
        self.begin = self._text(lib.llama_vocab_bos(self.handle))
        """Spells the token that begins a text; empty when there is none."""
        self.end = self._text(lib.llama_vocab_eos(self.handle))
        """Spells the token that ends a text; empty when there is none."""
        self.first = self.begin if lib.llama_vocab_get_add_bos(self.handle) else ""
        """What every prompt must begin with; empty where the model wants nothing."""

    def tokenize(self, text: str) -> list[int]:
        """Tokens of a text; control tokens that it spells out become those tokens."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 8  # A token is a byte at least; some vocabularies add a space in front.
        tokens = (lib.llama_token * room)()
        count = lib.llama_tokenize(self.handle, data, len(data), tokens, room, False, True)  # noqa: FBT003
        if count < 0:
            raise EngineFailed("A text could not be split into tokens.", "Choose another model (llm.model).")
        return list(tokens[:count])

    def piece(self, token: int, *, spell_control: bool = False) -> bytes:
        """The bytes that a token stands for; nothing for control tokens, unless they are to be spelled."""
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            length = lib.llama_token_to_piece(self.handle, token, buffer, room, 0, spell_control)
            if length >= 0:
                return buffer.raw[:length]
            room = -length

    def is_control(self, token: int) -> bool:
        """Whether it steers the model instead of standing for text."""
        return bool(lib.llama_vocab_is_control(self.handle, token))

    def ends_reply(self, token: int) -> bool:
        """Whether it is one of the model's end marks."""
        return bool(lib.llama_vocab_is_eog(self.handle, token))

    def _text(self, token: int) -> str:
        return "" if token < 0 else self.piece(token, spell_control=True).decode("utf-8", "replace")
