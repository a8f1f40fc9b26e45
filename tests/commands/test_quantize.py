"""The command as a person and as a script run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.cli import main
from assistant.store import Store
from tests.prepare.conftest import NAME, few_dialogues, left_behind, store

__all__ = ["few_dialogues", "store"]


@pytest.fixture
def here(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-settings"))
    monkeypatch.setenv("ASSISTANT__STORE__MODELS", str(store.models_dir))
    return store.models_dir


@pytest.mark.models
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "required: SOURCE"),
        ([NAME, "--to", "q4km"], "Did you mean 'q4_k_m'"),
        ([NAME, "--for", "raspberry-pi-9"], "no board named 'raspberry-pi-9'"),
        ([NAME, "--output-type", "i32"], "cannot be of type 'i32'"),
        ([NAME, "--no-imatrix", "--calibration", "x.txt"], "importance matrix and for --method only"),
        ([NAME, "--method", "magic"], "no method 'magic'"),
        ([NAME, "--to", "q8_0", "--method", "gptq"], "gptq cannot make q8_0"),
        ([NAME, "--to", "hf-f16"], "Nothing here runs hf-f16"),
        ([NAME, "--to", "q4_0", "--output", "x"], "for the formats hf-... only"),
        ([NAME, "--to", "hf-f16", "--output", "."], "is there already"),
        ([NAME, "--dither"], "for `compare` only"),
        ([NAME, "q4_0"], "one source"),
        (["compare", NAME], "--types"),
        (["compare", NAME, "--types", ","], "--types"),
        (["compare", NAME, "--types", "q4_0+magic"], "'+magic' means nothing"),
        (["compare", NAME, "--types", "q4_0", "--force"], "installs nothing"),
        (
            [NAME, "--to", "q4_0", "--group-size", "64"],
            "how many weights have one scale is part of that format",
        ),
        ([NAME, "--to", "onnx-int4", "--group-size", "48"], "There are 32, 64, 128"),
        ([NAME, "--to", "q8_0", "--act-order"], "for --method gptq only"),
        ([NAME, "--base", NAME], "for `quantize lora` only"),
        (["lora", "/nowhere"], "Name it: --base MODEL"),
        (["lora", "/nowhere", "--base", NAME], "no adapter_config.json"),
        (["lora", "/nowhere", "--base", NAME, "--to", "q4_0"], "cannot become 'q4_0', only gguf"),
        (["lora", "/nowhere", "--base", NAME, "--group-size", "64"], "for language models only"),
        (["no-such-model"], "There is no model named 'no-such-model'"),
        (["whisper-tiny.en"], "not llm"),
    ],
)
def test_what_cannot_be_meant_is_said(
    here: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(["quantize", *words])
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    assert status in (1, 2)
    assert said in capsys.readouterr().err
    assert not left_behind(here)


@pytest.mark.models
@pytest.mark.usefixtures("few_dialogues")
def test_a_model_for_a_board(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["quantize", NAME, "--for", "raspberry-pi-5", "--no-imatrix", "--as", "mine", "--json"]
    assert main([*words, "--threads", "1"]) == 0
    captured = capsys.readouterr()
    document: dict[str, Any] = json.loads(captured.out)
    assert "For raspberry-pi-5: q4_0." in captured.err
    assert (document["name"], document["format"], document["licence"]) == ("mine", "q4_0", "Apache-2.0")
    assert (here / "mine" / "mine.gguf").stat().st_size == document["bytes"]
    assert main(["models", "list"]) == 0
    assert "mine" in capsys.readouterr().out


@pytest.mark.models
@pytest.mark.usefixtures("few_dialogues")
def test_a_comparison(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "picture.svg"
    words = ["quantize", "compare", NAME, "--types", "q8_0,q4_0+awq+plain", "--threads", "1", "--dither"]
    assert main([*words, "--picture", str(picture)]) == 0
    *table, last = capsys.readouterr().out.splitlines()
    rows = json.loads(last)["rows"]
    assert [row["format"] for row in rows] == ["source", "q8_0", "q4_0"]
    assert [row["method"] for row in rows] == ["rtn", "rtn", "awq"]
    assert rows[0]["kl"] == 0 < rows[1]["kl"] < rows[2]["kl"]
    assert rows[1]["bytes"] > rows[2]["bytes"]
    assert all(row["speeds"][0]["reply_tokens_per_s"] > 0 for row in rows)
    assert table[0].split()[0] == "FORMAT"
    assert "q4_0 + awq" in picture.read_text(encoding="utf-8")
    assert not left_behind(here)
    assert [path.name for path in here.iterdir() if path.name != ".lock"] == [NAME]
