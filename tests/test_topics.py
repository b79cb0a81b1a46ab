"""Topics: ids that survive, no word of one person, files that hold no code, and the pipeline end to end."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from beejan.core.errors import InputError
from beejan.core.lake import Lake, append, commit, overwrite, table, table_hash, writer
from beejan.core.schema import contract, table_spec
from beejan.model.marts import fact_contact
from beejan.operate.discovery import discover_topics, latest_model, model_path
from beejan.understand.grouping import faithful, group_fast, how_many, topic_name, topic_names
from beejan.understand.topics import discover, events_of, load_model, matched, mint, overlaps, save_model
from beejan.understand.wording import bare, learn_wording

MATTERS = {
    "otp never arrives from bank": "sim_identity",
    "no network since heavy rain": "network_voice",
    "caller tune charged without asking": "vas_unsolicited",
    "router shows red light": "device_terminal",
    "voucher scratched digits unreadable": "recharge_topup",
    "browsing slow every evening": "data_internet",
}
AGENT = ("cust called in", "cust upset", "cust ok now", "raised a ticket", "told to wait", "closed on call")


def encode(texts):
    """A toy encoder: each word a direction of its own, drawn from its letters."""
    rows = [np.random.default_rng(list(t.encode())).normal(size=64) for t in texts]
    found = np.array(rows, dtype="float32").reshape(len(texts), 64)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


def complaints(n, matters=tuple(MATTERS), seed=0, begin="c"):
    """Contacts that say one of the matters between two of the agents' phrases."""
    rng = np.random.default_rng(seed)
    which, day0 = rng.integers(len(matters), size=n), datetime(2026, 1, 1, tzinfo=UTC)
    texts = [f"{rng.choice(AGENT)}. {matters[w]}, ref {rng.integers(9999)}. {rng.choice(AGENT)}" for w in which]
    return pa.table(
        {
            "contact_id": [f"{begin}{i:05d}" for i in range(n)],
            "text": texts,
            "category_code": [MATTERS[matters[w]] for w in which],
            "received_at": pa.array([day0 + timedelta(hours=i) for i in range(n)], pa.timestamp("us", "UTC")),
        }
    ), which


def topics_of(found):
    return dict(
        zip(found.assignments["contact_id"].to_pylist(), found.assignments["topic_id"].to_pylist(), strict=True)
    )


# ---- wording --------------------


@given(st.text(max_size=200))
def test_bare_words_hold_no_digit_handle_or_link_and_are_stable(text):
    once = bare([text])[0]
    assert not any(c.isdecimal() or c in "@/:" for c in once)
    assert bare([once])[0] == once


@pytest.mark.parametrize(
    "text",
    [
        "@MTN @kokomobile help",
        "http://t.co/abc www.koko.example",
        "a.b@c.example",
        "<PHONE> [PERSON] {AMOUNT}",
        "XXXX xx/xx",
        "N5,000 08031234567 5GB",
    ],
)
def test_what_names_somebody_or_something_else_is_gone(text):
    assert bare([text], ["help"])[0] in ("", "a", "xx")


def test_agents_phrases_tell_nothing_and_what_the_matter_is_does():
    contacts, _ = complaints(1200)
    learned = learn_wording(bare(contacts["text"].to_pylist()), contacts["category_code"].to_pylist(), encode)
    assert {"otp", "network", "router", "voucher"} <= set(learned.terms)
    assert not {"cust", "upset", "ticket", "raised", "closed"} & set(learned.terms)


def test_without_categories_rare_words_tell():
    contacts, _ = complaints(600)
    learned = learn_wording(bare(contacts["text"].to_pylist()), [None] * 600, encode)
    assert {"otp", "router"} <= set(learned.terms)


# ---- grouping and names --------------------


@given(st.integers(0, 10**7))
def test_the_number_of_topics_grows_and_stays_readable(n):
    assert 1 <= how_many(n) <= 120 and how_many(n) <= how_many(n + 1000)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_hardly_any_text_is_no_error(n):
    assert len(group_fast(np.eye(3, 64, dtype="float32")[:n], np.full(n, -1), 5)) == n


def test_a_text_on_the_border_stays_where_it_was():
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype="float32")
    assert faithful(vectors, np.array([0, 1, 0]), np.array([0, 1, 1])).tolist() == [0, 1, 1]


def test_names_differ_and_say_capitals():
    assert topic_name(["sim swap", "otp"]) == "SIM swap, OTP"
    names = topic_names([["otp", "late"], ["otp", "late"], [], []])
    assert len(set(names)) == 4


# ---- identity --------------------


@given(st.sets(st.text(min_size=1), min_size=1), st.integers(0, 5))
def test_an_id_is_never_given_out_twice(members, times):
    used: list[str] = []
    for _ in range(times + 1):
        used.append(mint(members, used))
    assert len(set(used)) == len(used) and all(len(i) == 9 for i in used)


@settings(max_examples=50)
@given(st.lists(st.integers(-1, 4), min_size=1, max_size=60), st.integers(0, 10**6))
def test_the_same_groups_under_other_numbers_are_the_same_topics(start, seed):
    start = np.array(start)
    order = np.random.default_rng(seed).permutation(5)
    groups = np.where(start >= 0, order[start], -1)
    moved = overlaps(groups, start)
    same = matched(moved, np.zeros_like(moved))
    sizes = np.bincount(start[start >= 0], minlength=moved.shape[0]) if moved.size else []
    assert {j: i for j, i in same.items()} == {int(order[i]): i for i, n in enumerate(sizes) if n}
    ids, before = [f"t{i}" for i in range(moved.shape[1])], [f"b{i}" for i in range(moved.shape[0])]
    named = [before[same[j]] if j in same else ids[j] for j in range(moved.shape[1])]
    assert all(e["kind"] in ("new", "retired") for e in events_of(moved, same, named, before))


def test_a_rerun_gives_the_same_and_so_does_another_order():
    contacts, _ = complaints(1500)
    first, again = (
        discover(contacts, encode),
        discover(contacts.take(np.random.default_rng(1).permutation(1500)), encode),
    )
    assert first.topics.equals(again.topics) and first.assignments.equals(again.assignments)
    later = discover(contacts, encode, known=first.topics, earlier=first.assignments)
    assert set(later.model.ids) == set(first.model.ids) and later.events.num_rows == 0


def test_ids_are_kept_over_a_month_in_weekly_fits_and_a_new_matter_is_found():
    contacts, which = complaints(3000)
    told = list(MATTERS)
    known = earlier = None
    seen = []
    for week in (1200, 1800, 2400, 3000):
        rows = contacts.slice(0, week)
        # the router trouble begins in the third week
        rows = rows.filter(
            pa.array([told[w] != "router shows red light" or i > 1800 for i, w in enumerate(which[:week])])
        )
        found = discover(rows, encode, known=known, earlier=earlier)
        seen.append((topics_of(found), found))
        known, earlier = found.topics, found.assignments
    for (before, _), (after, _found) in pairwise(seen):
        kept = [after[c] == t for c, t in before.items() if t]
        assert np.mean(kept) >= 0.9
    router = {
        c for c, w in zip(contacts["contact_id"].to_pylist(), which, strict=True) if told[w] == "router shows red light"
    }
    new = {t for c, t in seen[-1][0].items() if c in router and t} - {t for t in seen[1][0].values()}
    assert new and "new" in seen[2][1].events["kind"].to_pylist() + seen[3][1].events["kind"].to_pylist()
    every = found.topics["topic_id"].to_pylist()
    assert len(set(every)) == len(every)


def test_a_matter_that_ends_is_retired_and_its_id_is_not_given_again():
    contacts, which = complaints(1500)
    first = discover(contacts, encode)
    router = pa.array([list(MATTERS)[w] != "router shows red light" for w in which])
    second = discover(contacts.filter(router), encode, known=first.topics, earlier=first.assignments)
    gone = set(first.model.ids) - set(second.model.ids)
    assert gone and {r["topic_id"] for r in second.topics.to_pylist() if r["status"] == "retired"} == gone
    active = second.topics.filter(pa.compute.equal(second.topics["status"], "active"))
    third = discover(contacts, encode, known=second.topics, earlier=second.assignments)
    assert not gone & set(third.model.ids) and set(active["topic_id"].to_pylist()) <= set(
        third.topics["topic_id"].to_pylist()
    )


def test_nothing_to_find_is_no_error():
    none, few = complaints(0)[0], complaints(7)[0]
    blank = few.set_column(1, "text", pa.array([None] * 7, pa.string()))
    for rows in (none.cast(few.schema), few, blank):
        found = discover(rows, encode)
        assert found.topics.num_rows == 0 and set(found.assignments["topic_id"].to_pylist()) <= {None}
        assert found.model.place(["otp"])[0] == [None]


# ---- no personal data, no code --------------------


def test_what_one_person_wrote_is_in_no_label_term_or_file(tmp_path):
    contacts, _ = complaints(1200)
    texts = contacts["text"].to_pylist()
    texts[:3] = [f"{t} canaryword is my landlord" for t in texts[:3]]
    found = discover(contacts.set_column(1, "text", pa.array(texts)), encode)
    path = save_model(found.model, tmp_path / "m.safetensors")
    assert b"canaryword" not in path.read_bytes() and "canaryword" not in str(found.topics.to_pylist())
    with safe_open(path, framework="np") as file:
        assert set(json.loads(file.metadata()["beejan.topics"])) == {"fit_id", "ids", "terms", "floor", "brands"}
    assert load_model(path).place(texts[:50])[0] == found.model.place(texts[:50])[0]


@pytest.mark.parametrize("damage", [b"", b"\x80\x04K\x01.", b"\xff" * 64])
def test_a_file_that_is_no_model_is_refused_in_a_sentence(tmp_path, damage):
    path = save_model(discover(complaints(300)[0], encode).model, tmp_path / "m.safetensors")
    path.write_bytes(damage)
    with pytest.raises(InputError, match="is no model of topics"):
        load_model(path)


# ---- in the lake --------------------


def come_in(lake, contacts, words=True):
    """Put contacts into the lake as transform leaves them."""
    spec = table_spec("curated.contact")
    fixed = {}
    for c in spec.columns:
        if not c.null:
            fixed[c.name] = (
                []
                if "array" in c.type
                else True
                if c.type == "boolean"
                else 0
                if "int" in c.type or "float" in c.type
                else "x"
            )
    rows = [
        fixed
        | r
        | {
            "text_redacted": r.pop("text") if words else None,
            "channel": "sms",
            "state": "NG-LA",
            "ingested_at": r["received_at"],
        }
        for r in contacts.to_pylist()
    ]
    con = writer(lake)
    new = ibis.memtable(pa.Table.from_pylist(rows, spec.schema.to_pyarrow()))

    def work(c):
        append(c, "curated.contact", new)
        links = table(c, "curated.duplicate_link")
        overwrite(c, "mart.fact_contact", fact_contact(table(c, "curated.contact"), links, "Africa/Lagos"))

    commit(lake, con, work)
    return con


def test_discovery_in_the_lake_twice_is_once_and_places_what_comes(workspace):
    lake = Lake(workspace)
    contacts, _ = complaints(900)
    con = come_in(lake, contacts.slice(0, 800))
    first = discover_topics(lake, encode)
    names = ("curated.topic", "curated.topic_event", "curated.contact_topic", "mart.rollup_topic_daily")
    hashes = {n: table_hash(con, n) for n in names}
    assert first["fitted"] and first["placed"] == 800
    assert not discover_topics(lake, encode)["placed"] and {n: table_hash(con, n) for n in names} == hashes
    for name in names[:3]:
        contract(name).validate(table(con, name))
    come_in(lake, contacts.slice(800, 40)).disconnect()
    then = discover_topics(lake, encode)
    assert (then["fitted"], then["placed"]) == (False, 40)
    assert table(con, "mart.rollup_topic_daily").contacts.sum().execute() == 840
    model_path(lake, latest_model(lake, con).fit_id).unlink()  # a lost file is a new fit, and no id is lost
    again = discover_topics(lake, encode)
    assert again["fitted"] and not again["new"] + again["retired"]
    con.disconnect()


def test_discovery_reads_redacted_texts_only(workspace):
    lake = Lake(workspace)
    come_in(lake, complaints(50)[0], words=False).disconnect()
    with pytest.raises(InputError, match="No contact has a redacted text"):
        discover_topics(lake, encode)
    with pytest.raises(InputError, match="Mode of discovery"):
        discover(complaints(50)[0], encode, mode="slow")
