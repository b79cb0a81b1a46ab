"""The synthetic operator: equal seeds give equal bytes, and the truth tells the truth."""

import csv
import gzip
import hashlib
import io
import itertools
import json
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import ftfy
import numpy as np
import phonenumbers
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz import fuzz

from beejan.core.errors import InputError
from beejan.core.sources import load_source, source_files
from beejan.land import synth, synth_files, synth_texts, synth_words, synth_world
from beejan.land.readers import read_records
from beejan.land.synth import arrivals, synthesise
from beejan.land.synth_world import codes, messages, world
from beejan.understand.taxonomy import categories

SOURCES = Path(__file__).resolve().parent.parent / "pipelines" / "sources"
N, DAYS = 12_000, 20


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    "A data folder with 12,000 messages in 20 days."
    folder = tmp_path_factory.mktemp("data")
    synthesise(folder / "synth", contacts=N, days=DAYS, seed=3)
    return folder


@pytest.fixture(scope="module")
def contact(data):
    return pq.read_table(data / "synth/truth/contact.parquet").to_pylist()


@pytest.fixture(scope="module")
def record(contact):
    return {(r["channel"], r["source_record_id"]): r for r in contact}


def hashes(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def truth(data, name):
    return pq.read_table(data / f"synth/truth/{name}.parquet").to_pylist()


# ------------------------------------------------------------------------------------------------ bytes and folders


def test_equal_numbers_give_equal_bytes_and_another_seed_does_not(tmp_path):
    facts = [
        synthesise(tmp_path / n, contacts=900, days=4, seed=s, start=date(2025, 6, 2))
        for n, s in (("a", 1), ("b", 1), ("c", 2))
    ]
    a, b, c = (hashes(tmp_path / n) for n in "abc")
    assert a == b and facts[0] == facts[1]
    assert {k for k in a if a[k] == c.get(k)} <= {"truth/event.parquet"}  # what is declared is the same
    assert json.loads((tmp_path / "a/truth/summary.json").read_text()) == facts[0]


def test_a_second_run_replaces_the_first_and_leaves_nothing_of_it(tmp_path):
    synthesise(tmp_path / "x", contacts=600, days=6)
    synthesise(tmp_path / "x", contacts=200, days=2)
    synthesise(tmp_path / "y", contacts=200, days=2)
    assert hashes(tmp_path / "x") == hashes(tmp_path / "y")


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        synthesise(tmp_path, contacts=10)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(InputError, match="holds something else"):
        synthesise(tmp_path / "thesis.txt", contacts=10)


@pytest.mark.parametrize(
    "wrong",
    [{"contacts": 0}, {"contacts": -5}, {"contacts": 10**9}, {"days": 0}, {"days": 10**6}, {"start": date(1999, 1, 1)}],
)
def test_impossible_numbers_are_refused_before_anything_is_written(tmp_path, wrong):
    with pytest.raises(InputError, match="valid:"):
        synthesise(tmp_path / "x", **{"contacts": 10, **wrong})
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("contacts", "days"), [(1, 1), (1, 30), (7, 3), (40, 400)])
def test_the_smallest_worlds_work(tmp_path, contacts, days):
    facts = synthesise(tmp_path / "x", contacts=contacts, days=days)
    assert facts["contacts"] == contacts <= facts["records"]
    assert pq.read_table(tmp_path / "x/truth/contact.parquet").num_rows == facts["records"]


def test_progress_ends_with_all_of_them(tmp_path):
    seen = []
    synthesise(tmp_path / "x", contacts=500, days=5, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen) and seen[-1] == (500, 500)


# ------------------------------------------------------------------------------------------------ the world


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 40), st.integers(0, 2**40), st.integers(1, 4))
def test_every_message_arrives_exactly_once(contacts, days, seed, parts):
    w = world(contacts, days, seed)
    held = [arrivals(w, d, p, parts) for d in range(days) for p in range(parts)]
    first = np.concatenate([r[~again] for r, _, again in held])
    assert np.array_equal(np.sort(first), np.arange(contacts))
    assert np.isin(np.concatenate([r[again] for r, _, again in held]), first).all()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 9_999), min_size=1, max_size=40), st.integers(0, 2**40))
def test_a_message_is_the_same_in_whatever_company_it_is_worked_out(ranks, seed):
    w = world(10_000, 30, seed)
    several = messages(w, np.array(ranks))
    alone = messages(w, np.array(ranks[-1:]))
    for field in ("role", "person", "channel", "sent", "language"):
        assert getattr(several, field)[-1] == getattr(alone, field)[0]
    assert several.case.rank[-1] == alone.case.rank[0]


def test_the_size_of_a_part_changes_no_record(tmp_path, monkeypatch):
    synthesise(tmp_path / "a", contacts=3_000, days=3)
    monkeypatch.setattr(synth, "PART", 300)
    synthesise(tmp_path / "b", contacts=3_000, days=3)
    a, b = (
        sorted(
            (r["channel"], r["source_record_id"], r["text"], r["received_at"], r["case"])
            for r in truth_at(tmp_path / n)
        )
        for n in "ab"
    )
    assert a == b and len(list((tmp_path / "b/calls").iterdir())) > 9


def truth_at(folder):
    return pq.read_table(folder / "truth/contact.parquet").to_pylist()


def test_channels_categories_hours_and_states_follow_the_declared_mix():
    o, w = synth_words.vocabulary("operator"), world(60_000, 28, 9)
    m = messages(w, np.arange(60_000))
    plain = (m.role == 0) & (m.case.event < 0)
    share = np.bincount(m.channel[plain], minlength=4) / plain.sum()
    assert dict(zip(codes("channels"), share, strict=True)) == pytest.approx(o["channels"], abs=0.02)
    calls = plain & (m.channel == codes("channels").index("call"))
    of_calls = dict(
        zip(codes("categories"), np.bincount(m.case.category[calls], minlength=15) / calls.sum(), strict=True)
    )
    assert of_calls == pytest.approx(o["categories"], abs=0.02)
    hour = np.bincount((m.sent[plain] - w.zero_ms) // 3_600_000 % 24, minlength=24) / plain.sum()
    assert hour == pytest.approx(np.array(o["clock"]["hours"]) / sum(o["clock"]["hours"]), abs=0.006)
    people = np.array([s["people"] for s in synth_words.vocabulary("states").values()])
    state = np.bincount(synth_world.state_of(w, m.case.person[plain]), minlength=37) / plain.sum()
    assert state == pytest.approx(people / people.sum(), abs=0.015)


@pytest.mark.parametrize("contacts", [13_199, 20_000])
def test_complaints_come_from_many_people_whatever_their_number(contacts):
    w = world(contacts, 10)
    assert w.persons != 7_919 or contacts == 13_199
    assert len(np.unique(messages(w, np.arange(contacts)).case.person)) > 0.4 * w.persons


def test_the_outage_is_where_the_truth_says(data, contact):
    outage = next(e for e in truth(data, "event") if e["event"] == "outage")
    inside = [
        r for r in contact if outage["starts_at"] <= r["received_at"] < outage["ends_at"] and r["role"] == "complaint"
    ]
    hit = [r for r in inside if r["state"] == outage["state"] and r["category"] in outage["categories"]]
    week_before = [
        r
        for r in contact
        if outage["starts_at"] <= r["received_at"] + timedelta(days=7) < outage["ends_at"]
        and r["state"] == outage["state"]
    ]
    assert len(hit) > 10 * max(1, len(week_before))
    assert {r["category"] for r in contact if r["event"] == "outage" and r["role"] == "complaint"} <= set(
        outage["categories"]
    )


def test_follow_ups_and_copies_come_after_what_they_answer_to(contact, record):
    cases = {r["case"]: r for r in contact if r["role"] == "complaint"}
    later = [r for r in contact if r["role"] != "complaint"]
    assert len(later) > N / 5
    for r in later:
        first = cases[r["case"]]
        assert first["received_at"] < r["received_at"]
        if r["role"] in ("follow_up", "exact", "near"):
            assert (r["person"], r["category"], r["state"]) == (first["person"], first["category"], first["state"])
    assert any(r["channel"] != cases[r["case"]]["channel"] for r in later if r["role"] == "follow_up")
    assert all(r["person"] is None for r in later if r["role"] == "agent_reply")


def test_copies_are_copies(contact, record):
    ratio = []
    for r in contact:
        if r["duplicate_of"] is None:
            continue
        first = record[r["duplicate_of_channel"], r["duplicate_of"]]["text"]
        kind = r["duplicate_kind"]
        if kind in ("exact", "resent"):
            assert r["text"] == first
        if kind == "retweet":
            assert r["text"].startswith("RT @") and r["text"].endswith(first)
        if kind == "near":
            assert r["text"] != first
            ratio.append(fuzz.ratio(r["text"], first))
    assert np.quantile(ratio, 0.03) > 80 and np.median(ratio) > 88
    assert set(Counter(r["duplicate_kind"] for r in contact)) == {None, "exact", "near", "retweet", "resent"}


def test_a_record_that_is_sent_again_is_the_same_record(contact, data):
    again = [r for r in contact if r["duplicate_kind"] == "resent"]
    assert again
    both = {(r["channel"], r["source_record_id"]): [] for r in again}
    for r in contact:
        if (r["channel"], r["source_record_id"]) in both:
            both[r["channel"], r["source_record_id"]].append(r)
    for pair in both.values():
        assert len(pair) == 2 and pair[0]["file"] < pair[1]["file"] and pair[0]["text"] == pair[1]["text"]
    assert not any(r["channel"] == "web_form" for r in again)


def test_ids_are_unique_but_for_records_sent_again(contact):
    ids = [(r["channel"], r["source_record_id"]) for r in contact if r["duplicate_kind"] != "resent"]
    assert len(ids) == len(set(ids)) == N


# ------------------------------------------------------------------------------------------------ words


def test_no_brace_or_bar_of_a_phrase_is_left_over():
    pool = synth_words.lexicon().pool.to_pylist()
    assert not [s for s in pool if set(s) & set("{}")] and not [
        s for s in pool if "|" in s and not s.startswith(("=", "@", "-", "+"))
    ]


@pytest.mark.parametrize("table", ["problems", "common"])
def test_every_phrase_can_be_taken_apart(table):
    def strings(x):
        return (
            [x]
            if isinstance(x, str)
            else [s for v in (x.values() if isinstance(x, dict) else x) for s in strings(v)]
            if isinstance(x, (dict, list))
            else []
        )

    for phrase in strings(synth_words.vocabulary(table)):
        assert synth_words.variants(phrase)
        assert phrase.count("{") == phrase.count("}")


def test_there_are_phrases_for_every_category_of_the_taxonomy():
    assert set(synth_words.vocabulary("problems")) == set(codes("categories")) == set(categories("1.0"))


def test_lengths_are_those_of_the_channels(contact):
    median = {c: np.median([len(r["text"]) for r in contact if r["channel"] == c]) for c in codes("channels")}
    assert (
        80 < median["sms"] < 130
        and 85 < median["social"] < 140
        and 120 < median["call"] < 180
        and 220 < median["web_form"] < 340
    )
    assert min(len(r["text"]) for r in contact) > 3


def test_few_texts_are_alike_by_accident(contact):
    texts = [r["text"] for r in contact if r["role"] == "complaint"]
    assert len(set(texts)) > 0.985 * len(texts)


def test_no_text_has_a_space_too_many(contact):
    assert not [r["text"] for r in contact if re.search(r"^\s|\s$|  | \n|\n | [,!?;]", r["text"])]


def test_personal_data_stands_where_the_truth_says(data, record):
    spans = truth(data, "pii")
    assert {s["kind"] for s in spans} == set(synth_texts.PII_KINDS.values())
    for s in spans:
        assert record[s["channel"], s["source_record_id"]]["text"][s["start"] : s["end"]] == s["value"] != ""


def test_personal_data_belongs_to_the_persons(data, record):
    people = {p["person"]: p for p in truth(data, "person")}
    for s in truth(data, "pii"):
        r = record[s["channel"], s["source_record_id"]]
        person = people.get(r["person"])
        if person is None or r["role"] == "retweet":
            continue
        if s["kind"] in ("nin", "bvn"):
            assert s["value"] == person[s["kind"]]
        if s["kind"] == "email":
            assert s["value"].lower() == person["email"]
        if s["kind"] == "phone":
            assert phonenumbers.is_valid_number(
                phonenumbers.parse(s["value"] if s["value"][0] in "+0" else "+234" + s["value"][-10:], "NG")
            )


def test_persons_are_consistent(data):
    people = truth(data, "person")
    weights = (3, 7, 3, 3, 7, 3, 3, 7, 3, 3, 7, 3)
    banks = synth_words.vocabulary("people")["bank_codes"]
    for p in people[:300]:
        assert p["bvn"].startswith("22") and len(p["bvn"]) == len(p["nin"]) == 11 and p["nin"][0] != "0"
        checks = {-sum(int(d) * k for d, k in zip(b + p["account"][:9], weights, strict=True)) % 10 for b in banks}
        assert int(p["account"][9]) in checks
        assert (
            p["place"] in p["address"] and p["lga"] in synth_words.vocabulary("states")[p["state"]]["places"].values()
        )
    assert len({p["phone"] for p in people}) > 0.99 * len(people)


# ------------------------------------------------------------------------------------------------ the files


def good(contact, channel):
    return [r for r in contact if r["channel"] == channel and not r["broken"] and not r["damage"]]


def by_file(rows):
    out = {}
    for r in rows:
        out.setdefault(r["file"], []).append(r)
    return out


def test_posts_can_be_read_by_anybody(data, contact):
    for file, rows in by_file(good(contact, "social")).items():
        body = gzip.decompress((data / "synth" / file).read_bytes()).split(b"\n")
        for r in rows:
            post = json.loads(body[r["line"] - 1])
            assert post["id_str"] == str(post["id"]) == r["source_record_id"]
            assert synth_files.html.unescape(post["text"]) == r["text"]
            shape = "%a %b %d %H:%M:%S %z %Y" if post["created_at"][0].isalpha() else "%Y-%m-%dT%H:%M:%S.%f%z"
            assert abs(datetime.strptime(post["created_at"], shape) - r["received_at"]) < timedelta(seconds=1)
            ms = (post["id"] >> 22) + synth_files.SNOWFLAKE_EPOCH_MS
            assert datetime.fromtimestamp(ms / 1000, UTC) - r["received_at"] < timedelta(milliseconds=2)


def test_sms_are_xml_and_the_file_that_is_cut_off_is_not(data, contact):
    cut = 0
    for file, rows in by_file(r for r in contact if r["channel"] == "sms").items():
        body = (data / "synth" / file).read_bytes()
        if "_cut" in file:
            cut += 1
            assert [r["broken"] for r in rows] == [None] * (len(rows) - 1) + ["torn_record"]
            with pytest.raises(ElementTree.ParseError):
                ElementTree.fromstring(body)
            continue
        found = ElementTree.fromstring(body).findall("sms")
        assert [e.get("id") for e in found] == [r["source_record_id"] for r in rows]
        assert all(e.text == r["text"] for e, r in zip(found, rows, strict=True) if not r["damage"])
        lines = body.split(b"\n")
        assert all(r["source_record_id"].encode() in lines[r["line"] - 1] for r in rows)
    assert cut


def test_calls_are_a_csv_of_windows_1252(data, contact):
    zones = 0
    for file, rows in by_file(good(contact, "call")).items():
        lines = (data / "synth" / file).read_bytes().split(b"\r\n")
        for r in rows:
            row = dict(
                zip(
                    synth_files.CALL_COLUMNS,
                    next(csv.reader(io.StringIO(lines[r["line"] - 1].decode("cp1252")), delimiter=";")),
                    strict=True,
                )
            )
            assert row["Call Ref"] == r["written_id"] and row["Notes"] == r["text"]
            if not r["time_fault"]:
                shape = "%d/%m/%Y %H:%M" if "/" in row["Logged At"] else "%d-%m-%Y %I:%M:%S %p"
                local = datetime.strptime(row["Logged At"], shape).replace(tzinfo=UTC) - timedelta(hours=1)
                assert timedelta(0) <= r["received_at"] - local < timedelta(minutes=1)
                zones += 1
    assert zones > 3_000
    assert {
        r["written_id"] for r in contact if r["channel"] == "call" and r["written_id"] != r["source_record_id"]
    } == {"5.70306E+17"}


def test_forms_are_a_database(data, contact):
    rows = {r["record"]: r for r in contact if r["channel"] == "web_form"}
    with closing(sqlite3.connect(data / "synth/forms/web_forms.sqlite")) as con:
        con.text_factory = bytes
        found = con.execute("SELECT rowid, * FROM complaints").fetchall()
    assert len(found) == len(rows)
    for rowid, *values in found:
        row, r = dict(zip(synth_files.FORM_COLUMNS, values, strict=True)), rows[rowid]
        assert row["ticket_no"].decode() == r["source_record_id"]
        if r["broken"]:
            with pytest.raises(UnicodeDecodeError):
                row["description"].decode()
        elif not r["damage"]:
            assert row["description"].decode() == r["text"]
        if r["time_fault"] == "closed_before_opened":
            assert row["closed_at"] < row["submitted_at"]


def test_damaged_texts_can_be_mended(data, contact):
    damaged = {r["line"]: r for r in contact if r["channel"] == "sms" and r["damage"] == "mojibake"}
    assert {r["damage"] for r in contact} == {None, "mojibake", "html", "control"}
    mended = 0
    for r in damaged.values():
        line = (data / "synth" / r["file"]).read_text().split("\n")[r["line"] - 1]
        assert r["text"] not in synth_files.html.unescape(line)
        mended += (
            ftfy.fix_encoding(synth_files.html.unescape(line[line.index('">') + 2 : line.rindex("</sms>")]))
            == r["text"]
        )
    assert mended > 0.95 * len(damaged) > 0


def test_what_is_broken_is_broken(data, contact):
    kinds = Counter(r["broken"] for r in contact)
    assert set(kinds) == {None, "bad_encoding", "nul_byte", "torn_record", "split_line"}
    assert 0.001 < 1 - kinds[None] / len(contact) < 0.005
    for r in contact:
        if r["channel"] == "social" and r["broken"]:
            line = gzip.decompress((data / "synth" / r["file"]).read_bytes()).split(b"\n")[r["line"] - 1]
            with pytest.raises(ValueError):
                json.loads(line.decode())


def test_late_messages_are_in_later_files(contact):
    for r in contact:
        if r["channel"] == "web_form" or r["duplicate_kind"] == "resent":
            continue
        day = datetime.strptime(r["file"].split("_")[1][:10], "%Y-%m-%d").date()
        sent = (r["received_at"] + timedelta(hours=1)).date()
        assert abs((day - sent).days - r["days_late"]) <= (r["received_at"].hour == 22 or r["received_at"].hour == 23)
    assert {r["days_late"] for r in contact} == {0, 1, 2, 3}


def test_arrival_is_not_quite_in_order(contact):
    times = [r["received_at"] for r in contact if r["file"].startswith("calls/")]
    back = sum(b < a for a, b in itertools.pairwise(times))
    assert 0 < back < 0.1 * len(times)


# ------------------------------------------------------------------------------------------------ as sources


@pytest.mark.parametrize("name", ["synth_social", "synth_sms", "synth_calls", "synth_forms"])
def test_the_shipped_declarations_read_what_is_written(data, contact, name):
    source = load_source(SOURCES / f"{name}.toml")
    rows = {(r["file"], r["record"] if r["line"] is None else r["line"]): r for r in contact}
    seen, columns = Counter(), set()
    for path in source_files(source, data):
        for batch in read_records(path, source.format):
            for r in batch.to_pylist():
                t = rows.get((f"{path.parent.name}/{path.name}", r["record_no"] if r["line"] is None else r["line"]))
                if r["fault"]:
                    assert t is None or t["broken"], (r, t)
                    seen["fault"] += 1
                elif t and not t["broken"]:
                    fields = dict(r["fields"])
                    columns |= set(fields)
                    assert fields[source.fields["source_record_id"][0]] == t["written_id"]
                    seen["read"] += 1
    channel = [r for r in contact if r["channel"] == source.channel]
    assert seen["read"] == sum(not r["broken"] for r in channel)
    assert {c for cs in source.fields.values() for c in cs} <= columns


# ------------------------------------------------------------------------------------------------ size


def test_memory_does_not_grow_with_the_number_of_messages(tmp_path):
    code = """if True:
        import resource, sys
        from beejan.land.synth import synthesise
        synthesise(sys.argv[1], contacts=int(sys.argv[2]), days=2)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"""
    sizes = ("80000", "320000")  # one part a day, and four
    runs = [
        subprocess.run([sys.executable, "-c", code, tmp_path / n, n], capture_output=True, text=True, check=True)
        for n in sizes
    ]
    peak = [int(r.stdout) for r in runs]
    assert peak[1] < peak[0] * 1.15 + 40, peak
