"""The decoder's memory: with a network that writes in place, and with one that gives out a longer one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.core.errors import EngineFailed, ModelCorrupt
from assistant.engines.llm.onnx.context import OnnxContext
from assistant.engines.llm.onnx.decoder import OnnxDecoder, run_options
from assistant.engines.llm.sampling import Sampler
from assistant.engines.onnx_providers import Place
from assistant.runtime.cancel import Cancel
from assistant.settings.engines import LlmSettings

pytest.importorskip("onnx", reason="the package that writes ONNX is not installed")

from tests.engines.onnx_toys import appending, in_place

TOKENS = [5, 1, 7, 7, 2, 9, 0, 3]
CPU = [Place("cpu")]


@pytest.fixture(params=["in place", "appending"])
def decoder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OnnxDecoder]:
    file = (in_place if request.param == "in place" else appending)(tmp_path)
    made = OnnxDecoder(file, CPU, threads=1, context_tokens=32)
    assert made._in_place == (request.param == "in place")
    yield made
    made.close()
    made.close()


def after(decoder: OnnxDecoder, tokens: list[int], start: int = 0) -> np.ndarray[Any, Any]:
    """The scores after the last of ``tokens``."""
    scores: np.ndarray[Any, Any] = decoder.evaluate(tokens, start, 1, run_options())[0].copy()
    return scores


def test_parts_are_like_the_whole(decoder: OnnxDecoder) -> None:
    whole = after(decoder, TOKENS)
    after(decoder, TOKENS[:3])
    after(decoder, TOKENS[3:4], 3)
    assert after(decoder, TOKENS[4:], 4) == pytest.approx(whole, abs=1e-5)
    assert after(decoder, [*TOKENS[:-1], 4]) != pytest.approx(whole, abs=1e-3)


def test_going_back_forgets_what_came_after(decoder: OnnxDecoder) -> None:
    fresh = after(decoder, [*TOKENS[:4], 8, 8])
    after(decoder, TOKENS)
    assert after(decoder, [8, 8], 4) == pytest.approx(fresh, abs=1e-5)


def test_the_memory_survives_as_bytes(decoder: OnnxDecoder) -> None:
    after(decoder, TOKENS)
    expected = after(decoder, [4], len(TOKENS))
    decoder.go_back(len(TOKENS))
    state = decoder.state()
    decoder.forget()
    after(decoder, [1, 1, 1])
    assert decoder.restore(state, len(TOKENS))
    assert after(decoder, [4], len(TOKENS)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("length", [0, 3, 33])
def test_bytes_of_another_length_are_no_memory(decoder: OnnxDecoder, length: int) -> None:
    after(decoder, TOKENS)
    assert not decoder.restore(decoder.state()[:-4], length)


def test_a_context_reads_only_what_is_new(decoder: OnnxDecoder) -> None:
    context = OnnxContext(decoder, Sampler(LlmSettings(temperature=0)))
    assert context.read(TOKENS) == 0
    first = context.choose()
    assert context.read([*TOKENS, 3, 1]) == len(TOKENS)
    assert context.read(TOKENS) == len(TOKENS) - 1
    assert context.choose() == first
    assert context.held == TOKENS


def test_another_room_is_empty_and_answers_are_the_same(decoder: OnnxDecoder) -> None:
    context = OnnxContext(decoder, Sampler(LlmSettings(temperature=0)))
    context.read(TOKENS)
    expected = context.scores().copy()
    for wanted, room in ((16, 16), (None, 32), (64, 32)):
        context.limit(wanted)
        assert context.context_tokens == decoder.context_tokens == room
        if decoder._in_place:
            assert all(value.shape()[2] == room for value in decoder._memory.values())
        assert context.read(TOKENS) == (0 if wanted != 64 else len(TOKENS) - 1)
        assert context.scores() == pytest.approx(expected, abs=1e-5)


def test_where_there_is_no_memory_for_more_it_goes_on_with_what_it_has(
    decoder: OnnxDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = OnnxContext(decoder, Sampler(LlmSettings(temperature=0)))
    context.limit(16)
    resize = decoder.resize

    def short_of_memory(tokens: int) -> None:
        if tokens > 16:
            raise MemoryError
        resize(tokens)

    monkeypatch.setattr(decoder, "resize", short_of_memory)
    with pytest.raises(EngineFailed):
        context.limit(None)
    assert context.context_tokens == 16
    assert context.read(TOKENS) == 0
    assert np.isfinite(context.scores()).all()


def test_an_interruption_leaves_what_was_read(decoder: OnnxDecoder) -> None:
    context = OnnxContext(decoder, Sampler(LlmSettings(temperature=0)))
    context.read(TOKENS)
    first = context.choose()
    cancel = Cancel()
    with context.interruptible(cancel):
        context.append([1, 2])
        cancel.set()
        context.append([3, 4])
    assert context.held == [*TOKENS, 1, 2]
    assert context.read(TOKENS) == len(TOKENS) - 1
    assert context.choose() == first


def test_a_run_that_is_ended_in_the_middle_changes_nothing(decoder: OnnxDecoder) -> None:
    whole = after(decoder, TOKENS)
    after(decoder, TOKENS[:4])
    ended = run_options()
    ended.terminate = True
    with pytest.raises(Exception, match="terminate"):
        decoder.evaluate(TOKENS[4:], 4, 1, ended)
    assert after(decoder, TOKENS[4:], 4) == pytest.approx(whole, abs=1e-5)


def test_a_failure_is_told_and_the_next_prompt_works(decoder: OnnxDecoder) -> None:
    context = OnnxContext(decoder, Sampler(LlmSettings(temperature=0)))
    with pytest.raises(EngineFailed, match="The language model failed"):
        context.read([1, 2, 1_000_000])
    assert context.read(TOKENS) == 0
    assert context.choose() < 10


def test_what_is_no_decoder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x08\x0a no network")
    with pytest.raises(ModelCorrupt, match=r"model\.onnx cannot be loaded"):
        OnnxDecoder(tmp_path / "model.onnx", CPU, threads=1, context_tokens=32)
    file = appending(tmp_path, past="memory")
    with pytest.raises(ModelCorrupt, match=r"model\.onnx is not a decoder"):
        OnnxDecoder(file, CPU, threads=1, context_tokens=32)
