"""Finds a decoder in a folder, in any layout that exporters write, with vocabulary and chat template.

Optimum and onnx-community: ``config.json``, ``generation_config.json``, ``tokenizer_config.json``, and
``model.onnx`` or ``onnx/model*.onnx``. onnxruntime-genai: ``genai_config.json``, which names the file. The
tokens are those of ``tokenizer.json``. All of it is untrusted. Independent of ONNX Runtime.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from assistant.core.errors import ModelCorrupt, ModelMissing
from assistant.runtime.json_file import read_object

MAX_TEMPLATE_BYTES = 1_000_000
"""The longest chat templates have a few thousand."""

END_MARKS = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|eom_id|>", "</s>")
"""Spellings of end tokens, for models whose files name only one; llama.cpp has the same list."""

DEFAULT_POSITIONS = 2**31
_LARGEST = 10**7
"""No real number of layers, width or vocabulary comes close."""


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """A decoder that is safe to load."""

    file: Path
    vocabulary: OnnxVocabulary
    chat_template: str
    """A Jinja program; treated as hostile."""
    positions: int
    """Maximum context length in tokens."""
    parameters: int
    """Approximate number of parameters; 0 if its configuration doesn't say."""


def find(folder: Path) -> OnnxModel:
    """Find the decoder in ``folder``. Raises ModelMissing or ModelCorrupt."""
    config, genai = _json(folder / "config.json"), _section(_json(folder / "genai_config.json"), "model")
    file = _file(folder, _section(genai, "decoder").get("filename"))
    positions = [config.get("max_position_embeddings"), genai.get("context_length")]
    vocabulary, template = words(folder)
    return OnnxModel(
        file,
        vocabulary,
        template,
        min((number for number in _integers(positions) if number > 0), default=DEFAULT_POSITIONS),
        _parameters(config),
    )


def words(folder: Path) -> tuple[OnnxVocabulary, str]:
    """Read the vocabulary and the chat template of a checkpoint's folder. Raises ModelCorrupt."""
    names = ("config.json", "generation_config.json", "tokenizer_config.json", "genai_config.json")
    config, generation, tokenizer, genai = (_json(folder / name) for name in names)
    genai = _section(genai, "model")
    said = [_spelled(tokenizer.get(f"{mark}_token")) for mark in ("bos", "eos")]
    numbers = [each.get("eos_token_id") for each in (config, generation, genai)]
    vocabulary = OnnxVocabulary(
        folder / "tokenizer.json",
        begin=said[0],
        end=said[1],
        end_tokens=set(_integers(numbers)),
        end_marks={said[1], *END_MARKS},
    )
    return vocabulary, _template(folder, tokenizer.get("chat_template"))


def _parameters(config: Mapping[str, Any]) -> int:
    """Estimate for a typical decoder: four attention matrices, three feed-forward ones, one embedding."""
    names = ("num_hidden_layers", "hidden_size", "intermediate_size", "vocab_size")
    numbers = [config.get(name) for name in names]
    if not all(isinstance(number, int) and 0 < number < _LARGEST for number in numbers):
        return 0
    layers, width, between, words = (int(number) for number in numbers if number is not None)
    return layers * (4 * width * width + 3 * width * between) + width * words


def _file(folder: Path, named: object) -> Path:
    """Return the decoder's file: the one that is named, or the only one."""
    if isinstance(named, str) and Path(named).name == named and (folder / named).is_file():
        return folder / named
    files = sorted([*folder.glob("*.onnx"), *folder.glob("onnx/*.onnx")])
    if not files:
        raise ModelMissing(
            f"There is no ONNX file in {folder}.",
            f"Fetch it with `assistant models pull {folder.name}`, or set llm.engine to llama_cpp.",
        )
    if len(files) > 1:
        names = ", ".join(file.name for file in files[:6])
        raise ModelCorrupt(
            f"There are {len(files)} ONNX files in {folder} ({names}), so it isn't clear which one to use.",
            "Leave only the one you want in the folder; on a CPU, a 4-bit one (q4) is the fastest.",
        )
    return files[0]


def _template(folder: Path, inside: object) -> str:
    """Read the chat template: from its own file, or from the tokenizer's configuration."""
    try:
        with (folder / "chat_template.jinja").open("rb") as file:
            return file.read(MAX_TEMPLATE_BYTES).decode("utf-8", "replace")
    except OSError:
        pass
    if isinstance(inside, list):  # several named ones
        named = {each.get("name"): each.get("template") for each in inside if isinstance(each, dict)}
        inside = named.get("default")
    if not isinstance(inside, str):
        raise ModelCorrupt(
            f"The model in {folder} has no chat template, so it isn't made for conversations.",
            "Choose an instruct or chat variant of the model (llm.model).",
        )
    return inside


def _json(file: Path) -> dict[str, Any]:
    """Read the file; returns an empty dict if it doesn't exist."""
    try:
        return read_object(file)
    except OSError:
        return {}
    except ValueError:
        raise ModelCorrupt(
            f"The {file.name} of the model {file.parent.name} cannot be read.",
            "Fetch the model again, or choose a different one (llm.model).",
        ) from None


def _section(content: dict[str, Any], name: str) -> dict[str, Any]:
    section = content.get(name)
    return section if isinstance(section, dict) else {}


def _spelled(mark: object) -> str:
    """Return the spelling of a token in tokenizer_config.json, which may be inside a description."""
    if isinstance(mark, dict):
        mark = mark.get("content")
    return mark if isinstance(mark, str) else ""


def _integers(values: list[object]) -> Iterator[int]:
    for value in values:
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int) and not isinstance(number, bool):
                yield number


MAX_TOKENIZER_BYTES = 50_000_000
"""Tokenizers with 260,000 tokens have 35 MB."""

BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")
"""SentencePiece's spelling of a byte that is not a character by itself."""


class OnnxVocabulary:
    """A model's tokens and their texts. Can be used from any thread."""

    def __init__(
        self, file: Path, *, begin: str, end: str, end_tokens: Collection[int], end_marks: Collection[str]
    ) -> None:
        """Load it. A reply ends with one of ``end_tokens``, or a token spelled like one of ``end_marks``.

        Raises ModelMissing, ModelCorrupt.
        """
        content = _tokenizer_json(file)
        try:
            self._tokenizer = Tokenizer.from_str(content)
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
            described = json.loads(content)
            added = {int(each["id"]): each for each in described.get("added_tokens") or []}
        except Exception as error:  # the library raises Exception itself for any problem
            raise _corrupt_tokenizer(file) from error
        self._added = {token: str(each["content"]).encode() for token, each in added.items()}
        self._control = {token for token, each in added.items() if each.get("special")}
        self._bytes_of = _byte_letters() if "ByteLevel" in json.dumps(described.get("decoder")) else None
        marks = {mark.encode() for mark in end_marks}
        self._end_tokens = {*end_tokens, *(token for token in self._control if self._added[token] in marks)}
        self.begin, self.end = begin, end
        # What the tokenizer itself adds around a text shows whether the model was trained with it.
        wants_begin = bool(begin) and self._tokenizer.token_to_id(begin) in self._tokenizer.encode("").ids
        self.first = begin if wants_begin else ""

    def tokenize(self, text: str) -> list[int]:
        """Convert text to tokens; spelled-out control tokens become those tokens."""
        spelled = text.encode("utf-8", "replace").decode()  # half a surrogate pair isn't valid text
        ids: list[int] = self._tokenizer.encode(spelled, add_special_tokens=False).ids
        return ids

    def piece(self, token: int, *, spell_control: bool = False) -> bytes:
        """Return the bytes of a token; empty for control tokens, unless they are to be spelled out."""
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
        """True if the token controls the model rather than representing text."""
        return token in self._control

    def ends_reply(self, token: int) -> bool:
        """True if it is one of the model's end tokens."""
        return token in self._end_tokens


def _byte_letters() -> dict[str, int]:
    """Return the letters of byte-level tokens: printable ones stand for themselves, others are shifted up."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + at): byte for at, byte in enumerate(moved)}


def _tokenizer_json(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_TOKENIZER_BYTES).decode("utf-8")
    except OSError as error:
        raise ModelMissing(
            f"The model in {file.parent} has no readable {file.name}: {error.strerror}.",
            "Copy it from the model's source, or choose a different model (llm.model).",
        ) from error
    except ValueError as error:
        raise _corrupt_tokenizer(file) from error


def _corrupt_tokenizer(file: Path) -> Any:
    return ModelCorrupt(
        f"The {file.name} of the model {file.parent.name} cannot be used.",
        "Fetch the model again, or choose a different one (llm.model).",
    )
