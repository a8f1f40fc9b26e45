"""What every registered engine promises, those of other installed packages too.

Nothing needs a model here; what engines do with one is in the tests of each kind (``test_vad``,
``test_llm_contract``).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from assistant import engines
from assistant.core.errors import EngineUnavailable
from assistant.engines import scripted
from assistant.engines.specs import SPECS
from assistant.runtime.engine_spec import EngineSpec, spec, specs
from assistant.runtime.extensions import found, imported
from assistant.settings.keys import keys
from assistant.settings.section import Section
from tests.extensions import declared_as

ALL = [*SPECS, *found("engines", EngineSpec).values()]

KINDS: Mapping[str, type] = {
    "wake": engines.WakeWord,
    "vad": engines.Vad,
    "stt": engines.Stt,
    "turn": engines.Stt,
    "llm": engines.Llm,
    "tts": engines.Tts,
}
GIVEN = {"wake": {"settings"}, "vad": {"settings"}, "turn": {"stt", "model", "threads"}}
"""What a kind's ``create`` is given, where it isn't settings, model and threads."""

every = pytest.mark.parametrize("engine", ALL, ids=lambda each: f"{each.kind}-{each.name}")


def create_of(path: str) -> Callable[..., Any]:
    """The function; the test is skipped where the engine's package is not installed."""
    try:
        function: Callable[..., Any] = imported(path)
    except ImportError as error:
        pytest.skip(f"{error.name} is not installed")
    return function


@every
def test_it_is_found_by_kind_and_name(engine: EngineSpec) -> None:
    assert spec(engine.kind, engine.name) is engine
    assert engine.kind in KINDS


@every
def test_what_creates_it_takes_what_it_is_given(engine: EngineSpec) -> None:
    given = set(GIVEN.get(engine.kind, {"settings", "model", "threads"}))
    own = {"own"} if engine.settings else set()
    for path, also in ((engine.create, own), (engine.create_batch, own | {"at_once"})):
        if path and not engine.is_scripted:
            signature = inspect.signature(create_of(path))
            signature.bind(**dict.fromkeys(given | also))


@every
def test_what_it_names_exists(engine: EngineSpec) -> None:
    for name in engine.offers:
        assert KINDS[engine.kind] in getattr(engines, name).__mro__, "offers more of its own kind"
    for path in (engine.recognises, engine.memory):
        assert not path or callable(imported(path))
    if engine.create_batch:
        assert engine.kind == "llm"


@pytest.mark.parametrize("engine", [each for each in ALL if each.settings], ids=lambda each: each.name)
def test_its_own_keys_have_defaults_and_explain_themselves(engine: EngineSpec) -> None:
    assert engine.settings is not None
    assert issubclass(engine.settings, Section)
    engine.settings()
    section = [key for key in keys().values() if key.path[:2] == (engine.kind, engine.name)]
    assert section
    assert all(key.about for key in section)


@pytest.mark.parametrize("engine", [each for each in ALL if each.kind != "turn"], ids=lambda each: each.name)
def test_the_settings_offer_it(engine: EngineSpec) -> None:
    """A turn model's engine is chosen by the model."""
    assert (engine.name in keys()[engine.kind, "engine"].choices) is not engine.is_scripted


@pytest.mark.parametrize("kind", ["stt", "llm", "tts", "vad", "wake"])
def test_a_scripted_engine_is_what_its_kind_asks_for_and_offers_what_it_says(kind: str) -> None:
    async def made() -> Any:
        loop = asyncio.get_running_loop()
        given: dict[str, dict[str, Any]] = {
            "stt": {"loop": loop, "words": {1000: "hello"}},
            "llm": {"loop": loop, "reply": lambda _: "Yes."},
            "tts": {"loop": loop},
            "wake": {"words": {500: "alexa"}},
        }
        return engines.load(kind, "scripted", **given.get(kind, {}))

    engine = asyncio.run(made())
    assert type(engine).__module__ == scripted.__name__
    for name in ("CallingLlm", "FrugalLlm", "KeepingTts", "AdaptableLlm"):
        kept = isinstance(engine, getattr(engines, name))
        assert kept is (name in spec(kind, "scripted").offers), name


def test_an_engine_that_is_nowhere_is_said_in_one_sentence() -> None:
    with pytest.raises(EngineUnavailable, match="no stt engine named 'nonesuch'") as caught:
        spec("stt", "nonesuch")
    assert "faster_whisper" in caught.value.next_step


THEIRS = EngineSpec("vad", "webrtc", create="elsewhere:create")
MORE = EngineSpec("vad", "theirs", create=f"{__name__}:THEIRS")


def test_another_package_adds_an_engine_and_replaces_none(monkeypatch: pytest.MonkeyPatch) -> None:
    declared_as(monkeypatch, "engines", webrtc=f"{__name__}:THEIRS", theirs=f"{__name__}:MORE")
    assert list(specs("vad")) == ["webrtc", "silero", "scripted", "theirs"]
    assert spec("vad", "webrtc") is not THEIRS


def test_an_engine_whose_package_is_missing_is_named_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    declared_as(monkeypatch, "engines", webrtc=f"{__name__}:THEIRS", theirs=f"{__name__}:GONE")
    with pytest.raises(EngineUnavailable, match="needs the Python package 'not_installed_anywhere'"):
        engines.load("vad", "gone", settings=None)


GONE = EngineSpec("vad", "gone", create="not_installed_anywhere:create")


def test_a_model_that_only_another_packages_engine_knows_is_taken_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from assistant.store.kinds import recognise  # noqa: PLC0415

    file = tmp_path / "ears.bin"
    file.write_bytes(b"ears")
    declared_as(monkeypatch, "engines", ears=f"{__name__}:EARS")
    recognise("stt", {"ears.bin": file})


EARS = EngineSpec("stt", "ears", create="nowhere:create", recognises=f"{__name__}:no_ears")


def no_ears(files: Mapping[str, Path]) -> str:
    return "" if "ears.bin" in files else "ears.bin missing"
