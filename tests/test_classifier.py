"""The classifier: equal data give equal bytes, it keeps what it declares, and no file of it holds anybody's word."""

import json
from pathlib import Path

import ibis
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from beejan.commands.models import evaluate, models
from beejan.core.errors import InputError
from beejan.core.settings import Settings
from beejan.operate.models import better, made_truth, model_folder, promoted, read_truth, single
from beejan.operate.workspace import make_workspace
from beejan.understand.classifier import cut_off, learn, learn_all, learned, load_classifier, save_classifier
from beejan.understand.figures import calibration_error, figures
from beejan.understand.grams import BITS, runs, spread, words
from beejan.understand.rules import classify

MATTERS = {
    "data_internet": "data bundle mb",
    "network_voice": "call network signal",
    "billing_charging": "bill charged money",
}
ENDS = ["is bad", "is gone again", "failed me", "is very slow", "since morning", "please help", "na wa o"]


def pointing(texts):
    """A stand-in for the embedding."""
    return np.array([[any(w in t for w in m.split()) for m in MATTERS.values()] for t in texts], np.float32)


def told(n=1):
    matters = [(c, w) for c, ws in MATTERS.items() for w in ws.split()]
    rows = [(f"my {w} {e} {'x' * k}", c) for c, w in matters for e in ENDS for k in range(n)]
    return [t for t, _ in rows], [c for _, c in rows]


@pytest.fixture(scope="module")
def model():
    return learn(*told(), pointing, precision=0.9, card={"data": "a test"})


def test_the_same_data_give_the_same_bytes_and_come_back_whole(model, tmp_path):
    save_classifier(model, tmp_path / "a")
    save_classifier(learn(*told(), pointing, precision=0.9, card={"data": "a test"}), tmp_path / "b")
    for name in ("classifier.safetensors", "card.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    again = load_classifier(tmp_path / "a", pointing)
    new = ["data network", "who charged me", "", "zzzz"]
    assert np.array_equal(again.scores(new), model.scores(new)) and again.card["data"] == "a test"


def test_no_file_of_a_model_holds_a_word(model, tmp_path):
    texts, labels = told()
    secret = learn([f"{t} Chukwuemeka Okonkwo 08035550142" for t in texts], labels, pointing)
    save_classifier(secret, tmp_path)
    held = b"".join(p.read_bytes() for p in tmp_path.iterdir()).lower()
    assert not [w for w in (b"chukwuemeka", b"okonkwo", b"0803555", b"bundle", b"signal") if w in held]


def test_a_piece_of_fewer_than_three_texts_is_not_kept(model):
    texts, labels = told()
    rare = learn([*texts[:-2], texts[-2] + " qqqq", texts[-1] + " qqqq"], labels, pointing)
    for found in (runs(*spread(["qqqq"])), words(*spread(["qqqq"]))):
        kept = np.union1d(rare.features.chars.pieces, rare.features.words.pieces)
        assert not set(found[1].tolist()) & set(kept.tolist())


@pytest.mark.parametrize("harm", ["cut", "empty", "no numbers", "other numbers", "no json", "old format"])
def test_a_model_that_is_not_whole_is_refused_in_a_sentence(model, tmp_path, harm):
    save_classifier(model, tmp_path)
    numbers, card = tmp_path / "classifier.safetensors", tmp_path / "card.json"
    if harm == "no numbers":
        numbers.unlink()
    elif harm in ("no json", "old format"):
        card.write_text("{" if harm == "no json" else json.dumps({**json.loads(card.read_text()), "format": 0}))
    else:
        numbers.write_bytes({"cut": numbers.read_bytes()[:-4], "empty": b"", "other numbers": b"\0" * 64}[harm])
    with pytest.raises(InputError, match="beejan run train"):
        load_classifier(tmp_path, pointing)


def test_it_abstains_at_the_declared_precision():
    rng = np.random.default_rng(0)
    texts, labels = told(6)
    noisy = [c if rng.random() > 0.2 else str(rng.choice(list(MATTERS))) for c in labels]
    strict, loose = (learn(texts, noisy, pointing, precision=p) for p in (0.95, 0.6))
    assert strict.threshold[0] > loose.threshold[0]
    assert (strict.predict(texts)[0] == "unclassified").mean() > (loose.predict(texts)[0] == "unclassified").mean()


def test_what_was_never_seen_is_not_said_with_confidence(model):
    assert model.predict([""])[1].max() < 0.9
    assert [len(x) for x in model.predict([])] == [0, 0]


@given(st.lists(st.text(max_size=80), max_size=6))
@settings(max_examples=60, deadline=None)
def test_any_text_gets_a_known_code_and_a_confidence_and_its_neighbours_do_not_matter(model, texts):
    code, sure = model.predict(texts)
    assert set(code) <= {*MATTERS, "unclassified"} and ((sure >= 0) & (sure <= 1)).all()
    alone = [model.scores([t])[0] for t in texts]
    assert np.allclose(model.scores(texts), np.array(alone).reshape(len(texts), len(model.codes)), atol=1e-4)


@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
@settings(max_examples=80, deadline=None)
def test_pieces_stay_with_their_text(texts):
    for found in (runs(*spread(texts)), words(*spread(texts))):
        assert ((found[0] >= 0) & (found[0] < len(texts))).all()
        assert ((found[1] >= 0) & (found[1] < 1 << BITS)).all()


def test_pieces_of_a_batch_are_those_of_each_text_alone():
    texts = ["Una CHOP my data!!", "", "  ", "éèẹ́ ọ̀ 🙂", "a", "calls calls", "\n\t"]
    for pieces in (runs, words):
        owner, number = pieces(*spread(texts))
        for i, t in enumerate(texts):
            assert sorted(number[owner == i].tolist()) == sorted(pieces(*spread([t]))[1].tolist()), (pieces, t)


@pytest.mark.parametrize(
    ("texts", "labels", "words_of_it"),
    [(["a"], ["x", "y"], "1 and 2"), ([], [], "0 categories"), (["a"] * 9, ["x"] * 9, "1 categories"),
     (["a b"] * 9, ["x"] * 8 + ["y"], "found y")],
)  # fmt: skip
def test_too_little_to_learn_from_is_said(texts, labels, words_of_it):
    with pytest.raises(InputError) as e:
        learn(texts, labels, pointing)
    assert words_of_it.removeprefix("found ") in str(e.value)


def test_several_categories_at_once():
    texts, labels = told(2)
    both = learn_all([f"{a} and {b}" for a, b in zip(texts, texts[::-1], strict=True)],
                     [{a, b} for a, b in zip(labels, labels[::-1], strict=True)], pointing)  # fmt: skip
    said = both.predict_all(["my data failed me and my bill is bad"])[0]
    assert {c for c, x in zip(both.codes, said, strict=True) if x} == {"data_internet", "billing_charging"}


def test_in_a_table_the_model_speaks_where_it_is_sure_and_the_rules_elsewhere(model):
    rows = {"text": ["my bundle is gone again", "zzz", None], "text_redacted": ["my bundle is gone again", "zzz", None]}
    t = learned(classify(ibis.memtable(rows, schema={"text": "string", "text_redacted": "string"})), model)
    got = t.to_pandas()
    assert (
        got.classified_by.tolist()[0] == f"model {model.version}" and got.category_code.tolist()[0] == "data_internet"
    )
    assert got.classified_by.tolist()[2] == "rules" and set(t.columns) >= {"rule_ids", "text_redacted"}


def test_figures_by_hand():
    f = figures(["a", "a", "b", "c"], ["a", "b", "b", "unclassified"], [0.9, 0.6, 0.8, 0.0])
    assert (f["accuracy"], f["coverage"], f["precision"], f["macro_f1"]) == (0.5, 0.75, 0.6667, 0.4445)
    assert calibration_error(np.zeros(0), np.zeros(0)) is None
    assert cut_off(np.array([0.9, 0.8, 0.7]), np.array([False, True, True]), 0.6) == 0.7


def test_a_model_is_promoted_only_where_it_is_better_on_every_set():
    rules, more = {"macro_f1": 0.6, "precision": 0.8}, {"macro_f1": 0.7, "precision": 0.9}
    assert better({"a": {"rules": rules, "both": more}})
    assert not better({"a": {"rules": rules, "both": more}, "b": {"rules": more, "both": rules}})


def test_phrases_of_different_shelves_do_not_meet():
    a, b = made_truth(400, 1, 0), made_truth(400, 1, 1)
    assert not set(a["text"].to_pylist()) & set(b["text"].to_pylist())
    again = made_truth(400, 1, 0)
    assert again.equals(a)


def test_sentitel_keeps_tweets_about_one_category():
    assert single(["a", "b"], [{"Network", "Calls"}, {"Data", "Calls"}]) == (["a"], ["network_voice"])


def test_the_commands(tmp_path, monkeypatch, model):
    make_workspace(tmp_path)
    monkeypatch.setenv("BEEJAN_HOME", str(tmp_path))
    where = Settings(root=tmp_path)
    assert promoted(where) is None
    assert "the rules are in use" in CliRunner().invoke(models, ["show"]).output
    rules_alone = CliRunner().invoke(evaluate, ["--json"])
    found = json.loads(rules_alone.output)
    assert [f["classifier"] for f in found] == ["rules"] and {r["by"] for r in found[0]["by"]} == {
        "language",
        "channel",
    }
    save_classifier(model, model_folder(where))
    assert (where.root / "models/category/card.json").is_file()
    with pytest.raises(InputError, match="not the one"):
        (model_folder(where) / "classifier.safetensors").write_bytes(b"")
        promoted(where)
    missing = CliRunner().invoke(evaluate, ["--truth", str(tmp_path)])
    assert "beejan synth" in str(missing.exception)


def test_the_truth_of_no_folder_is_a_sentence():
    with pytest.raises(Exception, match="No truth in"):
        read_truth(Path("nowhere"))
