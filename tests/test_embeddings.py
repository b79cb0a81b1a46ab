"""The embedding: built once from files that are known, whole or refused, the same for everybody who asks."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beejan.core.errors import InputError, NotFoundError
from beejan.understand import embeddings
from beejan.understand.embeddings import DIMENSIONS, build_models, checked, encode, model_id, models_folder
from beejan.understand.language import LANGUAGES, language_of, languages


@pytest.fixture
def small(monkeypatch):
    """A build without the network's half minute: its answers are made up."""
    calls = []

    def few(network, ids, edge, batch=1024):
        calls.append(len(ids))
        return np.random.default_rng(0).normal(size=(len(ids), 40)).astype(np.float32)

    monkeypatch.setattr(embeddings, "piece_vectors", few)
    return calls


def test_the_folder_is_outside_the_repository_and_can_be_named(monkeypatch, tmp_path):
    monkeypatch.delenv("BEEJAN_MODELS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert models_folder() == tmp_path / "beejan/models"
    monkeypatch.setenv("BEEJAN_MODELS", str(tmp_path / "mine"))
    assert models_folder() == tmp_path / "mine"


def test_it_is_built_once_and_again_when_asked(tmp_path, small):
    first = build_models(tmp_path)
    assert build_models(tmp_path)["id"] == first["id"] and len(small) == 1
    assert build_models(tmp_path, again=True)["id"] == first["id"] and len(small) == 2
    assert [p.name for p in tmp_path.iterdir()] == [first["path"].rsplit("/", 1)[1]]


def test_two_builders_at_once_both_succeed(tmp_path, small):
    with ThreadPoolExecutor(2) as pool:
        a, b = pool.map(lambda _: build_models(tmp_path), range(2))
    assert a["id"] == b["id"] and len(list(tmp_path.iterdir())) == 1


def test_nothing_of_it_is_a_pickle(tmp_path, small):
    build_models(tmp_path)
    path = next(tmp_path.iterdir())
    assert sorted(p.name for p in path.iterdir()) == ["model.json", "model.safetensors", "tokenizer.json"]
    assert not any(p.read_bytes().startswith(b"\x80") for p in path.iterdir())


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "model.json"])
def test_a_file_that_was_changed_is_refused(tmp_path, small, name):
    build_models(tmp_path)
    path = next(tmp_path.iterdir())
    (path / name).write_bytes((path / name).read_bytes()[:-9] + b"x")
    with pytest.raises(InputError, match="build --again"):
        checked(path)


def test_an_input_that_is_not_the_known_one_or_not_there_is_refused(monkeypatch):
    package, name, _ = embeddings.INPUTS["pieces"]
    monkeypatch.setitem(embeddings.INPUTS, "pieces", (package, name, "0" * 64))
    with pytest.raises(InputError, match="not the file Beejan knows"):
        embeddings.model_input("pieces")
    monkeypatch.setitem(embeddings.INPUTS, "pieces", ("no_such_package", name, "0" * 64))
    with pytest.raises(NotFoundError, match="pip install --no-deps no-such-package"):
        embeddings.model_input("pieces")


def test_similar_texts_point_the_same_way():
    said = ["my data finished in one hour", "internet bundle exhausted within an hour", "I was billed twice"]
    v = encode(said)
    assert v[0] @ v[1] > v[0] @ v[2] + 0.1


@given(st.lists(st.text(max_size=60), max_size=8))
@settings(max_examples=40, deadline=None)
def test_every_text_has_a_finite_vector_of_length_one_or_zero(texts):
    v = encode(texts)
    assert v.shape == (len(texts), DIMENSIONS) and v.dtype == np.float32 and np.isfinite(v).all()
    length = np.linalg.norm(v, axis=1)
    assert ((abs(length - 1) < 1e-4) | (length == 0)).all()


def test_another_process_gets_the_same_numbers_without_a_network():
    names = "from beejan.understand.embeddings import encode as e, model_id as i; "
    code = names + "print(i(), e(['my data']).tobytes().hex())"
    blocked = "import socket\ndef no(*a, **k): raise OSError('no network')\nsocket.socket.connect = no\n"
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    out = subprocess.run([sys.executable, "-c", blocked + code], capture_output=True, text=True, check=True, env=env)
    assert out.stdout.split() == [model_id(), encode(["my data"]).tobytes().hex()]


def test_the_note_names_what_went_in():
    note = json.loads((models_folder() / f"{embeddings.NAME}-r{embeddings.RECIPE}" / "model.json").read_text())
    assert set(note["inputs"]) == {"network", "pieces"} and note["id"] == model_id()


def test_languages_are_told_apart_and_what_cannot_be_told_is_none():
    said = ["abeg una don chop my money again o, wetin be dis", "my network has been bad since the morning of Sunday"]
    assert languages(said) == ["pcm", "en"]
    assert [language_of(t)[0] for t in ("", "ok", "12345 678", "🙂🙂", "????")] == [None] * 5


@given(st.text(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_text_has_a_language_of_the_nine_or_none(text):
    code, sure = language_of(text)
    assert code is None or code in LANGUAGES
    assert 0 <= sure <= 1.0001
