"""The catalogue: the shipped one is whole, and no text can do more than be refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from assistant.app import model_choice
from assistant.core.errors import ModelUnknown, SettingsError
from assistant.store.catalog import Catalog, Wheels, read_catalog
from tests.store.site import blob, model_entry, wheel_bytes, wheel_entry

SHIPPED = Path(__file__).parents[2] / "models" / "catalog.yaml"


@pytest.fixture
def tree() -> dict[str, Any]:
    """A small valid catalogue as plain values: one model in two wheels."""
    whole = blob(3000)
    parts = [whole[:2000], whole[2000:]]
    wheels = [
        wheel_entry(f"part-{n}", wheel_bytes({"d/p": part}), [("m.gguf", "d/p", part)])
        for n, part in enumerate(parts)
    ]
    source = {"type": "wheels", "wheels": wheels}
    return {"models": {"small": model_entry({"m.gguf": whole}, source)}, "sets": {"default": ["small"]}}


def test_shipped_catalogue_is_valid_and_names_the_default_models() -> None:
    catalog = read_catalog(SHIPPED)
    assert set(catalog.sets) == {"default", "tiny", "optional"}
    assert {catalog.models[name].kind for name in catalog.sets["default"]} == {"stt", "llm", "tts"}
    assert {catalog.models[name].kind for name in catalog.sets["tiny"]} == {"stt", "llm", "tts"}
    assert all(model.attribution for model in catalog.models.values())
    for members in catalog.sets.values():
        assert all(isinstance(catalog.models[name].sources[0], Wheels) for name in members)


def test_there_are_models_of_many_sizes_and_the_unmeasured_ones_are_judged_like_a_measured_one() -> None:
    catalog = read_catalog(SHIPPED)
    sizes = [model.size_bytes for model in catalog.models.values() if model.kind == "llm"]
    assert len([size for size in sizes if 200e6 < size < 2.6e9]) >= 12
    assert catalog.unmeasured is not None
    assert catalog.models[catalog.unmeasured].calibration is not None


def test_the_unmeasured_are_judged_by_a_model_that_exists() -> None:
    with pytest.raises(ValidationError, match="'unmeasured' names 'nobody'"):
        Catalog(models={}, sets={}, unmeasured="nobody")


def test_shipped_catalogue_serves_the_default_settings() -> None:
    from assistant.settings.schema import Settings  # noqa: PLC0415

    catalog, chosen = read_catalog(SHIPPED), Settings()
    for section, kind in ((chosen.stt, "stt"), (chosen.llm, "llm"), (chosen.tts, "tts")):
        name = model_choice.STAND_IN if section.model == model_choice.AUTO else section.model
        assert catalog.models[name].kind == kind
        assert name in catalog.sets["default"]
    assert all(catalog.models[name].kind == "llm" for name in model_choice.LADDER)


def test_unknown_name_suggests_the_nearest() -> None:
    catalog = read_catalog(SHIPPED)
    with pytest.raises(ModelUnknown, match=r"Did you mean 'whisper-tiny\.en'\?"):
        catalog.expand(("whisper-tiny-en",))
    with pytest.raises(ModelUnknown, match="no model named 'xyzzy'"):
        catalog.expand(("xyzzy",))


def test_sets_expand_in_order_and_only_once() -> None:
    catalog = read_catalog(SHIPPED)
    names = catalog.expand(("voice-en-us-joe", "default", "tiny"))
    assert names[0] == "voice-en-us-joe"
    assert len(names) == len(set(names)) == 4


def refusal(tmp_path: Path, tree: Any) -> str:
    path = tmp_path / "catalog.yaml"
    path.write_text(json.dumps(tree, indent=1), encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        read_catalog(path)
    return caught.value.problem


@pytest.mark.parametrize(
    "name", ["../evil", "a/b", ".hidden", "/etc/passwd", "..", "", "Upper", "a b", "x" * 65, "-x", "a\n"]
)
def test_model_names_cannot_leave_the_store(tmp_path: Path, tree: dict[str, Any], name: str) -> None:
    tree["models"][name] = tree["models"]["small"]
    assert "models" in refusal(tmp_path, tree)


@pytest.mark.parametrize("name", ["../evil", "a/b", ".hidden", "/etc/passwd", "..", "", "a\nb"])
def test_file_names_cannot_leave_the_model(tmp_path: Path, tree: dict[str, Any], name: str) -> None:
    tree["models"]["small"]["files"][name] = tree["models"]["small"]["files"]["m.gguf"]
    assert "models.small.files" in refusal(tmp_path, tree)


def test_mistakes_come_all_at_once_with_their_lines(tmp_path: Path, tree: dict[str, Any]) -> None:
    tree["models"]["small"]["kind"] = "song"
    tree["models"]["small"]["files"]["m.gguf"]["sha256"] = "beef"
    tree["models"]["small"]["colour"] = "red"
    problem = refusal(tmp_path, tree)
    lines = json.dumps(tree, indent=1).splitlines()
    for key, word in (("kind", '"song"'), ("files.m.gguf.sha256", '"beef"'), ("colour", '"red"')):
        line = next(number for number, text in enumerate(lines, 1) if word in text)
        assert f"line {line}: models.small.{key}: " in problem


def test_pieces_that_do_not_add_up_are_refused(tmp_path: Path, tree: dict[str, Any]) -> None:
    tree["models"]["small"]["sources"][0]["wheels"][1]["members"][0]["bytes"] -= 1
    assert "do not add up to 'm.gguf'" in refusal(tmp_path, tree)


def test_set_that_names_no_model_is_refused(tmp_path: Path, tree: dict[str, Any]) -> None:
    tree["sets"]["default"].append("gone")
    assert "'gone'" in refusal(tmp_path, tree)


def test_set_with_the_name_of_a_model_is_refused(tmp_path: Path, tree: dict[str, Any]) -> None:
    tree["sets"]["small"] = ["small"]
    assert "has the same name as a model" in refusal(tmp_path, tree)


@pytest.mark.parametrize(
    "content", [b"", b"a: [", b"\xff\xfe\x00", b"- 1\n- 2\n", b"&a [*a]", b"!!python/x 1"]
)
def test_what_is_no_catalogue_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingsError):
        read_catalog(path)


def test_absent_catalogue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_catalog(tmp_path / "none.yaml")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(SettingsError):
        read_catalog(path)


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.lists(st.integers(), max_size=2)
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damaged_catalogue_is_read_or_refused(
    tmp_path: Path, tree: dict[str, Any], data: st.DataObject
) -> None:
    """Put junk at a random place. Whatever is still accepted keeps every promise."""
    damaged = copy.deepcopy(tree)
    place: Any = damaged
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            place[key] = data.draw(JUNK)
            break
        place = place[key]
    path = tmp_path / "catalog.yaml"
    path.write_text(json.dumps(damaged), encoding="utf-8")
    try:
        catalog = read_catalog(path)
    except SettingsError:
        return
    assert isinstance(catalog, Catalog)
    for name, model in catalog.models.items():
        assert (tmp_path / name).resolve().parent == tmp_path.resolve()
        assert all((tmp_path / file).resolve().parent == tmp_path.resolve() for file in model.files)
        assert model.size_bytes > 0
