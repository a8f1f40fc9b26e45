"""Settings in layers: what counts, and where it came from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assistant.core.errors import SettingsError
from assistant.engines.specs import SPECS
from assistant.runtime import paths
from assistant.settings import load as configuration
from assistant.settings.keys import keys
from assistant.settings.mistakes import at
from assistant.settings.schema import Settings
from tests.board.machines import MACHINES, Machine
from tests.installation import install, load


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return install(tmp_path, monkeypatch)


def test_without_any_file_the_defaults_hold(home: Path) -> None:
    loaded = configuration.load(None, {"HOME": str(home)}, home / "root")
    assert loaded.settings == Settings()
    assert (loaded.file, dict(loaded.origins)) == (None, {})
    assert loaded.profile == "generic-x86"
    assert "Xeon" in loaded.why


def test_the_persons_file_is_found_where_xdg_says(home: Path) -> None:
    file = home / ".config" / "assistant" / "assistant.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("vad:\n  engine: silero\n")
    loaded = configuration.load(None, {"HOME": str(home)}, home / "root")
    assert loaded.file == file
    assert loaded.settings.vad.engine == "silero"


def test_each_layer_overrides_the_one_below_and_leaves_the_rest(home: Path) -> None:
    text = "device: smaller\nllm:\n  temperature: 0.1\n  top_k: 10\n"
    loaded = load(home, text, {"ASSISTANT__LLM__TOP_K": "20", "OTHER__LLM__TOP_K": "30"})
    llm = loaded.settings.llm
    assert (llm.context_tokens, llm.history_tokens, llm.temperature, llm.top_k) == (1024, 256, 0.1, 20)
    assert llm.max_tokens == Settings().llm.max_tokens
    named = {".".join(map(str, path)): str(origin) for path, origin in loaded.origins.items()}
    assert {key: Path(origin).name for key, origin in named.items() if key.count(".")} == {
        "llm.context_tokens": "small.yaml:2",
        "llm.history_tokens": "smaller.yaml:3",
        "llm.temperature": "assistant.yaml:3",
        "llm.top_k": "ASSISTANT__LLM__TOP_K",
    }
    assert loaded.profile == "smaller"
    assert loaded.why.endswith("assistant.yaml:1")


def test_the_environment_may_choose_the_profile(home: Path) -> None:
    loaded = load(home, "device: generic-x86", {"ASSISTANT__DEVICE": "small"})
    assert loaded.settings.llm.context_tokens == 1024
    assert loaded.why == "set by ASSISTANT__DEVICE"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.tuples(*[st.none() | st.integers(0, 3)] * 3))
def test_the_highest_layer_that_speaks_counts(home: Path, layers: tuple[int | None, ...]) -> None:
    profile, person, environment = layers
    board = home / "config" / "devices" / "generic-x86.yaml"
    board.write_text("{}" if profile is None else f"vad: {{aggressiveness: {profile}}}")
    text = "" if person is None else f"vad:\n  aggressiveness: {person}\n"
    environ = {} if environment is None else {"ASSISTANT__VAD__AGGRESSIVENESS": str(environment)}
    spoken = [value for value in layers if value is not None]
    expected = spoken[-1] if spoken else Settings().vad.aggressiveness
    assert load(home, text, environ).settings.vad.aggressiveness == expected


@pytest.mark.parametrize(
    "text", ["", "# nothing", "---\n", "llm:\n", "llm:\n  # all commented out\nvad: {}\n", "\ufeff"]
)
def test_an_empty_file_changes_nothing(home: Path, text: str) -> None:
    assert load(home, text).settings == Settings()


@pytest.mark.parametrize(
    ("word", "value"),
    [("on", True), ("Yes", True), ("true", True), ("off", False), ("NO", False), ("False", False)],
)
def test_switches_may_be_written_as_people_do(home: Path, word: str, value: bool) -> None:
    text = f"conversation:\n  speculate: {word}\n  interruption: off\n"
    conversation = load(home, text).settings.conversation
    assert (conversation.speculate, conversation.interruption) == (value, "off")


@pytest.mark.parametrize(
    ("written", "wanted"),
    [("auto", ()), ("cpu", ("cpu",)), ("[cuda, cpu]", ("cuda", "cpu")), ("[]", ())],
)
def test_one_place_to_run_needs_no_brackets(home: Path, written: str, wanted: tuple[str, ...]) -> None:
    assert load(home, f"tts: {{providers: {written}}}").settings.tts.providers == wanted


def test_words_that_yaml_would_take_for_switches_stay_words(home: Path) -> None:
    assert load(home, "stt:\n  language: no\n").settings.stt.language == "no"


def test_environment_values_are_yaml(home: Path) -> None:
    environ = {
        "ASSISTANT__LLM__STOP": "[User, 'a, b']",
        "ASSISTANT__LLM__SEED": "null",
        "ASSISTANT__TTS__SPEAKER": "7",
        "ASSISTANT__STT__GUARD__MIN_SPEECH_RATIO": "0.2",
        "ASSISTANT__CONVERSATION__SPECULATE": "off",
        "ASSISTANT__AUDIO__INPUT": "",
    }
    loaded = load(home, "llm: {seed: 5}\naudio: {input: USB}\n", environ).settings
    assert (loaded.llm.stop, loaded.llm.seed, loaded.tts.speaker) == (("User", "a, b"), None, 7)
    assert (loaded.stt.guard.min_speech_ratio, loaded.conversation.speculate) == (0.2, False)
    assert loaded.audio.input is None


def test_relative_paths_start_at_the_file_they_are_written_in(home: Path) -> None:
    (home / "mine.txt").write_text("You are mine.\n")
    loaded = load(home, "store: {models: disk/models}\nllm: {prompt: mine.txt}\n").settings
    assert loaded.store.models == home / "disk" / "models"
    assert configuration.prompt_text(loaded) == "You are mine."
    loaded = load(home, "wake: {words: [alexa, {file: words/hey_bob.tflite}]}\n").settings
    assert [word.file for word in loaded.wake.words] == [None, home / "words" / "hey_bob.tflite"]


def test_prompts_go_by_name_too(home: Path) -> None:
    assert configuration.prompt_text(load(home, "llm: {prompt: butler}").settings) == "You are a butler."


def test_a_prompt_that_went_away_is_told_in_words(home: Path) -> None:
    (home / "mine.txt").write_bytes(b"\xff\xfe\x00")
    loaded = load(home, "llm: {prompt: ./mine.txt}").settings
    with pytest.raises(SettingsError, match="cannot be read"):
        configuration.prompt_text(loaded)


# ---- what ships --------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", list(paths.shipped_files("devices")))
def test_a_shipped_profile_is_valid_and_says_nothing_twice(profile: str, tmp_path: Path) -> None:
    loaded = configuration.load(None, {"HOME": str(tmp_path), "ASSISTANT__DEVICE": profile})
    own = {path for path, origin in loaded.origins.items() if origin.source.endswith(".yaml")}
    values, defaults = loaded.settings.model_dump(mode="json"), Settings().model_dump(mode="json")
    same = [path for path in own & set(keys()) if at(values, path) == at(defaults, path)]
    assert same == []


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.profile)
def test_a_machine_runs_with_its_own_profile(machine: Machine, tmp_path: Path) -> None:
    loaded = configuration.load(None, {"HOME": str(tmp_path)}, machine.lay_out(tmp_path / "root"))
    assert loaded.profile == machine.profile
    threads = loaded.settings.llm.threads or len(machine.big_cores)
    assert threads <= len(machine.big_cores)


@pytest.mark.parametrize("kind", ["wake", "vad", "stt", "llm", "tts"])
def test_settings_offer_every_engine_but_scripted_ones(kind: str) -> None:
    choices = set(keys()[kind, "engine"].choices) - {"auto", "none"}
    assert choices == {each.name for each in SPECS if each.kind == kind and not each.is_scripted}
    assert "scripted" not in choices


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("llm: {server: {url: 192.168.1.5:8080}}", "must begin with http:// or https://"),
        ("services: {wyoming: 0.0.0.0:10300}", "must begin with tcp:// or unix://"),
        ("gpio: {button: 17, lamp: 17}", "two different pins"),
        ("llm: {max_tokens: 1e3}", "write 1000"),
        ("audio: {input: 1}", "by its name"),
        ("llm: {prompt: You are a butler.}", "the prompt is a file"),
        ("<<<<<<< HEAD\nllm: {}", "a merge left its marks"),
        ("wake:\n  words:\n  - okay_nabu\n  -hey_jarvis", "a space is missing after the '-'"),
        ("llm:\n\u00a0\u00a0temperature: 1", "U+00A0"),
        ("stt: {language: Klingon}", "unknown language"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "assistant.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=re.escape(problem)):
        configuration.load(file, {})


@pytest.mark.parametrize("name", ["en-US", "en_GB", "English", "EN", "en"])
def test_a_language_has_many_names(tmp_path: Path, name: str) -> None:
    assert (
        configuration.load(
            None, {"ASSISTANT__STT__LANGUAGE": name, "HOME": str(tmp_path)}
        ).settings.stt.language
        == "en"
    )


def test_a_variable_that_is_nearly_right_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean ASSISTANT__LLM__MODEL"):
        configuration.load(None, {"ASSISTANT_LLM_MODEL": "x", "HOME": str(tmp_path)})
