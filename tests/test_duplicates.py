"""Duplicates: what counts as the same, what is never linked, and that no split of the arrivals changes a link."""

import os
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import duckdb
import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rapidfuzz import fuzz

from beejan.core.errors import InputError
from beejan.resolve import duplicates as D
from beejan.resolve.duplicates import LINKED, candidates, duplicate_links, likeliest_pairs, link_duplicates
from beejan.resolve.fingerprints import (
    FINGERPRINT,
    KEYS,
    MIN_NEAR,
    MIN_SAME,
    fingerprints,
    near_keys,
    same_words,
    text_hashes,
)

HASHES = [2574400142931518764, -6078617692652178116]
SOME_KEYS = [[1333488111, 206735628, -451146175, 1688237557], [-1474566928, 533112672, -573871191, 1514771149]]
SHARED = Path(os.environ.get("BEEJAN_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
GONE = "My 5GB data bundle of Monday is gone and nobody at your office in Aba answers"
BAD = "There has been no network in Gwarinpa estate since early on Friday morning"
SAID = [GONE, BAD, "Una no dey try at all, my line has been barred since last week o", "i may come sunday", "Ok"]


def contents(texts, contacts=None):
    contacts = contacts or [f"c{i}" for i in range(len(texts))]
    rows = {"seq": range(len(texts)), "contact_id": contacts, "text": texts}
    return pa.table(rows, pa.schema([("seq", pa.int64()), ("contact_id", pa.string()), ("text", pa.string())]))


def links(texts, contacts=None):
    "contact -> (first, kind)"
    linked = link_duplicates(fingerprints(contents(texts, contacts))).to_pylist()
    return {r["contact_id"]: (r["first_contact_id"], r["kind"]) for r in linked if r["kind"]}


def words(text):
    return same_words(pa.array([text]))[0].as_py()


# ---------------------------------------- the same words


@pytest.mark.parametrize(
    "text",
    [
        GONE,
        GONE.upper(),
        GONE.title() + "!!!",
        "  " + GONE.replace(" ", "\n\t") + " ",
        GONE.replace(" ", "\u00a0"),
        "RT @ada_1: " + GONE,
        "rt @ada " + GONE,
        "Fwd: FW: Re: " + GONE,
        "“" + GONE + "”…",
        "&quot;" + GONE + "&quot; &amp;",
        GONE.replace("5", "５").replace("b", "ｂ"),
        GONE + " 😡😡",
    ],
)
def test_same_words(text):
    assert words(text) == words(GONE)
    assert links([GONE, text]) == {"c1": ("c0", "exact")}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ọkọ mi ti lọ", "oko mi ti lo"),  # Yoruba: other letters
        ("Return my money", "turn my money"),  # no forward: nothing taken off
        ("Regarding my money", "garding my money"),
        ("refund 500 naira", "refund 5000 naira"),
        ("RTFM please", "FM please"),
    ],
)
def test_other_words(one, other):
    assert words(one) != words(other)


def test_words_of_nothing():
    texts = pa.array([None, "", "!!!", "RT", "&nbsp;", "\u200b", "😂"])
    assert same_words(texts).to_pylist() == [""] * len(texts)
    assert len(fingerprints(contents(texts.to_pylist()))) == 0


@given(st.text(max_size=60))
def test_same_words_is_stable(text):
    out = words(text)
    assert out == out.strip() and "  " not in out
    assert words(text + " !") == out


def test_hashes_and_keys_never_change():
    "They lie in the lake for years: another library or another numpy must not change them."
    w = pa.array([words(GONE), words(BAD)])
    assert text_hashes(w).tolist() == HASHES
    assert near_keys(w)[:, [0, 15, 16, 31]].tolist() == SOME_KEYS


def test_neighbours_do_not_matter():
    rng = random.Random(5)
    texts = ["".join(rng.choices("abcde fghij", k=rng.randint(20, 9000))).strip().ljust(20, "x") for _ in range(600)]
    together = near_keys(pa.array(texts))
    for i in (0, 17, 599):
        assert (near_keys(pa.array([texts[i]]))[0] == together[i]).all()
    assert (near_keys(pa.array(["pad " * 9, *texts]).slice(1)) == together).all()


# ---------------------------------------- what is linked, and to whom


def test_typo_cut_signature_swap():
    for other in (
        GONE.replace("bundle", "bundel"),
        GONE[:-8],
        GONE + " Thanks",
        GONE.replace("Aba answers", "answers Aba"),
    ):
        assert links([BAD, GONE, other]) == {"c2": ("c1", "near")}


def test_tiny_texts_are_never_linked():
    assert links(["Ok", "Ok", "ok!!!", "call me now", "call me now"]) == {}
    assert len(words("call me now")) < MIN_SAME


def test_short_texts_only_exact():
    short = "i may come sunday"
    assert MIN_SAME <= len(short) < MIN_NEAR
    assert links([short, short[:-1], short.upper()]) == {"c2": ("c0", "exact")}


def test_first_is_the_first_to_land_not_the_first_row():
    t = contents([GONE, BAD, GONE]).take(pa.array([2, 1, 0]))
    assert link_duplicates(fingerprints(t)).filter(pc.field("kind").is_valid())["first_contact_id"].to_pylist() == [
        "c0"
    ]


def test_a_later_version_is_neither_copy_nor_original():
    assert links([GONE, GONE, GONE + " [closed]"], ["a", "a", "a"]) == {}
    assert links([GONE, BAD, GONE], ["a", "a", "b"]) == {"b": ("a", "exact")}
    assert links([GONE, BAD, BAD], ["a", "a", "b"]) == {}


def test_the_first_version_with_words_counts():
    assert links([None, GONE, GONE], ["a", "a", "b"]) == {"b": ("a", "exact")}


def test_every_link_names_two_near_texts():
    "A text drifts by a letter each time; no link spans the drift."
    rng, drift = random.Random(3), [GONE * 2]
    for _ in range(300):
        t = drift[-1]
        i = rng.randrange(len(t))
        drift.append(t[:i] + rng.choice("qxzwv") + t[i + 1 :])
    linked = link_duplicates(fingerprints(contents(drift))).to_pylist()
    for r in linked[1:]:
        assert r["first_seq"] is not None and r["first_seq"] < r["seq"]
        assert r["score"] == fuzz.ratio(words(drift[r["seq"]]), words(drift[r["first_seq"]])) >= 85
    assert len({r["first_seq"] for r in linked}) < 150


def test_a_crowd_stays_linear_and_its_copies_are_found():
    "A campaign's template: every text meets few others, and a close copy still meets its source."
    rng = random.Random(1)
    crowd = [f"Dear regulator, refund customer {rng.randrange(10**7)} of {rng.choice(['Aba', 'Jos', 'Kano'])}: "
             f"he lost {rng.randrange(9999)} naira to ticket {rng.randrange(10**8)}, line {rng.randrange(10**8)}"
             for _ in range(3000)]  # fmt: skip
    copies = [c[:30] + c[31:] for c in crowd[500:2500:10]]
    fp = fingerprints(contents(crowd + copies))
    late, _ = likeliest_pairs(np.array(fp["keys"].to_pylist(), np.int32), fp["n_chars"].to_numpy())
    assert np.bincount(late).max() <= D.COMPARED
    linked = link_duplicates(fp)["first_seq"].to_pylist()
    hit = sum(linked[3000 + i] in (500 + 10 * i, linked[500 + 10 * i]) for i in range(len(copies)))
    assert hit >= 0.95 * len(copies)


def test_template_letters():
    "A long shared opening does not make two letters near; their whole words do."
    opening, rng = "To whom it may concern, under section 609 of the act I dispute the account. " * 3, random.Random(2)
    bodies = [
        " ".join(rng.choices("alpha bravo charlie delta echo foxtrot golf hotel".split(), k=300)) for _ in range(4)
    ]
    letters = [opening + b for b in bodies] + [opening + bodies[1].replace("golf", "gulf", 3)]
    assert links(letters) == {"c4": ("c1", "near")}


def test_very_long_texts():
    long = "my data is gone again " * 5_000
    assert links([long, long + "!", long[:60_000]]) == {"c1": ("c0", "exact")}
    fp = fingerprints(contents([long]))
    assert fp["n_chars"][0].as_py() == len(long) - 1 and len(fp["words"][0].as_py()) == 10_000


def by_the_book(t):
    "The rules in plain Python, a text at a time: seq -> (first_seq, kind, score)."
    first_with, buckets, target, out = {}, [{} for _ in range(KEYS)], {}, {}
    for r in fingerprints(t).to_pylist():
        seq, h, w = r["seq"], r["text_hash"], r["words"]
        if h in first_with:
            out[seq] = (first_with[h]["seq"], "exact", 100.0)
            continue
        first_with[h] = r
        if r["keys"] is None:
            continue
        met = Counter()
        for bucket, key in zip(buckets, r["keys"], strict=True):
            members = bucket.setdefault(key, [])
            met.update({m["seq"]: m for m in (members[:1] + members[-1:])}.keys())
            members.append(r)
        known = {m["seq"]: m for m in first_with.values()}
        fits = [s for s in met if 200 * min(n := r["n_chars"], o := known[s]["n_chars"]) >= 85 * (n + o)]
        scored = [(fuzz.ratio(w, known[s]["words"]), -s) for s in sorted(fits, key=lambda s: (-met[s], s))[:4]]
        if scored and max(scored)[0] >= 85:
            score, match = max(scored)[0], -max(scored)[1]
            onward = match in target and fuzz.ratio(w, known[target[match]]["words"])
            target[seq] = target[match] if onward and onward >= 85 else match
            out[seq] = (target[seq], "near", onward if onward and onward >= 85 else score)
    return out


def test_rules_by_the_book():
    rng = random.Random(11)
    base = [
        f"{rng.choice(SAID[:3])} {rng.randrange(9)} {rng.choice(['Aba', 'Jos', 'Kano'])} {rng.randrange(99)}"
        for _ in range(500)
    ]
    texts = base + [t[: rng.randrange(60, 90)] + rng.choice(["", " o", " pls"]) for t in rng.choices(base, k=300)]
    rng.shuffle(texts)
    t = contents(texts)
    linked = link_duplicates(fingerprints(t)).filter(pc.field("kind").is_valid()).to_pylist()
    assert {r["seq"]: (r["first_seq"], r["kind"], r["score"]) for r in linked} == by_the_book(t)
    assert {"near", "exact"} == {r["kind"] for r in linked}


# ---------------------------------------- any split gives the same rows


class Runs:
    "The lake's part: keeps what was linked, answers `candidates`."

    def __init__(self):
        self.con = ibis.duckdb.connect()
        self.kept = self.con.create_table("kept", LINKED.empty_table())

    def run(self, t):
        new = fingerprints(t)
        linked = link_duplicates(new, candidates(ibis.memtable(new), self.kept).to_pyarrow())
        self.con.insert("kept", linked)

    def all(self):
        return self.kept.order_by("seq").to_pyarrow().cast(LINKED).combine_chunks()


@st.composite
def arrivals(draw):
    n = draw(st.integers(1, 30))
    rng = random.Random(draw(st.integers(0, 2**32)))
    texts = []
    for _ in range(n):
        t = rng.choice(SAID)
        for _ in range(rng.choice([0, 0, 0, 1, 2, 5])):
            i = rng.randrange(len(t))
            t = t[:i] + rng.choice("aeiou ") + t[i + rng.choice([0, 1]) :]
        texts.append(rng.choice([t, t, t.upper(), "RT @x: " + t, t + " pls", t[: len(t) * 9 // 10], None]))
    contacts = [f"c{rng.randrange(n * 2)}" for _ in range(n)]
    return contents(texts, contacts), sorted(draw(st.sets(st.integers(0, n), max_size=3)))


@settings(max_examples=40, deadline=None)
@given(arrivals())
@example((contents([GONE, BAD, GONE, GONE + " pls", GONE + " pls", BAD]), [1, 3, 4]))
@example((contents([GONE, GONE, GONE], ["a", "b", "a"]), [1, 2]))
def test_any_split_gives_the_same_rows(made):
    t, cuts = made
    lake = Runs()
    for i, j in zip([0, *cuts], [*cuts, len(t)], strict=True):
        lake.run(t.slice(i, j - i))
    assert lake.all().equals(link_duplicates(fingerprints(t)).combine_chunks())
    lake.con.disconnect()


def test_real_split():
    "Two thousand generated and mutated texts, in nine uneven runs."
    rng = random.Random(8)
    base = [
        f"{rng.choice(SAID[:3])} {rng.randrange(50)} {rng.choice(['Aba', 'Jos', 'Kano'])} {rng.randrange(10**6)}"
        for _ in range(1500)
    ]
    texts = base + [t[: rng.randrange(40, 90)] + rng.choice(["", " o", " pls"]) for t in rng.choices(base, k=500)]
    rng.shuffle(texts)
    t = contents(texts, [f"c{rng.randrange(1800)}" for _ in texts])
    lake, cuts = Runs(), [0, 1, 2, 300, 301, 700, 1500, 1500, 1990, 2000]
    for i, j in pairwise(cuts):
        lake.run(t.slice(i, j - i))
    whole = link_duplicates(fingerprints(t)).combine_chunks()
    assert lake.all().equals(whole)
    assert 300 < duplicate_links(lake.kept).count().to_pyarrow().as_py() < 2000
    lake.con.disconnect()


def test_the_same_run_again_adds_nothing():
    lake, t = Runs(), contents([GONE, BAD, GONE, GONE + " pls"])
    lake.run(t)
    lake.run(t)
    assert lake.all().equals(link_duplicates(fingerprints(t)).combine_chunks())
    lake.con.disconnect()


def test_few_known_rows_are_read():
    rng = random.Random(4)
    texts = [f"case {rng.randrange(10**9)} of {rng.randrange(10**9)} about {rng.choice(SAID[:3])}" for _ in range(4000)]
    lake = Runs()
    lake.run(contents(texts))
    new = fingerprints(contents([texts[7] + "!", "something that nobody has ever written before"], ["x", "y"]))
    assert 1 <= candidates(ibis.memtable(new), lake.kept).count().to_pyarrow().as_py() <= 2 * KEYS + 4
    lake.con.disconnect()


def test_a_first_that_was_erased_does_not_stop_a_run():
    whole = link_duplicates(fingerprints(contents([GONE, GONE[:-3] + "ed", BAD])))
    left = whole.slice(1)
    new = fingerprints(contents([None] * 3 + [GONE]))
    linked = link_duplicates(new, left).to_pylist()
    assert [(r["first_contact_id"], r["kind"]) for r in linked] == [("c1", "near")]


# ---------------------------------------- what is refused, and what is empty


def test_nothing_new():
    none = fingerprints(contents([]))
    assert none.schema == FINGERPRINT and link_duplicates(none).equals(LINKED.empty_table())
    lake = Runs()
    lake.run(contents([GONE]))
    lake.run(contents([]))
    lake.run(contents(["Ok"]))
    assert len(lake.all()) == 1
    lake.con.disconnect()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pa.table({"seq": [1], "contact_id": ["a"]}), "no column text"),
        (pa.table({"seq": [1, 1], "contact_id": ["a", "b"], "text": [GONE, BAD]}), "same seq"),
        (pa.table({"seq": [1, None], "contact_id": ["a", "b"], "text": [GONE, BAD]}), "no seq"),
        (pa.table({"seq": [1, 2], "contact_id": ["a", None], "text": [GONE, BAD]}), "no contact_id"),
    ],
)
def test_wrong_contents(table, said):
    with pytest.raises(InputError, match=said):
        fingerprints(table)


def test_out_of_order():
    linked = link_duplicates(fingerprints(contents([GONE, BAD])))
    with pytest.raises(InputError, match="landed before"):
        link_duplicates(fingerprints(contents([GONE], ["z"])), linked)


def test_columns_in_any_form():
    "Chunked, large strings, dictionary seq order: what a lake or a reader hands over."
    t = contents([GONE, BAD, GONE, BAD + " o"])
    large = pa.table({"text": t["text"].cast(pa.large_string()), "seq": t["seq"], "contact_id": t["contact_id"]})
    chunked = pa.concat_tables([large.slice(0, 1), large.slice(1, 2), large.slice(3)])
    assert fingerprints(chunked).equals(fingerprints(t))


def test_links_hold_no_words():
    con = duckdb.connect()
    linked = link_duplicates(fingerprints(contents([GONE, BAD, GONE])))
    t = duplicate_links(ibis.memtable(linked))
    assert t.columns == ("contact_id", "first_contact_id", "kind", "score")
    assert t.to_pyarrow().to_pylist() == [
        {"contact_id": "c2", "first_contact_id": "c0", "kind": "exact", "score": 100.0}
    ]
    con.close()


# ---------------------------------------- on the real texts


def test_cfpb_narratives_and_their_templates():
    path = SHARED / "cfpb" / "train.csv"
    if not path.exists():
        pytest.skip(f"NOT TESTED ON REAL NARRATIVES: {path} is absent")
    con = duckdb.connect()
    t = con.execute(
        "select row_number() over () - 1 as seq, * from read_csv(?, all_varchar => true)", [str(path)]
    ).to_arrow_table()
    con.close()
    text = max(t.column_names[1:], key=lambda c: pc.sum(pc.utf8_length(t[c])).as_py() or 0)
    t = contents(t[text].to_pylist())
    linked = link_duplicates(fingerprints(t))
    near = linked.filter(pc.equal(linked["kind"], "near")).to_pylist()
    assert len(near) > 50
    all_texts = t["text"].to_pylist()
    for r in near[:50]:
        assert fuzz.ratio(words(all_texts[r["seq"]]), words(all_texts[r["first_seq"]])) >= 80
