"""The tokenizer of a GGUF model as a ``tokenizer.json`` for the ``tokenizers`` package.

GGUF names the pre-tokenizer that splits a text before merges are applied (``tokenizer.ggml.pre``); the
patterns for those names are llama.cpp's. An unknown name is refused: nearly the same tokens would be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assistant.core.errors import ModelCorrupt
from assistant.store.formats.gguf import Value

CONTROL, USER_DEFINED = 3, 4
"""LLAMA_TOKEN_TYPE_... of llama.h."""

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = rf"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}|{REST}"
LLAMA3 = rf"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{REST}"

DIGITS = {"type": "Digits", "individual_digits": True}


def _bytes(*, by_words: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": by_words}


def _split(pattern: str) -> list[dict[str, Any]]:
    cut = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return [cut, _bytes(by_words=False)]


CUTTERS: dict[str, list[dict[str, Any]]] = {
    "gpt-2": [_bytes(by_words=True)],
    "smollm": [DIGITS, _bytes(by_words=True)],
    "qwen2": _split(QWEN2),
    "llama-bpe": _split(LLAMA3),
}
"""tokenizer.ggml.pre -> how to split a text."""

COMPOSED = {"qwen2"}
"""Models trained on composed accents (NFC)."""

MERGED_WORDS_FIRST = {"llama-bpe"}
"""A word that is a token is used as a whole, regardless of merges."""


def tokenizer(metadata: Mapping[str, Value]) -> dict[str, Any]:
    """Return the content of ``tokenizer.json``. Raises ModelCorrupt for an unsupported vocabulary."""
    kind, cut = (str(metadata.get(f"tokenizer.ggml.{name}", "")) for name in ("model", "pre"))
    if kind != "gpt2" or cut not in CUTTERS:
        raise _unknown(
            f"its vocabulary has the kind '{kind:.20} {cut:.20}', but only {', '.join(CUTTERS)} are supported"
        )
    tokens, kinds, merges = (
        metadata.get(f"tokenizer.ggml.{name}") for name in ("tokens", "token_type", "merges")
    )
    if not isinstance(tokens, tuple) or not isinstance(kinds, tuple) or not isinstance(merges, tuple):
        raise _unknown("its vocabulary is incomplete")
    pairs = [str(merge).split(" ") for merge in merges]
    if len(kinds) != len(tokens) or len(set(tokens)) != len(tokens) or any(len(pair) != 2 for pair in pairs):
        raise _unknown("its vocabulary contradicts itself")
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            _added(number, str(tokens[number]), special=each == CONTROL)
            for number, each in enumerate(kinds)
            if each in (CONTROL, USER_DEFINED)
        ],
        "normalizer": {"type": "NFC"} if cut in COMPOSED else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": CUTTERS[cut]},
        "post_processor": _begins_with(metadata),
        "decoder": _bytes(by_words=True),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": cut in MERGED_WORDS_FIRST,
            "vocab": {str(token): number for number, token in enumerate(tokens)},
            "merges": pairs,
        },
    }


def mark(metadata: Mapping[str, Value], name: str) -> tuple[int, str] | None:
    """Return the number and text of the token that starts ("bos") or ends ("eos") a text; None without
    one.
    """
    number, tokens = metadata.get(f"tokenizer.ggml.{name}_token_id"), metadata.get("tokenizer.ggml.tokens")
    if not isinstance(number, int) or not isinstance(tokens, tuple) or not 0 <= number < len(tokens):
        return None
    return number, str(tokens[number])


def _added(number: int, spelled: str, *, special: bool) -> dict[str, Any]:
    strict = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": spelled, **strict, "special": special}


def _begins_with(metadata: Mapping[str, Value]) -> dict[str, Any] | None:
    """Add the start token to every text, if the model was trained with it."""
    begin = mark(metadata, "bos")
    if begin is None or not metadata.get("tokenizer.ggml.add_bos_token", False):
        return None
    number, spelled = begin
    first, text = {"SpecialToken": {"id": spelled, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    second = {"Sequence": {"id": "B", "type_id": 1}}
    return {
        "type": "TemplateProcessing",
        "single": [first, text],
        "pair": [first, text, second],
        "special_tokens": {spelled: {"id": spelled, "ids": [number], "tokens": [spelled]}},
    }


def _unknown(why: str) -> ModelCorrupt:
    return ModelCorrupt(
        f"The model's tokenizer cannot be written as tokenizer.json: {why}.",
        "Choose a GGUF format, such as q4_k_m, or a checkpoint that has a tokenizer.json.",
    )
