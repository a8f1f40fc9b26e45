"""Licences with conditions: asked once, remembered, and never in the way of the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assistant.core.errors import LicenceNotAccepted, ModelCorrupt
from assistant.store import Store, encrypting, licences
from assistant.store.catalog import read_catalog
from assistant.store.folder import read_record
from assistant.store.kinds import CARD
from assistant.store.progress import Unwatched
from tests.gguf_writer import gguf
from tests.store.site import blob, model_entry, store_of

FILES = {"m.gguf": blob(3000)}
SHIPPED = Path(__file__).parents[2] / "models" / "catalog.yaml"


@pytest.mark.parametrize(
    ("licence", "key"),
    [
        *(("gemma", "gemma"), ("LicenseRef-Gemma", "gemma"), ("Gemma-3", "gemma")),
        *(("llama2", "llama2"), ("llama3", "llama3"), ("llama3.2", "llama3.2")),
        ("LicenseRef-Llama-3.1-Community", "llama3.1"),
        ("Llama 3.3 Community License Agreement", "llama3.3"),
    ],
)
def test_licences_that_ask_for_something(licence: str, key: str) -> None:
    found = licences.terms(licence)
    assert found is not None
    assert found.key == key
    assert found.address.startswith("https://")


@pytest.mark.parametrize("licence", ["", "MIT", "Apache-2.0", "CC0-1.0", "other", "BSD-2-Clause"])
def test_licences_that_do_not(licence: str) -> None:
    assert licences.terms(licence) is None


def test_every_model_of_the_catalogue_names_its_licence() -> None:
    for model in read_catalog(SHIPPED).models.values():
        assert model.licence
        has_conditions = model.licence.startswith(("gemma", "llama", "LFM"))
        assert (licences.terms_of(model) is not None) == has_conditions


def test_the_models_of_the_sets_have_no_conditions() -> None:
    catalog = read_catalog(SHIPPED)
    for name in {name for members in catalog.sets.values() for name in members}:
        assert licences.terms_of(catalog.models[name]) is None


def conditional(source: Path) -> dict[str, Any]:
    entry = model_entry(FILES, {"type": "folder", "path": str(source)})
    return {**entry, "licence": "gemma"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A catalogue of two models of one licence with conditions, one of an own licence, one of none."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "m.gguf").write_bytes(FILES["m.gguf"])
    own = {**conditional(source), "licence": "Acme", "licence_terms": "https://acme.example/terms"}
    free = model_entry(FILES, {"type": "folder", "path": str(source)})
    both = conditional(source)
    return store_of(tmp_path / "models", asks=both, also=both, own=own, free=free)


def test_it_is_asked_before_anything_is_fetched_and_once(store: Store) -> None:
    with pytest.raises(LicenceNotAccepted) as caught:
        store.pull(["free", "asks"])
    assert caught.value.code == "licence-not-accepted"
    assert "asks is licensed under the Gemma Terms of Use" in caught.value.problem
    assert "https://ai.google.dev/gemma/terms" in caught.value.problem
    assert "--accept-licence" in caught.value.next_step
    assert not (store.models_dir / "free").exists()
    store.pull(["asks"], accept=True)
    assert list(licences.accepted(store.models_dir)) == ["gemma"]
    store.pull(["also"])
    with pytest.raises(LicenceNotAccepted, match=r"acme\.example"):
        store.pull(["own"])
    store.pull(["own", "free"], accept=True)
    assert list(licences.accepted(store.models_dir)) == ["gemma", "Acme"]


def test_what_is_here_already_asks_nothing(store: Store) -> None:
    store.pull(["asks"], accept=True)
    (store.models_dir / licences.ACCEPTED).unlink()
    assert [arrival.origin for arrival in store.pull(["asks"])] == [""]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"gemma": 1}'])
def test_a_damaged_memory_agrees_to_nothing(store: Store, content: bytes) -> None:
    store.models_dir.mkdir()
    (store.models_dir / licences.ACCEPTED).write_bytes(content)
    with pytest.raises(LicenceNotAccepted):
        store.pull(["asks"])


def test_a_stick_asks_too(store: Store, tmp_path: Path) -> None:
    with pytest.raises(LicenceNotAccepted):
        store.import_from(tmp_path / "source")
    store.import_from(tmp_path / "source", accept=True)
    assert licences.accepted(store.models_dir)


def licence_of(store: Store, name: str) -> str:
    return next(entry.licence for entry in store.entries() if entry.name == name)


def test_an_own_model_brings_the_licence_that_its_file_names(store: Store, tmp_path: Path) -> None:
    (tmp_path / "own.gguf").write_bytes(gguf({"general.license": "llama3.2"}))
    with pytest.raises(LicenceNotAccepted, match=r"Llama 3\.2"):
        store.import_from(tmp_path / "own.gguf", "mine", "llm")
    store.import_from(tmp_path / "own.gguf", "mine", "llm", accept=True)
    assert licence_of(store, "mine") == "llama3.2"


def test_a_model_card_counts_before_the_file(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "shipped"
    folder.mkdir()
    (folder / "m.gguf").write_bytes(gguf({"general.license": "mit"}))
    (folder / CARD).write_text(json.dumps({"licence": "Apache-2.0"}))
    store.import_from(folder, "shipped", "llm")
    assert licence_of(store, "shipped") == "Apache-2.0"


class TestEncryptedOnAStick:
    KEY = bytes(range(32))

    @pytest.fixture
    def stick(self, store: Store, tmp_path: Path) -> Path:
        """The encrypted folder of an own model, as somebody copies it from their store."""
        pytest.importorskip("cryptography", reason="the extra encryption is not installed")
        (tmp_path / "own.gguf").write_bytes(gguf({"general.license": "mit"}))
        store.import_from(tmp_path / "own.gguf", "mine", "llm")
        encrypting.encrypt(store, "mine", self.KEY, Unwatched())
        return (store.models_dir / "mine").rename(tmp_path / "stick")

    def test_it_comes_in_without_its_key_and_opens_with_it(self, store: Store, stick: Path) -> None:
        store.import_from(stick, "theirs", "llm")
        record = read_record(store.models_dir / "theirs")
        assert record is not None
        assert list(record.sealed) == ["own.gguf"]
        key = stick.parent / "key"
        key.write_bytes(self.KEY)
        key.chmod(0o600)
        with Store(store.models_dir, store.catalog, key).opened("theirs", "llm") as folder:
            assert (folder / "own.gguf").read_bytes() == gguf({"general.license": "mit"})

    def test_one_of_another_kind_or_cut_off_does_not(self, store: Store, stick: Path) -> None:
        with pytest.raises(ModelCorrupt, match="not an encrypted model of kind stt"):
            store.import_from(stick, "theirs", "stt")
        file = stick / "own.gguf.sealed"
        file.write_bytes(file.read_bytes()[:-1])
        with pytest.raises(ModelCorrupt, match="is damaged"):
            store.import_from(stick, "theirs", "llm")
