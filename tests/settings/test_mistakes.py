"""Every way of writing settings wrongly, and what a person reads about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from assistant.core.errors import SettingsError
from assistant.settings import load as configuration
from assistant.settings.keys import keys, nearest
from assistant.settings.schema import Settings
from tests.installation import complaints, install, load


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return install(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("\n\nllm:\n  temprature: 0.3\n",
         "assistant.yaml:4: llm.temprature: no such key; did you mean 'temperature'?"),
        ("sst:\n  model: x\n", "assistant.yaml:1: sst: no such key; did you mean 'stt'?"),
        ("llm:\n  temp: 1\n", "assistant.yaml:2: llm.temp: no such key; did you mean 'temperature'?"),
        ("Max-Tokens: 5\n", "assistant.yaml:1: Max-Tokens: no such key; did you mean 'llm.max_tokens'?"),
        ("llm:\n  vad: 5\n", "assistant.yaml:2: llm.vad: no such key; did you mean 'vad'?"),
        ("llm.top_k: 5\n", "assistant.yaml:1: llm.top_k: no such key; write 'top_k:' below 'llm:', indented"),
        ("log:\n  frob: 1\n", "assistant.yaml:2: log.frob: no such key; valid names are level"),
        ("llm:\n  top_p: 7\n", "assistant.yaml:2: llm.top_p: must be a number from 0 to 1, not 7"),
        ("llm:\n  top_p: .nan\n", "assistant.yaml:2: llm.top_p: must be a number from 0 to 1, not '.nan'"),
        ("llm:\n  top_p: 1e999\n", "assistant.yaml:2: llm.top_p: must be a number from 0 to 1, not inf"),
        ("llm:\n  top_k: true\n",
         "assistant.yaml:2: llm.top_k: must be a whole number from 0 to 1000, not true"),
        ("llm:\n  top_k: '5'\n",
         "assistant.yaml:2: llm.top_k: must be a whole number from 0 to 1000, not '5'"),
        ("llm:\n  top_k: 5.5\n",
         "assistant.yaml:2: llm.top_k: must be a whole number from 0 to 1000, not 5.5"),
        ("llm:\n  stop:\n    - a\n    - 5\n",
         "assistant.yaml:4: llm.stop: must be a list, each item text; item 2 is 5; put it in quotes"),
        ("llm:\n  stop: a\n", "assistant.yaml:2: llm.stop: must be a list, each item text, not 'a'"),
        ("stt:\n  model: 5\n", "assistant.yaml:2: stt.model: must be text, not 5; put it in quotes"),
        ("stt:\n  model:\n",
         "assistant.yaml:2: stt.model: must be text, not empty; remove the key to use its default"),
        ("vad:\n  engine: siler\n",
         "assistant.yaml:2: vad.engine: must be 'webrtc' or 'silero', not 'siler'; did you mean 'silero'?"),
        ("vad: webrtc\n", "assistant.yaml:1: vad: must be a section with keys below it, not 'webrtc'"),
        ("tts:\n  speaker: [1]\n",
         "assistant.yaml:2: tts.speaker: must be text, a whole number or null, not a list"),
        ("conversation:\n  speculate: maybe\n",
         "assistant.yaml:2: conversation.speculate: must be true or false, not 'maybe'"),
        ("conversation:\n  apology: ''\n",
         "assistant.yaml:2: conversation.apology: must be text that is not empty, not ''"),
        ("wake:\n  words: [okay_nabo]\n",
         ("assistant.yaml:2: wake.words.name: must be 'okay_nabu', 'hey_jarvis', 'alexa', 'hey_mycroft' or "
          "'hey_rhasspy' or null; item 1 is 'okay_nabo'; did you mean 'okay_nabu'?")),
        ("wake:\n  words:\n    - alexa\n    - {name: alexa, treshold: 1}\n",
         "assistant.yaml:4: wake.words.2.treshold: no such key; did you mean 'threshold'?"),
        ("wake:\n  words:\n    - {name: alexa, threshold: 2}\n",
         "assistant.yaml:3: wake.words.threshold: must be a number from 0 to 1; item 1 is 2"),
        ("wake:\n  words:\n    - {name: alexa, file: a.tflite}\n",
         "assistant.yaml:3: wake.words.1: set either name or file"),
        ("wake:\n  words: []\n",
         "assistant.yaml:2: wake: words needs at least one wake word (words is a list)"),
        ("device: 5\n", "assistant.yaml:1: device: must be text, not 5; put it in quotes"),
        ("device: smal\n", "assistant.yaml:1: device: unknown board profile 'smal'; did you mean 'small'?"),
        ("device: orphan\n",
         "config/devices/orphan.yaml:1: inherits: unknown board profile 'smal'; did you mean 'small'?"),
        ("device: egg\n",
         "config/devices/hen.yaml:1: inherits: profiles inherit in a circle: egg -> hen -> egg"),
        ("device: sloppy\n",
         "config/devices/sloppy.yaml:2: llm.threads: must be a whole number from 0 to 256, not 'many'"),
        ("llm:\n  prompt: buttler\n",
         "assistant.yaml:2: llm.prompt: unknown prompt 'buttler' in config/prompts; did you mean 'butler'?"),
        ("llm:\n  prompt: ./my.txt\n", "assistant.yaml:2: llm.prompt: there is no file my.txt"),
        ("inherits: small\n",
         "assistant.yaml:1: inherits: no such key; valid names are " + ", ".join(Settings.model_fields)),
        ("- llm\n", "assistant.yaml:1: the file must consist of keys such as 'llm:', each followed by a ':'"),
        ("llm\n", "assistant.yaml:1: the file must consist of keys such as 'llm:', each followed by a ':'"),
        ("a: 1\n\tb: 2\n", "assistant.yaml:2: a tab is used for indentation; use spaces"),
        (b"# caf\xc3\xa9\n# caf\xe9\n", "assistant.yaml:2: this isn't UTF-8 text; save the file as UTF-8"),
        ("llm: {}\n".encode("utf-16"), "assistant.yaml:1: this isn't UTF-8 text; save the file as UTF-8"),
    ],
)  # fmt: skip
def test_one_mistake_gives_one_line(home: Path, text: str | bytes, complaint: str) -> None:
    assert complaints(home, text) == [complaint]


def test_all_mistakes_come_at_once_in_the_order_of_the_file(home: Path) -> None:
    text = "llm:\n  top_p: 7\n  temprature: 1\n  top_p: 8\ntts: 5\ndevice: nothing-like-it\n"
    environ = {"ASSISTANT__VAD__TRESHOLD": "1", "ASSISTANT__LOG__LEVEL": "[loud"}
    starts = [line.split(": ")[:2] for line in complaints(home, text, environ)]
    assert starts == [
        ["assistant.yaml:2", "llm.top_p"],
        ["assistant.yaml:3", "llm.temprature"],
        ["assistant.yaml:4", "'top_p' is set here and on line 2; keep only one"],
        ["assistant.yaml:5", "tts"],
        ["assistant.yaml:6", "device"],
        ["ASSISTANT__LOG__LEVEL", "a bracket isn't closed, or a ',' is missing"],
        ["ASSISTANT__VAD__TRESHOLD", "vad.treshold"],
    ]


def test_a_contradiction_names_every_key_of_the_rule(home: Path) -> None:
    (line,) = complaints(home, "llm:\n  top_k: 5\n  context_tokens: 512\n")
    assert line.startswith("assistant.yaml:3: llm: max_tokens + history_tokens must be less")
    assert line.endswith("(context_tokens is 512, max_tokens is 160, history_tokens is 1200)")


def test_a_contradiction_is_told_along_with_other_mistakes(home: Path) -> None:
    text = "endpoint:\n  pause_ms: 900\n  start_ms: -1\nllm:\n  contxt_tokens: 5\n"
    lines = complaints(home, text)
    assert [line.partition(" ")[0] for line in lines] == [
        "assistant.yaml:2:",
        "assistant.yaml:3:",
        "assistant.yaml:5:",
    ]
    assert "pause_ms <= complete_ms" in lines[0]


def test_a_wrong_key_is_not_also_a_contradiction(home: Path) -> None:
    assert len(complaints(home, "llm:\n  context_tokens: 1\n  history_tokens: 2000\n")) == 1


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("ASSISTANT__LLM__TEMPRATURE", "1", "llm.temprature: no such key; did you mean 'temperature'?"),
        ("ASSISTANT__LLM__TOP_P", "7", "llm.top_p: must be a number from 0 to 1, not 7"),
        ("ASSISTANT__LLM", "5", "llm: must be a section with keys below it, not 5"),
        ("ASSISTANT__", "5", ": no such key; valid names are " + ", ".join(Settings.model_fields)),
        ("ASSISTANT__LLM__MODEL", "*x", "'*x' needs quotes (aliases aren't supported in settings)"),
        ("ASSISTANT__LLM__TOP_\udcff", "5", "llm.top_\\udcff: no such key"),
        ("ASSISTANT__LLM__MODEL", "\udcff", "the invisible character U+DCFF is not allowed"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(
    home: Path, variable: str, value: str, complaint: str
) -> None:
    ours = [line for line in complaints(home, "", {variable: value}) if complaint in line]
    assert ours
    assert ours[0].startswith(variable.encode("ascii", "backslashreplace").decode())


def test_a_file_that_was_asked_for_must_exist(home: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere.yaml: there is no such file"):
        configuration.load(home / "nowhere.yaml", {}, home / "root")


def test_a_folder_is_not_a_file(home: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        configuration.load(home, {}, home / "root")


def test_a_file_of_any_size_is_answered(home: Path) -> None:
    (line,) = complaints(home, "# \n" * 2_000_000)
    assert "longer than" in line


# ---- properties --------------------------------------------------------------------------------

LETTERS = "abcdefghijklmnopqrstuvwxyz_"


@st.composite
def misspelt(draw: st.DrawFn, word: str) -> str:
    """One letter inserted, dropped, replaced or swapped with the next."""
    place = draw(st.integers(0, len(word) - 1))
    before, letter, after = word[:place], word[place], word[place + 1 :]
    new = draw(st.sampled_from(LETTERS))
    swapped = before + after[:1] + letter + after[1:]
    wrong = draw(
        st.sampled_from([before + new + letter + after, before + after, before + new + after, swapped])
    )
    assume(wrong not in {"", word})
    return wrong


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.data())
def test_any_key_with_one_slip_is_suggested_back(home: Path, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(list(keys().values())))
    wrong = data.draw(misspelt(key.path[-1]))
    assume((*key.path[:-1], wrong) not in keys())
    document: Any = {wrong: {} if key.is_section else key.default}
    for section in reversed(key.path[:-1]):
        document = {section: document}
    (line,) = complaints(home, yaml.safe_dump(document))
    assert f"'{key.path[-1]}'" in line.partition("did you mean")[2]


def _values() -> st.SearchStrategy[Any]:
    """Right, nearly right and quite wrong values."""
    defaults = st.sampled_from([key.default for key in keys().values() if not key.is_section])
    plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    return defaults | plain | st.lists(plain, max_size=2)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A few keys at their places, some of the sections replaced or with strangers in them."""
    document: dict[str, Any] = {}
    for key in draw(st.lists(st.sampled_from(list(keys().values())), max_size=6)):
        section: Any = document
        for name in key.path[:-1]:
            section = section.setdefault(name, {})
            if not isinstance(section, dict):
                break
        else:
            section[draw(st.sampled_from([key.path[-1]] * 4 + ["x", "llm"]))] = draw(_values())
    return document


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(documents())
def test_any_document_is_loaded_or_refused(home: Path, document: dict[str, Any]) -> None:
    _loads_or_complains(home, yaml.safe_dump(document).encode())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=60)
    | st.text(st.sampled_from("llm: \n-{}[]'\"&*!|#tops_kdevic5.\t"), max_size=60).map(str.encode)
)
def test_any_bytes_are_loaded_or_refused(home: Path, raw: bytes) -> None:
    _loads_or_complains(home, raw)


def _loads_or_complains(home: Path, raw: bytes) -> None:
    try:
        assert isinstance(load(home, raw).settings, Settings)
    except SettingsError as error:
        for line in error.problem.splitlines():
            assert line.startswith((str(home), "ASSISTANT__"))
            assert "Input should" not in line


@given(st.text(max_size=10), st.lists(st.text(min_size=1, max_size=10), max_size=5))
def test_suggestions_come_from_what_there_is(word: str, among: list[str]) -> None:
    assert set(nearest(word, among)) <= set(among)


def test_a_terminals_escape_codes_are_not_passed_on(home: Path) -> None:
    (line,) = complaints(home, 'vad:\n  engine: "\\e[2J\\r\\n"\n')
    assert "not '\\x1b[2J\\r\\n'" in line
