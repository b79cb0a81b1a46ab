"""Facts, dimensions and rollups: one row is what it says, the sums agree, and a broken one is found."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ibis import _

from beejan.core.errors import InputError
from beejan.core.schema import table_spec
from beejan.core.sources import Source
from beejan.model import marts as M

ZONES = [
    "Africa/Lagos",
    "UTC",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Apia",
]
EMPTY = {"string": "", "boolean": False, "int64": 0, "float64": 0.0, "array<string>": []}


def lake_table(con, name, rows):
    "A table of the schema with `rows`; what is not said is empty."
    spec = table_spec(name)
    full = [{c.name: r.get(c.name, None if c.null else EMPTY.get(c.type)) for c in spec.columns} for r in rows]
    schema = {c.name: c.type for c in spec.columns}
    return con.create_table(name.replace(".", "_"), ibis.memtable(full, schema=schema), overwrite=True)


def a_thousand(con, n=1000, seed=5):
    "Contacts of every kind: precisions, gaps, repetitions, cases."
    rng = np.random.default_rng(seed)
    start = datetime(2026, 3, 1, tzinfo=UTC)
    rows, links = [], []
    for i in range(n):
        at = None if rng.random() < 0.05 else start + timedelta(seconds=int(rng.integers(0, 90 * 86_400)))
        rows.append(
            {
                "contact_id": f"{i:032x}",
                "source": ["sms", "web", "calls"][i % 3],
                "channel": None if i % 17 == 0 else ["sms", "web_form", "call"][i % 3],
                "category_code": ["data_internet", "billing_charging", "unclassified", "other"][rng.integers(4)],
                "state": None if rng.random() < 0.2 else ["NG-LA", "NG-KN", "NG-FC"][rng.integers(3)],
                "received_at": at,
                "received_at_precision": None if at is None else ["second", "minute", "hour", "day", "month"][i % 5],
                "case_id": f"case{i // 2}" if i % 3 == 0 else None,
                "status": ["closed", "pending", None][i % 3],
                "dq_flags": ["x"] if i % 7 == 0 else [],
            }
        )
        if i and rng.random() < 0.15:
            links.append(
                {"contact_id": f"{i:032x}", "first_contact_id": f"{i - 1:032x}", "kind": "near", "score": 90.0}
            )
    contact = lake_table(con, "curated.contact", rows)
    cases = [
        {
            "case_id": k,
            "source": "sms",
            "category_code": "other",
            "status": "closed",
            "opened_at": start,
            "n_contacts": len(g),
        }
        for k, g in pd.DataFrame(rows).dropna(subset=["case_id"]).groupby("case_id")
    ]
    return contact, lake_table(con, "curated.duplicate_link", links), lake_table(con, "curated.case", cases)


def built(con, zone="Africa/Lagos"):
    contact, link, case = a_thousand(con)
    declared = Source(name="x", path="x", channel="sms", format={"kind": "csv"}, fields={"text": "t"})
    fact = con.create_table("fact", M.fact_contact(contact, link, zone), overwrite=True)
    books = pd.DataFrame(
        {
            "source": ["sms"],
            "received": [10],
            "loaded": [5],
            "duplicate": [2],
            "quarantined": [1],
            "rejected": [1],
            "waiting": [1],
        }
    )
    return {
        "dim_date": M.dim_date(date(2026, 2, 1), date(2026, 7, 1)),
        "dim_channel": M.dim_channel(),
        "dim_category": M.dim_category(),
        "dim_place": M.dim_place("NG"),
        "dim_source": M.dim_source(dict.fromkeys(["sms", "web", "calls"], declared)),
        "fact_contact": fact,
        "fact_case": M.fact_case(case, zone),
        "rollup_daily": con.create_table("daily", M.rollup_daily(fact), overwrite=True),
        "rollup_hourly": con.create_table("hourly", M.rollup_hourly(fact), overwrite=True),
        "books": con.create_table("books", books, overwrite=True),
    }


@pytest.fixture(scope="module")
def con():
    return ibis.duckdb.connect(threads=2)


@pytest.fixture(scope="module")
def marts(con):
    return built(con)


# --- the local clock ---

MOMENTS = st.datetimes(datetime(1902, 1, 1), datetime(2099, 1, 1)).map(lambda d: d.replace(microsecond=0, tzinfo=UTC))


@settings(max_examples=10, deadline=None)
@given(st.lists(MOMENTS, min_size=1, max_size=50), st.sampled_from(ZONES), st.sampled_from(ZONES))
def test_local_clock_is_zoneinfos_in_any_session(moments, zone, session):
    con = ibis.duckdb.connect()
    con.raw_sql(f"SET TimeZone = '{session}'")
    t = con.create_table(
        "t", ibis.memtable({"i": range(len(moments)), "at": moments}, schema={"i": "int64", "at": "timestamp('UTC')"})
    )
    got = (
        t.select("i", day=M.local_date(t.at, zone), hour=M.local_hour(t.at, zone))
        .order_by("i")
        .to_pyarrow()
        .to_pylist()
    )
    for row, moment in zip(got, moments, strict=True):
        here = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert row["day"] == here.date() and row["hour"] == here.replace(minute=0, second=0)


def test_types_stay_dates_without_zone(con):
    t = con.create_table(
        "at", ibis.memtable({"at": [datetime(2026, 1, 1, tzinfo=UTC)]}, schema={"at": "timestamp('UTC')"})
    )
    made = con.create_table("made", t.select(d=M.local_date(t.at, "UTC"), h=M.local_hour(t.at, "UTC")))
    assert str(made.schema()["d"]) == "date" and made.schema()["h"].timezone is None


@pytest.mark.parametrize("zone", ["", "Lagos", "Africa/../etc/passwd", "/etc/localtime", "WAT+1:00"])
def test_unknown_zone_is_a_sentence(zone):
    with pytest.raises(InputError, match="Africa/Lagos"):
        M.zone_shifts(zone)


def test_shifts_of_known_zones():
    assert len(M.zone_shifts("UTC")) == 1
    new_york = dict(M.zone_shifts("America/New_York"))
    assert new_york[int(datetime(2026, 3, 8, 7, tzinfo=UTC).timestamp())] == -4 * 3600
    assert new_york[int(datetime(2026, 11, 1, 6, tzinfo=UTC).timestamp())] == -5 * 3600


# --- dimensions ---


def test_calendar():
    t = M.dim_date(date(2026, 12, 28), date(2027, 1, 4)).to_pandas()
    assert t.iso_week.tolist() == ["2026-W53"] * 7 + ["2027-W01"]
    assert (
        t.weekday.tolist() == [1, 2, 3, 4, 5, 6, 7, 1]
        and t.is_weekend.sum() == 2
        and t.quarter.tolist() == [4] * 4 + [1] * 4
    )
    assert M.dim_date(date(2026, 1, 1), date(2026, 1, 1)).count().execute() == 1
    with pytest.raises(InputError, match="300 years"):
        M.dim_date(date(1, 1, 1), date(2026, 1, 1))


def test_dimensions_have_the_columns_of_the_contract():
    columns = {
        "dim_date": "date year quarter month iso_week weekday is_weekend",
        "dim_channel": "channel label",
        "dim_category": "category_code label ncc project_word taxonomy_version",
        "dim_place": "state label zone country",
        "dim_source": "source title system channel every",
    }
    got = [
        M.dim_date(date(2026, 1, 1), date(2026, 1, 2)),
        M.dim_channel(),
        M.dim_category(),
        M.dim_place("NG", "US"),
        M.dim_source({}),
    ]
    assert [t.columns for t in got] == [tuple(c.split()) for c in columns.values()]
    assert M.dim_place("NG", "NG").count().execute() == 38
    assert M.dim_place("NG").filter(_.state == "unknown").count().execute() == 1


# --- facts ---


def test_one_row_per_contact_and_undated_kept(marts, con):
    f = marts["fact_contact"].order_by("contact_id").to_pandas()
    contact = con.table("curated_contact").order_by("contact_id").to_pandas().set_index("contact_id")
    assert len(f) == 1000 and f.contact_id.is_unique
    undated = contact.received_at.isna() | (contact.received_at_precision == "month")
    assert (f.set_index("contact_id").dated == ~undated).all() and f[~f.dated].local_date.isna().all()
    untimed = undated | (contact.received_at_precision == "day")
    assert (f.set_index("contact_id").local_hour.isna() == untimed).all()
    assert (f.channel == "unknown").sum() == contact.channel.isna().sum() and (
        f.state == "unknown"
    ).sum() == contact.state.isna().sum()
    assert f.is_duplicate.sum() == con.table("curated_duplicate_link").count().execute()
    assert (f.n_flags == f.dq_flags.map(len)).all()


def test_the_fact_does_not_depend_on_the_session(con, marts):
    frames = []
    for session in ("UTC", "America/New_York", "Asia/Kolkata"):
        con.raw_sql(f"SET TimeZone = '{session}'")
        t = M.fact_contact(con.table("curated_contact"), con.table("curated_duplicate_link"), "Africa/Lagos")
        frames.append(t.select("contact_id", "local_date", "local_hour").order_by("contact_id").to_pyarrow())
    con.raw_sql("SET TimeZone = 'UTC'")
    assert frames[0].equals(frames[1]) and frames[0].equals(frames[2])


def moment(day, hour=12):
    return datetime(2026, 3, day, hour, tzinfo=UTC)


CASES = {  # status, opened, resolved, closed -> is_open, hours
    "closed": ("closed", moment(1), None, moment(2), False, 24.0),
    "resolved wins": ("resolved", moment(1), moment(2), moment(9), False, 24.0),
    "closed without time": ("closed", moment(1), None, None, False, None),
    "cancelled": ("cancelled", moment(1), None, None, False, None),
    "pending": ("pending", moment(1), None, None, True, None),
    "reopened": ("in_progress", moment(1), moment(2), None, True, None),
    "no status, ended": (None, moment(1), moment(2), None, False, 24.0),
    "no status, no end": (None, moment(1), None, None, None, None),
    "ends before it begins": ("closed", moment(5), None, moment(2), False, None),
    "no beginning": ("closed", None, None, moment(2), False, None),
}


def test_cases_open_and_settled():
    con = ibis.duckdb.connect()
    keys = ("status", "opened_at", "resolved_at", "closed_at")
    rows = [
        {"case_id": k, "source": "x", "category_code": "other", "n_contacts": 1, **dict(zip(keys, v[:4], strict=True))}
        for k, v in CASES.items()
    ]
    f = M.fact_case(lake_table(con, "curated.case", rows), "Africa/Lagos").to_pandas().set_index("case_id")
    for name, (*_rest, is_open, hours) in CASES.items():
        assert (None if pd.isna(f.is_open[name]) else f.is_open[name]) == is_open, name
        assert (None if pd.isna(f.hours_open[name]) else f.hours_open[name]) == hours, name
    assert f.settled_at[f.is_open.fillna(False).astype(bool)].isna().all()
    assert tuple(f.reset_index().columns) == M.CASE_COLUMNS


# --- rollups and invariants ---


def test_everything_holds(marts):
    got = M.check_marts(marts).to_pandas()
    assert (got.status == "ok").all(), got[got.status != "ok"].to_string()
    assert len(got) == len(M.INVARIANTS) and list(got.columns) == [
        "name",
        "scope",
        "status",
        "value",
        "bound",
        "n",
        "words",
    ]
    assert set(got.scope) == {f"mart.{m}" for m in M.MARTS}


def test_rollups_are_plain_group_bys(marts):
    f, d = marts["fact_contact"].to_pandas(), marts["rollup_daily"].to_pandas()
    want = f.groupby(list(M.MARTS["rollup_daily"].key), dropna=False).size()
    assert len(d) == len(want) and d.contacts.sum() == len(f)
    for column, hit in (
        ("duplicates", f.is_duplicate),
        ("unclassified", f.category_code == "unclassified"),
        ("undated", ~f.dated),
        ("flagged", f.n_flags > 0),
        ("unique_contacts", ~f.is_duplicate),
    ):
        assert d[column].sum() == hit.sum(), column
    assert marts["rollup_hourly"].contacts.sum().execute() == f.local_hour.notna().sum()


def unknown_category(t):
    return t.mutate(category_code=ibis.ifelse(_.category_code == "other", "misc", _.category_code))


FAULTS = {
    "a contact twice": (
        "fact_contact",
        lambda t: t.union(t.filter(_.case_id.notnull()).order_by("contact_id").limit(1)),
        {"grain", "rollup_equals_fact", "hours_and_undated", "contacts_of_cases"},
    ),
    "a place twice": ("dim_place", lambda t: t.union(t.filter(_.state == "unknown")), {"grain", "sum_by_state"}),
    "a place missing": ("dim_place", lambda t: t.filter(_.state != "NG-LA"), {"sum_by_state"}),
    "unknown place missing": ("dim_place", lambda t: t.filter(_.state != "unknown"), {"sum_by_state"}),
    "a channel missing": ("dim_channel", lambda t: t.filter(_.channel != "sms"), {"sum_by_channel"}),
    "a source missing": ("dim_source", lambda t: t.filter(_.source != "web"), {"sum_by_source"}),
    "a category of its own": ("rollup_daily", unknown_category, {"sum_by_category_code"}),
    "no undated row": ("rollup_daily", lambda t: t.filter(_.local_date.notnull()), {"rollup_equals_fact"}),
    "one contact too many": ("rollup_hourly", lambda t: t.mutate(contacts=_.contacts + 1), {"hours_and_undated"}),
    "a day missing": ("dim_date", lambda t: t.filter(_.date != date(2026, 3, 10)), {"days_in_calendar"}),
    "parts do not add up": ("rollup_daily", lambda t: t.mutate(duplicates=_.duplicates + 1), {"parts_of_the_day"}),
    "a case without contact": ("fact_case", lambda t: t.mutate(n_contacts=0 * _.n_contacts), {"contacts_of_cases"}),
    "books off by two": ("books", lambda t: t.mutate(loaded=_.loaded + 2), {"books_balance"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_only_where_it_is(marts, fault):
    name, spoil, want = FAULTS[fault]
    got = M.check_marts(marts | {name: spoil(marts[name])}).to_pandas()
    assert set(got[got.status == "broken"].name) == want
    assert (got[got.status == "broken"].value > 0).all()


def test_checks_need_their_marts(marts):
    got = M.check_marts({"books": marts["books"]}).to_pandas()
    assert set(got.name) == {"grain", "books_balance"}
    with pytest.raises(InputError, match="dim_date"):
        M.check_marts({})


def test_empty_marts_hold(con, marts):
    empty = {
        k: t.filter(ibis.literal(False)) if k.startswith(("fact", "rollup", "books")) else t for k, t in marts.items()
    }
    assert (M.check_marts(empty).to_pandas().status == "ok").all()
    contact, link = (con.table(n).filter(ibis.literal(False)) for n in ("curated_contact", "curated_duplicate_link"))
    fact = M.fact_contact(contact, link, "America/New_York")
    assert M.rollup_daily(fact).count().execute() == 0 and fact.columns == M.CONTACT_COLUMNS


def test_reference_page():
    page = M.mart_reference()
    assert all(f"`mart.{m}`" in page for m in M.MARTS) and all(
        i.words in page for i in M.INVARIANTS if i.name != "grain"
    )
