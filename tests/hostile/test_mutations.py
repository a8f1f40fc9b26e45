"""Mutated inputs for parsers, protocols and databases of ours: an answer or an error of ours, in little time.

Each test makes as many inputs as its share of ``ASSISTANT_TEST_FUZZ_S`` allows (6 s for all of them together
without it), from a seed that is in the test's name; what fails names the seed and the number of the input.
"""

from __future__ import annotations

import io
import json
import os
import random
import sqlite3
import struct
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from assistant.core.errors import AssistantError
from assistant.skills import TimerBook
from assistant.skills.timer_book import Clocks
from assistant.store import indexes
from assistant.store.catalog import Member
from assistant.store.formats import ctranslate2, gguf, onnx
from assistant.store.progress import Meter, Unwatched
from assistant.store.web import SourceFailed
from assistant.store.wheels import unpack
from assistant.text import pattern, template
from assistant.text.en.durations import duration
from assistant.text.en.moments import moment
from assistant.text.en.numbers import number
from assistant.text.en.words import words
from tests.gguf_writer import gguf as made_gguf

SEEDS = (1, 2)
TESTS = 8
BUDGET_S = float(os.environ.get("ASSISTANT_TEST_FUZZ_S", "6")) / TESTS / len(SEEDS)
LONGEST_S = 1.0
"""Of processor time, for one input, on any machine that runs these tests."""

counts: dict[str, int] = {}


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The content with a few bytes changed, moved, repeated, cut off or made huge."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(data):
                data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                data[at : at + 8] = struct.pack(
                    "<Q", rng.choice((0, 2**31, 2**32 - 1, 2**63, 2**64 - 1, 10**6))
                )
            case 3:
                data = data[:at]
            case 4:
                data[at:at] = data[at : at + rng.randrange(1, 64)] * rng.choice((1, 2, 100))
            case _:
                del data[at : at + rng.randrange(1, 16)]
        data = data or bytearray(b"\0")
    return bytes(data)


def fuzz(name: str, seed: int, attempt: Callable[[random.Random], object]) -> None:
    """Call ``attempt`` until the time is over; it may raise errors of ours only."""
    rng = random.Random(f"{name} {seed}")  # noqa: S311 - the same numbers every time
    until_s, done = time.monotonic() + BUDGET_S, 0
    while time.monotonic() < until_s or done < 20:
        began_s = time.process_time()
        try:
            attempt(rng)
        except (AssistantError, SourceFailed, template.TemplateError):
            pass
        except BaseException as error:
            raise AssertionError(f"{name}, seed {seed}, input {done}: {type(error).__name__}") from error
        assert time.process_time() - began_s < LONGEST_S, f"{name}, seed {seed}, input {done}"
        done += 1
    counts[f"{name} {seed}"] = done
    if report := os.environ.get("ASSISTANT_TEST_FUZZ_REPORT"):
        Path(report).write_text(json.dumps(counts, indent=1))


@pytest.mark.parametrize("seed", SEEDS)
def test_gguf_headers(seed: int) -> None:
    whole = made_gguf(
        {"general.architecture": "llama", "llama.block_count": 2, "tokenizer.ggml.tokens": ["a", "b"] * 30},
        {"a.weight": (32, 2), "b.weight": (32,)},
    )

    def attempt(rng: random.Random) -> None:
        data = mutated(whole, rng)
        gguf.read_header_from(io.BytesIO(data), len(data), "x", keep_long=rng.random() < 0.5)

    fuzz("gguf", seed, attempt)


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


@pytest.mark.parametrize("seed", SEEDS)
def test_onnx_headers(seed: int) -> None:
    weight = field(5, field(1, b"\x02\x03") + b"\x10\x01" + field(8, b"w") + field(9, bytes(24)))
    node = field(
        1, field(1, b"x") + field(1, b"w") + field(4, b"MatMul") + field(5, field(1, b"n") + b"\x18\x01")
    )
    port = field(11, field(1, b"x") + field(2, field(1, b"\x08\x01" + field(2, field(1, b"\x08\x02")))))
    whole = b"\x08\x08" + field(7, weight * 4 + node * 4 + port)

    def attempt(rng: random.Random) -> None:
        data = mutated(whole, rng)
        onnx.read_header_from(io.BytesIO(data), len(data), "x")

    fuzz("onnx", seed, attempt)


@pytest.mark.parametrize("seed", SEEDS)
def test_ctranslate2_headers(seed: int) -> None:
    array = struct.pack("<H", 2) + b"w\0" + struct.pack("<BIIBI", 2, 2, 2, 0, 16) + bytes(16)
    whole = struct.pack("<IH", 6, 12) + b"WhisperSpec\0" + struct.pack("<II", 3, 8) + array * 8

    def attempt(rng: random.Random) -> None:
        data = mutated(whole, rng)
        ctranslate2.numbers_in(io.BytesIO(data), len(data), "x")

    fuzz("ctranslate2", seed, attempt)


@pytest.mark.parametrize("seed", SEEDS)
def test_pages_of_an_index(seed: int) -> None:
    whole = b"<html><a href='x.whl#sha256=0'>x</a><a href=\"y\" data-requires-python='>=3'>y</a>" * 9

    def attempt(rng: random.Random) -> None:
        page = mutated(whole, rng) * rng.choice((1, 1, 1, 100))
        indexes._links(page.decode("utf-8", "replace"), "http://here/simple/")

    fuzz("index", seed, attempt)


@pytest.mark.parametrize("seed", SEEDS)
def test_wheels(seed: int, tmp_path: Path) -> None:
    import zipfile  # noqa: PLC0415

    archive = tmp_path / "a.whl"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("a/model.bin", bytes(range(256)) * 8)
        wheel.writestr("b", b"b" * 100)
    whole = archive.read_bytes()
    member = Member(file="model.bin", path="a/model.bin", bytes=2048)

    def attempt(rng: random.Random) -> None:
        archive.write_bytes(mutated(whole, rng))
        unpack(archive, [(member, 0)], tmp_path, Meter("x", 2048, Unwatched()))

    fuzz("wheel", seed, attempt)


@pytest.mark.parametrize("seed", SEEDS)
def test_databases_of_timers(seed: int, tmp_path: Path) -> None:
    """Nothing raw is raised, and a timer that is gone is said to be gone."""
    path = tmp_path / "timers.db"
    clocks = Clocks(utc_s=lambda: 1e9, boot_s=lambda: 1e3, boot_id="this")
    book = TimerBook(path, clocks)
    for minutes in range(1, 6):
        book.count_down("timer", timedelta(minutes=minutes), f"n{minutes}")
    book.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    whole = path.read_bytes()
    lost_silently = 0

    def attempt(rng: random.Random) -> None:
        nonlocal lost_silently
        for file in tmp_path.glob("timers.db*"):
            file.unlink()
        path.write_bytes(mutated(whole, rng))
        book = TimerBook(path, clocks)
        try:
            before = len(book.all())
            book.due()
            book.count_down("timer", timedelta(minutes=9), "new")
            assert len(book.all()) == before + 1
            lost_silently += before < 5 and not book.damage()
        finally:
            book.close()

    fuzz("timers", seed, attempt)
    assert not lost_silently


@pytest.mark.parametrize("seed", SEEDS)
def test_what_people_say(seed: int) -> None:
    known = (
        *("set", "a", "timer", "for", "ten", "minutes", "and", "half", "an", "hour", "two", "point", "five"),
        *("million", "third", "of", "next", "monday", "at", "noon", "7", "am", "in", "days", "weeks", "past"),
        *("quarter", "to", "1e9", "9" * 20, "½", "minus", "zero", "hundred", "thousand"),
    )

    def attempt(rng: random.Random) -> None:
        said = words(" ".join(rng.choice(known) for _ in range(rng.randrange(1, 40))))
        keys = [word.key for word in said]
        for read in (duration, number, moment):
            for start in range(0, len(keys), 5):
                read(keys[start : start + 8])

    fuzz("said", seed, attempt)


@pytest.mark.parametrize("seed", SEEDS)
def test_templates_of_sentences(seed: int) -> None:
    pieces = ("a", "b", "[", "]", "(", ")", "|", "...", "{note}", "<r>", " ", "[a]", "(a|b)", "{", ">")
    slots: dict[str, pattern.Read] = {"note": lambda said: " ".join(word.said for word in said) or None}
    said = pattern.Said(words("a b a a b a b b a a b a b a b a a a"))

    def attempt(rng: random.Random) -> None:
        text = " ".join(rng.choice(pieces) for _ in range(rng.randrange(1, 60)))
        rules = {"r": template.parse("[a] (b | a b)", slots={}, rules={}, sounds_like={})}
        node = template.parse(text, slots=slots, rules=rules, sounds_like={})
        node.first(), node.fills()
        pattern.Automaton(node).match(said)

    fuzz("sentences", seed, attempt)
