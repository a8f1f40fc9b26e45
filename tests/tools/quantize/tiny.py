"""A Llama of two layers of random weights that reads SmolLM2's tokens, as a checkpoint: made in a second."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from assistant.store.formats.gguf import read_header
from assistant.tools.quantize import safetensors
from assistant.tools.quantize.block_numbers import Float32s
from assistant.tools.quantize.checkpoint import save_json, write_tokenizer
from assistant.tools.quantize.safetensors import Planned
from tests.tools.quantize.conftest import REAL

WIDTH, FEED_FORWARD, LAYERS, HEADS, KEY_HEADS = 128, 256, 2, 4, 2
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": WIDTH,
    "intermediate_size": FEED_FORWARD,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KEY_HEADS,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "dtype": "float16",
}
ROPE_BASE = 5_000.0


def shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    """Of all tensors, by their names in transformers."""
    keys = WIDTH * KEY_HEADS // HEADS
    rows = {"self_attn.q": WIDTH, "self_attn.k": keys, "self_attn.v": keys, "self_attn.o": WIDTH}
    rows |= {"mlp.gate": FEED_FORWARD, "mlp.up": FEED_FORWARD, "mlp.down": WIDTH}
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (vocabulary, WIDTH),
        "model.norm.weight": (WIDTH,),
    }
    for layer in range(LAYERS):
        at = f"model.layers.{layer}"
        for name, length in rows.items():
            found[f"{at}.{name}_proj.weight"] = (length, FEED_FORWARD if name == "mlp.down" else WIDTH)
        found |= {f"{at}.{name}_layernorm.weight": (WIDTH,) for name in ("input", "post_attention")}
    return found


def checkpoint(folder: Path) -> Path:
    """Write it into the new ``folder``; needs SmolLM2 in the store for its tokens."""
    folder.mkdir()
    header = read_header(next(REAL.glob("*.gguf")), keep_long=True)
    write_tokenizer(header, folder)
    rope = {"rope_theta": ROPE_BASE, "rope_parameters": {"rope_theta": ROPE_BASE, "rope_type": "default"}}
    tokens = header.metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, tuple)
    save_json(folder / "config.json", {**CONFIG, **rope, "vocab_size": len(tokens)})
    random = np.random.default_rng(1)

    def weights(shape: tuple[int, ...]) -> Float32s:
        spread = 0.1 if len(shape) > 1 else 0.3
        return (random.normal(size=shape) * spread + (len(shape) == 1)).astype(np.float32)

    planned = {
        name: Planned(np.float16, shape, partial(weights, shape))
        for name, shape in shapes(len(tokens)).items()
    }
    safetensors.write(folder / "model.safetensors", planned, lambda _: None)
    (folder / "README.md").write_text("---\nlicense: cc0-1.0\n---\nA toy.\n")
    return folder
