"""The measures against plain Python: the same numbers, honest intervals, and n/a where there is nothing to say."""

from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from math import exp, lgamma, log, sqrt

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beejan.core.errors import InputError, NotFoundError
from beejan.model import metrics as M
from beejan.model.metrics import measure, measures

START = date(2026, 3, 2)
NOW = datetime(2026, 4, 1, tzinfo=UTC)
DAILY = {"local_date": "date"}
DAILY |= dict.fromkeys(("channel", "category_code", "state", "source"), "string")
DAILY |= dict.fromkeys(("contacts", "duplicates", "unique_contacts", "unclassified", "undated"), "int64")
CASE = dict(case_id="string", channel="string", opened_at="timestamp('UTC')", settled_at="timestamp('UTC')")
CASE |= dict(opened_date="date", settled_date="date", is_open="boolean", hours_open="float64", n_contacts="int64")
AGAIN = "first_resolved_at first_reopened_at second_contact_at next_contact_at earlier_case_at second_earlier_case_at"
CASE |= dict.fromkeys(AGAIN.split(), "timestamp('UTC')") | {"has_customer": "boolean"}


def daily(counts, channel="sms", **more):
    "A rollup from one count per day on, from START; None = a day without a row."
    rows = [
        {
            "local_date": START + timedelta(days=i),
            "channel": channel,
            "category_code": "other",
            "state": "NG-LA",
            "source": "x",
            "contacts": n,
            "duplicates": n // 4,
            "unique_contacts": n - n // 4,
            "unclassified": n // 5,
            "undated": 0,
            **more,
        }
        for i, n in enumerate(counts)
        if n is not None
    ]
    return rows


def table(rows, schema=None):
    return ibis.memtable(rows, schema=schema or DAILY)


def case(opened, hours=None, is_open=None, i=0, channel="call"):
    end = None if hours is None or opened is None else opened + timedelta(hours=hours)
    return {
        "case_id": str(i),
        "channel": channel,
        "opened_at": opened,
        "settled_at": end,
        "opened_date": opened and opened.date(),
        "settled_date": end and end.date(),
        "is_open": (end is None) if is_open is None else is_open,
        "hours_open": None if end is None or hours < 0 else float(hours),
        "n_contacts": 1,
        "has_customer": True,
        **dict.fromkeys(AGAIN.split()),
        "first_resolved_at": end,
    }


def one(name, t, **parameters):
    return measure(name, t, **parameters).to_pandas().iloc[0]


# --- the catalogue ---


def test_words_and_formulas_belong_together():
    import_module("beejan.model.clocks")
    assert set(measures()) == set(M.FORMULAS)
    for m in measures().values():
        assert m.label and m.definition.endswith(".") and m.formula and m.source and m.unit, m.name
        assert m.table in ("rollup_daily", "books", "fact_case") and m.grain in ("contact", "record", "case")
    assert "biased" in measures()["time_to_close_closed_only"].label
    page = M.metric_reference()
    assert all(f"| `{n}` |" in page and m.definition in page for n, m in measures().items())


def test_every_answer_has_the_same_shape():
    books = table(
        [{"source": "a", "received": 1, "loaded": 1, "duplicate": 0, "quarantined": 0, "rejected": 0, "waiting": 0}],
        dict(
            source="string",
            **dict.fromkeys(("received", "loaded", "duplicate", "quarantined", "rejected", "waiting"), "int64"),
        ),
    )
    tables = {
        "rollup_daily": table(daily([5] * 20)),
        "books": books,
        "fact_case": table([case(NOW - timedelta(days=3), 5), case(NOW - timedelta(days=1))], CASE),
    }
    given = {"as_of": NOW, "first": START + timedelta(days=7), "last": START + timedelta(days=13)}
    for m in measures().values():
        by = "source" if m.table == "books" else "channel"
        for some in ([], [by]):
            got = measure(m.name, tables[m.table], by=some, **{p: given[p] for p in m.needs})
            assert tuple(got.columns) == (*dict.fromkeys((*some, *m.extra)), *M.ANSWER), m.name
            assert {str(got.schema()[c]).lstrip("!") for c in ("value", "low", "high")} == {"float64"}
            frame = got.to_pandas()
            assert len(frame) and (frame.measure == m.name).all()
            ok = frame.dropna(subset=["value", "low", "high"])
            assert (ok.low <= ok.value + 1e-9).all() and (ok.value <= ok.high + 1e-9).all(), m.name


def test_wrong_questions_are_sentences():
    t = table(daily([1]))
    with pytest.raises(NotFoundError, match="duplicate_share"):
        measure("duplicats", t)
    with pytest.raises(InputError, match="lga"):
        measure("duplicate_share", t, by=["lga"])
    with pytest.raises(InputError, match="needs first, last"):
        measure("change", t)
    with pytest.raises(InputError, match="not after the last"):
        measure("change", t, first=START, last=START - timedelta(days=1))
    with pytest.raises(InputError, match="100"):
        measure("complaints_per_1000", t, customers=5, per=7)
    with pytest.raises(InputError, match="one column"):
        measure("complaints_per_1000", t, customers={"sms": 5})
    with pytest.raises(InputError, match="time zone"):
        measure("backlog", table([case(NOW)], CASE), as_of=datetime(2026, 1, 1))


# --- intervals ---


def exact_poisson(k):
    "The exact 95 % interval of a Poisson count, by bisection on the distribution."

    def cdf(x, mean):
        return sum(exp(i * log(mean) - mean - lgamma(i + 1)) for i in range(x + 1)) if mean > 0 else 1.0

    def solve(f, low, high):
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if f(middle) else (low, middle)
        return low

    top = 10 * k + 30
    return (0.0 if k == 0 else solve(lambda m: 1 - cdf(k - 1, m) < 0.025, 1e-9, top)), solve(
        lambda m: cdf(k, m) > 0.025, 1e-9, top
    )


def test_byar_is_close_to_exact():
    ks = [0, 1, 2, 3, 5, 10, 30, 100]
    t = ibis.memtable({"k": ks})
    got = t.mutate(low=M.byar(t.k)[0], high=M.byar(t.k)[1]).order_by("k").to_pandas()
    for k, low, high in got.itertuples(index=False):
        want = exact_poisson(k)
        width = want[1] - want[0]
        assert abs(low - want[0]) / width < 0.015 and abs(high - want[1]) / width < 0.03, (k, low, high, want)
        assert abs(high - want[1]) / width < 0.015 or k == 0, (k, high, want)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=40))
def test_wilson(pairs):
    rows = [(min(p), max(p)) for p in pairs]
    t = ibis.memtable(pd.DataFrame(rows, columns=["hits", "n"]))
    low, high = M.wilson(t.hits, t.n)
    for hits, n, a, b in t.mutate(low=low, high=high).to_pandas().itertuples(index=False):
        if n == 0:
            assert np.isnan(a) and np.isnan(b)
            continue
        p, z = hits / n, M.Z
        half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        assert a == pytest.approx(max(0, middle - half), abs=1e-12) and b == pytest.approx(
            min(1, middle + half), abs=1e-12
        )
        assert 0 <= a <= p + 1e-12 and p - 1e-12 <= b <= 1


# --- totals, shares, mixes ---


def test_totals_and_shares():
    t = table(daily([40, 60]) + daily([100], "call") + [daily([8])[0] | {"local_date": None, "undated": 8}])
    assert one("contacts_received", t).value == 208 and one("unique_contacts", t).value == 208 - 52
    assert one("duplicate_share", t).value == pytest.approx(52 / 208) and one(
        "undated_share", t
    ).value == pytest.approx(8 / 208)
    assert one("unclassified_share", t).value + one("classification_coverage", t).value == pytest.approx(1)
    by = measure("contacts_received", t, by=["channel", "state"]).to_pandas().set_index("channel")
    assert by.value.to_dict() == {"sms": 108.0, "call": 100.0} and by.n.to_dict() == {"sms": 108, "call": 100}
    assert measure("contacts_received", t, by="channel").count().execute() == 2


def test_nothing_is_na_and_not_zero():
    t = table([], DAILY)
    assert one("contacts_received", t).value == 0
    for name in ("duplicate_share", "unclassified_share", "undated_share"):
        got = one(name, t)
        assert np.isnan(got.value) and np.isnan(got.low) and got.n == 0, name
    assert (
        measure("channel_mix", t).to_pandas().empty
        and measure("contacts_received", t, by=["channel"]).to_pandas().empty
    )
    cases = table([], CASE)
    assert np.isnan(one("time_to_close", cases, as_of=NOW).value) and one("backlog", cases, as_of=NOW).value == 0
    assert measure("resolution_ladder", cases, as_of=NOW.date()).to_pandas().value.isna().all()


def test_mix_sums_to_one_in_every_group():
    t = table(daily([3, 9]) + daily([4], "call") + daily([5], "call", category_code="sms_mms", state="unknown"))
    for by in ([], ["state"], ["channel"]):
        got = measure("category_mix", t, by=by).to_pandas()
        assert got.groupby(by or (lambda _: 0)).value.sum().round(9).eq(1).all()
    assert measure("channel_mix", t).to_pandas().set_index("channel").value.round(3).to_dict() == {
        "sms": 0.571,
        "call": 0.429,
    }


def test_books():
    cols = ("received", "loaded", "duplicate", "quarantined", "rejected", "waiting")
    t = table(
        [
            dict(zip(("source", *cols), r, strict=True))
            for r in (("a", 100, 80, 10, 6, 4, 0), ("b", 50, 45, 0, 0, 0, 0), ("c", 50, 55, 0, 0, 0, 0))
        ],
        dict(source="string", **dict.fromkeys(cols, "int64")),
    )
    assert one("unaccounted", t).value == 10, "a gap of +5 and one of -5 do not cancel"
    assert measure("completeness", t, by="source").to_pandas().set_index("source").value["a"] == pytest.approx(80 / 86)
    assert one("quarantine_share", t).value == pytest.approx(6 / 200)


# --- rates ---


def test_rate():
    t = table(daily([400]) + daily([800], "call"))
    got = one("complaints_per_1000", t, customers=30_000)
    assert got.value == pytest.approx(900 / 30) and got.low < got.value < got.high and got.n == 900
    assert one("complaints_per_1000", t, customers=30_000, per=100).value == pytest.approx(3)
    for none in (None, 0, {}):
        by = ["channel"] if none == {} else []
        assert measure("complaints_per_1000", t, by=by, customers=none).to_pandas().value.isna().all()
    by = (
        measure("complaints_per_1000", t, by=["channel"], customers={"sms": 1000, "email": 3})
        .to_pandas()
        .set_index("channel")
    )
    assert by.value["sms"] == pytest.approx(300) and np.isnan(by.value["call"])


# --- change ---


def test_change_pairs_days():
    before, now = [20, 22, 21, 25, 24, 9, 8], [40, 44, 42, 50, 48, 18, 16]
    got = one("change", table(daily(before + now)), first=START + timedelta(days=7), last=START + timedelta(days=13))
    assert got.value == pytest.approx(1.0) and got.n == sum(before + now)
    chance = exp(M.Z * sqrt(1 / sum(before) + 1 / sum(now)))
    assert got.high == pytest.approx(2 * chance - 1), "twice every day: nothing but chance is left"
    wild = one(
        "change",
        table(daily([20, 22, 21, 25, 24, 9, 8, 1, 200, 0, 5, 50, 2, 0])),
        first=START + timedelta(days=7),
        last=START + timedelta(days=13),
    )
    assert wild.value == pytest.approx(1.0) and wild.high > 2 * got.high, "days that jump about are less sure"


def test_change_without_a_before_or_a_now():
    week = {"first": START + timedelta(days=7), "last": START + timedelta(days=13)}
    assert np.isnan(one("change", table(daily([None] * 7 + [5] * 7)), **week).value)
    assert one("change", table(daily([5] * 7)), **week).value == -1
    assert np.isnan(one("change", table(daily([None] * 30 + [5])), **week).value)
    got = (
        measure("change", table(daily([5] * 14) + daily([None] * 7 + [4], "call")), by=["channel"], **week)
        .to_pandas()
        .set_index("channel")
    )
    assert got.value["sms"] == 0 and np.isnan(got.value["call"])
    undated = [daily([9])[0] | {"local_date": None}]
    assert one("change", table(daily([5] * 14) + undated), **week).n == 70


def test_change_of_a_single_day():
    got = one("change", table(daily([100, 130])), first=START + timedelta(days=1), last=START + timedelta(days=1))
    assert got.value == pytest.approx(0.3) and got.low < 0.3 < got.high


def test_change_interval_covers():
    "Of 200 steady pairs of weeks with uneven days, about 95 % say: no change."
    rng, rows = np.random.default_rng(3), []
    for g in range(200):
        mean = 60 * np.tile([1.2, 1.1, 1, 1, 1.1, 0.6, 0.5], 2) * rng.gamma(25, 1 / 25, 14)
        rows += daily(rng.poisson(mean).tolist(), f"g{g}")
    got = measure(
        "change", table(rows), by=["channel"], first=START + timedelta(days=7), last=START + timedelta(days=13)
    ).to_pandas()
    inside = ((got.low <= 0) & (got.high >= 0)).mean()
    assert 0.88 <= inside <= 0.99, inside


# --- cases ---


def ago(days, hours=0):
    return NOW - timedelta(days=days, hours=hours)


def test_backlog_and_ages():
    cases = [case(ago(d), i=i) for i, d in enumerate((0.5, 2, 2, 5, 20, 60, 100, 400))]
    cases += [
        case(ago(9), 24),
        case(ago(9), None, False),
        case(ago(9)) | {"is_open": None},
        case(None),
        case(NOW + timedelta(days=1)),
        case(ago(3), 96),
    ]
    t = table(cases, CASE)
    got = one("backlog", t, as_of=NOW)
    assert got.value == 8 + 1 + 1 and got.left_out == 2, (
        "open: eight, one without a beginning, one settled only tomorrow; two unclear"
    )
    ages = measure("backlog_age", t, as_of=NOW).to_pandas().set_index("bucket")
    assert (ages.value * ages.n).round().astype(int).to_dict() == {
        "0–1 days": 1,
        "1–3 days": 3,
        "3–7 days": 1,
        "7–30 days": 1,
        "30–90 days": 1,
        "over 90 days": 2,
    }
    assert (ages.n == 9).all()
    earlier = one("backlog", t, as_of=ago(8, 12))
    assert earlier.value == 4 + 1 + 1, (
        "as of then: four old ones, the one without a beginning, the one that was settled a day later"
    )


def test_ladder_counts_only_what_is_ripe():
    today = NOW.date()
    at_noon = datetime(2026, 3, 31, 12, tzinfo=UTC)
    cases = [case(at_noon - timedelta(days=10), h) for h in (1, 2, 30, 50, 80)] + [case(at_noon - timedelta(days=10))]
    cases += [
        case(at_noon - timedelta(days=1), 1),
        case(at_noon - timedelta(days=1)),
        case(at_noon, None, False),
        case(at_noon - timedelta(days=9), -20),
    ]
    got = measure("resolution_ladder", table(cases, CASE), as_of=today).to_pandas().set_index("rung")
    assert got.loc["same day", ["value", "n", "left_out"]].tolist() == [pytest.approx(3 / 8), 8, 2]
    assert got.loc["within 2 days", ["value", "n", "left_out"]].tolist() == [pytest.approx(5 / 8), 8, 2]
    assert got.loc["within 3 days", ["value", "n", "left_out"]].tolist() == [pytest.approx(5 / 6), 6, 4]
    assert got.target.to_dict() == {"same day": 0.9, "within 2 days": 0.95, "within 3 days": 1.0}


def kaplan_meier(hours, closed, q):
    "The textbook, in a loop."
    still, spells = 1.0, sorted(zip(hours, closed, strict=True))
    for t in sorted({h for h, c in spells if c}):
        still *= 1 - sum(c for h, c in spells if h == t) / sum(h >= t for h, _ in spells)
        if still <= 1 - q + 1e-12:
            return t
    return None


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=60))
def test_time_to_close_is_kaplan_meier(spells):
    rows = [case(NOW - timedelta(hours=h), h if c else None, i=i) for i, (h, c) in enumerate(spells)]
    got = measure("time_to_close", table(rows, CASE), as_of=NOW).to_pandas().set_index("quantile")
    for q in M.QUANTILES:
        want = kaplan_meier([h for h, _ in spells], [c for _, c in spells], q)
        assert (None if np.isnan(got.value[q]) else got.value[q]) == want, q
        if want is not None:
            assert got.low[q] <= want and (np.isnan(got.high[q]) or got.high[q] >= want)
    assert (got.n == len(spells)).all() and (got.left_out == 0).all()


def test_time_to_close_by_group_and_left_out():
    rows = [case(ago(10), h) for h in (1, 2, 3, 4)] + [case(ago(10), h, channel="sms") for h in (10, 20)]
    rows += [case(ago(10), -5), case(ago(10), None, False), case(None, None), case(ago(1), channel="web")]
    t = table(rows, CASE)
    got = measure("time_to_close", t, by=["channel"], as_of=NOW).to_pandas().set_index(["channel", "quantile"])
    assert (
        got.value["call", 0.5] == 2
        and got.value["call", 0.95] == 4
        and got.value["sms", 0.5] == 10
        and np.isnan(got.value["web", 0.5])
    )
    assert got.n["call", 0.5] == 4 and got.left_out["call", 0.5] == 3 and got.n["web", 0.5] == 1
    plain = (
        measure("time_to_close_closed_only", t, by=["channel"], as_of=NOW)
        .to_pandas()
        .set_index(["channel", "quantile"])
    )
    assert plain.value["call", 0.5] == 2.5 and plain.n["web", 0.5] == 0 and np.isnan(plain.value["web", 0.5])


def test_closed_only_is_too_short_when_cases_are_open():
    rows = [case(ago(30), 24) for _ in range(6)] + [case(ago(30)) for _ in range(4)]
    t = table(rows, CASE)
    assert np.isnan(measure("time_to_close", t, as_of=NOW).to_pandas().set_index("quantile").value[0.8])
    assert measure("time_to_close_closed_only", t, as_of=NOW).to_pandas().set_index("quantile").value[0.8] == 24


def test_survival_band_holds_the_curve():
    rng = np.random.default_rng(1)
    t = ibis.memtable({"hours": rng.integers(1, 50, 300).astype(float), "closed": rng.random(300) < 0.6})
    got = M.survival(t).order_by("hours").to_pandas()
    assert (
        got.still_open.is_monotonic_decreasing
        and (got.low <= got.still_open + 1e-12).all()
        and (got.still_open <= got.high + 1e-12).all()
    )
    assert got[["low", "high"]].stack().between(0, 1).all() and got.at_risk.is_monotonic_decreasing
