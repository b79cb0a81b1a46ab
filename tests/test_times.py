"""Times: every known shape, every zone rule, and the real columns, read against Python's own clock."""

import random
import re
import zipfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import ibis
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beejan.conform.times import flag_order, parse_times, readings
from beejan.core.errors import InputError
from beejan.core.timeformats import (
    WORDS,
    candidates,
    canonical,
    canonical_text,
    carries_zone,
    check_format,
    shape,
    text_rewrites,
    time_formats,
    variants,
)

FORMATS = sorted(time_formats())


@pytest.fixture(scope="module")
def con():
    con = ibis.duckdb.connect()
    con.raw_sql(
        "SET autoinstall_known_extensions = false; SET autoload_known_extensions = false; SET TimeZone = 'Asia/Tokyo'"
    )
    yield con
    con.disconnect()


def read(con, texts, formats, zone="UTC", **kw):
    t = ibis.memtable({"n": list(range(len(texts))), "s": texts}, schema={"n": "int64", "s": "string"})
    out = con.to_pandas(parse_times(t, "s", formats=formats, zone=zone, prefix="at", **kw).order_by("n"))
    out["at"] = out["at"].dt.tz_convert("UTC")
    out["at_flags"] = [list(f) for f in out["at_flags"]]
    return out


def one(con, text, *formats, zone="UTC"):
    row = read(con, [text], list(formats), zone).iloc[0]
    return (None if pd.isna(row["at"]) else row["at"].isoformat()[:-6]), row["at_flags"]


# ---- the catalogue ----


def written(t, pattern):
    "A time as Python writes it in a pattern, and what can be had back of it."
    python = pattern.replace("%z", "+0000").replace("%Z", "UTC")
    return t.strftime(python), datetime.strptime(t.strftime(python), python)


def test_every_known_shape_is_read_as_it_means(con):
    known, rng = time_formats(), random.Random(1)
    of_shape = {
        p: [e.example for e in known.values() if p in {c.pattern for c in candidates(e.example)}] for p in known
    }
    for pattern, f in known.items():
        spellings = [
            f.example,
            f.example.lower(),
            f.example.upper(),
            f"  {f.example}\t\n",
            "\u200e" + f.example.replace(" ", "\u202f"),
        ]
        times = [datetime(1971, 1, 1) + timedelta(seconds=rng.randrange(66 * 31_556_952)) for _ in range(40)]
        pairs = [] if pattern in WORDS else [written(t, pattern) for t in times]
        got = read(con, [*spellings, *(text for text, _ in pairs), *of_shape[pattern]], [pattern])
        assert set(got["at"][:5]) == {pd.Timestamp(f.means, tz="UTC")} and set(map(tuple, got["at_flags"][:5])) == {
            ()
        }, f
        assert [v.to_pydatetime().replace(tzinfo=None) for v in got["at"][5 : 5 + len(pairs)]] == [
            t for _, t in pairs
        ], pattern
        assert f.example in of_shape[pattern] and got["at"].notna().all(), f
        if pattern != "iso":
            assert (
                got["at_precision"][0] == f.precision and (got["at_tz_source"][0] == "declared") is not f.carries_zone
            ), f


@pytest.mark.parametrize(
    "text",
    ["", "unknown", "see note", "12", "0801 234 5678", "N/A", "32/13/2015", "2015-13-01", "1,234.50", "A-1-2-2015"],
)
def test_what_is_no_time_has_no_shape(text):
    assert candidates(text) == []


def test_shapes_are_the_same_in_python_and_in_the_database(con):
    texts = [f.example for f in time_formats().values()] + [
        "2015",
        "31/31/2015",
        "1/1/15",
        "99:99",
        "12/13/14 15:16",
        "x",
    ]
    for pattern in set(FORMATS) - set(WORDS):
        for v in variants(pattern):
            clean = [canonical_text(t, [v]) for t in texts]
            here = [bool(re.fullmatch(shape(v), t)) for t in clean]
            rows = "(select unnest($2) s, generate_subscripts($2, 1) n)"
            found = con.con.execute(f"select list(regexp_full_match(s, $1) order by n) from {rows}", [shape(v), clean])
            assert found.fetchone()[0] == here, v


def test_rivals_are_mutual():
    known = time_formats()
    assert all(p in known[r].rivals for p, f in known.items() for r in f.rivals)
    assert known["%d.%m.%y"].rivals == () and known["%Y/%d/%m"].rivals == ("%Y/%m/%d",)
    assert set(known["%y%m%d"].rivals) == {"%Y%m"}


@pytest.mark.parametrize(
    "wrong, says",
    [
        ("%H:%M", "year"),
        ("%d/%m/%Y %I:%M", "%p"),
        ("%Q %Y", "%Q"),
        ("%Y-%s", "%s"),
        ("", "strptime"),
        ("yyyy-mm-dd", "strptime"),
        ("%Y %", "directive"),
        ("ISO", "strptime"),
    ],
)
def test_a_format_that_cannot_be_is_refused(wrong, says):
    with pytest.raises(InputError, match=re.escape(says)):
        check_format(wrong)
    with pytest.raises(InputError):
        readings([wrong])


def test_zones_and_empty_lists_are_refused(con):
    t = ibis.memtable({"s": ["2015"]})
    with pytest.raises(InputError, match="Africa/Lagos"):
        parse_times(t, "s", formats=["iso"], zone="WAT+1", prefix="at")
    with pytest.raises(InputError, match="No time format"):
        parse_times(t, "s", formats=[], zone="UTC", prefix="at")


# ---- spellings ----


@pytest.mark.parametrize(
    "text, pattern, means",
    [
        ("2:05pm 3/4/2015", "%I:%M %p %m/%d/%Y", "2015-03-04T14:05:00"),
        ("3/4/2015 2:05 P. M.", "%m/%d/%Y %I:%M%p", "2015-03-04T14:05:00"),
        ("3/4/2015 14:05 PM", "%m/%d/%Y %I:%M %p", "2015-03-04T14:05:00"),
        ("3/4/2015 00:05 AM", "%m/%d/%Y %I:%M %p", "2015-03-04T00:05:00"),
        ("3/4/2015 12:05 AM", "%m/%d/%Y %I:%M %p", "2015-03-04T00:05:00"),
        ("3/4/2015 12:05 PM", "%m/%d/%Y %H:%M %p", "2015-03-04T12:05:00"),
        ("3/4/2015 01:21:08 PM", "%m/%d/%Y %I:%M:%S %p", "2015-03-04T13:21:08"),
        ("3/4/2015 10:00:20 AM", "%m/%d/%Y %I:%M:%S %p", "2015-03-04T10:00:20"),
        ("3/4/2015 14:05 AM", "%m/%d/%Y %I:%M %p", None),
        ("3/4/2015 0:05 PM", "%m/%d/%Y %I:%M %p", None),
        ("3/4/2015 2:05", "%m/%d/%Y %I:%M %p", None),
        ("5th of May", "%d %b %Y", None),
        ("2nd Sept. 2015", "%d %B %Y", "2015-09-02T00:00:00"),
        ("22nd august 2015", "%d %b %Y", "2015-08-22T00:00:00"),
        ("Thurs, 1 Oct 2015", "%A, %d %B %Y", "2015-10-01T00:00:00"),
        ("1 May 2015 at 10:05", "%d %B %Y at %H:%M", "2015-05-01T10:05:00"),
        ("1/5/2015 10h05", "%d/%m/%Y %Hh%M", "2015-05-01T10:05:00"),
        ("100% 2015", "100%% %Y", "2015-01-01T00:00:00"),
        ("2015-05-01T10:05:06,123456789", "%Y-%m-%dT%H:%M:%S,%f", "2015-05-01T10:05:06.123456"),
        ("2015-05-01 10:05:06 -0530", "%Y-%m-%d %H:%M:%S%z", "2015-05-01T15:35:06"),
        ("2015-05-01 10:05:06-05", "%Y-%m-%d %H:%M:%S %z", "2015-05-01T15:05:06"),
        ("2015-05-01 10:05:06 utc", "%Y-%m-%d %H:%M:%S %z", "2015-05-01T10:05:06"),
        ("2015-05-01 10:05:06 +99:00", "%Y-%m-%d %H:%M:%S %z", None),
        ("2015-05-01 10:05:06", "%Y-%m-%d %H:%M:%S %z", None),
        ("2015-05-01 10:05 BST", "%Y-%m-%d %H:%M %Z", None),  # three zones call themselves so
        ("2015-05-01 10:05 IST", "%Y-%m-%d %H:%M %Z", None),
        ("2015-05-01 10:05 PST", "%Y-%m-%d %H:%M %Z", "2015-05-01T18:05:00"),
        ("2015-05-01 10:05 America/New_York", "%Y-%m-%d %H:%M %Z", "2015-05-01T14:05:00"),
        ("203", "%Y", None),
        ("20155", "%Y", None),
        ("31/12/15", "%d/%m/%Y", None),
        ("31/12/2015", "%d/%m/%y", None),
        ("31/04/2015", "%d/%m/%Y", None),
        ("29/02/2015", "%d/%m/%Y", None),
        ("29/02/2016", "%d/%m/%Y", "2016-02-29T00:00:00"),
        ("2015105", "%Y%m%d", None),
        ("1/1/69", "%m/%d/%y", "1969-01-01T00:00:00"),
        ("1/1/68", "%m/%d/%y", "2068-01-01T00:00:00"),
        ("2015-01-01 24:00", "%Y-%m-%d %H:%M", None),
        ("2015-01-01 10:60", "%Y-%m-%d %H:%M", None),
        ("2015-01-01 10:05 ", "%Y-%m-%d", None),
        ("x 2015-01-01", "%Y-%m-%d", None),
    ],
)
def test_spellings(con, text, pattern, means):
    assert one(con, text, pattern) == (means, [] if means else ["time_unparsed"])


@pytest.mark.parametrize(
    "text, means, precision, source",
    [
        ("2015-05-01T10:05:06Z", "2015-05-01T10:05:06", "second", "value"),
        ("2015-05-01t10:05:06z", "2015-05-01T10:05:06", "second", "value"),
        ("2015-05-01 10:05:06.5+01", "2015-05-01T09:05:06.500000", "second", "value"),
        ("2015-05-01T10:05+01:00", "2015-05-01T09:05:00", "minute", "value"),
        ("2015-05-01T10:05:06.000", "2015-05-01T09:05:06", "second", "declared"),
        ("20150501T100506Z", "2015-05-01T10:05:06", "second", "value"),
        ("2015-05-01T10:05", "2015-05-01T09:05:00", "minute", "declared"),
        ("2015-05-01T10", "2015-05-01T09:00:00", "hour", "declared"),
        ("2015-05-01", "2015-04-30T23:00:00", "day", "declared"),
        ("20150501", "2015-04-30T23:00:00", "day", "declared"),
        ("2015-05", "2015-04-30T23:00:00", "month", "declared"),
        ("2015", "2014-12-31T23:00:00", "year", "declared"),
        ("2015-05-01Z", "2015-05-01T00:00:00", "day", "value"),
    ],
)
def test_iso(con, text, means, precision, source):
    row = read(con, [text], ["iso"], "Africa/Lagos").iloc[0]
    assert (row["at"].isoformat()[:-6], row["at_precision"], row["at_tz_source"], row["at_flags"]) == (
        means,
        precision,
        source,
        [],
    )


@pytest.mark.parametrize("text", ["", " ", "\u00a0", None])
def test_nothing_is_missing_not_unparsed(con, text):
    assert one(con, text, "iso") == (None, ["time_missing"])


@pytest.mark.parametrize(
    "text",
    [
        "unknown",
        "2015-5-1T",
        "+2015-05-01",
        "2015-W18-5",
        "12:05",
        "now",
        "epoch",
        "infinity",
        "2015-05-01; drop",
        "\x00",
        "２０１５-05-01",
        "1" * 400,
        "2015-05-01T10:05:06+01:00[Africa/Lagos]",
        "44000 BC",
    ],
)
def test_iso_does_not_guess(con, text):
    assert one(con, text, "iso") == (None, ["time_unparsed"])


# ---- numbers ----


@pytest.mark.parametrize(
    "text, word, means",
    [
        ("1451599509", "epoch_s", "2015-12-31T22:05:09"),
        ("1451599509.25", "epoch_s", "2015-12-31T22:05:09.250000"),
        ("-86400", "epoch_s", "1969-12-31T00:00:00"),
        ("1451599509250", "epoch_s", None),
        ("1.45E+09", "epoch_s", None),
        ("1451599509250", "epoch_ms", "2015-12-31T22:05:09.250000"),
        ("1451599509250.0", "epoch_ms", "2015-12-31T22:05:09.250000"),
        ("5.70306E+17", "snowflake", None),
        ("12345", "snowflake", None),
        ("925447155425087489", "snowflake", "2017-10-31T19:39:30.487000"),
        ("9" * 19, "snowflake", None),
        ("42369", "excel_serial", "2015-12-31T00:00:00"),
        ("42369.5", "excel_serial", "2015-12-31T12:00:00"),
        ("42369.99999999", "excel_serial", "2016-01-01T00:00:00"),
        ("2", "excel_serial", None),
        ("abc", "excel_serial", None),
    ],
)
def test_numbers(con, text, word, means):
    got, flags = one(con, text, word)
    assert got == means and (flags == []) is (means is not None)


def test_seconds_then_milliseconds_are_told_apart_by_their_length(con):
    got = read(con, ["1451599509", "1451599509250"], ["epoch_s", "epoch_ms"])
    assert got["at"].dt.floor("s").nunique() == 1 and set(got["at_tz_source"]) == {"epoch"}


def test_order_of_formats_decides(con):
    assert one(con, "05/06/2015", "%d/%m/%Y", "%m/%d/%Y")[0] == "2015-06-05T00:00:00"
    assert one(con, "05/06/2015", "%m/%d/%Y", "%d/%m/%Y")[0] == "2015-05-06T00:00:00"
    assert one(con, "25/06/2015", "%m/%d/%Y", "%d/%m/%Y")[0] == "2015-06-25T00:00:00"
    assert one(con, "20151231", "epoch_s", "%Y%m%d")[0] == "1970-08-22T05:33:51"
    assert one(con, "20151231", "%Y%m%d", "epoch_s")[0] == "2015-12-31T00:00:00"
    assert one(con, "31/12/15", "%d/%m/%Y", "%d/%m/%y")[0] == "2015-12-31T00:00:00"
    assert (
        one(con, "30.02.11", "%d.%m.%y", "%y.%m.%d")[0] == "2030-02-11T00:00:00"
    )  # the first shape fits, the calendar does not


# ---- sentinels, the future, unknown zones ----


@pytest.mark.parametrize(
    "text",
    [
        "1900-01-01",
        "1900-01-01 00:00:00",
        "1899-12-30",
        "0001-01-01",
        "0001-01-01T00:00:00Z",
        "1753-01-01",
        "9999-12-31",
        "9999-12-31 23:59:59",
        "2999-12-31",
        "1970-01-01",
        "1970-01-01T00:00:00Z",
        "1970-01-01T01:00:00",
    ],
)
def test_sentinels_are_no_times(con, text):
    row = read(con, [text], ["iso"], "Africa/Lagos").iloc[0]
    assert (
        pd.isna(row["at"])
        and pd.isna(row["at_precision"])
        and pd.isna(row["at_tz_source"])
        and row["at_flags"] == ["time_sentinel"]
    )


@pytest.mark.parametrize(
    "text, word", [("0", "epoch_s"), ("0", "epoch_ms"), ("0", "excel_serial"), ("1", "excel_serial")]
)
def test_zero_is_a_sentinel(con, text, word):
    assert one(con, text, word) == (None, ["time_sentinel"])


def test_near_sentinels_are_times(con):
    got = read(con, ["1900-01-02", "1970-01-01 00:00:01", "1970-01-02", "2998-12-31"], ["iso"])
    assert got["at"].notna().all() and set(map(tuple, got["at_flags"])) == {()}


def test_the_future_is_flagged_and_kept(con):
    t = ibis.memtable({"s": ["2020-01-02 00:00:00", "2020-01-02 00:00:01", "1970-01-01"]})
    t = t.mutate(arrived=ibis.timestamp("2020-01-01 00:00:00", timezone="UTC"))
    got = con.to_pandas(parse_times(t, "s", formats=["iso"], zone="UTC", prefix="at", arrived="arrived"))
    assert [list(f) for f in got["at_flags"]] == [[], ["time_future"], ["time_sentinel"]] and got[
        "at"
    ].notna().tolist() == [True, True, False]


def test_an_unknown_zone_is_a_flag_not_a_lie(con):
    got = read(con, ["2015-05-01 10:05:06", "2015-05-01T10:05:06Z", "9999-12-31", "x"], ["iso"], "unknown")
    assert got["at_flags"].tolist() == [["zone_unknown"], [], ["time_sentinel"], ["time_unparsed"]]
    assert got["at_tz_source"].tolist()[:2] == ["unknown", "value"] and got["at"].nunique() == 1


# ---- zones ----


ZONES = [
    "Africa/Lagos",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Asia/Kolkata",
    "Pacific/Apia",
    "America/Sao_Paulo",
]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.datetimes(datetime(1972, 1, 1), datetime(2036, 12, 31)), min_size=1, max_size=40),
    st.sampled_from(ZONES),
)
def test_local_times_are_what_python_says(con, times, zone):
    times = [t.replace(microsecond=0) for t in times]
    got = read(con, [t.isoformat(" ") for t in times], ["iso"], zone)
    assert [v.to_pydatetime() for v in got["at"]] == [t.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) for t in times]


@pytest.mark.parametrize("zone", [z for z in ZONES if z not in ("Africa/Lagos", "Asia/Kolkata")])
def test_around_every_change_of_the_clock(con, zone):
    z, day, times = ZoneInfo(zone), datetime(2010, 1, 1), []
    while day < datetime(2020, 1, 1):
        if z.utcoffset(day) != z.utcoffset(day + timedelta(1)):
            times += [day + timedelta(minutes=15 * i) for i in range(-96, 192)]
        day += timedelta(1)
    got = read(con, [t.isoformat(" ") for t in times], ["iso"], zone)
    first = [t.replace(tzinfo=z).astimezone(UTC) for t in times]
    second = [t.replace(tzinfo=z, fold=1).astimezone(UTC) for t in times]
    gap = [f.astimezone(z).replace(tzinfo=None) != t for f, t in zip(first, times, strict=True)]
    assert [v.to_pydatetime() for v in got["at"]] == first
    assert [("dst_gap" in f) for f in got["at_flags"]] == gap and any(gap)
    assert [("dst_ambiguous" in f) for f in got["at_flags"]] == [
        a != b and not g for a, b, g in zip(first, second, gap, strict=True)
    ]


def test_a_date_is_never_ambiguous(con):
    got = read(
        con, ["2018-11-04", "2011-12-30", "2018-11-04 00"], ["iso"], "America/Sao_Paulo"
    )  # at midnight of that day the clock was put forward
    assert (
        got["at_flags"].tolist() == [[], [], ["dst_gap"]]
        and got["at"].iloc[0].isoformat() == "2018-11-04T03:00:00+00:00"
    )


def test_the_sessions_zone_changes_nothing():
    results = []
    for zone in ("UTC", "America/St_Johns", "Pacific/Apia"):
        con = ibis.duckdb.connect()
        con.raw_sql(f"SET TimeZone = '{zone}'")
        texts = [f.example for f in time_formats().values()] + ["2018-03-11 02:30:00", "2018-11-04 01:30:00"]
        got = read(con, texts, ["iso", *FORMATS], "America/New_York")
        results.append(got.astype(str).to_numpy().tolist())
        con.disconnect()
    assert results[0] == results[1] == results[2]


def test_icu_is_built_in():
    "Nothing is downloaded for time zones: it works on a machine without a network."
    con = ibis.duckdb.connect()
    mode = con.raw_sql(
        "SELECT install_mode FROM duckdb_extensions() WHERE extension_name = 'icu' AND loaded"
    ).fetchone()
    con.disconnect()
    assert mode == ("STATICALLY_LINKED",)


# ---- anything ----


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(st.text(max_size=30), st.from_regex(r"[0-9/:. TZ+-]{4,24}", fullmatch=True)), min_size=20, max_size=80
    )
)
def test_anything_is_either_read_or_flagged(con, texts):
    got = read(con, texts, ["iso", "%d/%m/%Y %I:%M %p", "epoch_s", "snowflake", "%m/%d/%y"], "Africa/Lagos")
    assert len(got) == len(texts)
    silent = got["at"].isna() & (got["at_flags"].map(len) == 0)
    assert not silent.any()
    assert (got["at"].isna() == got["at_precision"].isna()).all() and (
        got["at"].isna() == got["at_tz_source"].isna()
    ).all()


@given(st.sampled_from(FORMATS))
def test_canonical_is_stable(pattern):
    if pattern not in WORDS:
        assert canonical(canonical(pattern)) == canonical(pattern)
        assert carries_zone(pattern) == any(carries_zone(v) for v in variants(pattern))
        assert text_rewrites([pattern]) == text_rewrites([canonical(pattern)])


# ---- order of two times ----


def test_closed_before_received_minds_the_precision(con):
    rows = [
        ("2015-05-02 10:00:00", "2015-05-02", False),
        ("2015-05-02 10:00:00", "2015-05-01", True),
        ("2015-05-02 10:00:00", "2015-05", False),
        ("2015-05-02 10:00:00", "2015-04", True),
        ("2015-05-02 10:00:00", "2014", True),
        ("2015-05-02 10:00:00", "2015-05-02 10:00", False),
        ("2015-05-02 10:00:00", "2015-05-02 09:59:59", True),
        ("2015-05-02 10:00:00", "", False),
        ("", "2015-05-02", False),
        ("2015-05-02", "2015-05-01 23:59:59", True),
        ("2015-05-02", "2015-05-02 00:00:00", False),
    ]
    t = ibis.memtable({"n": range(len(rows)), "a": [r[0] for r in rows], "b": [r[1] for r in rows]})
    for c, p in (("a", "received_at"), ("b", "closed_at")):
        t = parse_times(t, c, formats=["iso"], zone="America/New_York", prefix=p)
    got = con.to_pandas(flag_order(t).order_by("n"))
    assert ["closed_before_received" in f for f in got["closed_at_flags"]] == [r[2] for r in rows]


# ---- the real columns ----


def test_all_24_shapes_of_the_sms_collection(con, shared_data):
    archive = next((shared_data / "nus_sms").glob("*.zip"))
    seen = Counter()
    with zipfile.ZipFile(archive) as z, z.open(z.namelist()[0]) as f:
        for _, e in ElementTree.iterparse(f):
            if e.tag == "messageProfile":
                seen[e.get("time")] += 1
            elif e.tag == "message":
                e.clear()
    shapes = Counter()
    for text, n in seen.items():
        shapes[re.sub(r"\d", "9", text)] += n
    assert (len(shapes), sum(shapes.values()), shapes["unknown"]) == (24, 55_835, 12_017)
    formats = ["%Y.%m.%d %H:%M:%S", "%Y.%m.%d %H:%M", "%Y.%m.%d%H:%M:%S", "%m/%d/%Y %I:%M:%S %p"]
    got = read(con, list(seen), formats, "unknown")
    n = got["s"].map(seen)
    unread = got.loc[got["at"].isna(), "s"]
    assert n[unread.index].sum() == 12_017 + 3 and set(unread) - {"unknown"} == {
        s for s in seen if s.startswith("2011.3.0 ")
    }  # no such day
    assert n[got["at_precision"] == "minute"].sum() == 9_790 + 466 + 188 + 32
    mine = [
        datetime.strptime(
            re.sub(r"(\.\d\d)(\d\d:\d\d:\d\d)$", r"\1 \2", s.strip()),
            "%m/%d/%Y %I:%M:%S %p" if "/" in s else "%Y.%m.%d %H:%M" + ":%S" * (s.count(":") == 2),
        )
        for s in got.loc[got["at"].notna(), "s"]
    ]
    assert [v.to_pydatetime().replace(tzinfo=None) for v in got["at"].dropna()] == mine
    assert set(map(tuple, got.loc[got["at"].notna(), "at_flags"])) == {("zone_unknown",)}


def test_the_two_date_shapes_of_comcast_fall_in_the_quarter_they_are_from(con, shared_data):
    t = pd.read_csv(shared_data / "comcast/comcast_fcc_2015.csv", dtype=str)
    texts = (t["Date"] + " " + t["Time"]).tolist()
    got = read(con, texts, ["%d-%m-%Y %I:%M:%S %p", "%m/%d/%Y %I:%M:%S %p"], "America/New_York")
    assert len(got) == 2_224 and got["at"].notna().all()
    local = got["at"].dt.tz_convert("America/New_York")
    assert local.min() >= pd.Timestamp("2015-04-01", tz="America/New_York") and local.max() < pd.Timestamp(
        "2015-07-01", tz="America/New_York"
    )


def test_tweets_without_a_time_have_one_in_their_id(con, shared_data):
    rows = pd.concat(pd.read_json(p, dtype=False) for p in sorted((shared_data / "sentitel").glob("*.json")))
    ids = rows[next(c for c in rows if "id" in c.lower())].astype(str).tolist()
    got = read(con, ids, ["snowflake"])
    assert got["at"].notna().all() and set(got["at_tz_source"]) == {"snowflake"}
    assert got["at"].min().year >= 2010 and got["at"].max().year <= 2024
