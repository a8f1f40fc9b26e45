"""New settings for a running appliance, in virtual time: what is taken over, when, and what is left."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from assistant.app import build
from assistant.app import engines as loading
from assistant.app.reload import SavedFiles, changes
from assistant.app.supervisor import Supervisor, Watch
from assistant.board import memory_plan
from assistant.board.memory_plan import Room
from assistant.core.errors import ModelMissing, OrderRefused, SettingsError
from assistant.core.state import State
from assistant.runtime import clock
from assistant.settings.schema import Settings
from tests.owner import QUESTION, Owner, Stories, ask, owned_house


@pytest.fixture
def owned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stories:
    return owned_house(monkeypatch, tmp_path)


def closings(**engines: Any) -> list[str]:
    """The names of these engines, as they are closed."""
    closed: list[str] = []
    for name, engine in engines.items():
        engine.close = partial(closed.append, name)
    return closed


def test_thresholds_and_volume_hold_from_the_next_turn_on_and_no_engine_is_touched(owned: Stories) -> None:
    async def story(owner: Owner) -> None:
        before = owner.house.voice_loop.pipeline
        changed = await owner.reload(
            "endpoint: {unclear_ms: 900}\naudio: {volume: 0.5}\nstt: {guard: {max_uncertainty: 2}}"
        )
        assert changed == ["audio.volume", "endpoint.unclear_ms", "stt.guard.max_uncertainty"]
        pipeline = owner.house.voice_loop.pipeline
        assert owner.made == []
        assert (pipeline.stt, pipeline.llm, pipeline.tts) == (before.stt, before.llm, before.tts)
        assert pipeline.llm.engine is before.llm.engine
        assert pipeline.conversation is before.conversation
        assert owner.house.speaker.volume == 0.5
        assert owner.house.voice_loop._listener.endpointer.required_silence_ms == 900
        assert await ask(owner.house) == "It is Paris. A lovely town."

    owned(story)


def test_a_changed_model_takes_over_and_the_others_stay(owned: Stories) -> None:
    async def story(owner: Owner) -> None:
        pipeline = owner.house.voice_loop.pipeline
        stt, llm, tts = pipeline.stt.engine, pipeline.llm.engine, pipeline.tts.engine
        closed = closings(stt=stt, llm=llm, tts=tts)
        assert await owner.reload("llm: {model: smollm2-135m-instruct-q4_1}") == ["llm.model"]
        pipeline = owner.house.voice_loop.pipeline
        assert pipeline.stt.engine is stt
        assert pipeline.tts.engine is tts
        assert owner.made == [pipeline.llm.engine]
        assert closed == ["llm"]
        assert await ask(owner.house) == "The other model says so."

    owned(story)


def test_a_changed_model_is_trusted_by_its_own_size(owned: Stories, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(owner: Owner) -> None:
        judged: list[Any] = []
        honesty = build.honesty

        def judging(settings: Settings, llm: Any) -> Any:
            judged.append(llm)
            return honesty(settings, llm)

        monkeypatch.setattr(build, "honesty", judging)
        before = owner.house.voice_loop.pipeline.llm.engine
        await owner.reload("llm: {model: smollm2-135m-instruct-q4_1}")
        await owner.reload("llm: {model: smollm2-135m-instruct-q4_1}\nendpoint: {unclear_ms: 900}")
        assert judged == [owner.made[0], owner.made[0]]
        assert before not in judged

    owned(story)


def test_in_the_middle_of_an_answer_the_old_model_finishes_it(owned: Stories) -> None:
    async def story(owner: Owner) -> None:
        house = owner.house
        house.wake_up()
        await house.until(State.LISTENING)
        house.say(QUESTION)
        await house.until(State.SPEAKING)
        old = house.voice_loop.pipeline.llm.engine
        reloading = asyncio.ensure_future(owner.reload("llm: {seed: 3}\ntts: {speed: 1.2}"))
        await asyncio.sleep(0.2)
        assert house.voice_loop.pipeline.llm.engine is old
        await reloading
        assert house.reports[-1].heard == "It is Paris. A lovely town."
        assert await ask(house) == "The other model says so."

    owned(story)


@pytest.mark.parametrize(
    "text",
    ["llm: {modell: x}", "llm: [", "endpoint: {pause_ms: 5000}", "llm: {prompt: nobody}"],
    ids=["unknown key", "no YAML", "impossible", "no such prompt"],
)
def test_a_bad_file_changes_nothing_and_says_why(
    owned: Stories, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(owner: Owner) -> None:
        pipeline = owner.house.voice_loop.pipeline
        with pytest.raises(SettingsError) as caught:
            await owner.reload(text)
        assert "assistant.yaml:1" in caught.value.problem
        assert owner.house.voice_loop.pipeline is pipeline
        assert await ask(owner.house) == "It is Paris. A lovely town."

    owned(story)
    assert "reload=refused" in caplog.text


def test_a_model_that_cannot_be_loaded_changes_nothing_and_frees_what_was_loaded_before_it(
    owned: Stories, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(owner: Owner) -> None:
        closed: list[str] = []

        def missing(_: Settings) -> None:
            owner.made[0].close = lambda: closed.append("new llm")
            raise ModelMissing("The model is not on this disk.", "Fetch it.")

        monkeypatch.setattr(loading, "load_tts", missing)
        pipeline = owner.house.voice_loop.pipeline
        with pytest.raises(ModelMissing):
            await owner.reload("llm: {seed: 3}\ntts: {speed: 1.2}\naudio: {volume: 0.1}")
        assert closed == ["new llm"]
        assert owner.house.voice_loop.pipeline is pipeline
        assert owner.house.speaker.volume == 1.0
        assert await ask(owner.house) == "It is Paris. A lovely town."

    owned(story)


def test_a_model_for_which_the_memory_is_too_small_is_refused(
    owned: Stories, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(owner: Owner) -> None:
        limited = Room(10_000_000, 10_000_000, memory_plan.OF_GROUP)
        monkeypatch.setattr(memory_plan, "room", lambda: limited)
        with pytest.raises(OrderRefused, match="10 MB is left within this control group") as caught:
            await owner.reload("llm: {seed: 3}")
        assert "install --limits" in caught.value.next_step
        assert owner.made == []

    owned(story)


def test_another_prompt_begins_a_new_conversation_with_the_same_model(owned: Stories, tmp_path: Path) -> None:
    async def story(owner: Owner) -> None:
        prompt = tmp_path / "butler.txt"
        prompt.write_text("You are a butler.")
        llm = owner.house.voice_loop.pipeline.llm.engine
        assert await owner.reload(f"llm: {{prompt: {prompt}}}") == ["llm.prompt"]
        pipeline = owner.house.voice_loop.pipeline
        assert pipeline.llm.engine is llm
        assert pipeline.conversation.messages_for("x")[0].content == "You are a butler."
        prompt.write_text("You are a pirate.")
        assert await owner.reload(owner.file.read_text()) == ["llm.prompt"]
        assert (
            owner.house.voice_loop.pipeline.conversation.messages_for("x")[0].content == "You are a pirate."
        )

    owned(story)


def test_another_wake_word_is_the_one_that_wakes(owned: Stories) -> None:
    async def story(owner: Owner) -> None:
        await owner.reload("wake: {words: [alexa]}")
        house = owner.house
        assert house.voice_loop.pipeline.wake_phrases == ["alexa"]
        house.wake_up()
        await house.until(State.LISTENING)

    owned(story)


def test_what_needs_a_restart_is_said(owned: Stories) -> None:
    async def story(owner: Owner) -> None:
        owner.write("audio: {input: USB, volume: 0.9}")
        told = await owner.reloader.reload(owner.house.voice_loop, owner.house.context)
        assert told == {"changed": ["audio.input", "audio.volume"], "after_restart": ["audio.input"]}

    owned(story)


@pytest.mark.parametrize("at_s", [0.0, 0.4, 0.7, 1.1, 1.9])
@pytest.mark.parametrize("hearing", ["vad: {engine: silero}", "vad: {threshold: 0.4}"])
def test_an_exchange_that_takes_long_while_somebody_speaks_is_adopted_after_the_turn(
    owned: Stories, hearing: str, at_s: float
) -> None:
    async def story(owner: Owner) -> None:
        house, loop = owner.house, asyncio.get_running_loop()
        voice_loop = house.voice_loop
        before, hears_by = voice_loop.pipeline, voice_loop._listener._vad
        before.llm.engine.close = lambda: clock.occupy(loop, 0.8)  # type: ignore[method-assign]
        adopted: list[tuple[State, bool, float]] = []

        async def watch() -> None:
            while voice_loop.pipeline is before:
                assert voice_loop._listener._vad is hears_by, "all of it is adopted at once"
                await asyncio.sleep(0.005)
            endpointer = voice_loop._listener.endpointer
            adopted.append((voice_loop.state, endpointer.has_utterance, voice_loop._listener.quiet_s))

        async def talk() -> None:
            await asyncio.sleep(0.3)
            house.wake_up()
            await house.until(State.LISTENING)
            await asyncio.sleep(0.4)
            house.say(QUESTION)
            await house.until(State.SPEAKING)

        watching, talking = asyncio.ensure_future(watch()), asyncio.ensure_future(talk())
        await asyncio.sleep(at_s)
        changed = await owner.reload(f"{hearing}\nllm: {{seed: 3}}")
        await asyncio.gather(watching, talking)
        [(state, speaks, quiet_s)] = adopted
        assert (state, speaks) == (State.SLEEPING, False)
        assert "vad.engine" not in changed or quiet_s > 0.2
        assert (voice_loop._listener._vad is hears_by) is ("vad.engine" not in changed)
        await house.voice_loop.idle(2)
        assert [report.transcript for report in house.reports] == [QUESTION]
        assert await ask(house) == "The other model says so."

    owned(story)


def test_what_is_no_longer_wanted_is_not_adopted(owned: Stories) -> None:
    async def story(owner: Owner) -> None:
        house = owner.house
        before = house.voice_loop.pipeline
        llm = before.llm.engine
        house.wake_up()
        await house.until(State.LISTENING)
        reloading = asyncio.ensure_future(owner.reload("llm: {seed: 3}"))
        await asyncio.sleep(0.2)
        closed = closings(new=owner.made[0])
        reloading.cancel()
        await asyncio.gather(reloading, return_exceptions=True)
        await house.until(State.SLEEPING)
        await asyncio.sleep(5)
        assert closed == ["new"]
        assert house.voice_loop.pipeline is before
        assert before.llm.engine is llm

    owned(story)


def test_a_saved_file_is_taken_over_by_itself_and_a_bad_one_is_survived(owned: Stories) -> None:
    async def story(owner: Owner) -> None:
        watching = asyncio.ensure_future(Supervisor({"settings": Watch(2.0, owner.look)}).watch())
        try:
            owner.write("audio: {volume: 0.7}")
            await asyncio.sleep(8)
            assert owner.house.speaker.volume == 0.7
            owner.write("audio: {volume: loud and clear}")
            await asyncio.sleep(8)
            assert owner.house.speaker.volume == 0.7
            owner.write("audio: {volume: 0.25}")
            await asyncio.sleep(8)
            assert owner.house.speaker.volume == 0.25
        finally:
            watching.cancel()

    owned(story)


def test_muted_it_is_taken_over_too(owned: Stories) -> None:
    async def story(owner: Owner) -> None:
        from assistant.core import events as e  # noqa: PLC0415

        owner.house.voice_loop.post(e.Muted())
        await owner.house.until(State.MUTED)
        assert await owner.reload("llm: {seed: 3}\nvad: {aggressiveness: 3}") == [
            "llm.seed",
            "vad.aggressiveness",
        ]
        assert owner.house.voice_loop.state is State.MUTED
        assert not owner.house.microphone.is_open

    owned(story)


def test_two_reloads_at_once_come_one_after_the_other(owned: Stories) -> None:
    async def story(owner: Owner) -> None:
        owner.write("llm: {seed: 3}")
        both = [owner.reloader.reload(owner.house.voice_loop, owner.house.context) for _ in range(2)]
        told = await asyncio.gather(*both)
        assert [one["changed"] for one in told] == [["llm.seed"], []]
        assert len(owner.made) == 1

    owned(story)


def test_changes_are_named_by_their_keys() -> None:
    before = Settings()
    after = Settings.model_validate({"llm": {"seed": 1}, "wake": {"words": ["alexa"]}})
    assert changes(before, after) == {"llm.seed", "wake.words"}
    assert changes(before, Settings()) == set()


def test_a_file_counts_as_saved_when_its_writer_has_finished(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    files = SavedFiles([file])
    assert not files.saved()
    file.write_text("a")
    assert not files.saved()
    file.write_text("ab")
    assert not files.saved()
    assert files.saved()
    assert not files.saved()
    file.unlink()
    assert [files.saved() for _ in range(3)] == [False, True, False]
