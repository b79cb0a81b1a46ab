"""Taxonomy, crosswalks and keyword rules: nothing missing, nothing made up, nothing fires without a reason."""

import os
import re
from pathlib import Path

import duckdb
import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beejan.core.codes import UNCLASSIFIED, categories, channels, places, read_data, settled_statuses, statuses
from beejan.core.errors import InputError, NotFoundError
from beejan.understand import rules as R
from beejan.understand.rules import ADDED, alternation, classify, fold, load_rules, pattern_regex
from beejan.understand.taxonomy import crosswalk, load_taxonomy, prefer_declared, resolve_code, taxonomy_reference

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("BEEJAN_SHARED_DATA", HERE.parent.parent / "shared/data"))
RULES, TAX = load_rules(), load_taxonomy()
CODES = list(categories())
NCC_FORM = {
    "Billing",
    "Call Center/Customer Care",
    "Call Set-Up",
    "Faulty Terminal",
    "Health Issues",
    "Internet Service",
    "Promotions",
    "Recharge Card",
    "SMS/MMS",
    "SIM",
    "Value-Added-Services (VAS)",
    "3G Services",
    "CLIP/CLIR",
    "Mobile Number Portability",
    "Other",
}
NEUTRAL = [
    "",
    " ",
    "?",
    "ok",
    "Good morning",
    "See you at the market at 5",
    "Happy birthday to you, long life!",
    "call me when you reach home",
    "I am on my way",
    "mummy said you should come home",
    "what time is the match",
    "we watched cartoon network yesterday",
    "she works as a data entry clerk",
    "they are goats roaming the streets",
    "the estate agent showed us a house",
    "I sent you a parcel",
    "How far? I dey come",
    "Ina kwana, yaya gida?",
    "Ẹ káàárọ̀, ṣé dáadáa ni?",
    "Kedu ka ị mere?",
    "Mo dúpẹ́ lọ́wọ́ yín",
    "Nagode sosai",
    "Daalụ nwanne m",
    "12345",
    "😂😂😂",
    "\n\t",
    "bundle of joy",
    "I need rest to recharge my energy",
]
SAID = {  # made up; one complaint a category and language
    "una dey use style chop my data": "data_internet",
    "internet slow die for my side": "data_internet",
    "My 10GB finished within 3 days": "data_internet",
    "data ya kare da sauri": "data_internet",
    "data m agwụla ngwa ngwa": "data_internet",
    "I bought 2GB bundle and I have not received it": "data_internet",
    "Why debit me 200 for nothing": "billing_charging",
    "an cire min kudi ba dalili": "billing_charging",
    "Wọ́n yọ owó mi láìní ìdí": "billing_charging",
    "You deducted my airtime balance without reason": "billing_charging",
    "I want my money back, refund me": "billing_charging",
    "ntwk no dey here at all": "network_voice",
    "No network for three days in Aba": "network_voice",
    "babu network a Kano tun jiya": "network_voice",
    "Ko si network ni Ibadan": "network_voice",
    "network adịghị n'Enugu": "network_voice",
    "my calls keep dropping": "network_voice",
    "I can't hear the person on the call": "network_voice",
    "I recharged but airtime no enter": "recharge_topup",
    "The recharge card is invalid": "recharge_topup",
    "I sent airtime to wrong number": "recharge_topup",
    "you subscribed me to caller tune": "vas_unsolicited",
    "stop sending me promo messages, I activated DND": "vas_unsolicited",
    "my sms is not delivering": "sms_mms",
    "OTP no dey enter my phone": "sms_mms",
    "I linked my NIN and you still blocked my SIM": "sim_identity",
    "SIM swap not completed": "sim_identity",
    "I want to port to another network": "number_porting",
    "nobody picks the customer care line": "customer_care",
    "your agent was so rude to me": "customer_care",
    "the router you sold me is faulty": "device_terminal",
    "a scammer is calling people with my name": "fraud_privacy_safety",
    "mast near my house makes noise and smoke": "fraud_privacy_safety",
    "roaming charges in Dubai were too much": "roaming_international",
    "I cannot call the UK": "roaming_international",
    "my line has been barred": "disconnection_recycling",
    "someone else is using my number": "disconnection_recycling",
    "mobile money is down": "other",
}


def told(texts):
    con = ibis.duckdb.connect(threads=2)
    t = con.create_table("t", pd.DataFrame({"i": range(len(texts)), "text": pd.Series(texts, dtype="object")}))
    return classify(t).order_by("i").to_pandas()


# --- taxonomy ---


def test_thirteen_and_two():
    assert len(CODES) == 15 and CODES[-2:] == ["other", UNCLASSIFIED]
    assert all(c.label and c.description and c.examples for c in categories().values())
    assert all(re.fullmatch("[a-z_]+", c) for c in CODES)


def test_issue_codes_are_those_that_were_seen():
    want = [f"A{i}" for i in [*range(1, 15), 50]] + ["B1", "B2", "B3", "B50"] + [f"C{i}" for i in range(1, 12)]
    assert list(TAX.subcategories) == want
    assert all(s.category in CODES and set(s.also) < set(CODES) for s in TAX.subcategories.values())
    assert not TAX.subcategories["C11"].verified and "C11" in TAX.not_seen


def test_crosswalks_are_total():
    assert NCC_FORM <= set(crosswalk("ncc").map)
    assert {n for c in categories().values() for n in c.ncc} == NCC_FORM
    for name in ("ncc", "ofcom", "fcc", "cfpb", "sentitel"):
        x = crosswalk(name)
        assert x.source and set(x.map.values()) <= set(CODES), name
    assert not crosswalk("ofcom").verified and not crosswalk("fcc").verified
    reached = set(crosswalk("ncc").map.values()) | {s.category for s in TAX.subcategories.values()}
    assert reached == set(CODES) - {UNCLASSIFIED}, "every category is reachable from the NCC's form or codes"


def test_reference_page_names_everything():
    page = taxonomy_reference()
    assert all(f"`{c}`" in page for c in CODES) and all(f"| {s} |" in page for s in TAX.subcategories)


def test_unknown_names_are_sentences():
    for bad in (lambda: categories("9"), lambda: load_rules("9"), lambda: resolve_code("D1")):
        with pytest.raises(InputError):
            bad()
    with pytest.raises(NotFoundError, match="sentitel"):
        crosswalk("nobody")
    with pytest.raises(NotFoundError):
        read_data("no/such.toml")
    with pytest.raises(NotFoundError):
        read_data("codes")


def test_codes_have_labels():
    assert len(channels()) == 9 and len(statuses()) == 8 and set(settled_statuses()) <= set(statuses())
    assert len(places("NG")) == 37 and len({p.zone for p in places("NG").values()}) == 6
    assert places("US")["US-CA"].label == "California" and places() == {}


# --- declared labels ---


@pytest.fixture
def done():
    return classify(
        ibis.memtable(
            {"text": ["my data don finish"] * 5, "source_label": ["Billing", " billing", "A1?", None, "misc"]}
        )
    )


def test_declared_wins(done):
    got = prefer_declared(done, {"BILLING": "billing_charging", "A1?": "A1", "misc": "unclassified"}).to_pandas()
    assert got.classified_by.tolist() == ["declared"] * 3 + ["rules"] * 2
    assert got.category_code.tolist() == ["billing_charging"] * 3 + ["data_internet"] * 2
    assert got.subcategory_code.tolist()[2] == "A1" and got.subcategory_code.isna().tolist()[:2] == [True, True]
    assert got.category_confidence.tolist()[:3] == [1.0] * 3 and [len(r) for r in got.rule_ids][:3] == [0, 0, 0]
    assert list(got.columns) == list(done.columns)


def test_declared_wrong_code_and_no_labels(done):
    with pytest.raises(InputError, match="D7"):
        prefer_declared(done, {"x": "D7"})
    assert prefer_declared(done, {}).equals(done)


# --- rules ---


def test_rules_are_well_formed():
    names = [r.name for r in RULES.rules]
    assert len(names) == len(set(names)) and all(re.fullmatch("[a-z0-9_]+", n) for n in names)
    assert {r.category for r in RULES.rules} == set(CODES) - {UNCLASSIFIED}, "every category has a rule"
    assert all(r.weight in R.WEIGHTS and r.example and r.patterns for r in RULES.rules)
    assert all(1 <= r.weight <= sum(R.WEIGHTS) and r.example and r.patterns for r in RULES.against)
    assert all(TAX.subcategories[r.sub].category == r.category for r in RULES.rules if r.sub)
    assert RULES.taxonomy == TAX.version
    used = {m for r in (*RULES.rules, *RULES.against) for p in r.patterns for m in re.findall(r"\{(\w+)\}", p)}
    assert used == set(RULES.words), "word lists that no rule uses, or the other way round"
    known = {"en", "pcm", "ha", "yo", "ig"}
    assert {x for r in RULES.rules for x in r.languages} == known and set(RULES.languages_verified) < known


def test_every_pattern_compiles_in_re2():
    con = duckdb.connect()
    for r in (*RULES.rules, *RULES.against):
        for p in r.patterns:
            con.execute("select regexp_matches('x', ?)", [alternation([pattern_regex(p, RULES.words)])])


def test_every_example_fires_its_rule():
    got = told([r.example for r in RULES.rules])
    for r, names, code in zip(RULES.rules, got.rule_ids, got.category_code, strict=True):
        if r.weight > R.HINT:
            assert r.name in list(names), f"{r.name}: its example does not fire it"
            assert code == r.category or r.weight < 4, f"{r.name}: its example is told to be {code}"
        else:
            assert any(rx.search(re.sub("[^a-z0-9]+", " ", r.example.lower())) for x, rx in PLAIN if x is r), r.name


def test_examples_against():
    got = told([r.example for r in RULES.against])
    assert all(code != r.category for r, code in zip(RULES.against, got.category_code, strict=True))


@pytest.mark.parametrize("pattern", ["a ~", "~", "", "x?", "{nobody} a", "a(b", "[ab]", "a.b", "é", "a|", "*"])
def test_a_bad_pattern_is_a_sentence(pattern):
    with pytest.raises(InputError):
        pattern_regex(pattern, RULES.words)


def test_neutral_texts_stay_silent():
    got = told(NEUTRAL)
    spoke = got[got.category_code != UNCLASSIFIED]
    assert spoke.empty, spoke[["text", "category_code", "rule_ids"]].to_string()
    assert (
        (got.category_confidence == 0).all()
        and got.subcategory_code.isna().all()
        and got.secondary_category_code.isna().all()
    )


def test_complaints_in_five_languages():
    got = told(list(SAID))
    wrong = got[got.category_code != list(SAID.values())]
    assert wrong.empty, wrong[["text", "category_code", "rule_ids"]].to_string()


def test_shape_and_bounds():
    t = ibis.memtable({"id": [1, 2], "body": ["no network", None], "category_code": ["stale", "stale"]})
    got = classify(t, "body").to_pandas()
    assert list(got.columns) == ["id", "body", *ADDED] and got.category_code.tolist() == ["network_voice", UNCLASSIFIED]
    assert got.classified_by.tolist() == ["rules"] * 2 and set(got.taxonomy_version) == {TAX.version}


def test_long_text_is_read_at_its_start():
    got = told(["no network " + "bla " * 50_000, "bla " * 50_000 + "no network"])
    assert got.category_code.tolist() == ["network_voice", UNCLASSIFIED]


def test_words_of_the_customer_do_not_leak():
    got = told(["SECRETWORD 08031234567 no network"])
    assert (
        set(got.rule_ids[0]) <= {r.name for r in RULES.rules}
        and "secret" not in str(got.drop(columns="text").to_dict()).lower()
    )


WORDS = sorted({w for v in RULES.words.values() for w in v} | {"my", "the", "since", "don", "please"})


@settings(max_examples=5, deadline=None)
@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=0, max_size=9).map(" ".join), min_size=40, max_size=120))
def test_the_gate_never_changes_the_answer(texts):
    got = told(texts)
    con = ibis.duckdb.connect()
    folded = con.create_table("t", pd.DataFrame({"text": texts})).select(f=fold(ibis._.text))
    for f, names in zip(folded.to_pandas().f, got.rule_ids, strict=True):
        ungated = {r.name for r, rx in PLAIN if r.weight > R.HINT and rx.search(f)}
        assert ungated == {n for n in names if n not in HINTS}, f
    assert got.category_confidence.between(0, 0.94).all() and got.category_code.isin(CODES).all()
    assert ((got.category_code == UNCLASSIFIED) == (got.category_confidence == 0)).all()
    assert (got.secondary_category_code.isna() | (got.secondary_category_code != got.category_code)).all()


PLAIN = [(r, re.compile(alternation(pattern_regex(p, RULES.words) for p in r.patterns))) for r in RULES.rules]
HINTS = {r.name for r in RULES.rules if r.weight == R.HINT}


@settings(max_examples=8, deadline=None)
@given(st.lists(st.text(max_size=200), min_size=1, max_size=60))
def test_any_text_is_answered(texts):
    got = told([x.replace("\x00", "") for x in texts])
    assert len(got) == len(texts) and got.category_code.notna().all() and got.rule_ids.notna().all()


def test_hand_labelled_subjects():
    path = SHARED / "comcast/comcast_fcc_2015.csv"
    if not path.exists():
        pytest.skip(f"NO SHARED DATA: {path} is not here, the rules are not measured")
    labels = pd.read_csv(HERE / "labels/comcast_subjects.csv", dtype=str, keep_default_na=False).set_index("ticket")
    rows = pd.read_csv(path, dtype=str)
    rows = rows[rows["Ticket #"].isin(labels.index)].reset_index(drop=True)
    got = told(rows["Customer Complaint"].tolist())
    gold = [[labels.label[t], *labels.also[t].split()] for t in rows["Ticket #"]]
    right = pd.Series([p in g for p, g in zip(got.category_code, gold, strict=True)])
    assert len(rows) == 220 and right.mean() >= 0.88 and right[got.category_code != UNCLASSIFIED].mean() >= 0.90
