"""A job on a Spark master: rebuild a lake with DuckDB and with Spark, and print what the two made of it, as JSON."""

import json
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import ibis

from beejan.conform.contacts import conform
from beejan.conform.times import parse_times
from beejan.core.lake import Lake, reader, table_hash, writer
from beejan.core.lake import table as lake_table
from beejan.core.settings import Settings, parse_settings
from beejan.core.sources import load_source, load_sources
from beejan.land.landing import land_source
from beejan.land.synth import synthesise
from beejan.operate.transform import rebuild_lake, transform
from beejan.operate.workspace import make_workspace
from beejan.resolve.duplicates import exact_links
from beejan.scale.spark import computer, lake_files, on_spark, spark_session, spark_table

EDGES = [
    "", " ",
    "\t a\x0b\f b \r\n", "İSTANBUL ΣΑΣ", "Straße ﬁx", "São Tomé", "e\u0301", "a.b$c^d\\e", "x\ny\n", "\u00a0n\u2003b",
    "1e3", " 12 ", "1_000", "12.5", "NaN", "inf", "0x10", "31/02/2026", "2026-03-29 02:30:00", "2026-03-29T02:30:00Z",
    "1900-01-01", "9999-12-31", "1770000000", "1770000000123", "46000.5", "29 Feb 2028 11:59 PM", None,
]  # fmt: skip
FORMATS = ["iso", "%d/%m/%Y", "%d %b %Y %I:%M %p", "epoch_s", "excel_serial"]


def expressions(t: ibis.Table) -> ibis.Table:
    """Every rewritten function, over one column of words."""
    w = t.word
    found = {
        "lower": w.lower(), "upper": w.upper(), "strip": w.strip(), "whole": w.try_cast("int64"), "n": w.length(),
        "real": w.try_cast("float64"), "end": w.re_search(r"[b-y]$"), "dot": w.re_search(r"^.+$"),
        "blank": w.re_replace(r"[\s\p{Z}]+", "_"), "back": w.re_replace(r"(\w)(\W)", r"\2$\1"),
        "group": w.re_extract(r"(\d+)\D*$", 1), "md5": w.hexdigest("md5"),
    }  # fmt: skip
    for zone in ("Africa/Lagos", "Europe/London", "unknown"):
        t = parse_times(t, "word", formats=FORMATS, zone=zone, prefix=zone[:3].lower())
    return t.mutate(**found)


def hashes(con: Any) -> dict[str, list[Any]]:
    """Rows and hash of every table that a transform makes."""
    names = con.raw_sql(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = 'lake' "
        "AND schema_name IN ('vault', 'curated', 'mart') ORDER BY 1"
    ).fetchall()
    return {n: list(table_hash(con, n)) for (n,) in names}


def rebuilt(settings: Settings) -> dict[str, list[Any]]:
    """The lake made anew from raw."""
    lake = Lake(settings)
    rebuild_lake(lake)
    transform(lake, lambda words: print(f"{time.monotonic():.0f} {words}", file=sys.stderr))
    con = reader(lake)
    found = hashes(con)
    con.disconnect()
    return found


def edges(settings: Settings, con: Any) -> dict[str, list[Any]]:
    """Values that differ between the engines, by column."""
    words = con.create_table("words", ibis.memtable({"word": EDGES}, schema={"word": "string"}), temp=True)
    both = [computer(settings)(con, "on_spark", expressions(words)), expressions(words)]
    here, there = (t.select(**{c: t[c].cast("string") for c in t.columns}).to_pyarrow().to_pylist() for t in both)
    order = lambda r: (r["word"] is None, r["word"] or "")  # noqa: E731
    pairs = list(zip(sorted(here, key=order), sorted(there, key=order), strict=True))
    found = [(c, s["word"], s[c], d[c]) for s, d in pairs for c in s if s[c] != d[c]]
    return {c: [f[1:] for f in found if f[0] == c] for c in {f[0] for f in found}}


def exact(lake: Lake, con: Any, session: Any) -> dict[str, Any]:
    """The exact repetitions as Spark finds them in the lake's own files, beside those that were linked."""
    name = "vault.fingerprint"
    known = lake_table(con, name)
    files = lake_files(lake, con, name)
    found = on_spark(session, exact_links(spark_table(session, files, known.schema()))).toPandas()
    kept = known.filter(known.kind == "exact").select("seq", "contact_id", "first_seq", "first_contact_id").to_pandas()
    rows = [sorted(map(tuple, t[["seq", "contact_id", "first_seq", "first_contact_id"]].values)) for t in (found, kept)]
    return {"n": len(rows[1]), "equal": rows[0] == rows[1]}


def understood(settings: Settings, con: Any, session: Any) -> list[str]:
    """The columns that Spark finds in the deepest expression there is: of a source whose clocks change twice a year."""
    source = Path(__file__).resolve().parent.parent / "pipelines/sources/nyc311.toml"
    records = spark_table(session, [], lake_table(con, "raw.record").schema())
    return list(on_spark(session, conform(records, load_source(source), b"k" * 32, "US")).columns)


def main(folder: Path, master: str, contacts: int, data: str = "") -> None:
    """Fill a workspace with synthetic contacts, or with the public data sets; compare, print."""
    make_workspace(folder, sources="*" if data else "")
    if contacts:
        synthesise(folder / "data/synth", contacts=contacts, days=5, start=date(2026, 3, 1))
    where = {"folders": {"data": data or "data"}}
    plain = parse_settings(where, folder)
    sparked = parse_settings(where | {"lake": {"engine": "spark"}, "spark": {"master": master}}, folder)
    lake = Lake(plain)
    con = writer(lake)
    for source in load_sources(folder / "pipelines/sources").values():
        if not source.stream:
            land_source(lake, con, source, plain.folder("data"))
    con.disconnect()
    began = time.monotonic()
    duck = rebuilt(plain)
    middle = time.monotonic()
    spark = rebuilt(sparked)
    end = time.monotonic()
    session = spark_session(sparked)
    con = writer(lake)
    print(
        json.dumps(
            {"duckdb": duck, "spark": spark, "duckdb_s": middle - began, "spark_s": end - middle}
            | {"edges": edges(sparked, con), "exact": exact(lake, con, session)}
            | {"understood": understood(sparked, con, session)}
            | {"executors": session.sparkContext._jsc.sc().getExecutorMemoryStatus().size() - 1}
        )
    )
    con.disconnect()
    session.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
