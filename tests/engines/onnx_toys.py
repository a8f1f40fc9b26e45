"""Decoders of a few thousand random weights, in the two layouts that there are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from assistant.store.formats.gguf import GgufHeader, Tensor
from assistant.tools.quantize.block_numbers import Float32s
from assistant.tools.quantize.onnx_graph import Graph, value
from assistant.tools.quantize.onnx_shape import shape_of
from assistant.tools.quantize.onnx_writer import Decoder, Numbers
from assistant.tools.quantize.rounding import nearest

WORDS, WIDTH, LAYERS, HEADS, KEY_HEADS, FEED_FORWARD = 10, 64, 2, 4, 2, 96


@dataclass
class RandomWeights:
    """Stands for a GGUF file: what a Llama of two layers has, made up."""

    architecture: str = "llama"
    biases: bool = False
    head_norms: bool = False
    tied: bool = True

    def __post_init__(self) -> None:
        random = np.random.default_rng(1)
        head = WIDTH // HEADS
        keys = KEY_HEADS * head
        rows = {"attn_q": WIDTH, "attn_k": keys, "attn_v": keys, "attn_output": WIDTH}
        rows |= {"ffn_gate": FEED_FORWARD, "ffn_up": FEED_FORWARD, "ffn_down": WIDTH}
        shapes: dict[str, tuple[int, ...]] = {
            "token_embd.weight": (WORDS, WIDTH),
            "output_norm.weight": (WIDTH,),
        }
        if not self.tied:
            shapes["output.weight"] = (WORDS, WIDTH)
        for layer in range(LAYERS):
            for name, length in rows.items():
                shapes[f"blk.{layer}.{name}.weight"] = (length, FEED_FORWARD if name == "ffn_down" else WIDTH)
                if self.biases and name in ("attn_q", "attn_k", "attn_v"):
                    shapes[f"blk.{layer}.{name}.bias"] = (length,)
            shapes |= {f"blk.{layer}.{name}.weight": (WIDTH,) for name in ("attn_norm", "ffn_norm")}
            if self.head_norms:
                shapes |= {f"blk.{layer}.attn_{name}_norm.weight": (head,) for name in "qk"}
        self.arrays = {
            name: (random.normal(size=shape) * (0.2 if len(shape) > 1 else 1)).astype(np.float32)
            for name, shape in shapes.items()
        }
        facts: dict[str, Any] = {
            "block_count": LAYERS,
            "embedding_length": WIDTH,
            "attention.head_count": HEADS,
            "attention.head_count_kv": KEY_HEADS,
            "feed_forward_length": FEED_FORWARD,
            "context_length": 64,
            "attention.layer_norm_rms_epsilon": 1e-5,
            "rope.freq_base": 100.0,
        }
        metadata = {f"{self.architecture}.{name}": fact for name, fact in facts.items()}
        tensors = [
            Tensor(name, array.shape[::-1], "F32", 0, array.nbytes) for name, array in self.arrays.items()
        ]
        self.header = GgufHeader(
            3, {"general.architecture": self.architecture, **metadata}, tuple(tensors), 0
        )

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    def array(self, name: str, shape: tuple[int, ...]) -> Float32s:
        assert self.arrays[name].shape == shape
        return self.arrays[name]


def written(
    weights: RandomWeights,
    folder: Path,
    numbers: Numbers = Numbers(),  # noqa: B008  frozen
    size: int = 32,
) -> Path:
    """The network of these weights, by the writer that makes real ones; ``size`` weights have one scale."""
    graph = Graph(folder / "model.onnx")
    source: Any = weights
    shape = shape_of(weights.header)
    way = nearest({}, size)
    Decoder(graph, shape, source, numbers, rounding=way, add=lambda _: None).write("a test")
    return folder / "model.onnx"


def in_place(folder: Path) -> Path:
    """A decoder with GroupQueryAttention, as onnxruntime-genai has it."""
    return written(RandomWeights(), folder)


def appending(folder: Path, past: str = "past_key_values") -> Path:
    """A decoder whose memory is longer after each run, as Optimum has it; 16 bits, all scores.

    Its attention is a plain mean over all that was read, so only the last score means anything.
    """
    random = np.random.default_rng(2)
    table = random.normal(size=(WORDS, 8)).astype(np.float16)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("Unsqueeze", ["words", "one"], ["new"]),
        helper.make_node("Concat", [f"{past}.0.key", "new"], ["present.0.key"], axis=2),
        helper.make_node("Neg", ["new"], ["negative"]),
        helper.make_node("Concat", [f"{past}.0.value", "negative"], ["present.0.value"], axis=2),
        helper.make_node("Mul", ["present.0.key", "present.0.value"], ["products"]),
        helper.make_node("ReduceMean", ["products", "two"], ["mean"], keepdims=0),
        helper.make_node("Cast", ["position_ids"], ["places"], to=onnx.TensorProto.FLOAT16),
        helper.make_node("Unsqueeze", ["places", "two"], ["tall"]),
        helper.make_node("Add", ["words", "mean"], ["sum"]),
        helper.make_node("Add", ["sum", "tall"], ["placed"]),
        helper.make_node("Transpose", ["table"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["placed", "turned"], ["logits"]),
    ]
    memory: list[int | str] = [1, 1, "past", 8]
    inputs = [value(name, np.int64, [1, "sequence"]) for name in ("input_ids", "position_ids")]
    inputs.append(value("attention_mask", np.int64, [1, "total"]))
    inputs += [value(f"{past}.0.{kind}", np.float16, memory) for kind in ("key", "value")]
    outputs = [value("logits", np.float16, [1, "sequence", WORDS])]
    outputs += [value(f"present.0.{kind}", np.float16, [1, 1, "total", 8]) for kind in ("key", "value")]
    constants = {"table": table, "one": np.array([1]), "two": np.array([2])}
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "toy", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder / "model.onnx"


def merged(folder: Path) -> Path:
    """The same with a second branch for prompts without a past, which must not be taken."""
    model = onnx.load(appending(folder))
    graph = model.graph
    graph.node[-1].output[0] = "scores"
    branches = {
        name: helper.make_graph([helper.make_node(operator, ["scores"], [name])], name, [], [_scores(name)])
        for name, operator in (("then_branch", "Identity"), ("else_branch", "Neg"))
    }
    graph.node.append(helper.make_node("If", ["with_past"], ["logits"], **branches))
    graph.node.append(helper.make_node("Squeeze", ["use_cache_branch"], ["with_past"]))
    graph.node.insert(0, graph.node.pop())
    graph.input.append(value("use_cache_branch", np.bool_, [1]))
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def _scores(name: str) -> Any:
    return value(name, np.float16, [1, "sequence", WORDS])


def all_scores(folder: Path) -> Path:
    """A decoder with GroupQueryAttention that computes every score, as onnxruntime-genai writes it."""
    file = in_place(folder)
    model = onnx.load(file, load_external_data=False)
    (keep,) = [each for each in model.graph.input if each.name == "num_logits_to_keep"]
    model.graph.input.remove(keep)
    model.graph.initializer.append(numpy_helper.from_array(np.array(0), "num_logits_to_keep"))
    onnx.save(model, file)
    return file
