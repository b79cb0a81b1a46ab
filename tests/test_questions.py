"""The numbers behind the report: sums that agree, intervals that hold their promise."""

from datetime import date, timedelta

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beejan.model.metrics import measure
from beejan.serve.charts import steps
from beejan.serve.questions import Period, ask, beyond_chance, compare, extent, moves, within
from beejan.serve.theme import CATEGORIES, CHANNELS, Tone, brief, percent, signed_percent

LAST = date(2026, 11, 18)


def rollup(days: list[date | None], contacts: list[int], channel: list[str]) -> ibis.Table:
    "A daily rollup of three columns."
    table = pa.table(
        {
            "local_date": pa.array(days, pa.date32()),
            "contacts": pa.array(contacts, pa.int64()),
            "channel": pa.array(channel, pa.string()),
        }
    )
    return ibis.memtable(table)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 50), st.sampled_from("abc")), max_size=40),
    days=st.integers(1, 30),
    unfinished=st.booleans(),
)
def test_the_parts_add_up_to_the_total(rows: list[tuple[int, int, str]], days: int, unfinished: bool) -> None:
    dates = [LAST - timedelta(days=ago) for ago, _, _ in rows]
    table, period = rollup(dates, [n for _, n, _ in rows], [c for _, _, c in rows]), Period(LAST, days, unfinished)
    parts, total = ask(compare(table, ["channel"], period)), moves(ask(compare(table, [], period)), period)[0]
    over = period.first + timedelta(days=period.full - 1)
    expected = {
        "contacts": sum(n for d, (_, n, _) in zip(dates, rows, strict=True) if d >= period.first),
        "now": sum(n for d, (_, n, _) in zip(dates, rows, strict=True) if period.first <= d <= over),
        "before": sum(
            n
            for d, (_, n, _) in zip(dates, rows, strict=True)
            if period.first_before <= d <= over - timedelta(days=days)
        ),
    }
    for key, value in expected.items():
        assert parts[key].sum() == value
        assert period.full == 0 or getattr(total, key) == value


def test_undated_contacts_are_in_no_period() -> None:
    table = rollup([None, LAST], [5, 7], ["a", "a"])
    assert ask(within(table, Period(LAST, 30))).contacts.tolist() == [7]
    assert ask(extent(table)).iloc[0][["dated", "undated"]].tolist() == [7, 5]


@pytest.mark.parametrize("lumps", [1, 25])
def test_uneven_days_do_not_cry_wolf(lumps: int) -> None:
    "Nothing changes in 400 made-up channels; singly or 25 at a time, about 5 % may look as if it did."
    rng, days, channels = np.random.default_rng(5), 28, 400
    counts = lumps * rng.poisson(200 / lumps, size=(channels, 2 * days))
    dates = [LAST - timedelta(days=i) for i in range(2 * days)] * channels
    frame = ask(
        compare(
            rollup(dates, counts.ravel().tolist(), np.repeat([f"c{i}" for i in range(channels)], 2 * days).tolist()),
            ["channel"],
            Period(LAST, days),
        )
    )
    found = moves(frame, Period(LAST, days))
    wrong = np.mean([abs(m.gap) > m.chance() for m in found])
    outside = ((frame.low > 1) | (frame.high < 1)).mean()
    assert wrong < 0.09 and outside < 0.09


def test_an_outage_of_three_days_does_not_hide_itself() -> None:
    rng, days = np.random.default_rng(6), 28
    counts = rng.poisson(15, size=(200, 2 * days))
    counts[0, :3] *= 12
    dates = [LAST - timedelta(days=i) for i in range(2 * days)] * 200
    names = np.repeat([f"c{i}" for i in range(200)], 2 * days).tolist()
    frame = ask(compare(rollup(dates, counts.ravel().tolist(), names), ["channel"], Period(LAST, days)))
    z = beyond_chance(200)
    found = dict(zip(frame.channel, moves(frame, Period(LAST, days)), strict=True))
    assert [name for name, m in found.items() if abs(m.gap) > m.chance(z)] == ["c0"]


@pytest.mark.parametrize("by", [[], ["channel"]])
def test_on_whole_periods_it_is_the_measure_called_change(by: list[str]) -> None:
    rng, days = np.random.default_rng(3), 28
    dates = [LAST - timedelta(days=i) for i in range(2 * days)] * 3
    table = rollup(
        dates, rng.negative_binomial(3, 0.02, 6 * days).tolist(), np.repeat(["a", "b", "c"], 2 * days).tolist()
    )
    period = Period(LAST, days)
    mine = ask(compare(table, by, period).order_by(by or "contacts"))
    known = ask(measure("change", table, by, first=period.first, last=LAST).order_by(by or "n"))
    np.testing.assert_allclose(mine[["change", "low", "high"]] - 1, known[["value", "low", "high"]], rtol=1e-3)


@given(st.floats(0.01, 1e12))
def test_axes_start_at_zero_and_end_below_the_top(top: float) -> None:
    ticks = steps(top)
    assert ticks[0] == 0 and ticks[-1] <= top and len(ticks) <= 7


@given(st.floats(0, 1e11, allow_nan=False))
def test_numbers_never_show_an_exponent(value: float) -> None:
    assert not any("e" in text for text in (brief(value), percent(min(value, 1.0)), signed_percent(value)))


# what a colour looks like to eyes without red or green cones: Machado, Oliveira and Fernandes 2009, severity 1
EYES = {
    "usual": np.eye(3),
    "no red": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def nearest(tones: dict[str, Tone], mode: str, eye: str) -> float:
    "The smallest OKLab distance between two colours of a set, as that eye sees them."
    srgb = np.array([[int(getattr(t, mode)[i : i + 2], 16) / 255 for i in (1, 3, 5)] for t in tones.values()])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ EYES[eye].T, 0, 1)
    lab = np.cbrt(seen @ TO_LMS.T) @ TO_LAB.T
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    return float(apart[~np.eye(len(apart), dtype=bool)].min())


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("mode", Tone._fields)
def test_colours_can_be_told_apart(mode: str, eye: str) -> None:
    assert nearest(CHANNELS, mode, eye) > 0.05
    assert nearest(CATEGORIES, mode, eye) > 0.015
