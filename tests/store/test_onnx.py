"""What an ONNX file says of its network is read without the package ``onnx``; nothing in it is trusted."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.errors import ModelCorrupt
from assistant.store.formats.onnx import FLOAT, FLOAT16, OnnxHeader, read_header_from

onnx = pytest.importorskip("onnx", reason="the package that writes ONNX is not installed")

from tests.engines import onnx_toys  # noqa: E402 - it needs onnx


def read(data: bytes) -> OnnxHeader:
    return read_header_from(io.BytesIO(data), len(data), "model.onnx")


def test_it_says_what_the_package_says(tmp_path: Path) -> None:
    file = onnx_toys.in_place(tmp_path)
    header, graph = read(file.read_bytes()), onnx.load(file, load_external_data=False).graph
    assert set(header.inputs) == {each.name for each in graph.input}
    assert [node.operator for node in header.nodes] == [node.op_type for node in graph.node]
    assert [list(node.inputs) for node in header.nodes] == [list(node.input) for node in graph.node]
    for tensor in graph.initializer:
        weights = header.weights[tensor.name]
        assert (weights.shape, weights.type) == (tuple(tensor.dims), tensor.data_type)
        assert weights.external == bool(tensor.external_data)
    external = sum(each.size_bytes for each in header.weights.values() if each.external)
    assert 0.5 < external / file.with_name("model.onnx.data").stat().st_size <= 1
    head = onnx_toys.WIDTH // onnx_toys.HEADS
    assert header.inputs["past_key_values.0.key"].shape == (1, onnx_toys.KEY_HEADS, 0, head)
    assert header.inputs["past_key_values.0.key"].type == FLOAT
    assert header.outputs["logits"].shape[-1] == onnx_toys.WORDS


def test_weights_inside_are_passed_over(tmp_path: Path) -> None:
    header = read(onnx_toys.appending(tmp_path).read_bytes())
    table = header.weights["table"]
    assert (table.shape, table.type, table.external) == ((onnx_toys.WORDS, 8), FLOAT16, False)
    assert table.size_bytes == 2 * 8 * onnx_toys.WORDS


def test_a_network_within_an_operator_counts(tmp_path: Path) -> None:
    """As merged exports have it: with and without a past, in the two branches of an If."""
    helper = onnx.helper
    weights = onnx.numpy_helper.from_array(np.ones((4, 4), np.float32), "inside")
    out = helper.make_tensor_value_info("y", FLOAT, [1, 4])
    branch = helper.make_graph(
        [helper.make_node("MatMul", ["x", "inside"], ["y"])], "b", [], [out], [weights]
    )
    node = helper.make_node("If", ["use_cache_branch"], ["logits"], then_branch=branch, else_branch=branch)
    header = read(helper.make_model(helper.make_graph([node], "g", [], [])).SerializeToString())
    assert header.weights["inside"].numbers == 16
    assert [node.operator for node in header.nodes] == ["MatMul", "MatMul", "If"]


@given(st.data())
def test_a_damaged_file_is_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = onnx_toys.appending(tmp_path_factory.mktemp("toy")).read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    broken = data.draw(
        st.sampled_from([whole[:at], whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]])
    )
    with contextlib.suppress(ModelCorrupt):
        read(broken)


@given(st.binary(max_size=300))
def test_any_bytes_are_survived(data: bytes) -> None:
    with contextlib.suppress(ModelCorrupt):
        read(data)
