"""Contacts become cases: in any order the same, no id changes without an event, and what people decide stays."""

import json
import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import combinations, pairwise

import ibis
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from ibis import _

from beejan.cli import cli
from beejan.core.errors import BeejanError, InputError, NotFoundError
from beejan.core.lake import Lake, commit, reader, replace_rows, table, table_hash, writer
from beejan.core.schema import table_spec
from beejan.core.settings import load_settings
from beejan.core.sources import load_sources
from beejan.govern.erasure import erase, preview
from beejan.land.landing import land_source
from beejan.model.marts import fact_case
from beejan.model.metrics import measure
from beejan.operate import cases as C
from beejan.operate.transform import rebuild_lake, transform
from beejan.operate.workspace import make_workspace
from beejan.resolve.cases import EVIDENCE, in_reach, link_cases
from beejan.resolve.matters import case_rows

HOUR, MONDAY = 3_600, datetime(2026, 1, 5, tzinfo=UTC)
BONDS = pa.schema([("decision_no", pa.int64()), ("seq", pa.int64())])

# --- linking, without a lake ---


@st.composite
def evidences(draw):
    """Contacts of a few customers, as the linker sees them; few values, so that everything meets."""
    n = draw(st.integers(1, 14))
    rng = random.Random(draw(st.integers(0, 10**6)))
    rows = [
        {
            "seq": i,
            "at": rng.choice([None, *(float(HOUR * h) for h in (0, 5, 23, 25, 70, 73, 160, 169, 335, 340, 900))]),
            "account": rng.choice([0, 0, 11, 12, 13]),
            "phone": rng.choice([0, 11, 21, 22]),
            "ref": rng.choice([0, 0, 0, 31, 32, 101, 102]),
            "own": 100 + i,
            "words": rng.choice([41, 42, 43, 200 + i]),
            "category": rng.choice([51, 52, 53]),
            "vague": rng.random() < 0.2,
            "doubtful": rng.random() < 0.4,
            "again": rng.random() < 0.4,
            "pen": rng.choice([0] * 9 + [1, 2]),
        }
        for i in range(n)
    ]
    bound = [(no, s) for no in (3, 4) for s in rng.sample(range(n), min(n, 2)) if rng.random() < 0.4]
    return rows, bound, rng


def linked(rows, bound=()):
    """seq -> (case_seq, evidence)."""
    kinds = dict.fromkeys("seq account phone ref own words category pen".split(), pa.int64())
    kinds |= {"at": pa.float64(), **dict.fromkeys(("vague", "doubtful", "again"), pa.bool_())}
    bonds = pa.table([[b[0] for b in bound], [b[1] for b in bound]], schema=BONDS)
    t = link_cases(pa.Table.from_pylist(rows, pa.schema(kinds.items())), bonds).to_pylist()
    return {r["seq"]: (r["case_seq"], r["evidence"]) for r in t}


@given(evidences())
def test_the_order_of_arrival_does_not_matter_and_a_case_is_named_after_its_first(made):
    rows, bound, rng = made
    once = linked(rows, bound)
    assert linked(rng.sample(rows, len(rows)), bound) == once
    for seq, (case, why) in once.items():
        assert case == min(s for s, (c, _w) in once.items() if c == case) <= seq
        assert why in (*EVIDENCE, "decision", "first")


@given(evidences())
def test_only_what_shares_a_key_is_joined_and_a_pen_holds(made):
    rows, _bound, _rng = made
    once = linked(rows)

    def keys(r):
        who = {("who", r["account"]), ("who", r["phone"])} - {("who", 0)} if not r["pen"] else {("pen", r["pen"])}
        return who | ({("ref", r["ref"]), ("ref", r["own"])} - {("ref", 0)} if not r["pen"] else set())

    near = {r["seq"]: {s["seq"] for s in rows if keys(r) & keys(s)} for r in rows}
    for _turn in rows:
        near = {k: set().union(*(near[s] for s in v)) for k, v in near.items()}
    for a, b in combinations(rows, 2):
        together = once[a["seq"]][0] == once[b["seq"]][0]
        assert not together or b["seq"] in near[a["seq"]]
        if a["pen"] != b["pen"]:
            assert not together
        elif a["pen"]:
            assert together


def keys_of(rows, bound):
    """who, key: as `case_keys` lists them."""
    pairs = [(r["seq"], k) for r in rows for k in (r["account"], r["phone"], r["ref"], r["own"], -r["pen"]) if k]
    pairs += [(s, -no) for no, s in bound]
    return pa.table(
        {"who": pa.array([p[0] for p in pairs], pa.int64()), "key": pa.array([p[1] for p in pairs], pa.int64())}
    )


@given(evidences())
def test_who_is_out_of_reach_of_a_change_keeps_his_case(made):
    rows, bound, rng = made
    before = linked(rows, bound)
    chosen = rng.choice(rows)["seq"]
    changed = [r | ({"phone": 21, "account": 0, "ref": 0} if r["seq"] == chosen else {}) for r in rows]
    both = [r for t in (rows, changed) for r in t if r["seq"] == chosen]
    start = keys_of(both, [b for b in bound if b[1] == chosen])["key"]
    reached = set(in_reach(keys_of(changed, bound), start).to_pylist()) | {chosen}
    after = linked(changed, bound)
    assert {s: k for s, k in after.items() if s not in reached} == {s: k for s, k in before.items() if s not in reached}
    some = linked([r for r in changed if r["seq"] in reached], bound)
    assert some == {s: k for s, k in after.items() if s in reached}


def test_keys_that_nobody_has_any_more_do_not_end_the_search():
    keys = pa.table({"who": [1, 1, 2, 2, 3, 3], "key": [10, 11, 11, 12, 12, 13]})
    assert set(in_reach(keys, pa.chunked_array([[10, 90, 91, 92, 93]])).to_pylist()) == {1, 2, 3}


# --- the state of a case, against plain Python ---


def told(rows):
    """What `case_rows` must say of one case: reopened, resolved_at."""
    ended = [r for r in rows if r["resolved_at"] and r["status"] != "pending"]
    line = sorted([(r["received_at"], 0) for r in rows] + [(r["resolved_at"], 1) for r in ended])
    kinds = [k for _at, k in line]
    again = sum(a == 1 and b == 0 for a, b in pairwise(kinds))
    return again, line[-1][0] if kinds[-1] else None, next((at for at, k in line if k), None)


def test_three_hundred_cases_stand_as_plain_python_says():
    rng, rows, who = random.Random(5), [], {}
    for i in range(900):
        at = MONDAY + timedelta(minutes=7 * i)
        end = rng.choice([None, at + timedelta(hours=rng.uniform(0.5, 90))])
        status = rng.choice(["resolved", "closed", None] if end else ["pending", "acknowledged", None])
        if end and rng.random() < 0.2:
            status = "pending"  # a promised time is no end
        rows.append(
            {
                "contact_id": f"c{i}",
                "case_id": f"k{rng.randrange(300)}",
                "received_at": at,
                "resolved_at": end,
                "status": status,
                "closed_at": None,
                "channel": rng.choice(["sms", "call"]),
                "customer_key": None,
                "source": "x",
                "state": None,
                "msisdn_key": None,
                "category_code": "vas",
                "dq_flags": [],
                "seq": i,
            }
        )
    for r in rows:  # one customer per case
        r["msisdn_key"] = who.setdefault(r["case_id"], f"p{rng.randrange(120)}")
    kinds = {k: "string" for k in rows[0]} | {k: "timestamp('UTC')" for k in rows[0] if k.endswith("_at")}
    contact = ibis.memtable(rows, schema=kinds | {"dq_flags": "array<string>", "seq": "int64"})
    found = {r["case_id"]: r for r in case_rows(contact, contact).to_pyarrow().to_pylist()}
    opened = {}
    for case in {r["case_id"] for r in rows}:
        mine = [r for r in rows if r["case_id"] == case]
        again, resolved, first = told(mine)
        f = found[case]
        assert (f["reopened"], f["resolved_at"], f["first_resolved_at"]) == (again, resolved, first)
        assert f["n_contacts"] == len(mine) and f["channels"] == sorted({r["channel"] for r in mine})
        assert f["second_contact_at"] == (mine[1]["received_at"] if len(mine) > 1 else None)
        opened.setdefault(who[case], []).append((f["opened_at"], case))
    for cases in opened.values():
        cases.sort()
        for (before, _k), (_at, case) in zip([(None, ""), *cases], cases, strict=False):
            assert found[case]["earlier_case_at"] == before
    fact = fact_case(case_rows(contact.mutate(customer_key=contact.msisdn_key), contact), "Africa/Lagos")
    for hours in (10, 40, 90, 2000):
        now, span = MONDAY + timedelta(hours=95), timedelta(hours=hours)
        often = [sum(now - span < at <= now for at, _case in cases) for cases in opened.values()]
        said = measure("repeat_complainants", fact, as_of=now, span=span).to_pyarrow().to_pylist()[0]
        assert said["n"] == sum(n > 0 for n in often)
        assert round(said["value"] * said["n"]) == sum(n > 1 for n in often)


# --- in the lake ---


class Desk:
    """A workspace whose contacts arrive by hand, as the steps before leave them."""

    def __init__(self, root):
        make_workspace(root)
        self.lake = Lake(load_settings(root))
        self.con, self.seq, self.rows = writer(self.lake), 0, {}

    def close(self):
        self.con.disconnect()

    def come_in(self, *contacts):
        """New contacts, or new versions: dicts with contact_id, hour, phone, category, ref."""
        rows = []
        for c in contacts:
            old = self.rows.get(c["contact_id"], {})
            row = {
                "seq": self.seq,
                "source_record_id": c["contact_id"],
                "source_system": "koko",
                "dq_flags": [],
                **old,
                "received_at": MONDAY + timedelta(hours=c["hour"]),
                "customer_key": c.get("account"),
                "msisdn_key": c.get("phone"),
                "channel": "sms",
                "category_code": c.get("category", "vas"),
                "case_id": c.get("ref"),
                "ingested_at": MONDAY,
                "text_redacted": c.get("text", "hello"),
                "contact_id": c["contact_id"],
            }
            self.seq += 1
            self.rows[c["contact_id"]] = row
            rows.append(row)

        def filled(name):
            empty = {"string": "x", "int64": 0, "float64": 0.0, "boolean": True}
            spec = table_spec(name)
            base = {c.name: empty.get(c.type, []) for c in spec.columns if not c.null and "time" not in c.type}
            return ibis.memtable(pa.Table.from_pylist([base | r for r in rows], spec.schema.to_pyarrow()))

        def work(c):
            touched = ibis.memtable(
                pa.Table.from_pylist(
                    [{k: r[k] for k in keys} for r in (*rows, *before)], pa.schema([(k, pa.string()) for k in keys])
                )
            )
            replace_rows(c, "curated.contact", filled("curated.contact"))
            replace_rows(c, "vault.content", filled("vault.content"))
            return C.publish_cases(c, touched)

        keys = "contact_id source_system source_record_id customer_key msisdn_key case_id".split()
        ids = [c["contact_id"] for c in contacts]
        before = (
            table(self.con, "curated.contact").filter(_.contact_id.isin(ids)).select(*keys).to_pyarrow().to_pylist()
        )
        return commit(self.lake, self.con, work)

    def members(self):
        return {r["contact_id"]: r["case_id"] for r in table(self.con, "curated.case_member").to_pyarrow().to_pylist()}

    def events(self, after=0):
        t = table(self.con, "curated.case_event").filter(_.event_no > after).order_by("event_no", "contact_id")
        return t.to_pyarrow().to_pylist()

    def hashes(self):
        return [table_hash(self.con, f"curated.{n}") for n in ("case", "case_member", "case_event")]


@pytest.fixture
def desk(tmp_path):
    d = Desk(tmp_path / "team")
    yield d
    d.close()


def some(rng, n, ids):
    return [
        {
            "contact_id": i,
            "hour": rng.randrange(0, 400),
            "phone": rng.choice([None, *"abcdef"]),
            "account": rng.choice([None, None, *"uvw"]),
            "category": rng.choice(["vas", "billing_charging", "unclassified"]),
            "ref": rng.choice([None] * 6 + ["r1", "r2"]),
            "text": rng.choice(["hello", "this is the third time"]),
        }
        for i in rng.sample(ids, n)
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_runs_that_touch_a_few_end_as_one_that_links_everything(desk, seed):
    rng, ids = random.Random(seed), [f"c{i}" for i in range(60)]
    for _run in range(6):
        before, last = desk.members(), max([e["event_no"] for e in desk.events()], default=0)
        desk.come_in(*some(rng, rng.choice([1, 3, 12]), ids))  # new ones, and new versions of old ones
        after, news = desk.members(), desk.events(last)
        changed = {(c, k, after[c]) for c, k in before.items() if after[c] != k}
        assert changed == {(e["contact_id"], e["from_case_id"], e["case_id"]) for e in news}
        held = desk.hashes()
        assert commit(desk.lake, desk.con, C.publish_cases) == {"members": 0, "changed": 0}
        assert desk.hashes() == held


def test_lakes_from_before_cases_and_lost_members_are_linked_anew(desk):
    desk.come_in(*({"contact_id": f"c{i}", "hour": i, "phone": "a"} for i in range(4)))
    desk.con.raw_sql("DELETE FROM lake.curated.case_member WHERE contact_id IN ('c0', 'c1', 'c2')")
    desk.con.raw_sql("UPDATE lake.curated.case SET reopened = NULL, n_channels = NULL")
    desk.come_in({"contact_id": "c9", "hour": 3, "phone": "b"})
    assert len(desk.members()) == 5
    assert sorted(r for r in table(desk.con, "curated.case").n_contacts.to_pyarrow().to_pylist()) == [1, 4]


def decided(desk):
    """Two cases: a's (a1, a2) and b's (b1)."""
    desk.come_in(*({"contact_id": c, "hour": h, "phone": c[0]} for c, h in (("a1", 0), ("a2", 2), ("b1", 3))))
    m = desk.members()
    return m["a1"], m["b1"]


def test_merge_split_and_their_undoing_come_back_to_the_same_ids(desk):
    a, b = decided(desk)
    held = desk.members()
    C.merge_cases(desk.lake, [a, b[:9]], "same house", "ngozi")
    assert set(desk.members().values()) == {a}
    assert C.find_case(desk.con, b) == a  # an old id leads to the case of today
    C.unmerge_case(desk.lake, b, "no", "ngozi")
    assert desk.members() == held
    C.split_case(desk.lake, a, ["a2"], "her brother", "ngozi")
    apart = desk.members()
    assert len(set(apart.values())) == 3
    desk.come_in({"contact_id": "a3", "hour": 3, "phone": "a", "text": "this is the third time"})
    assert desk.members()["a2"] == apart["a2"] and desk.members()["a3"] == a  # no rule enters a pen
    C.undo_decision(desk.lake, 3, "it was hers", "ngozi")
    assert {desk.members()[c] for c in ("a1", "a2", "a3")} == {a}
    assert [e["kind"] for e in desk.events()] == ["merged", "unmerged", "split", "merged"]
    assert {e["decided_by"] for e in desk.events()} == {"ngozi"} and all(e["reason"] and e["at"] for e in desk.events())
    held = desk.hashes()
    commit(desk.lake, desk.con, C.publish_cases)
    assert desk.hashes() == held


def test_what_a_rule_merged_stays_apart_once_a_person_said_so(desk):
    again = "this is the third time"
    desk.come_in({"contact_id": "x", "hour": 0, "phone": "a"})
    desk.come_in({"contact_id": "z", "hour": 300, "phone": "a"})
    x, z = (desk.members()[c] for c in "xz")
    desk.come_in(*({"contact_id": f"y{h}", "hour": h, "phone": "a", "text": again} for h in (150, 160, 299)))
    assert desk.members()["z"] != x or C.find_case(desk.con, z) == x
    if desk.members()["z"] == x:
        C.unmerge_case(desk.lake, z, "another bundle", "ngozi")
    assert desk.members()["z"] == z
    commit(desk.lake, desk.con, C.publish_cases)
    assert desk.members()["z"] == z


def test_every_wrong_decision_is_one_clear_sentence_and_writes_nothing(desk):
    a, b = decided(desk)
    held = desk.hashes()
    wrong = [
        (NotFoundError, "zzz", lambda: C.merge_cases(desk.lake, [a, "zzz"], "x", "n")),
        (InputError, "one case", lambda: C.merge_cases(desk.lake, [a, a[:8]], "x", "n")),
        (InputError, "reason", lambda: C.merge_cases(desk.lake, [a, b], "  ", "n")),
        (InputError, "not all", lambda: C.split_case(desk.lake, a, ["a1", "a2"], "x", "n")),
        (InputError, "not all", lambda: C.split_case(desk.lake, b, ["b1"], "x", "n")),
        (InputError, "b1", lambda: C.split_case(desk.lake, a, ["b1"], "x", "n")),
        (InputError, "not all", lambda: C.split_case(desk.lake, a, ["a"], "x", "n")),
        (NotFoundError, "merged", lambda: C.unmerge_case(desk.lake, a, "x", "n")),
        (NotFoundError, "Decision", lambda: C.undo_decision(desk.lake, 1, "x", "n")),
        (InputError, "More than one", lambda: C.find_case(desk.con, "")),
    ]
    for kind, words, act in wrong:
        with pytest.raises(kind, match=words):
            act()
    assert desk.hashes() == held and table(desk.con, "raw.case_decision").count().execute() == 0
    C.merge_cases(desk.lake, [a, b], "x", "n")
    with pytest.raises(BeejanError, match="one case"):
        C.merge_cases(desk.lake, [a, b], "x", "n")
    C.undo_decision(desk.lake, 1, "x", "n")
    with pytest.raises(NotFoundError, match="none stands"):
        C.undo_decision(desk.lake, 1, "x", "n")


# --- the main job, by command ---

PEOPLE = ["08031234501", "08031234502", "08031234503"]
DECLARED = """
path = "sms*.csv"
channel = "sms"
[format]
kind = "csv"
[fields]
source_record_id = "id"
phone = "phone"
text = "text"
received_at = "at"
[time]
zone = "Africa/Lagos"
[time.formats]
received_at = ["%Y-%m-%d %H:%M"]
"""


def job(space, name, rows):
    lines = [f'{i},{PEOPLE[p]},"{words}",2026-01-{day:02} 10:00' for i, p, words, day in rows]
    (space / f"data/{name}.csv").write_text("\n".join(["id,phone,text,at", *lines]) + "\n")
    lake = Lake(load_settings(space))
    con = writer(lake)
    for source in load_sources(space / "pipelines/sources").values():
        land_source(lake, con, source, space / "data")
    con.disconnect()
    transform(lake)
    return lake


def beejan(space, *args):
    return CliRunner().invoke(cli, ["case", *args], env={"BEEJAN_HOME": str(space)})


def everything(lake):
    con = reader(lake)
    names = [f"curated.{n}" for n in ("contact", "case", "customer", "case_member", "case_event")] + [
        "raw.case_decision"
    ]
    found = {n: table_hash(con, n) for n in (*names, "mart.fact_case", "mart.fact_contact")}
    con.disconnect()
    return found


def ids(lake, column, name):
    con = reader(lake)
    found = set(table(con, name).select(column).to_pyarrow()[column].to_pylist())
    con.disconnect()
    return found


def test_decisions_survive_a_rebuild_and_an_erased_person_leaves_nothing(tmp_path):
    space = tmp_path / "team"
    make_workspace(space, sources="none")
    (space / "pipelines/sources").mkdir(exist_ok=True)
    (space / "pipelines/sources/sms.toml").write_text(DECLARED)
    bundle, debit = (
        "my 5GB data bundle is gone and the internet is slow",
        "I was debited twice for one airtime recharge",
    )
    job(space, "sms1", [("1", 0, bundle, 1), ("2", 1, debit, 1), ("3", 2, bundle, 2)])
    lake = job(space, "sms2", [("4", 0, bundle, 28), ("5", 2, debit, 3)])
    listed = {r["case"]: r for r in json.loads(beejan(space, "list", "--json").output)}
    assert len(listed) == 5
    assert "nothing to show" in beejan(space, "list", "--open").output
    cases = [k for k, r in listed.items() if r["category_code"] == "data_internet"]
    assert len(cases) == 3
    done = beejan(space, "merge", *cases, "--why", "one family", "--by", "ngozi")
    assert done.exit_code == 0 and "Take it back" in done.output
    shown = json.loads(beejan(space, "show", cases[0][:10], "--json").output)
    assert len(shown["contacts"]) == 3 == shown["case"][0]["n_contacts"] and "bundle" not in json.dumps(shown)
    assert "ngozi" in beejan(space, "show", cases[1]).output
    assert isinstance(beejan(space, "undo", "9", "--why", "x").exception, NotFoundError)
    command = [sys.executable, "-W", "ignore", "-c", "from beejan.cli import main; main()", "case", "merge", *cases]
    environment = os.environ | {"BEEJAN_HOME": str(space)}
    again = subprocess.run([*command, "--why", "x"], capture_output=True, text=True, env=environment)
    assert again.returncode and "one case" in again.stderr and "Traceback" not in again.stdout + again.stderr
    held = everything(lake)
    assert held["mart.fact_case"][0] == 3
    rebuild_lake(lake)
    transform(lake)
    assert everything(lake) == held
    con = reader(lake)
    own = table(con, "curated.contact").filter(_.source_record_id.isin(["1", "4"])).contact_id.to_pyarrow().to_pylist()
    con.disconnect()
    assert own and set(own) & ids(lake, "contact_id", "raw.case_decision")
    assert erase(lake, preview(lake, phone=PEOPLE[0])[0], transform)["complete"]
    for name in ("raw.case_decision", "curated.case_member", "curated.case_event", "mart.fact_contact"):
        assert not set(own) & ids(lake, "contact_id", name), name
    assert len(ids(lake, "case_id", "curated.case")) == 3
