"""Memory plans of networks in ONNX: what is copied, mapped, and there for a moment only."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from assistant.board import memory_plan, onnx_memory
from assistant.board.llm_memory import LlmMemory
from assistant.board.onnx_memory import bits, of_onnx
from assistant.core.errors import ModelCorrupt
from assistant.store.formats.onnx import FLOAT, FLOAT16, Node, OnnxHeader, Port, Weights

UINT8 = 2
WORDS, WIDTH, LAYERS = 100_000, 1000, 10


def a_network(
    weights: Mapping[str, Weights], nodes: list[Node], *, kind: int = FLOAT, in_place: bool = True
) -> OnnxHeader:
    """10 layers that remember 2 heads of 64 each, around the given operators."""
    past = {
        f"past_key_values.{layer}.{name}": Port(kind, (1, 2, 0, 64))
        for layer in range(LAYERS)
        for name in ("key", "value")
    }
    attention = [Node("GroupQueryAttention", ("q",), {})] if in_place else []
    return OnnxHeader(
        {"input_ids": Port(7, (1, 0)), "num_logits_to_keep": Port(7, ()), **past},
        {"logits": Port(kind, (1, 0, WORDS))},
        dict(weights),
        [*attention, *nodes],
    )


def table(kind: int = FLOAT, *, external: bool = True) -> Weights:
    return Weights((WORDS, WIDTH), kind, external)


ROWS, LAST = Node("Gather", ("table", "input_ids"), {}), Node("Gemm", ("x", "table"), {"transB": 1})


def plan(header: OnnxHeader, tokens: int = 1000) -> LlmMemory:
    return of_onnx(header, context_tokens=tokens)


def test_the_parts_of_a_prompt_are_those_of_the_engine() -> None:
    context = pytest.importorskip("assistant.engines.llm.onnx.context")
    assert (onnx_memory.PART_TOKENS, onnx_memory.PART_TOKENS_ALL_SCORES) == (
        context.PART_TOKENS,
        context.PART_TOKENS_ALL_SCORES,
    )


def test_what_is_multiplied_with_is_copied_and_its_original_goes() -> None:
    memory = plan(a_network({"table": table()}, [LAST]))
    assert (memory.copied, memory.mapped, memory.file) == (4 * WORDS * WIDTH, 0, 0)
    assert memory.loading == memory.copied, "both are there until the copy is made"


def test_what_is_looked_up_too_is_there_twice() -> None:
    memory = plan(a_network({"table": table()}, [ROWS, LAST]))
    assert memory.copied == memory.mapped == memory.file == 4 * WORDS * WIDTH
    assert memory.loading == 0


def test_of_what_is_looked_up_only_the_rows_are_read() -> None:
    memory = plan(a_network({"table": table()}, [ROWS]), tokens=100)
    assert (memory.copied, memory.file) == (0, 0)
    assert memory.mapped == 100 * 16_384
    assert plan(a_network({"table": table()}, [ROWS]), tokens=100_000).mapped == 4 * WORDS * WIDTH


def test_weights_in_the_network_itself_are_copied_whole() -> None:
    memory = plan(a_network({"table": table(external=False)}, [ROWS]), tokens=100)
    assert (memory.copied, memory.mapped) == (4 * WORDS * WIDTH, 0)


def test_an_encrypted_one_is_there_once_more_while_it_is_loaded() -> None:
    memory = of_onnx(a_network({"table": table()}, [ROWS, LAST]), context_tokens=100, in_memory=True)
    assert (memory.copied, memory.mapped) == (8 * WORDS * WIDTH, 0)
    assert memory.peak - memory.running > 3 * WORDS * WIDTH


def test_16_bits_are_no_less_than_32_to_a_processor() -> None:
    whole, half = (plan(a_network({"table": table(kind)}, [LAST], kind=kind)) for kind in (FLOAT, FLOAT16))
    assert half.copied == whole.copied
    assert half.kv == whole.kv / 2 == 2 * 2 * LAYERS * 2 * 64 * 1000


def in_blocks(*, fine: int) -> OnnxHeader:
    """A matrix of 4 or 8 bits with a scale of 32 bits for 32 of them."""
    numbers = Weights((WORDS, WIDTH // 32, 4 * fine), UINT8, external=True)
    scales = Weights((WORDS, WIDTH // 32), FLOAT, external=True)
    node = Node("MatMulNBits", ("x", "numbers", "scales"), {"N": WORDS, "K": WIDTH // 32 * 32, "bits": fine})
    return a_network({"numbers": numbers, "scales": scales}, [node])


@pytest.mark.parametrize(("fine", "with_scales"), [(4, 5.0), (8, 9.0)])
def test_blocks_are_copied_with_their_scales_which_stay(fine: int, with_scales: float) -> None:
    header = in_blocks(fine=fine)
    assert bits(header) == pytest.approx(with_scales)
    memory = plan(header)
    assert memory.copied == sum(each.size_bytes for each in header.weights.values())
    assert memory.mapped == header.weights["scales"].size_bytes


def test_a_network_that_gives_its_memory_out_anew_needs_more_of_it() -> None:
    in_place, anew = (
        plan(a_network({"table": table()}, [ROWS], in_place=in_place)) for in_place in (True, False)
    )
    assert anew.kv == 2.5 * in_place.kv


def test_a_longer_context_never_takes_less() -> None:
    header = a_network({"table": table()}, [ROWS, LAST])
    sizes = [plan(header, tokens).running for tokens in (512, 1024, 4096)]
    assert sizes == sorted(sizes)


def test_onnx_runtime_is_counted_once() -> None:
    header = a_network({"table": table()}, [LAST])
    alone, beside = (of_onnx(header, context_tokens=512, beside_others=others) for others in (False, True))
    assert 20_000_000 < alone.tables - beside.tables < 50_000_000


def test_what_has_no_memory_of_the_conversation_is_refused() -> None:
    with pytest.raises(ModelCorrupt, match="not a decoder"):
        plan(OnnxHeader())


def test_a_coarser_format_is_offered_where_no_context_fits() -> None:
    header = a_network({"table": table()}, [LAST])

    def with_context(tokens: int) -> LlmMemory:
        return of_onnx(header, context_tokens=tokens)

    found = memory_plan.remedy(
        with_context, 512, lambda llm: llm.running < 250_000_000, bits(header), memory_plan.ONNX_FORMATS
    )
    assert found == memory_plan.Remedy("format", "onnx-int8")
