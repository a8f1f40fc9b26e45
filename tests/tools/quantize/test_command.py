"""The command as a person and as a script run it."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from assistant.cli.main import main
from assistant.store import Store
from assistant.tools.quantize import command as quantize
from tests.tools.quantize.conftest import NAME, few_dialogues, left_behind, store

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
        ([NAME, "--output-type", "i32"], "'i32' is not a tensor type"),
        ([NAME, "--no-imatrix", "--calibration", "x.txt"], "only to an importance matrix and to --method"),
        ([NAME, "--method", "magic"], "no method named 'magic'"),
        ([NAME, "--to", "q8_0", "--method", "gptq"], "gptq cannot make q8_0"),
        ([NAME, "--to", "hf-f16"], "No engine here runs hf-f16"),
        ([NAME, "--to", "q4_0", "--output", "x"], "applies only to the hf-... formats"),
        ([NAME, "--to", "hf-f16", "--output", "."], "already exists"),
        ([NAME, "--dither"], "unrecognized arguments: --dither"),
        ([NAME, "q4_0"], "unrecognized arguments: q4_0"),
        (["compare", NAME], "--types"),
        (["compare", NAME, "--types", ","], "--types"),
        (["compare", NAME, "--types", "q4_0+magic"], "'+magic' is not supported"),
        (["compare", NAME, "--types", "q4_0", "--force"], "unrecognized arguments: --force"),
        (["compare", NAME, "--types", "q4_0+output=i32"], "'i32' is not a tensor type"),
        (["compare", NAME, "--types", "q4_0+keep=blk.(0"], "not a regular expression"),
        (["compare", NAME, "--types", "f16+hf-nf4"], "'+hf-nf4' is not supported"),
        (["compare", NAME, "--types", "onnx-fp32+hf-f16"], "only be converted to a GGUF format"),
        (["compare", NAME, "--types", "f16+hf-int4+awq"], "only be converted to a GGUF format"),
        (["compare", NAME, "--types", "q8_0,f16", "--calibration", "x.txt"], "and to --method"),
        (
            ["compare", NAME, "--types", "q8_0", "--picture", "/nowhere/x.svg"],
            "There is no folder named /nowhere",
        ),
        ([NAME, "--validation", "/nowhere.txt"], "/nowhere.txt cannot be read"),
        (
            [NAME, "--to", "q4_0", "--group-size", "64"],
            "that format has a fixed number of weights per scale",
        ),
        ([NAME, "--to", "onnx-int4", "--group-size", "48"], "Available: 32, 64, 128"),
        ([NAME, "--to", "q8_0", "--act-order"], "applies only to --method gptq"),
        ([NAME, "--base", NAME], "unrecognized arguments: --base"),
        (["lora", "/nowhere"], "required: --base"),
        (["lora", "/nowhere", "--base", NAME], "adapter_config.json is missing"),
        (["lora", "/nowhere", "--base", NAME, "--to", "q4_0"], "invalid choice: 'q4_0'"),
        (
            ["lora", "/nowhere", "--base", NAME, "--group-size", "64"],
            "unrecognized arguments: --group-size 64",
        ),
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
    types = r"q8_0,q4_0+awq+plain,q4_0+plain+keep=blk\.[0-2]\.+output=q8_0"
    words = ["quantize", "compare", NAME, "--types", types, "--threads", "1", "--dither"]
    assert main([*words, "--picture", str(picture)]) == 0
    *table, last = capsys.readouterr().out.splitlines()
    rows = json.loads(last)["rows"]
    assert [row["format"] for row in rows] == ["source", "q8_0", "q4_0", "q4_0"]
    assert [row["method"] for row in rows] == ["rtn", "rtn", "awq", "rtn"]
    assert [row.get("kept_f16") for row in rows] == [None, 0, 0, 3 * 7]
    assert rows[0]["kl"] == 0 < rows[1]["kl"] < rows[2]["kl"]
    assert rows[3]["bytes"] > rows[2]["bytes"]
    assert rows[1]["bytes"] > rows[2]["bytes"]
    assert all(row["speeds"][0]["reply_tokens_per_s"] > 0 for row in rows)
    assert table[0].split()[0] == "FORMAT"
    assert any(line.startswith("q4_0 + 21 in f16 + output q8_0 ") for line in table)
    assert ">awq</text>" in picture.read_text(encoding="utf-8")
    assert not left_behind(here)
    assert [path.name for path in here.iterdir() if path.name != ".lock"] == [NAME]


@pytest.mark.models
@pytest.mark.usefixtures("few_dialogues")
def test_a_format_that_cannot_be_made_is_told_and_does_not_end_the_others(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "assistant.tools.quantize.onnx_writer", None)
    types = "onnx-int8,q8_0"
    assert main(["quantize", "compare", NAME, "--types", types, "--threads", "1", "--json"]) == 1
    (said,) = capsys.readouterr().out.splitlines()
    _, faulty, sound = json.loads(said)["rows"]
    assert "Writing ONNX needs" in faulty["fault"]
    assert 0 < sound["kl"] < 0.05
    assert not left_behind(here)


def _words(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    quantize.add_parser(parser.add_subparsers())
    return parser.parse_args(["quantize", "compare", NAME, "--types", "all", *words])


def test_all_types_are_every_format_and_way_there_is() -> None:
    from assistant.tools.quantize import comparing  # noqa: PLC0415
    from assistant.tools.quantize.recipe import FORMATS, METHODS, settled_method  # noqa: PLC0415
    from assistant.tools.quantize.request import CHECKPOINTS, compared_request  # noqa: PLC0415

    names = comparing.EVERYTHING.split(",")
    requests = [compared_request(_words(), NAME, name) for name in names]
    assert {request.format for request in requests} == set(FORMATS)
    settled = {settled_method(one.method, one.imatrix, one.number_format, 135_000_000) for one in requests}
    assert {method for method, _ in settled} == set(METHODS)
    assert {request.through for request in requests} == {"", *CHECKPOINTS}
    assert any(request.keep_f16 and request.output_type for request in requests)
    assert len(set(requests)) == len(names)


def test_what_any_of_the_patterns_finds_is_kept() -> None:
    from assistant.tools.quantize.request import request_of  # noqa: PLC0415

    both = request_of(_words("--keep-f16", r"^blk\.0\.", "--keep-f16", "ffn_down"), NAME, "q4_0", None)
    assert [
        bool(re.search(both.keep_f16, name)) for name in ("blk.0.attn_q", "blk.7.ffn_down", "blk.7.x")
    ] == [
        True,
        True,
        False,
    ]
    assert not request_of(_words(), NAME, "q4_0", None).keep_f16
