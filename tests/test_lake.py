"""The lake's traps, each with its own test, on both catalogs."""

import multiprocessing as mp
import os
import signal
import sqlite3
import time

import duckdb
import ibis
import pytest

from beejan.core.errors import LakeError
from beejan.core.lake import Lake, append, commit, maintain, overwrite, reader, snapshots, table, table_hash, writer
from beejan.core.settings import LakeSettings, Settings

SPAWN = mp.get_context("spawn")


def links(*ids: int):
    return ibis.memtable(
        {"contact_id": [f"c{i}" for i in ids], "first_contact_id": ["a"] * len(ids), "kind": ["near"] * len(ids),
         "score": [90.0] * len(ids), "seq": list(ids)}
    )  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def lake(request, tmp_path):
    if request.param == "sqlite":
        catalog = "sqlite"
    else:
        catalog = request.getfixturevalue("postgres_database")
    return Lake(Settings(root=tmp_path, lake=LakeSettings(catalog=catalog)))


def _attach_and_write(lake: Lake, i: int, rounds: int = 1) -> None:
    con = writer(lake)
    for n in range(rounds):
        commit(lake, con, lambda c, n=n: append(c, "curated.duplicate_link", links(1000 * i + n)))
    con.disconnect()


def test_first_attach_by_three_processes_at_once(lake):
    workers = [SPAWN.Process(target=_attach_and_write, args=(lake, i)) for i in range(3)]
    for w in workers:
        w.start()
    for w in workers:
        w.join(120)
    assert [w.exitcode for w in workers] == [0, 0, 0]
    assert table(reader(lake), "curated.duplicate_link").count().execute() == 3


def test_two_writers_a_maintainer_and_a_reader(lake):
    _attach_and_write(lake, 9)
    workers = [SPAWN.Process(target=_attach_and_write, args=(lake, i, 8)) for i in range(2)]
    for w in workers:
        w.start()
    con, seen = reader(lake), []
    while any(w.is_alive() for w in workers):
        seen.append(int(table(con, "curated.duplicate_link").count().execute()))
        maintain(lake, keep=3)
    for w in workers:
        w.join(120)
    assert [w.exitcode for w in workers] == [0, 0]
    assert seen == sorted(seen), "a reader never sees rows disappear"
    assert table(con, "curated.duplicate_link").count().execute() == 17


def test_reader_cannot_write(lake):
    _attach_and_write(lake, 1)
    con = reader(lake)
    with pytest.raises(duckdb.Error, match="read-only"):
        con.raw_sql("DELETE FROM lake.curated.duplicate_link")


def test_reader_sees_the_new_rows_after_rewrite_and_expiry(lake):
    _attach_and_write(lake, 1)
    con = reader(lake)
    assert table(con, "curated.duplicate_link").count().execute() == 1
    w = writer(lake)
    commit(lake, w, lambda c: overwrite(c, "curated.duplicate_link", links(7, 8)))
    for _ in range(3):
        maintain(lake, keep=1)
    assert table(con, "curated.duplicate_link").count().execute() == 2


def test_expiry_by_number_within_the_same_day(lake):
    w = writer(lake)
    for i in range(6):
        commit(lake, w, lambda c, i=i: append(c, "curated.duplicate_link", links(i)))
    before = table_hash(w, "curated.duplicate_link")
    maintain(lake, keep=2)
    assert len(snapshots(w)) == 2
    assert table_hash(w, "curated.duplicate_link") == before


def test_retired_files_are_deleted_by_the_next_maintenance(lake):
    w = writer(lake)
    commit(lake, w, lambda c: append(c, "curated.duplicate_link", links(1)))
    commit(lake, w, lambda c: overwrite(c, "curated.duplicate_link", links(2)))
    assert maintain(lake, keep=1)["files_deleted"] == 0
    assert maintain(lake, keep=1)["files_deleted"] > 0
    assert table(reader(lake), "curated.duplicate_link").contact_id.execute().tolist() == ["c2"]


def test_nothing_is_inlined_into_the_catalog(lake):
    w = writer(lake)
    commit(lake, w, lambda c: append(c, "curated.duplicate_link", links(1)))
    files = w.raw_sql("FROM ducklake_list_files('lake', 'duplicate_link', schema => 'curated')").fetchall()
    assert len(files) == 1


def test_a_session_in_another_zone_reads_the_same_time(lake, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        w = writer(lake)
        assert w.raw_sql("SELECT CAST(TIMESTAMPTZ '2026-01-01 00:00:00+00' AS VARCHAR)").fetchone() == (
            "2026-01-01 00:00:00+00",
        )
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


def _write_forever(lake: Lake) -> None:
    con, i = writer(lake), 0
    while True:
        commit(
            lake,
            con,
            lambda c, i=i: (append(c, "curated.duplicate_link", links(i)), append(c, "curated.watermark", _mark(i))),
        )
        i += 1


def _mark(i: int):
    return ibis.memtable({"source": ["s"], "batch_id": [str(i)], "batch_seq": [i]})


def test_kill_in_the_middle_of_a_write_leaves_all_or_nothing(tmp_path):
    lake = Lake(Settings(root=tmp_path))
    for wait in (1.2, 1.5, 1.9, 2.3):
        w = SPAWN.Process(target=_write_forever, args=(lake,))
        w.start()
        w.join(wait)
        os.kill(w.pid, signal.SIGKILL)
        w.join()
        con = writer(lake)  # makes what a writer killed at its start did not
        assert (
            table(con, "curated.duplicate_link").count().execute() == table(con, "curated.watermark").count().execute()
        )


def test_errors_are_sentences_without_the_password(tmp_path):
    bad = Lake(Settings(root=tmp_path, lake=LakeSettings(catalog="postgresql://me:s3cret@127.0.0.1:9/none")))
    with pytest.raises(LakeError) as e:
        reader(bad)
    assert "s3cret" not in str(e.value) and "beejan.toml" in str(e.value)


def test_a_damaged_catalog_is_said(tmp_path):
    lake = Lake(Settings(root=tmp_path))
    lake.folder.mkdir()
    (lake.folder / "catalog.sqlite").write_bytes(b"not a database at all, far from it" * 100)
    with pytest.raises(LakeError, match="cannot be opened"):
        reader(lake)


def test_the_catalog_is_in_wal_mode(tmp_path):
    lake = Lake(Settings(root=tmp_path))
    writer(lake).disconnect()
    with sqlite3.connect(lake.folder / "catalog.sqlite") as c:
        assert c.execute("PRAGMA journal_mode").fetchone() == ("wal",)
