"""A model that ends the program that loads it is a sentence; what works is proven once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.app import proof
from assistant.app.engines import load_llm, store_of, with_stand_ins
from assistant.core.errors import ModelCorrupt
from assistant.runtime import paths
from assistant.settings.schema import Settings
from assistant.store import Store, open_store
from assistant.tools.bench.lib.variants import changed

pytestmark = pytest.mark.models

SMALL = "smollm2-135m-instruct-q4_1"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The small model lies in a store of this test's, where it may be damaged."""
    whole = paths.models() / SMALL
    models = tmp_path / "models"
    models.mkdir()
    shutil.copytree(whole, models / SMALL)
    return changed(Settings(), {"store": {"models": str(models)}, "llm": {"model": SMALL}})


def flip(file: Path, offset: int) -> None:
    """One bit flips, and nothing tells."""
    before = file.stat()
    with file.open("r+b") as opened:
        opened.seek(offset)
        byte = opened.read(1)[0]
        opened.seek(offset)
        opened.write(bytes([byte ^ 1]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def duplicate_word(file: Path) -> None:
    """Two words of the vocabulary become one, which ends llama.cpp."""
    data = file.read_bytes()
    words = data.index(b"tokenizer.ggml.tokens")
    at = words
    for first, second in ((b"b", b"c"), (b"2", b"3"), (b"d", b"e"), (b"h", b"i")):
        at = data.index(b"\x01\0\0\0\0\0\0\0" + first + b"\x01\0\0\0\0\0\0\0" + second, words)
        if first[0] ^ second[0] == 1:
            break
    flip(file, at + 9 + 8)


def model_of(settings: Settings) -> Path:
    return next((store_of(settings).models_dir / settings.llm.model).glob("*.gguf"))


def required(settings: Settings, store: Store | None = None) -> None:
    store = store or store_of(settings)
    with store.opened(settings.llm.model, "llm") as folder:
        proof.require("llm", settings, store, folder)


def test_a_proof_is_kept_until_the_file_changes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []
    monkeypatch.setattr(Store, "verify", lambda _self, name, *_: verified.append(name))
    required(settings)
    required(settings)
    assert verified == [SMALL]
    os.utime(model_of(settings))
    required(settings)
    assert verified == [SMALL, SMALL]


def test_a_flipped_bit_of_a_known_model_is_found_by_its_hash(settings: Settings) -> None:
    duplicate_word(model_of(settings))
    with pytest.raises(ModelCorrupt, match="is damaged"):
        load_llm(settings)


def test_a_model_that_ends_its_library_is_a_sentence_and_another_stands_in(
    settings: Settings, tmp_path: Path
) -> None:
    evil = tmp_path / "evil.gguf"
    shutil.copy(model_of(settings), evil)
    duplicate_word(evil)
    store = store_of(settings)
    store.import_from(evil, "evil", "llm")
    wanted = changed(settings, {"llm": {"model": "evil"}})
    with pytest.raises(ModelCorrupt, match=r"evil ends the program that loads it \(SIGABRT\)"):
        required(wanted)
    assert proof.usable(wanted, store, ("llm",)).llm.model == SMALL
    assert with_stand_ins(wanted, ("llm",)) == changed(wanted, {"llm": {"model": SMALL}})
    store.remove(SMALL)
    with pytest.raises(ModelCorrupt, match="ends the program"):
        proof.usable(wanted, store, ("llm",))


def test_an_own_model_that_works_is_proven_in_a_child(settings: Settings, tmp_path: Path) -> None:
    good = tmp_path / "good.gguf"
    shutil.copy(model_of(settings), good)
    store = store_of(settings)
    store.import_from(good, "good", "llm")
    assert proof.try_import("llm", settings, store, "good") == ""
    duplicate_word(good)
    store.import_from(good, "evil", "llm")
    with pytest.raises(ModelCorrupt, match="ends the program"):
        proof.try_import("llm", settings, store, "evil")
    assert not (store.models_dir / "evil").exists()


def test_what_ended_inside_a_library_is_proven_anew(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    required(settings)
    code = (
        f"import os\nfrom assistant.app import proof\nwith proof.marked('llm', {SMALL!r}):\n    os.abort()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    proven: list[str] = []
    monkeypatch.setattr(proof, "_prove", lambda _kind, wanted, _folder: proven.append(wanted.llm.model))
    required(settings)
    assert proven == [SMALL], "the catalog's hash alone is not believed any more"
    required(settings)
    assert proven == [SMALL]
    with proof.marked("llm", SMALL):
        pass
    required(settings)
    assert proven == [SMALL], "this one ended well"


def test_the_child_may_neither_write_nor_talk(tmp_path: Path) -> None:
    code = (
        "import os, socket, subprocess\n"
        "from assistant.runtime import confined\n"
        "confined.confine(memory_bytes=400_000_000, cpu_s=5)\n"
        "def tried(what):\n"
        "    try:\n"
        "        what()\n"
        "    except (OSError, MemoryError) as error:\n"
        "        return type(error).__name__\n"
        "    return 'done'\n"
        f"print(tried(lambda: open({str(tmp_path / 'x')!r}, 'w').write('x')),\n"
        "    tried(lambda: bytearray(900_000_000)), tried(lambda: open(os.devnull, 'w').write('x')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    wrote, took, threw_away = done.stdout.split()
    assert wrote in {"PermissionError", "OSError"}
    assert took == "MemoryError"
    assert threw_away == "done"
    assert not (tmp_path / "x").exists() or not (tmp_path / "x").stat().st_size


def test_marks_of_others_at_work_count_for_nothing(settings: Settings) -> None:
    required(settings)
    place = paths.cache() / "proofs" / "llm-loading.json"
    place.write_text(json.dumps({"name": SMALL, "process": proof._process(os.getpid())}))
    assert not proof._was_ended("llm", SMALL)
    place.write_text("{not json")
    assert not proof._was_ended("llm", SMALL)
    assert open_store(store_of(settings).models_dir)
