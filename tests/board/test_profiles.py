"""Every board's profile is planned: its memory and its cores, on folders after what such boards report.

Memory: Raspberry Pi 4 with 4 GB: github.com/kencormack/system_info/issues/1; Raspberry Pi 5 with 8 GB:
the kernel's own line in github.com/agherzan/meta-raspberrypi/issues/1482; Jetson Nano:
github.com/goodrobots/maverick/issues/867; Orin Nano with 8 GB, `free -h` in
github.com/dusty-nv/jetson-containers/issues/342. The other machines have what their smallest model is
sold with. What is available was not published for all: 85 % of the memory, as on the Pi, is free at boot.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest

from assistant.app import memory_fit as fit
from assistant.app import model_choice
from assistant.board import core_plan, memory_plan
from assistant.runtime import paths
from assistant.settings import load as configuration
from assistant.settings.schema import Settings
from assistant.store.formats.gguf import GgufHeader, LongArray, Tensor, Value, read_header
from tests.board.machines import MACHINES, PI_4, Machine

MEMORY_KB = {
    "raspberry-pi-4": 3_845_824,
    "raspberry-pi-5": 8_159_616,
    "jetson-nano": 4_059_504,
    "jetson-orin-nano": 7_654_604,
    "apple-silicon": 7_600_000,
    "ryzen-5600g": 7_600_000,
    "intel-nuc": 7_600_000,
    "generic-x86": 3_800_000,
    "generic-arm": 3_800_000,
}
FREE = 0.85
STT_FILE, TTS_FILE = 78_000_000, 63_000_000
"""whisper-tiny.en and voice-en-us-joe."""


def qwen_05b() -> GgufHeader:
    """The header of the default model, as it is written in its file."""
    metadata: dict[str, Value] = {
        "general.architecture": "qwen2",
        "qwen2.block_count": 24,
        "qwen2.context_length": 32_768,
        "qwen2.embedding_length": 896,
        "qwen2.feed_forward_length": 4864,
        "qwen2.attention.head_count": 14,
        "qwen2.attention.head_count_kv": 2,
        "tokenizer.ggml.tokens": LongArray(151_936),
        "tokenizer.ggml.merges": LongArray(151_387),
    }
    blocks = {"Q5_0": 22 / 32, "Q8_0": 34 / 32, "Q6_K": 210 / 256, "Q4_K": 144 / 256, "F32": 4.0}
    tensors: list[Tensor] = []

    def add(name: str, kind: str, columns: int, rows: int) -> None:
        offset = tensors[-1].offset + tensors[-1].size_bytes if tensors else 5_947_776
        tensors.append(Tensor(name, (columns, rows), kind, offset, int(columns * rows * blocks[kind])))

    add("output.weight", "Q8_0", 896, 151_936)
    add("token_embd.weight", "Q5_0", 896, 151_936)
    for layer in range(24):
        # Half of the layers, at both ends and every third, keep two of their tensors finer.
        fine = layer < 3 or layer >= 21 or (layer - 3) % 3 == 2
        add(f"blk.{layer}.ffn_down.weight", "Q6_K" if fine else "Q4_K", 4864, 896)
        for name in ("ffn_gate", "ffn_up"):
            add(f"blk.{layer}.{name}.weight", "Q5_0", 896, 4864)
        for name, rows in (("attn_q", 896), ("attn_k", 128), ("attn_v", 128), ("attn_output", 896)):
            add(f"blk.{layer}.{name}.weight", "Q8_0" if name == "attn_v" else "Q5_0", 896, rows)
    return GgufHeader(3, metadata, tuple(tensors), 5_947_776)


def laid_out(machine: Machine, root: Path, memory_kb: int) -> Path:
    machine.lay_out(root)
    meminfo = f"MemTotal: {memory_kb} kB\nMemAvailable: {int(FREE * memory_kb)} kB\n"
    (root / "proc/meminfo").write_text(meminfo)
    return root


def planned(settings: Settings, root: Path) -> fit.Fit:
    with_rest = partial(memory_plan.need, stt_file=STT_FILE, tts_file=TTS_FILE)
    llm = fit.planned_gguf(settings.llm, qwen_05b(), root)
    return fit.fit(settings, llm, with_rest, memory_plan.room(root))


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.profile)
def test_what_a_profile_asks_for_fits_on_its_board(machine: Machine, tmp_path: Path) -> None:
    root = laid_out(machine, tmp_path / "root", MEMORY_KB[machine.profile])
    loaded = configuration.load(None, {"HOME": str(tmp_path)}, root)
    assert loaded.profile == machine.profile
    assert "says '" in loaded.why
    found = planned(loaded.settings, root)
    assert found.fits is True, found
    assert not found.tight
    settings = loaded.settings
    cores = core_plan.plan(
        root, most_threads=settings.most_threads, chosen=settings.cores.engines, pin=settings.cores.pin
    )
    for section in (settings.stt, settings.llm, settings.tts):
        assert section.threads <= len(cores.engines)


def test_every_profile_is_planned_here() -> None:
    assert {machine.profile for machine in MACHINES} == set(paths.shipped_files("devices")) == set(MEMORY_KB)


ITEMS = frozenset(
    ("engine", "model", "quantization", "context", "threads", "cores", "providers", "KV type", "wake", "VAD")
)


@pytest.mark.parametrize("name", sorted(MEMORY_KB))
def test_a_profile_says_why_it_has_what_it_has(name: str) -> None:
    text = paths.shipped_files("devices")[name].read_text(encoding="utf-8")
    head = text[: re.search(r"^[^#]", text, re.MULTILINE).start()]  # type: ignore[union-attr]
    reasons = dict(re.findall(r"^# (\w[\w ]*?)  +(\S.+)$", head, re.MULTILINE))
    assert reasons.keys() == ITEMS
    assert all(len(reason) > 15 for item, reason in reasons.items() if "see below" not in reason)


def test_what_was_never_measured_on_a_mac_is_not_taken_by_itself(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "ASSISTANT__DEVICE": "apple-silicon"}
    settings = configuration.load(None, environment).settings
    assert settings.tts.providers == settings.llm.providers == ("cpu",)


@pytest.mark.parametrize(("memory_kb", "fits"), [(1_900_000, True), (910_000, False)])
def test_a_pi_of_2_gb_has_room_and_one_of_1_gb_has_not(memory_kb: int, fits: bool, tmp_path: Path) -> None:
    root = laid_out(PI_4, tmp_path / "root", memory_kb)
    settings = configuration.load(None, {"HOME": str(tmp_path)}, root).settings
    found = planned(settings, root)
    assert found.fits is fits
    if not fits:
        assert "smaller" in fit.too_big(found, settings).next_step


@pytest.mark.models
def test_the_written_header_is_the_real_one() -> None:
    settings = Settings()
    fit.plan(settings)
    folder = paths.models(settings.store.models) / model_choice.choice(settings).model
    header = read_header(next(iter(folder.glob("*.gguf"))))
    assert qwen_05b().tensor_bytes == pytest.approx(header.tensor_bytes, rel=0.01)
