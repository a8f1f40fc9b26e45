"""The tokens of a model by its ``tokenizer.json``, and the texts they stand for."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from assistant.core.errors import ModelCorrupt, ModelMissing

MAX_JSON_BYTES = 50_000_000
"""The tokenizers of 260,000 tokens have 35 MB."""

BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")
"""How SentencePiece spells a byte that is no letter of its own."""


class OnnxVocabulary:
    """A model's tokens and their texts. May be used from any thread."""

    def __init__(
        self, file: Path, *, begin: str, end: str, end_tokens: Collection[int], end_marks: Collection[str]
    ) -> None:
        """A reply ends with one of ``end_tokens``, or a token that is spelled like one of ``end_marks``.

        Raises ModelMissing, ModelCorrupt.
        """
        content = _content(file)
        try:
            self._tokenizer = Tokenizer.from_str(content)
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
            described = json.loads(content)
            added = {int(each["id"]): each for each in described.get("added_tokens") or []}
        except Exception as error:  # The library raises Exception itself, for whatever is wrong.
            raise _corrupt(file) from error
        self._added = {token: str(each["content"]).encode() for token, each in added.items()}
        self._control = {token for token, each in added.items() if each.get("special")}
        self._bytes_of = _byte_letters() if "ByteLevel" in json.dumps(described.get("decoder")) else None
        marks = {mark.encode() for mark in end_marks}
        self._end_tokens = {*end_tokens, *(token for token in self._control if self._added[token] in marks)}
        self.begin, self.end = begin, end
        # What the tokenizer itself would put around a text says whether the model was trained with it.
        wants_begin = bool(begin) and self._tokenizer.token_to_id(begin) in self._tokenizer.encode("").ids
        self.first = begin if wants_begin else ""

    def tokenize(self, text: str) -> list[int]:
        """Tokens of a text; control tokens that it spells out become those tokens."""
        spelled = text.encode("utf-8", "replace").decode()  # half a surrogate pair is no text
        ids: list[int] = self._tokenizer.encode(spelled, add_special_tokens=False).ids
        return ids

    def piece(self, token: int, *, spell_control: bool = False) -> bytes:
        """The bytes that a token stands for; nothing for control tokens, unless they are to be spelled."""
        if token in self._control and not spell_control:
            return b""
        if token in self._added:
            return self._added[token]
        spelled = self._tokenizer.id_to_token(token) or ""
        if self._bytes_of is not None:
            return bytes(self._bytes_of[letter] for letter in spelled if letter in self._bytes_of)
        if byte := BYTE_TOKEN.fullmatch(spelled):
            return bytes.fromhex(byte[1])
        return spelled.replace("▁", " ").encode()

    def is_control(self, token: int) -> bool:
        """Whether it steers the model instead of standing for text."""
        return token in self._control

    def ends_reply(self, token: int) -> bool:
        """Whether it is one of the model's end marks."""
        return token in self._end_tokens


def _byte_letters() -> dict[str, int]:
    """The letters that byte-level tokens are written in: printable ones are themselves, others moved up."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + at): byte for at, byte in enumerate(moved)}


def _content(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_JSON_BYTES).decode("utf-8")
    except OSError as error:
        raise ModelMissing(
            f"The model in {file.parent} has no {file.name} that can be read: {error.strerror}.",
            "Copy it there from where the model comes from, or choose another model (llm.model).",
        ) from error
    except ValueError as error:
        raise _corrupt(file) from error


def _corrupt(file: Path) -> Any:
    return ModelCorrupt(
        f"The {file.name} of the model {file.parent.name} cannot be used.",
        "Fetch the model again, or choose another one (llm.model).",
    )
