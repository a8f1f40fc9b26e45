"""What a card and the command tell of a model: everything known, and nothing of strangers as Markdown."""

from __future__ import annotations

from typing import Any

from assistant.tools.quantize import card
from assistant.tools.quantize.command import _card_text

VOICE: dict[str, Any] = {
    "name": "mine",
    "kind": "tts",
    "format": "onnx-int8",
    "command": "assistant quantize voice x",
    "source": "[click](http://x) | a",
    "source_sha256": "ab" * 32,
    "licence": "",
    "bytes": 1_000_000,
    "forced": ["it is silent"],
    "path": "/models/mine",
    "files": {"mine.onnx": "cd" * 32},
    "made_at": "2026-01-01",
    "versions": {"assistant": "1"},
}
LANGUAGE_MODEL: dict[str, Any] = VOICE | {
    "kind": "llm",
    "format": "onnx-int4",
    "method": "gptq",
    "imatrix": False,
    "revision": "",
    "forced": [],
    "calibration_sha256": "ef" * 32,
    "adapter_sha256": "",
    "source_bytes": 3_000_000,
    "runtime": "onnx",
    "perplexity": 9.5,
    "source_perplexity": 9.0,
    "kl": 0.05,
    "kl_error": 0.01,
    "same_first": 0.9,
    "tokens": 900,
    "types": {"int4": 2},
    "tokens_per_s": 12.5,
    "memory_mb": 300,
    "fell_back_types": {"token_embd.weight": ("Q6_K", "Q8_0")},
    "kept_f16": [f"blk.{number}.attn_v.weight" for number in range(8)],
    "answers": [{"question": "Why?", "text": ""}],
}


def test_a_card_is_markdown_of_ours_only() -> None:
    written = card.markdown(VOICE)
    assert r"\[click\](http://x) \| a" in written
    assert f"`{'ab' * 32}`" in written
    assert "**Installed by force**: it is silent." in written
    assert "Size against loss" not in written
    assert "![Size against loss](model-card.svg)" in card.markdown(LANGUAGE_MODEL)
    assert "model-card.svg" not in card.markdown(LANGUAGE_MODEL, has_picture=False)


def test_the_command_tells_what_was_made_and_how_to_use_it() -> None:
    told = _card_text(VOICE)
    assert "tts: {model: mine}" in told
    assert "By force           it is silent" in told
    assert "unknown: check" in told
    told = _card_text(LANGUAGE_MODEL)
    assert "llm: {engine: onnx, model: mine}" in told
    assert "0.0500 ± 0.0100 nats per token" in told
    assert "Q6_K became Q8_0" in told
    assert "blk.5.attn_v.weight and 2 more" in told
    assert "(nothing)" in told
    assert "adapter: mine" in _card_text(VOICE | {"kind": "llm", "for_model": "x"})
