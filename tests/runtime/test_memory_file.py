"""Files in memory: sealed, read by path, gone with their descriptor; ONNX Runtime finds weights beside."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from assistant.engines import onnx_providers
from assistant.engines.onnx_providers import Place
from assistant.runtime import memory_file


def test_it_is_read_by_path_and_cannot_be_changed(tmp_path: Path) -> None:
    descriptor = memory_file.create("m.gguf", [b"one", b"", b"two"], 1_234_567_000)
    place = tmp_path / "m.gguf"
    memory_file.link(place, descriptor)
    assert place.read_bytes() == b"onetwo"
    facts = place.stat()
    assert (facts.st_size, facts.st_mtime_ns, stat.S_IMODE(facts.st_mode)) == (6, 1_234_567_000, 0o400)
    assert memory_file.is_held(place)
    for change in (lambda: os.write(descriptor, b"x"), lambda: os.ftruncate(descriptor, 0)):
        with pytest.raises(PermissionError):
            change()
    os.close(descriptor)
    assert not place.exists()


def test_what_fails_half_way_leaves_nothing() -> None:
    def content() -> Any:
        yield b"one"
        raise ZeroDivisionError

    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ZeroDivisionError):
        memory_file.create("m.gguf", content(), 0)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_other_files_and_links_are_not_held(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert not any(memory_file.is_held(tmp_path / name) for name in ("file", "link", "none"))


def network(folder: Path) -> np.ndarray[Any, Any]:
    """A network that adds a vector, which lies in a file of its own."""
    vector = np.arange(2000, dtype=np.float32)
    kept = numpy_helper.from_array(vector, "vector")
    kept.ClearField("raw_data")
    kept.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "model.onnx.data"), ("offset", "0"), ("length", "8000")):
        kept.external_data.add(key=key, value=value)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2000]) for name in ("x", "y")]
    add = helper.make_node("Add", ["x", "vector"], ["y"])
    graph = helper.make_graph([add], "sum", [ends[0]], [ends[1]], [kept])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (folder / "model.onnx").write_bytes(made.SerializeToString())
    (folder / "model.onnx.data").write_bytes(vector.tobytes())
    return vector


@pytest.mark.skipif(
    not hasattr(onnxruntime.SessionOptions, "add_external_initializers_from_files_in_memory"),
    reason="this ONNX Runtime is too old",
)
def test_a_network_with_its_weights_beside_it(tmp_path: Path) -> None:
    assert onnx.__version__
    (tmp_path / "disk").mkdir()
    (tmp_path / "held").mkdir()
    vector = network(tmp_path / "disk")
    descriptors = []
    for file in (tmp_path / "disk").iterdir():
        descriptors.append(memory_file.create(file.name, [file.read_bytes()], 0))
        memory_file.link(tmp_path / "held" / file.name, descriptors[-1])
    options = onnxruntime.SessionOptions()
    file = tmp_path / "held" / "model.onnx"
    session, _ = onnx_providers.open_session(file, options, [Place("cpu")], network="toy")
    for descriptor in descriptors:
        os.close(descriptor)
    assert np.array_equal(session.run(None, {"x": np.ones(2000, np.float32)})[0], vector + 1)


def test_tensorrt_keeps_nothing_of_an_encrypted_network() -> None:
    options = {"trt_engine_cache_enable": True, "trt_timing_cache_path": "/x", "trt_fp16_enable": True}
    assert onnx_providers._kept_off_disk(options, held=True) == {"trt_fp16_enable": True}
    assert onnx_providers._kept_off_disk(options, held=False) == options
