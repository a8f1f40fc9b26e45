"""Which file of a folder is the model, and which headers are not given to llama.cpp."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.core.errors import ModelCorrupt, ModelMissing
from assistant.engines.llm.llama_cpp.gguf import find_model
from tests.gguf_writer import Value, gguf

GOOD: dict[str, Value] = {
    "general.architecture": "toy",
    "toy.block_count": 2,
    "toy.attention.head_count": 4,
    "toy.attention.head_count_kv": 2,
    "toy.attention.layer_norm_rms_epsilon": 1e-6,
    "tokenizer.chat_template": "{{ messages }}",
}


def folder_with(folder: Path, *names: str, **changes: Value) -> Path:
    metadata = GOOD | {key.replace("__", "."): value for key, value in changes.items()}
    for name in names:
        (folder / name).write_bytes(gguf(metadata, {"t": (8,)}))
    return folder


def test_the_one_file_is_the_model(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("free")
    found = find_model(folder_with(tmp_path, "some.gguf"))
    assert found.file == tmp_path / "some.gguf"
    assert found.chat_template == "{{ messages }}"
    assert found.header.architecture == "toy"


def test_of_a_model_in_parts_the_first_is_loaded(tmp_path: Path) -> None:
    folder_with(tmp_path, "m-00002-of-00002.gguf", "m-00001-of-00002.gguf")
    assert find_model(tmp_path).file.name == "m-00001-of-00002.gguf"


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    folder_with(tmp_path, "m-00001-of-00003.gguf", "m-00003-of-00003.gguf")
    with pytest.raises(ModelMissing, match=r"Only 2 of the 3 parts"):
        find_model(tmp_path)


def test_a_damaged_part_is_found(tmp_path: Path) -> None:
    folder_with(tmp_path, "m-00001-of-00002.gguf", "m-00002-of-00002.gguf")
    (tmp_path / "m-00002-of-00002.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelCorrupt, match="m-00002-of-00002"):
        find_model(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ("a.gguf", "b.gguf"),
        ("a-00001-of-00001.gguf", "b.gguf"),
        ("a-00001-of-00002.gguf", "b-00002-of-00002.gguf"),
    ],
)
def test_several_models_are_not_guessed_between(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(ModelCorrupt, match="2 GGUF files"):
        find_model(folder_with(tmp_path, *names))


@pytest.mark.parametrize("name", ["empty", "absent"])
def test_no_model_says_how_to_get_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelMissing, match=f"assistant models pull {name}"):
        find_model(tmp_path / name)


def test_a_model_without_chat_template_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "base.gguf"
    file.write_bytes(gguf({k: v for k, v in GOOD.items() if "template" not in k}, {"t": (8,)}))
    with pytest.raises(ModelCorrupt, match="no chat template"):
        find_model(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("toy__block_count", 0),
        ("toy__block_count", 513),
        ("toy__block_count", "many"),
        ("toy__attention__head_count_kv", 5),
        ("toy__attention__head_count", 2**31),
        ("toy__feed_forward_length", [8, 2**40]),
        ("toy__attention__layer_norm_rms_epsilon", -1e-6),
        ("toy__rope__freq_base", float("nan")),
        ("toy__expert_used_count", 2),
        ("toy__expert_count", 4096),
        ("general__architecture", "other"),
    ],
)
def test_what_would_abort_llama_cpp_is_refused(tmp_path: Path, key: str, value: Value) -> None:
    with pytest.raises(ModelCorrupt, match="cannot be used"):
        find_model(folder_with(tmp_path, "m.gguf", **{key: value}))


def test_a_large_rotary_base_is_no_damage(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "m.gguf", toy__rope__freq_base=1e11)
    assert find_model(folder).header.metadata["toy.rope.freq_base"] == pytest.approx(1e11)


@pytest.mark.models
def test_the_default_models_are_found() -> None:
    models = Path("~/.local/share/assistant/models").expanduser()
    for name in ("smollm2-135m-instruct-q4_1", "qwen2.5-coder-0.5b-instruct-q4_k_m"):
        assert "<|im_start|>" in find_model(models / name).chat_template
