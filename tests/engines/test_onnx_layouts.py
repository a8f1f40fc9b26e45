"""Decoders as others lay them out: found, and answering like the same network laid out otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from assistant.core.errors import ModelCorrupt, ModelMissing
from assistant.core.types import Message
from assistant.engines.llm.onnx import model as onnx_model
from assistant.engines.llm.onnx.engine import OnnxLlm, create
from assistant.settings.engines import LlmSettings
from tests.engines.conftest import ask
from tests.store.site import store_of

pytest.importorskip("onnx", reason="the package that writes ONNX is not installed")

from tests.engines.onnx_toys import WORDS, all_scores, appending, in_place, merged

ASKED = [Message("user", "w1 w4 w1 w6")]
TEMPLATE = "{% for message in messages %}{{ message.content }} {% endfor %}"
GENAI = {
    "model": {
        "context_length": 48,
        "eos_token_id": [9],
        "decoder": {
            "filename": "model.onnx",
            "head_size": 16,
            "num_key_value_heads": 2,
            "inputs": {
                "input_ids": "input_ids",
                "attention_mask": "attention_mask",
                "past_key_names": "past_key_values.%d.key",
                "past_value_names": "past_key_values.%d.value",
            },
            "outputs": {"logits": "logits", "present_key_names": "present.%d.key"},
        },
    }
}

Lay = Callable[[Path], Path]
"""Lays a decoder out in a folder; its file."""


def words(folder: Path) -> None:
    """What is beside a decoder everywhere: a tokenizer of as many words, and its configuration."""
    tokenizer = Tokenizer(models.WordLevel({f"w{number}": number for number in range(WORDS)}, "w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    write(folder / "tokenizer_config.json", {"eos_token": "w9", "chat_template": TEMPLATE})


def write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content))


def optimum(folder: Path) -> Path:
    write(folder / "config.json", {"max_position_embeddings": 48, "eos_token_id": 9})
    return appending(folder)


def optimum_merged(folder: Path) -> Path:
    write(folder / "config.json", {"max_position_embeddings": 48, "eos_token_id": 9})
    return merged(folder).rename(folder / "decoder_model_merged.onnx")


def community(folder: Path) -> Path:
    (folder / "onnx").mkdir()
    write(folder / "config.json", {"max_position_embeddings": 48})
    write(folder / "generation_config.json", {"eos_token_id": 9})
    return in_place(folder / "onnx")


def genai(folder: Path) -> Path:
    write(folder / "genai_config.json", GENAI)
    return all_scores(folder)


def several_of_genai(folder: Path) -> Path:
    (folder / "embedding.onnx").write_bytes(b"\x08\x0a another network")
    return genai(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "toy"
    made.mkdir()
    words(made)
    return made


def load(folder: Path) -> OnnxLlm:
    settings = LlmSettings(
        temperature=0, max_tokens=12, history_tokens=0, context_tokens=256, providers=("cpu",)
    )
    return create(settings, folder, 1)


@pytest.mark.parametrize(
    ("lay", "like"),
    [
        (optimum, optimum),
        (optimum_merged, optimum),
        (community, genai),
        (genai, genai),
        (several_of_genai, genai),
    ],
)
def test_each_layout_is_found_and_answers(lay: Lay, like: Lay, folder: Path, tmp_path: Path) -> None:
    file = lay(folder)
    found = onnx_model.find(folder)
    assert found.file == file
    assert found.positions == 48
    assert found.vocabulary.ends_reply(9)
    other = tmp_path / "other"
    other.mkdir()
    words(other)
    like(other)
    ours, theirs = load(folder), load(other)
    assert ours.context_tokens == 48
    answer = ask(ours, ASKED)
    assert answer
    assert answer == ask(theirs, ASKED)
    assert ask(ours, [*ASKED, Message("assistant", answer), *ASKED]) == ask(
        theirs, [*ASKED, Message("assistant", answer), *ASKED]
    )
    ours.close()
    theirs.close()


def test_one_with_its_network_in_a_folder_can_be_imported(folder: Path, tmp_path: Path) -> None:
    community(folder)
    (arrival,) = store_of(tmp_path / "models").import_from(folder, "mine", "llm")
    assert ask(load(arrival.path), ASKED) == ask(load(folder), ASKED)


@pytest.mark.parametrize("second", ["model_q4.onnx", "onnx/model_q4.onnx"])
def test_where_it_is_not_clear_which_file_is_meant_the_error_says_what_to_do(
    second: str, folder: Path
) -> None:
    optimum(folder)
    (folder / "onnx").mkdir()
    (folder / second).write_bytes(b"\x08\x0a")
    with pytest.raises(ModelCorrupt, match=r"2 ONNX files.*model\.onnx, model_q4\.onnx.*Leave only the one"):
        onnx_model.find(folder)


def test_a_file_outside_that_a_configuration_names_is_not_opened(folder: Path) -> None:
    write(folder / "genai_config.json", {"model": {"decoder": {"filename": "../secret.onnx"}}})
    (folder.parent / "secret.onnx").write_bytes(b"\x08\x0a")
    with pytest.raises(ModelMissing, match="no ONNX file"):
        onnx_model.find(folder)


def test_memory_by_other_names_is_named(folder: Path) -> None:
    appending(folder, past="past")
    with pytest.raises(ModelCorrupt, match=r"not a decoder with a KV cache: it needs past\.0\.key"):
        load(folder)
