"""Where a network runs: what is there is used in order, what is not is named.

Each provider that this build of ONNX Runtime has is really driven; the others are named as skipped. What a
provider does that does not start is shown with a stand-in for the build, which computes on the processor.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnxruntime
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import EPFail

from assistant.core.errors import ModelCorrupt
from assistant.core.types import Sentence
from assistant.engines import onnx_providers
from assistant.engines.llm.onnx.decoder import PART_TOKENS, OnnxDecoder, run_options
from assistant.engines.onnx_providers import NAMES, Place, choose, open_session
from assistant.engines.tts.vits import VitsTts, create
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import LlmSettings, Provider, TensorRtSettings, TtsSettings
from tests.engines.test_vits import TONE

pytest.importorskip("onnx", reason="the package that writes ONNX is not installed")

from tests.engines.onnx_toys import appending, in_place

SHAPES_MISSING = EPFail("User needs to provide all the dynamic shape inputs.\nSee the documentation.")
DRIVER = EPFail("CUDA failure 35: CUDA driver version is insufficient.\n at cuda_call.cc")


def chosen(wanted: list[Provider]) -> list[str]:
    return [place.provider for place in choose(wanted, TensorRtSettings(), network="toy")]


def decoder(file: Path, *wanted: Provider) -> OnnxDecoder:
    places = choose(wanted, TensorRtSettings(), network="llm")
    return OnnxDecoder(file, places, threads=1, context_tokens=64)


def voice(folder: Path, fixtures: Path, *wanted: Provider) -> VitsTts:
    shutil.copy(fixtures / "voice-tone" / "tone.onnx", folder)
    (folder / "tone.onnx.json").write_text(json.dumps(TONE))
    return create(TtsSettings(providers=wanted), folder, 1)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Build:
    """A build with every provider. What ``broken`` returns for one and its options is raised."""

    def __init__(self, broken: Callable[[str, Mapping[str, Any]], Exception | None]) -> None:
        self.broken = broken
        self.silent: set[str] = set()
        self.attempts: list[dict[str, dict[str, Any]]] = []
        self.real = onnxruntime.InferenceSession

    def __call__(self, source: Any, options: Any, *, providers: Any, enable_fallback: int) -> Any:
        self.attempts.append(dict(providers))
        for name, of_provider in providers:
            if error := self.broken(name, of_provider):
                raise error
        session = self.real(source, options, providers=[NAMES["cpu"]], enable_fallback=enable_fallback)
        assert not session._enable_fallback
        session._providers = [name for name, _ in providers if name not in self.silent]
        return session


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Build:
    """At first everything but the processor is broken."""
    made = Build(lambda name, _: None if name == NAMES["cpu"] else DRIVER)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(NAMES.values()))
    monkeypatch.setattr(onnx_providers, "_has_tensorrt", lambda: True)
    monkeypatch.setattr(onnx_providers, "_missing", lambda _: "")
    monkeypatch.setattr(onnxruntime, "InferenceSession", made)
    return made


# What this machine has.


def skip_unless_there(name: Provider) -> None:
    if NAMES[name] not in onnxruntime.get_available_providers():
        pytest.skip(f"this build of onnxruntime has no {NAMES[name]}")


def skip_unless_used(name: Provider, network: str, caplog: pytest.LogCaptureFixture) -> None:
    if f"network={network} runs_on={name}" not in caplog.text:
        assert f"provider={name} network={network} skipped=yes" in caplog.text
        pytest.skip(f"{NAMES[name]} is in this build, and does not start here")


@pytest.mark.parametrize("toy", [in_place, appending])
@pytest.mark.parametrize("name", get_args(Provider))
def test_a_decoder_runs_on_each_provider_that_is_there(
    name: Provider, toy: Callable[[Path], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    skip_unless_there(name)
    file = toy(tmp_path)
    plain = decoder(file, "cpu").evaluate([5, 1, 7, 2], 0, 1, run_options())
    caplog.clear()
    there = decoder(file, name)
    there.evaluate([5, 1], 0, 1, run_options())
    assert there.evaluate([7, 2], 2, 1, run_options()) == pytest.approx(plain, rel=0.02, abs=0.02)
    skip_unless_used(name, "llm", caplog)
    assert there.provider == name


@pytest.mark.parametrize("name", get_args(Provider))
def test_a_voice_runs_on_each_provider_that_is_there(
    name: Provider, tmp_path: Path, fixtures: Path, caplog: pytest.LogCaptureFixture
) -> None:
    skip_unless_there(name)
    assert len(voice(tmp_path, fixtures, name).synthesize(Sentence("some words."), Cancel()))
    skip_unless_used(name, "tts", caplog)


def test_auto_takes_what_this_build_has(caplog: pytest.LogCaptureFixture) -> None:
    here = [name for name, full in NAMES.items() if full in onnxruntime.get_available_providers()]
    assert chosen([])[-1] == "cpu"
    assert set(chosen([])) <= {*here, "cpu"}
    assert not warnings(caplog)


@pytest.mark.parametrize("name", ["tensorrt", "cuda", "coreml"])
def test_one_that_is_not_there_is_skipped_with_one_line(
    name: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    if NAMES[name] in onnxruntime.get_available_providers():
        pytest.skip("this build of ONNX Runtime has it")
    assert chosen([name, "cpu"]) == ["cpu"]
    (line,) = warnings(caplog)
    assert f"provider={name} network=toy skipped=yes" in line


# What others have.


def test_the_order_is_the_settings_and_the_processor_is_last(build: Build) -> None:
    assert chosen([]) == ["tensorrt", "cuda", "coreml", "cpu"]
    assert chosen(["coreml", "cuda"]) == ["coreml", "cuda", "cpu"]
    (tensorrt, *_) = choose([], TensorRtSettings(int8=True), network="llm")
    assert tensorrt.options["trt_int8_enable"]
    assert tensorrt.options["trt_fp16_enable"]
    assert Path(tensorrt.options["trt_engine_cache_path"]).is_dir()


@pytest.mark.parametrize("wanted", [[], ["tensorrt"]])
def test_tensorrt_without_its_libraries_is_not_there(
    wanted: list[Provider], build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(onnx_providers, "_has_tensorrt", lambda: False)
    assert "tensorrt" not in chosen(wanted)
    assert "provider=tensorrt network=toy skipped=yes" in caplog.text
    assert "nvinfer" in caplog.text
    assert bool(warnings(caplog)) == bool(wanted), "who did not ask for it need not be warned"


def profiles(build: Build) -> list[dict[str, list[int]]]:
    """Input -> shape: the least, the usual and the greatest ones that TensorRT was given first."""
    options = next(each[NAMES["tensorrt"]] for each in build.attempts if NAMES["tensorrt"] in each)
    said = [options[f"trt_profile_{which}_shapes"] for which in ("min", "opt", "max")]
    return [
        {name: [int(size) for size in shape.split("x")] for name, shape in (one.split(":") for one in each)}
        for each in (one.split(",") for one in said)
    ]


def test_tensorrt_is_told_the_shapes_of_all_inputs_of_a_decoder(build: Build, tmp_path: Path) -> None:
    decoder(appending(tmp_path), "tensorrt").close()
    least, usual, greatest = profiles(build)
    kept = ["past_key_values.0.key", "past_key_values.0.value"]
    assert set(least) == {"input_ids", "position_ids", "attention_mask", *kept}
    for shapes, past, tokens in ((least, 0, 1), (usual, 32, 1), (greatest, 64, PART_TOKENS)):
        assert shapes["input_ids"] == shapes["position_ids"] == [1, tokens]
        assert shapes["attention_mask"] == [1, past + tokens]
        assert [shapes[name] for name in kept] == [[1, 1, past, 8]] * 2


def test_what_has_one_shape_only_is_left_out(build: Build, tmp_path: Path, fixtures: Path) -> None:
    decoder(in_place(tmp_path), "tensorrt").close()
    least, *_ = profiles(build)
    assert "num_logits_to_keep" not in least
    assert "past_key_values.1.value" in least
    build.attempts.clear()
    (tmp_path / "tone").mkdir()
    voice(tmp_path / "tone", fixtures, "tensorrt").close()
    assert [each["input_lengths"] for each in profiles(build)] == [[1]] * 3
    assert [each["input"] for each in profiles(build)] == [[1, 1], [1, 80], [1, 208]]
    assert "scales" not in profiles(build)[0]


def test_shapes_that_tensorrt_refuses_are_left_out(
    build: Build, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build.broken = lambda _, options: SHAPES_MISSING if "trt_profile_min_shapes" in options else None
    places = [Place("tensorrt", {"trt_fp16_enable": True}), Place("cpu")]
    _, provider = open_session(
        appending(tmp_path),
        onnxruntime.SessionOptions(),
        places,
        network="llm",
        lengths=lambda _: (1, 2, 3),
    )
    assert provider == "tensorrt"
    assert build.attempts[-1] == {NAMES["tensorrt"]: {"trt_fp16_enable": True}, NAMES["cpu"]: {}}
    (line,) = warnings(caplog)
    assert (
        line == f"provider=tensorrt network=llm shapes=none reason={SHAPES_MISSING.args[0].split('.')[0]!r}"
    )
    assert "network=llm runs_on=tensorrt,cpu" in caplog.text


def test_what_does_not_start_is_skipped_and_the_processor_computes(
    build: Build, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    made = decoder(in_place(tmp_path))
    assert made.provider == "cpu"
    assert np.isfinite(made.evaluate([1, 2, 3], 0, 1, run_options())).all()
    assert [next(iter(each)) for each in build.attempts] == [
        NAMES["cpu"],  # read for the shapes
        NAMES["tensorrt"],
        NAMES["tensorrt"],
        NAMES["cuda"],
        NAMES["coreml"],
        NAMES["cpu"],
    ]
    reason = "reason='CUDA failure 35: CUDA driver version is insufficient'"
    assert warnings(caplog) == [
        f"provider={name} network=llm {done} {reason}"
        for name, done in (
            ("tensorrt", "shapes=none"),
            ("tensorrt", "skipped=yes"),
            ("cuda", "skipped=yes"),
            ("coreml", "skipped=yes"),
        )
    ]
    assert "network=llm runs_on=cpu" in caplog.text
    assert capfd.readouterr().out == ""


def test_what_is_left_out_without_an_error_is_named_too(
    build: Build, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build.broken = lambda *_: None
    build.silent = {NAMES["cuda"]}
    assert decoder(in_place(tmp_path), "cuda").provider == "cpu"
    assert warnings(caplog) == ["provider=cuda network=llm skipped=yes reason='it did not start'"]
    assert "runs_on=cuda" not in caplog.text


def test_cuda_that_was_installed_with_pip_is_loaded_without_a_word_on_standard_output(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(onnx_providers, "find_spec", lambda name: name)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: sys.stdout.write("libcudnn.so.9?"))
    onnx_providers._find_cuda.cache_clear()
    decoder(in_place(tmp_path), "cuda").close()
    said = capsys.readouterr()
    assert "libcudnn" in said.err
    assert said.out == ""


def test_only_where_the_processor_fails_too_is_the_model_at_fault(build: Build, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x08\x0a no network")
    with pytest.raises(ModelCorrupt, match=r"model\.onnx cannot be loaded.*Fetch it again"):
        decoder(tmp_path / "model.onnx")
    assert list(build.attempts[-1]) == [NAMES["cpu"]]


def test_settings_name_one_many_or_all() -> None:
    assert LlmSettings.model_validate({"providers": "auto"}).providers == ()
    assert LlmSettings.model_validate({"providers": "cuda"}).providers == ("cuda",)
    assert TtsSettings.model_validate({"providers": ["tensorrt", "cpu"]}).providers == ("tensorrt", "cpu")
    assert LlmSettings().model_dump(mode="json")["providers"] == "auto"
    with pytest.raises(ValueError, match="providers"):
        LlmSettings.model_validate({"providers": "gpu"})
