"""Memory plans: what a header promises, what the kernel says is free, and what would fit instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.board import limits, memory_plan
from assistant.board.llm_memory import LlmMemory, is_repacked, of_gguf, shape_of
from assistant.core.errors import ModelCorrupt
from assistant.store.formats.gguf import GgufHeader, Tensor, read_header
from tests import gguf_writer

GB = 1_000_000_000

LLAMA_2_7B: dict[str, gguf_writer.Value] = {
    "general.architecture": "llama",
    "llama.block_count": 32,
    "llama.context_length": 4096,
    "llama.embedding_length": 4096,
    "llama.feed_forward_length": 11008,
    "llama.attention.head_count": 32,
    "llama.attention.head_count_kv": 32,
}
"""config.json of meta-llama/Llama-2-7b: every head has keys and values of its own."""


def a_header(metadata: Mapping[str, gguf_writer.Value], tensors: Sequence[Tensor] = ()) -> GgufHeader:
    return GgufHeader(3, dict(metadata), tuple(tensors), 1000)  # type: ignore[arg-type]


def test_keys_and_values_of_a_7b_take_half_a_megabyte_a_token() -> None:
    memory = of_gguf(a_header(LLAMA_2_7B), context_tokens=4096)
    assert memory.kv == 2 * 32 * 4096 * 2 * 4096 == 2_147_483_648


def test_shared_keys_take_less(tmp_path: Path) -> None:
    grouped = {**LLAMA_2_7B, "llama.attention.head_count_kv": 8}
    assert (
        4 * of_gguf(a_header(grouped), context_tokens=512).kv
        == of_gguf(a_header(LLAMA_2_7B), context_tokens=512).kv
    )


def test_heads_may_be_named_layer_by_layer_and_have_a_size_of_their_own() -> None:
    layers = {**LLAMA_2_7B, "llama.block_count": 3, "llama.attention.head_count_kv": (8, 0, 4)}
    sized = {**layers, "llama.attention.key_length": 64, "llama.attention.value_length": 32}
    assert shape_of(a_header(sized)).kv_numbers == (8 + 0 + 4) * (64 + 32)


def test_a_context_longer_than_the_model_was_made_for_is_cut() -> None:
    header = a_header({**LLAMA_2_7B, "llama.context_length": 1024})
    assert of_gguf(header, context_tokens=100_000).kv == of_gguf(header, context_tokens=1024).kv


def test_q8_0_halves_the_memory_of_the_conversation() -> None:
    f16, q8_0 = (
        of_gguf(a_header(LLAMA_2_7B), context_tokens=2048, kv_type=kind).kv for kind in ("f16", "q8_0")
    )
    assert q8_0 == pytest.approx(f16 * 34 / 64)


def test_a_header_without_a_network_cannot_be_planned() -> None:
    with pytest.raises(ModelCorrupt):
        shape_of(a_header({"general.architecture": "llama"}))


@pytest.mark.parametrize(
    ("kind", "ability", "again"),
    [
        ("Q4_0", "avx2", True),
        ("Q4_K", "avx2", True),
        ("Q8_0", "avx2", False),
        ("Q8_0", "asimddp", True),
        ("Q4_0", "asimd", False),  # a Raspberry Pi 4 has no dot product instructions
    ],
)
def test_what_is_rearranged_depends_on_the_processor(kind: str, ability: str, again: bool) -> None:
    tensor = Tensor("blk.0.ffn_up.weight", (4096, 4096), kind, 0, 1)
    assert is_repacked(tensor, {"fp", ability}) is again
    assert not is_repacked(Tensor("token_embd.weight", (4096, 4096), kind, 0, 1), {ability})
    assert not is_repacked(Tensor("blk.0.ffn_up.weight", (4096, 4099), kind, 0, 1), {ability})


def weights(kind: str = "Q4_0") -> list[Tensor]:
    """Two tensors of 100 MB, the second only looked up, in a file that begins with 1000 bytes."""
    size = 100_000_000
    return [
        Tensor("blk.0.ffn_up.weight", (4096, 4096), kind, 1000, size),
        Tensor("token_embd.weight", (4096, 4096), kind, 1000 + size, size),
        Tensor("output.weight", (4096, 8), "F32", 1000 + 2 * size, 131_072),
    ]


def test_an_adapter_is_counted_in_full_whatever_the_format_of_the_model() -> None:
    header = a_header(LLAMA_2_7B, weights())
    plain, with_one = (of_gguf(header, context_tokens=512, adapter_bytes=size) for size in (0, 50_000_000))
    assert with_one.running - plain.running == 50_000_000
    smaller = memory_plan.in_format(with_one, 0.5)
    assert smaller.tables == with_one.tables
    assert smaller.mapped < with_one.mapped


def test_rearranged_weights_are_there_twice_while_loading_only() -> None:
    header = a_header({**LLAMA_2_7B, "llama.attention.head_count_kv": 1}, weights())
    plain, again = (of_gguf(header, context_tokens=512, abilities=has) for has in ((), ("avx2",)))
    assert (plain.copied, again.copied) == (0, 100_000_000)
    assert plain.mapped == pytest.approx(100_000_000, abs=4_200_000)
    assert again.mapped < 10_000_000
    assert again.peak - plain.peak > 50_000_000


def test_the_table_of_words_counts_where_it_is_multiplied_with() -> None:
    shared = a_header(LLAMA_2_7B, weights()[:2])
    assert of_gguf(shared, context_tokens=512).mapped == pytest.approx(200_000_000, abs=4_200_000)


def test_without_mmap_all_weights_are_copied_and_the_file_is_not_resident() -> None:
    header = a_header(LLAMA_2_7B, weights())
    memory = of_gguf(header, context_tokens=512, mmap=False)
    assert (memory.file, memory.mapped) == (0, 0)
    assert memory.copied == header.tensor_bytes


def test_larger_micro_batches_take_longer_buffers() -> None:
    header = a_header(LLAMA_2_7B)
    small, large = (of_gguf(header, context_tokens=2048, micro_batch=count) for count in (128, 512))
    assert small.compute < large.compute <= 4 * small.compute
    assert small.kv == large.kv


@given(st.integers(1, 4096), st.integers(1, 4096), st.booleans())
def test_a_longer_context_never_takes_less(one: int, other: int, flash: bool) -> None:
    header = a_header(LLAMA_2_7B)
    short, long = (
        of_gguf(header, context_tokens=tokens, flash_attention=flash) for tokens in sorted((one, other))
    )
    assert short.running <= long.running
    assert short.peak <= long.peak


# ---- what fits ---------------------------------------------------------------------------------


@given(st.integers(0, 40), st.integers(1, 40))
def test_the_largest_context_is_the_largest(limit: int, most: int) -> None:
    found = memory_plan.largest_context(lambda tokens: tokens <= 256 * limit, 256 * most)
    best = min(limit, most)
    assert found == (256 * best if best >= 2 else None)


def _remedy(free: int, wanted: int = 4096) -> memory_plan.Remedy:
    tensors = [Tensor(t.name, t.shape, "F16", t.offset, 33_554_432) for t in weights()]
    header = a_header(LLAMA_2_7B, tensors)

    def with_context(tokens: int) -> LlmMemory:
        return of_gguf(header, context_tokens=tokens)

    bits, formats = memory_plan.gguf_bits(header), memory_plan.FORMATS
    return memory_plan.remedy(with_context, wanted, lambda llm: llm.running <= free, bits, formats)


def test_a_shorter_context_is_offered_first_then_a_smaller_format_then_nothing() -> None:
    assert _remedy(GB) == memory_plan.Remedy("context", str(1536))
    tight = _remedy(345_000_000, wanted=512)
    assert tight.what == "format"
    assert tight.value in memory_plan.FORMATS
    assert _remedy(50_000_000) == memory_plan.Remedy("nothing")


def test_the_sum_is_of_all_who_take_memory() -> None:
    llm = of_gguf(a_header(LLAMA_2_7B, weights()), context_tokens=512)
    alone = memory_plan.need(llm, stt_file=0, tts_file=0, hears=False)
    everything = memory_plan.need(llm, stt_file=75_000_000, tts_file=63_000_000)
    assert alone.needed == memory_plan.PROGRAM_BYTES + llm.running
    parts = everything.stt + everything.tts + everything.spike + memory_plan.HEARING_BYTES
    assert everything.needed == alone.needed + parts
    assert everything.peak >= everything.needed


# ---- what is free ------------------------------------------------------------------------------


def _write(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = {"proc/meminfo": "MemTotal: 4000000 kB\nMemAvailable: 3000000 kB\n"}


def test_what_is_available_is_free_and_what_we_have_is_ours(tmp_path: Path) -> None:
    room = memory_plan.room(_write(tmp_path, MEMINFO), already=1000)
    assert (room.free, room.total) == (3_072_000_000 + 1000, 4_096_000_000)


def test_a_control_group_leaves_less_and_its_idle_cache_is_not_in_use(tmp_path: Path) -> None:
    group = {
        "proc/self/cgroup": "0::/box\n",
        "sys/fs/cgroup/box/memory.max": "1000000000\n",
        "sys/fs/cgroup/box/memory.current": "600000000\n",
        "sys/fs/cgroup/box/memory.stat": "anon 100\ninactive_file 500000000\nactive_file 7\n",
    }
    room = memory_plan.room(_write(tmp_path, {**MEMINFO, **group}))
    assert (room.free, room.total) == (900_000_000, 1_000_000_000)
    assert "control group" in room.why


def test_version_1_of_the_groups_is_understood(tmp_path: Path) -> None:
    group = {
        "proc/self/cgroup": "4:memory:/box\n",
        "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "1000000000\n",
        "sys/fs/cgroup/memory/box/memory.usage_in_bytes": "300000000\n",
    }
    assert memory_plan.room(_write(tmp_path, {**MEMINFO, **group})).free == 700_000_000


def test_where_nothing_is_told_nothing_is_known(tmp_path: Path) -> None:
    room = memory_plan.room(tmp_path)
    assert (room.free, room.total) == (None, None)


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60))
def test_any_control_group_is_survived(
    tmp_path_factory: pytest.TempPathFactory, limit: bytes, use: bytes, stat: bytes
) -> None:
    root = tmp_path_factory.mktemp("root")
    _write(root, {"proc/self/cgroup": "0::/\n"})
    (root / "sys/fs/cgroup").mkdir(parents=True)
    for name, raw in (("max", limit), ("current", use), ("stat", stat)):
        (root / f"sys/fs/cgroup/memory.{name}").write_bytes(raw)
    assert limits.memory_left_bytes(root) >= 0


# ---- real headers ------------------------------------------------------------------------------


def test_a_written_file_is_planned(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    metadata = {**LLAMA_2_7B, "tokenizer.ggml.tokens": ["a", "b"], "tokenizer.ggml.merges": ["a b"]}
    path.write_bytes(gguf_writer.gguf(metadata, {"token_embd.weight": (32, 2), "blk.0.x.weight": (32, 4)}))
    shape = shape_of(read_header(path))
    assert (shape.vocabulary, shape.listed) == (2, 3)
    assert of_gguf(read_header(path), context_tokens=512).file >= path.stat().st_size - 32
