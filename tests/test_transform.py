"""The main job end to end on small feeds: split arrivals, revisions, rebuilds, quarantine and its replay."""

import json
import random

import pytest

from beejan.core.lake import Lake, reader, table, table_hash, writer
from beejan.core.settings import load_settings
from beejan.core.sources import load_sources
from beejan.land.landing import land_source
from beejan.model.marts import MARTS
from beejan.operate import facts
from beejan.operate.books import lake_books
from beejan.operate.quarantine import add_fix, checked_fix, quarantine_table, replay
from beejan.operate.transform import DERIVED, rebuild_lake, transform

DECLARATION = """
title = "Calls"
path = "calls*.csv"
channel = "call"
every = "1d"
[format]
kind = "csv"
[fields]
source_record_id = "No"
text = "Notes"
received_at = "When"
phone = "Tel"
status = "Status"
case_ref = "No"
[time]
zone = "Africa/Lagos"
[time.formats]
received_at = ["%d/%m/%Y %H:%M"]
[reject]
test_call = { field = "Status", in = ["test"] }
"""
TEXTS = [
    "No network in Ikeja since yesterday morning, nobody answers",
    "No network in Ikeja since yesterday mornin, nobody answers!",
    "I was debited twice for the same data bundle",
    "My SIM card is blocked after the NIN registration",
    "I WAS DEBITED TWICE for the same data bundle",
    "Ok",
]


@pytest.fixture
def space(tmp_path):
    (tmp_path / "beejan.toml").write_text("")
    (tmp_path / "pipelines/sources").mkdir(parents=True)
    (tmp_path / "pipelines/sources/calls.toml").write_text(DECLARATION)
    (tmp_path / "data").mkdir()
    return tmp_path


def rows(n, seed=1):
    rng = random.Random(seed)
    return [
        f'{i},"{rng.choice(TEXTS)} {rng.choice(["", "please help me now", "since Friday, in Kano"])}",'
        f"{1 + i % 28:02d}/01/2026 {i % 24:02d}:15,080312345{i % 50:02d},{rng.choice(['open', 'closed', 'test'])}"
        for i in range(n)
    ]


def write(space, name, lines):
    (space / "data" / name).write_text("No,Notes,When,Tel,Status\n" + "\n".join(lines) + "\n")


def ingest(space):
    settings = load_settings(space)
    lake = Lake(settings)
    con = writer(lake)
    for source in load_sources(space / "pipelines/sources").values():
        _, problems = land_source(lake, con, source, space / "data")
        assert not problems
    con.disconnect()
    return lake


def hashes(lake, also=()):
    con = reader(lake)
    marts = [f"mart.{t}" for t in con.list_tables(database=("lake", "mart"))]
    found = {n: table_hash(con, n) for n in (*DERIVED, *marts, *also)}
    con.disconnect()
    return found


def balanced(lake):
    con = reader(lake)
    books = lake_books(con).to_pandas()
    con.disconnect()
    assert books.balanced.all(), books
    return books.iloc[0]


def test_once_twice_and_from_the_beginning(space):
    write(space, "calls1.csv", rows(60))
    lake = ingest(space)
    assert balanced(lake).waiting == 60
    transform(lake)
    first, books = hashes(lake), balanced(lake)
    assert books.waiting == 0 and books.rejected > 0 and books.loaded > 0
    assert transform(ingest(space))["batches"] == 0
    assert hashes(lake) == first
    rebuild_lake(lake)
    transform(lake)
    assert hashes(lake) == first


def test_how_arrival_was_split_into_runs_does_not_matter(space, tmp_path_factory):
    lines = rows(90)
    for i in range(3):
        write(space, f"calls{i}.csv", lines[30 * i : 30 * i + 30] + lines[:3])
        lake = ingest(space)
        transform(lake)
    by_steps = hashes(lake)
    rebuild_lake(lake)
    transform(lake)
    assert hashes(lake) == by_steps
    assert by_steps["curated.duplicate_link"][0] > 0


def test_row_by_row_is_what_the_whole_would_be(space, monkeypatch):
    rng, con, marts = random.Random(5), None, ("curated.case", "curated.case_member", *(f"mart.{m}" for m in MARTS))
    monkeypatch.setattr(facts, "PIECES", 5)  # now and then they are made whole
    for day in range(9):
        new = rows(40, seed=day)[10:] if day else rows(40)
        moved = [line.replace("0803123450", "0803123451") for line in rows(40, seed=day)[: rng.randrange(10)]]
        write(space, f"calls{day:02d}.csv", [line.replace(",", f"-{day // 3},", 1) for line in new] + moved)
        lake = ingest(space)
        con = con or writer(lake)
        transform(lake, con=con, whole=not day)
        before = hashes(lake, marts)
        if day % 3 == 2:
            transform(lake)
            assert hashes(lake, marts) == before, f"day {day}"
    con.disconnect()
    rebuild_lake(lake)
    transform(lake)
    assert hashes(lake, marts) == before
    balanced(lake)


def test_a_revision_updates_its_contact_and_counts_as_duplicate(space):
    write(space, "calls1.csv", ['1,"Network is gone",01/01/2026 10:00,08031234567,open'])
    transform(ingest(space))
    write(
        space,
        "calls2.csv",
        [
            '1,"Network is gone",01/01/2026 10:00,08031234567,closed',
            '1,"Network is gone",01/01/2026 10:00,08031234567,closed',
        ],
    )
    lake = ingest(space)
    transform(lake)
    books = balanced(lake)
    assert (books.received, books.loaded, books.duplicate) == (3, 1, 2)
    con = reader(lake)
    assert table(con, "curated.contact").status.execute().tolist() == ["closed"]
    reasons = sorted(r for r in table(con, "curated.outcome").reason.execute().tolist() if isinstance(r, str))
    assert reasons == ["revision", "same"]
    before = hashes(lake)
    rebuild_lake(lake)
    transform(lake)
    assert hashes(lake) == before


def test_a_file_that_grew_lands_its_new_rows_and_the_books_count_the_rest_as_duplicates(space):
    write(space, "calls1.csv", rows(10))
    transform(ingest(space))
    write(space, "calls1.csv", rows(14))
    lake = ingest(space)
    transform(lake)
    books = balanced(lake)
    assert (books.received, books.duplicate) == (24, 10)


def test_quarantine_mended_by_rule_and_replayed_twice_is_once(space):
    good = rows(8)
    write(space, "calls1.csv", [*good, '90,"Network is gone",on Monday,08031234567,open', "91,half a row"])
    (space / "data/calls2.csv").write_bytes(
        b"No,Notes,When,Tel,Status\n92,caf\xe9 has no network today,05/01/2026 10:00,08031234567,open\n"
    )
    lake = ingest(space)
    transform(lake)
    con = reader(lake)
    found = {r["reason"]: r["n"] for r in quarantine_table(con).to_pyarrow().to_pylist()}
    assert found.pop("bad_encoding") == 1 and found == {"torn_record": 1, "time_unparsed": 1}, found
    declared = load_sources(space / "pipelines/sources")
    assert replay(lake, declared) == {"calls": 0}
    add_fix(lake, checked_fix("calls", "bad_encoding", "decode", pattern="cp1252"))
    add_fix(lake, checked_fix("calls", "torn_record", "discard", value="test row"))
    assert replay(lake, declared)["calls"] == 2
    assert replay(lake, declared)["calls"] == 0
    transform(lake)
    assert replay(lake, declared)["calls"] == 0
    after = balanced(lake)
    assert (after.quarantined, after.received) == (1, 11)
    assert after.rejected >= 1
    first = hashes(lake)
    rebuild_lake(lake)
    transform(lake)
    assert hashes(lake) == first


def test_a_declaration_mended_later_frees_its_records(space):
    write(space, "calls1.csv", ['1,"Network is gone",2026.01.05 10h00,08031234567,open'])
    lake = ingest(space)
    transform(lake)
    assert balanced(lake).quarantined == 1
    path = space / "pipelines/sources/calls.toml"
    path.write_text(path.read_text().replace('["%d/%m/%Y %H:%M"]', '["%d/%m/%Y %H:%M", "%Y.%m.%d %Hh%M"]'))
    assert replay(lake, load_sources(path.parent)) == {"calls": 1}
    transform(lake)
    assert (balanced(lake).quarantined, balanced(lake).loaded) == (0, 1)
    rebuild_lake(lake)
    transform(lake)
    assert (balanced(lake).quarantined, balanced(lake).loaded) == (0, 1)


def test_a_source_whose_declaration_comes_late_keeps_the_order_of_landing(space):
    write(space, "calls1.csv", rows(20))
    other = space / "pipelines/sources/other.toml"
    text = DECLARATION.replace("calls*.csv", "other*.csv").replace('"Calls"', '"Other"')
    other.write_text(text)
    write(space, "other1.csv", rows(20, seed=2))
    lake = ingest(space)
    write(space, "calls2.csv", rows(30)[20:])
    ingest(space)
    other.unlink()
    transform(lake)
    assert balanced(lake).waiting == 0
    other.write_text(text)
    transform(lake)
    late = hashes(lake)
    rebuild_lake(lake)
    transform(lake)
    assert hashes(lake) == late


def test_no_words_and_no_numbers_leave_the_vault(space):
    write(space, "calls1.csv", rows(40))
    lake = ingest(space)
    transform(lake)
    con = reader(lake)
    marts = [f"mart.{t}" for t in con.list_tables(database=("lake", "mart"))]
    for name in (*[n for n in DERIVED if n.startswith("curated")], *marts):
        rows_ = table(con, name).to_pyarrow()
        text = json.dumps(rows_.to_pylist(), default=str).lower()
        assert "080312345" not in text and "+23480312345" not in text, name
        text = json.dumps(
            rows_.drop_columns([c for c in rows_.column_names if c == "text_redacted"]).to_pylist(), default=str
        )
        assert "ikeja" not in text.lower(), name
