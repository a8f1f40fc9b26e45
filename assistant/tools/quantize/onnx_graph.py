"""Writes an ONNX file node by node and its weights alongside, without holding the whole model in memory.

Independent of what is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

OPSET, MICROSOFT_OPSET, IR_VERSION = 18, 1, 10
"""Supported by ONNX Runtime 1.23, the oldest version used here."""

DATA_SUFFIX = ".data"
ALIGNMENT = 4096
"""Weights start at a page boundary, so that they can be memory-mapped."""

SMALL_BYTES = 1024
"""Constants up to this size are stored in the graph: shapes and axes must be, to be readable immediately."""


class Graph:
    """A graph that is being written to ``file``; ``node`` names the values."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._data = file.with_name(file.name + DATA_SUFFIX).open("wb")
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: int | Sequence[str] = 1,
        *,
        domain: str = "",
        **settings: Any,
    ) -> list[str]:
        """Add an operator and return the names of its outputs, which can also be specified; "" omits one."""
        number = len(self._nodes)
        names = (
            [f"{op}_{number}_{at}" for at in range(outputs)] if isinstance(outputs, int) else list(outputs)
        )
        self._nodes.append(
            helper.make_node(op, list(inputs), names, f"{op}_{number}", domain=domain, **settings)
        )
        return names

    def microsoft(
        self, op: str, inputs: Sequence[str], outputs: int | Sequence[str] = 1, **settings: Any
    ) -> list[str]:
        """Add an operator that only ONNX Runtime has."""
        return self.node(op, inputs, outputs, domain="com.microsoft", **settings)

    def constant(self, name: str, values: npt.NDArray[Any]) -> str:
        """Add weights, or return the name of those already added."""
        if name in self._constants:
            return name
        values = np.asarray(values, order="C")  # Keeps a scalar a scalar.
        if values.nbytes <= SMALL_BYTES:
            self._constants[name] = onnx.numpy_helper.from_array(values, name)
            return name
        self._data.write(bytes(-self._data.tell() % ALIGNMENT))
        tensor = TensorProto(name=name, dims=values.shape, data_location=TensorProto.EXTERNAL)
        tensor.data_type = type_number(values.dtype)
        facts = {
            "location": f"{self._file.name}{DATA_SUFFIX}",
            "offset": self._data.tell(),
            "length": values.nbytes,
        }
        for key, fact in facts.items():
            tensor.external_data.add(key=key, value=str(fact))
        values.tofile(self._data)
        self._constants[name] = tensor
        return name

    def numbers(self, *values: int) -> str:
        """Add a constant list of integers."""
        return self.constant(f"numbers_{'_'.join(map(str, values))}", np.array(values, dtype=np.int64))

    def close(self) -> None:
        """Close the weights file."""
        self._data.close()

    def save(self, inputs: Sequence[Any], outputs: Sequence[Any], producer: str) -> None:
        """Write the graph; ``inputs`` and ``outputs`` come from ``value``. Raises OSError."""
        self.close()
        graph = helper.make_graph(self._nodes, "decoder", inputs, outputs, list(self._constants.values()))
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", MICROSOFT_OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name=producer, ir_version=IR_VERSION)
        self._file.write_bytes(model.SerializeToString())


def value(name: str, kind: npt.DTypeLike, shape: Sequence[int | str]) -> Any:
    """Return an input or output of the graph; a name stands for a variable length."""
    return helper.make_tensor_value_info(name, type_number(kind), shape)


def type_number(kind: npt.DTypeLike) -> int:
    """Return ONNX's number for a NumPy type."""
    return helper.np_dtype_to_tensor_dtype(np.dtype(kind))
