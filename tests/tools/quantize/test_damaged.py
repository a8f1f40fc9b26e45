"""Damaged models, each refused for the right reason: the sources, and what came of sound ones."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from assistant.core.errors import ModelCorrupt, ModelRefused
from assistant.store import Store
from assistant.store.formats.gguf import Tensor, read_header
from assistant.store.progress import Unwatched
from assistant.tools.quantize import gate, making
from assistant.tools.quantize.dialogues import Texts
from assistant.tools.quantize.loss import Reference
from assistant.tools.quantize.recipe import FORMATS
from assistant.tools.quantize.request import Request
from assistant.tools.quantize.trial import Answer
from tests.tools.quantize.conftest import NAME, REAL, left_behind

pytestmark = pytest.mark.models

LIMIT = FORMATS["q4_0"].kl_limit


def change(file: Path, tensor_name: str, damage: Callable[[bytes], bytes]) -> None:
    """Damage the data of one tensor."""
    tensor: Tensor = next(one for one in read_header(file).tensors if one.name == tensor_name)
    with file.open("r+b") as opened:
        opened.seek(tensor.offset)
        data = damage(opened.read(tensor.size_bytes))
        assert len(data) == tensor.size_bytes
        opened.seek(tensor.offset)
        opened.write(data)


def swap(file: Path, old: bytes, new: bytes) -> None:
    """Change the header, leaving its length as it is."""
    assert len(old) == len(new)
    length = read_header(file).data_offset
    with file.open("r+b") as opened:
        header = opened.read(length)
        assert old in header
        opened.seek(0)
        opened.write(header.replace(old, new, 1))


def turn(file: Path, base: float) -> None:
    """Change the base of its rotary positions, which is 100,000."""
    key = b"llama.rope.freq_base" + struct.pack("<I", 6)
    swap(file, key + struct.pack("<f", 100_000), key + struct.pack("<f", base))


def zeroed(data: bytes) -> bytes:
    return bytes(len(data))


def shuffled(data: bytes) -> bytes:
    """Every block of Q4_1 (20 bytes) is somewhere else: valid numbers in the wrong places."""
    blocks = np.frombuffer(data, np.uint8).reshape(-1, 20)
    return np.random.default_rng(1).permutation(blocks).tobytes()


def nan_planted(data: bytes) -> bytes:
    return data[:40] + struct.pack("<f", float("nan")) + data[44:]


def infinite_scale(data: bytes) -> bytes:
    """Of the third block of Q4_1."""
    return data[:40] + struct.pack("<e", float("inf")) + data[42:]


def shuffle_some_layers(file: Path) -> None:
    for layer in range(0, 30, 3):
        change(file, f"blk.{layer}.ffn_down.weight", shuffled)


@pytest.fixture
def reference(few_dialogues: Texts, tmp_path: Path) -> Iterator[Reference]:
    kept = gate.reference(REAL, few_dialogues, 1, tmp_path, Unwatched())
    with kept:
        yield kept


def found_wrong(copied: Path, texts: Texts, reference: Reference) -> list[str]:
    loss = gate.measure(copied.parent, texts, reference, 1, Unwatched())
    return gate.doubts(reference.loss, loss, LIMIT, [Answer("Why?", "Because it is so.")])


def test_a_sound_copy_passes(copied: Path, few_dialogues: Texts, reference: Reference) -> None:
    assert not found_wrong(copied, few_dialogues, reference)


def test_shuffled_weights_are_found(copied: Path, few_dialogues: Texts, reference: Reference) -> None:
    shuffle_some_layers(copied)
    assert any("distance from the source" in doubt for doubt in found_wrong(copied, few_dialogues, reference))


def test_a_changed_rope_is_found(copied: Path, few_dialogues: Texts, reference: Reference) -> None:
    turn(copied, 100)
    with pytest.raises(ModelCorrupt, match=r"rope\.freq_base is 100, but its source's is 100000"):
        found_wrong(copied, few_dialogues, reference)


def test_a_changed_rope_of_a_source_in_the_store_is_found_by_its_checksum(copied: Path, store: Store) -> None:
    turn(copied, 10_000)
    file = next((store.models_dir / NAME).glob("*.gguf"))
    file.unlink()
    shutil.copy(copied, file)
    with pytest.raises(ModelCorrupt, match=f"{NAME} is damaged: the content of .* is wrong"):
        making.make(Request(NAME, "q4_0", name="mine", force=True), store, Unwatched())
    assert not left_behind(store.models_dir)


@pytest.mark.usefixtures("few_dialogues")
def test_a_changed_rope_of_a_source_with_a_description_is_found(copied: Path, store: Store) -> None:
    turn(copied, 10_000)
    (copied.parent / "config.json").write_text('{"rope_parameters": {"rope_theta": 100000}}')
    request = Request(str(copied.parent), "q4_0", name="mine", force=True)
    with pytest.raises(ModelCorrupt, match=r"rope_theta is 100000 in config\.json and 10000 here"):
        making.make(request, store, Unwatched())
    assert not left_behind(store.models_dir)


def test_a_changed_rope_of_a_lone_source_is_found_only_where_it_ruins_the_model(
    copied: Path, few_dialogues: Texts, reference: Reference, store: Store, tmp_path: Path
) -> None:
    """Nothing says what it was, and on dialogues as short as these the usual 10,000 costs a tenth."""
    turn(copied, 10)
    with pytest.raises(ModelRefused, match=r"damaged or isn't for English: its perplexity is \d"):
        making.make(Request(str(copied), "q4_0", name="mine"), store, Unwatched())
    shutil.copy(next(REAL.glob("*.gguf")), copied)
    turn(copied, 10_000)
    with gate.reference(copied.parent, few_dialogues, 1, tmp_path, Unwatched()) as changed:
        assert not gate.doubts_about_source(changed.loss)
        assert 1.02 < changed.loss.perplexity / reference.loss.perplexity < 1.3


def test_a_zeroed_matrix_is_found_and_named(copied: Path, few_dialogues: Texts, reference: Reference) -> None:
    change(copied, "blk.7.attn_q.weight", zeroed)
    with pytest.raises(ModelCorrupt, match=r"blk\.7\.attn_q\.weight.*zeros"):
        found_wrong(copied, few_dialogues, reference)


def test_a_planted_nan_is_found_and_named(copied: Path, few_dialogues: Texts, reference: Reference) -> None:
    change(copied, "blk.3.ffn_norm.weight", nan_planted)
    with pytest.raises(ModelCorrupt, match=r"'blk\.3\.ffn_norm\.weight' of copied\.gguf contains NaN"):
        found_wrong(copied, few_dialogues, reference)


@pytest.mark.parametrize(
    ("damage", "tensor_name", "reason"),
    [
        (zeroed, "blk.7.attn_q.weight", "only zeros"),
        (infinite_scale, "blk.2.attn_q.weight", "contains NaN or infinity"),
    ],
)
def test_a_source_with_such_a_fault_is_not_used_even_by_force(
    copied: Path, store: Store, damage: Callable[[bytes], bytes], tensor_name: str, reason: str
) -> None:
    change(copied, tensor_name, damage)
    with pytest.raises(ModelCorrupt, match=f"{tensor_name}.*{reason}"):
        making.make(Request(str(copied), "q4_0", name="mine", force=True), store, Unwatched())
    assert not left_behind(store.models_dir)


def test_another_chat_template_is_found(copied: Path, few_dialogues: Texts, reference: Reference) -> None:
    swap(
        copied, b"You are a helpful AI assistant named SmolLM", b"You are a helpful AI assistant named Oliver"
    )
    with pytest.raises(ModelCorrupt, match="reads text differently"):
        found_wrong(copied, few_dialogues, reference)


def test_a_damaged_source_is_not_used(copied: Path, few_dialogues: Texts, store: Store) -> None:
    for layer in range(30):
        change(copied, f"blk.{layer}.ffn_down.weight", shuffled)
        change(copied, f"blk.{layer}.attn_v.weight", shuffled)
    request = Request(str(copied), "q4_0", name="mine", imatrix=False)
    with pytest.raises(ModelRefused, match=r"damaged or isn't for English: its perplexity is \d"):
        making.make(request, store, Unwatched())
    assert not (store.models_dir / "mine").exists()
    assert not left_behind(store.models_dir)


def test_a_truncated_source_is_not_used(copied: Path, few_dialogues: Texts, store: Store) -> None:
    with copied.open("r+b") as file:
        file.truncate(50_000_000)
    with pytest.raises(ModelCorrupt, match="part of it is missing"):
        making.make(Request(str(copied), "q4_0", name="mine"), store, Unwatched())
    assert not left_behind(store.models_dir)


def test_another_tokenizer_is_found(copied: Path, few_dialogues: Texts, reference: Reference) -> None:
    """Two words have changed their numbers; no dialogue that is measured on has them."""
    priest, lizard = (struct.pack("<Q", 8) + word.encode() for word in ("Ġpriest", "Ġlizard"))
    unused = struct.pack("<Q", 8) + b"........"
    for old, new in ((priest, unused), (lizard, priest), (unused, lizard)):
        swap(copied, old, new)
    with pytest.raises(ModelCorrupt, match=r"tokenizer does not match: token \d+ is b' (priest|lizard)'"):
        found_wrong(copied, few_dialogues, reference)
