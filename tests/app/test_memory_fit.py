"""A model that is too big is refused before it is loaded, with what would fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.app import memory_fit as fit
from assistant.board import memory_plan
from assistant.core.errors import ModelTooBig
from assistant.settings.schema import Settings
from assistant.store import open_store
from assistant.tools.bench.lib.variants import changed
from tests.engines.test_llama_cpp_adapter import FEED_FORWARD, RANK, WIDTH, adapter

pytestmark = pytest.mark.models

MB = 1_000_000


def machine(root: Path, free_mb: int) -> Path:
    (root / "proc").mkdir()
    kb = free_mb * MB // 1024
    (root / "proc/meminfo").write_text(f"MemTotal: {kb + 1000} kB\nMemAvailable: {kb} kB\n")
    return root


def settings(**llm: object) -> Settings:
    return changed(Settings(), {"llm": {"model": "smollm2-135m-instruct-q4_1", **llm}})


def test_what_fits_is_not_refused(tmp_path: Path) -> None:
    fit.require(settings(), machine(tmp_path, 4000))


def test_a_context_that_is_too_long_is_refused_with_the_longest_that_fits(tmp_path: Path) -> None:
    root = machine(tmp_path, 600)
    with pytest.raises(ModelTooBig) as caught:
        fit.require(settings(context_tokens=8192), root)
    assert caught.value.code == "model-too-big"
    found = fit.plan(settings(context_tokens=8192), root)
    assert found.remedy is not None
    tokens = int(found.remedy.value)
    assert f"context_tokens: {tokens}" in caught.value.next_step
    fit.require(settings(context_tokens=tokens, history_tokens=64, max_tokens=64), root)
    with pytest.raises(ModelTooBig):
        fit.require(settings(context_tokens=tokens + 256, history_tokens=64, max_tokens=64), root)


def test_the_advice_is_settings_that_are_valid_and_fit(tmp_path: Path) -> None:
    asked = settings(context_tokens=8192)
    advice = fit.advice(memory_plan.Remedy("context", "512"), asked)
    keys = dict(pair.split(": ") for pair in advice.split("{")[1].rstrip("}").split(", "))
    changed(asked, {"llm": {key: int(value) for key, value in keys.items()}})


def test_where_nothing_fits_a_smaller_model_is_advised(tmp_path: Path) -> None:
    with pytest.raises(ModelTooBig, match="smaller"):
        fit.require(settings(), machine(tmp_path, 200))


def test_a_question_in_writing_needs_less_than_a_conversation(tmp_path: Path) -> None:
    root = machine(tmp_path, 350)
    fit.require(settings(context_tokens=2048), root, llm_only=True)
    with pytest.raises(ModelTooBig):
        fit.require(settings(context_tokens=2048), root)


def test_what_cannot_be_told_is_no_refusal(tmp_path: Path) -> None:
    fit.require(settings(), tmp_path)


def test_an_adapter_counts(tmp_path: Path) -> None:
    file = adapter(tmp_path / "adapters", layers=30)
    plain, with_one = (fit.plan(settings(adapter=name)) for name in (None, str(file)))
    assert with_one.need.needed - plain.need.needed == 30 * 4 * RANK * (WIDTH + FEED_FORWARD)


# ---- whatever runs it ----------------------------------------------------------------------------


def test_the_model_behind_a_server_counts_as_if_it_ran_alone() -> None:
    alone, behind = fit.plan(settings()), fit.plan(settings(engine="openai"))
    assert behind.need == alone.need
    assert behind.model == alone.model


def test_without_a_model_behind_it_a_server_takes_nothing_here(tmp_path: Path) -> None:
    served = settings(engine="openai", server={"fallback": False})
    found = fit.plan(served, machine(tmp_path, 200))
    assert found.need.llm.running == 0
    assert found.fits is False
    assert "stt.model" in fit.advice(found.remedy, served)


def test_a_recogniser_that_computes_with_32_bits_takes_more() -> None:
    """Measured: 108 MB with tiny.en; float16 is computed as float32 by a processor."""
    int8, wide, half = (
        fit.plan(changed(settings(), {"stt": {"compute_type": kind}})).need.stt
        for kind in ("int8", "float32", "float16")
    )
    assert wide - int8 == pytest.approx(108 * MB, rel=0.05)
    assert half == wide


def test_torch_is_counted_with_the_voice_that_it_loads(tmp_path: Path) -> None:
    def voice(size: int) -> int:
        (tmp_path / "config.json").write_text("{}")
        (tmp_path / "model.pth").write_bytes(bytes(size))
        tts = {"runtime": "torch", "model": str(tmp_path)}
        return fit.plan(changed(settings(), {"tts": tts})).need.tts

    assert voice(0) > 500 * MB > fit.plan(settings()).need.tts
    assert voice(1000) > voice(0)


def in_onnx(folder: Path, *, card: str = "") -> Settings:
    """Settings with a network in ONNX whose table of 400 MB lies in another file, which is not there."""
    onnx = pytest.importorskip("onnx", reason="the package that writes ONNX is not installed")
    helper, kinds = onnx.helper, onnx.TensorProto
    table = onnx.TensorProto(
        name="table", dims=[1000, 100_000], data_type=kinds.FLOAT, data_location=kinds.EXTERNAL
    )
    past = [
        helper.make_tensor_value_info(f"past_key_values.{n}.{kind}", kinds.FLOAT, [1, 8, "past", 128])
        for n in range(10)
        for kind in ("key", "value")
    ]
    logits = helper.make_tensor_value_info("logits", kinds.FLOAT, [1, "kept", 100_000])
    keeps = helper.make_tensor_value_info("num_logits_to_keep", kinds.INT64, [])
    nodes = [
        helper.make_node("GroupQueryAttention", ["past_key_values.0.key"], ["x"], domain="com.microsoft"),
        helper.make_node("MatMul", ["x", "table"], ["logits"]),
    ]
    source = folder / "source"
    source.mkdir()
    graph = helper.make_graph(nodes, "g", [keeps, *past], [logits], [table])
    (source / "model.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    (source / "tokenizer.json").write_text("{}")
    (source / "config.json").write_text('{"max_position_embeddings": 4096}')
    if card:
        (source / "model-card.json").write_text(f'{{"source": "{card}"}}')
    open_store(folder / "models").import_from(source, "mine", "llm")
    llm = {"engine": "onnx", "model": "mine", "context_tokens": 4096}
    return changed(Settings(), {"llm": llm, "store": {"models": str(folder / "models")}})


def test_a_network_in_onnx_is_refused_with_the_longest_context_that_fits(tmp_path: Path) -> None:
    asked, root = in_onnx(tmp_path), machine(tmp_path, 1000)
    found = fit.plan(asked, root, llm_only=True)
    assert found.need.llm.kv == 2 * 10 * 8 * 128 * 4 * 4096
    assert found.need.llm.copied == 400 * MB
    with pytest.raises(ModelTooBig, match="mine does not fit") as caught:
        fit.require(asked, root)
    found = fit.plan(asked, root)
    assert found.remedy is not None
    tokens = int(found.remedy.value)
    assert f"context_tokens: {tokens}" in caught.value.next_step
    short = {"history_tokens": 64, "max_tokens": 64}
    fit.require(changed(asked, {"llm": {"context_tokens": tokens, **short}}), root)
    with pytest.raises(ModelTooBig):
        fit.require(changed(asked, {"llm": {"context_tokens": tokens + 256, **short}}), root)


def test_a_context_that_is_longer_than_the_network_can_read_is_planned_as_that(tmp_path: Path) -> None:
    asked = in_onnx(tmp_path)
    longer = changed(asked, {"llm": {"context_tokens": 100_000}})
    assert fit.plan(longer).need == fit.plan(asked).need


@pytest.mark.parametrize(("card", "source"), [("a-model-q4_k_m", "a-model-q4_k_m"), ("", "SOURCE")])
def test_where_no_context_fits_the_command_makes_a_smaller_one_of_what_it_came_from(
    card: str, source: str, tmp_path: Path
) -> None:
    short = {"context_tokens": 512, "history_tokens": 64, "max_tokens": 64}
    asked = changed(in_onnx(tmp_path, card=card), {"llm": short})
    with pytest.raises(ModelTooBig) as caught:
        fit.require(asked, machine(tmp_path, 480), llm_only=True)
    assert f"assistant quantize {source} --to onnx-int8" in caught.value.next_step


def test_another_model_is_planned_on_the_engine_that_runs_its_files(tmp_path: Path) -> None:
    here = changed(in_onnx(tmp_path), {"llm": {"engine": "llama_cpp", "model": "smollm2-135m-instruct-q4_1"}})
    assert fit.with_model(here, "mine").llm.engine == "onnx"
    assert fit.with_model(here, "another").llm.engine == "llama_cpp"
