"""Where a network runs: what is there is used in order, what is not is named.

On this build of ONNX Runtime only the processor can really be driven. That CUDA, TensorRT and CoreML
compute is shown by nothing here; that they are asked for rightly, and skipped with a line, is.
"""

from __future__ import annotations

import logging
from pathlib import Path

import onnxruntime
import pytest

from assistant.engines import onnx_providers
from assistant.engines.onnx_decoder import lengths
from assistant.engines.onnx_providers import NAMES, choose
from assistant.settings_engines import LlmSettings, Provider, TensorRtSettings, TtsSettings


def chosen(wanted: list[Provider]) -> list[str]:
    return [place.provider for place in choose(wanted, TensorRtSettings(), {}, network="toy")]


def test_auto_takes_what_this_build_has() -> None:
    here = [name for name, full in NAMES.items() if full in onnxruntime.get_available_providers()]
    assert chosen([])[-1] == "cpu"
    assert set(chosen([])) <= {*here, "cpu"}


@pytest.mark.parametrize("name", ["tensorrt", "cuda", "coreml"])
def test_one_that_is_not_there_is_skipped_with_one_line(
    name: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    if NAMES[name] in onnxruntime.get_available_providers():
        pytest.skip("this build of ONNX Runtime has it")
    assert chosen([name, "cpu"]) == ["cpu"]
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert f"provider={name} network=toy skipped=yes" in line


def test_the_order_is_the_settings_and_the_processor_is_last(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(NAMES.values()))
    monkeypatch.setattr(onnx_providers, "_has_tensorrt", lambda: True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert chosen([]) == ["tensorrt", "cuda", "coreml", "cpu"]
    assert chosen(["coreml", "cuda"]) == ["coreml", "cuda", "cpu"]
    (tensorrt, *_) = choose([], TensorRtSettings(int8=True), lengths(2048, 128), network="llm")
    assert tensorrt.options["trt_int8_enable"]
    assert tensorrt.options["trt_fp16_enable"]
    assert tensorrt.options["trt_profile_max_shapes"] == "input_ids:1x128,attention_mask:1x2048"
    assert Path(tensorrt.options["trt_engine_cache_path"]).is_dir()


def test_tensorrt_without_its_libraries_is_not_there(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(NAMES.values()))
    monkeypatch.setattr(onnx_providers, "_has_tensorrt", lambda: False)
    assert chosen(["tensorrt", "cuda"]) == ["cuda", "cpu"]
    assert "nvinfer" in caplog.text


def test_settings_name_one_many_or_all() -> None:
    assert LlmSettings.model_validate({"providers": "auto"}).providers == ()
    assert LlmSettings.model_validate({"providers": "cuda"}).providers == ("cuda",)
    assert TtsSettings.model_validate({"providers": ["tensorrt", "cpu"]}).providers == ("tensorrt", "cpu")
    assert LlmSettings().model_dump(mode="json")["providers"] == "auto"
    with pytest.raises(ValueError, match="providers"):
        LlmSettings.model_validate({"providers": "gpu"})
