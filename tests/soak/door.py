"""Plant 2,000 canaries, run everything, look for them: none may be outside `raw` and `vault`.

python tests/soak/door.py [--contacts 3000] [--canaries 2000] [--keep FOLDER]

A canary is a person's number, name or address that no other text has, written as people write: in the columns of a
record, and in its words. All pipelines run through `beejan run` as a person runs them; then every byte of every place
is read, and Parquet value by value. The sources' own files, raw and vault hold them by right; so do the catalog's
statistics of the tables of raw and vault, which are looked at by table.
"""

import argparse
import csv
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from beejan.core.settings import Settings, load_settings
from beejan.govern.places import scan
from beejan.land.synth import synthesise
from beejan.operate.workspace import make_workspace

GIVEN = ("Chinedu", "Aisha", "Tunde", "Ngozi", "Ibrahim", "Blessing", "Emeka", "Halima", "Femi", "Patience")
MIDDLE = ("ba", "de", "fu", "go", "ki", "lo", "ma", "ne", "pi", "ra", "so", "tu", "wa", "ye")
GAP = "[ .()-]{0,2}"
CANARY = "|".join(["kanari", *(GAP.join(stem) for stem in ("8039471", "7039471", "2239471", "3039471", "4039471"))])
SOURCE = """
name = "canary"
path = "canary/*.csv"
channel = "call"
[format]
kind = "csv"
[fields]
source_record_id = "id"
phone = "phone"
customer_ref = "email"
text = "words"
received_at = "at"
[time]
zone = "Africa/Lagos"
[time.formats]
received_at = ["%Y-%m-%d %H:%M:%S"]
[personal]
fields = ["phone", "email", "name", "words"]
"""


def card(n: int) -> str:
    body = f"4039471{n:08}"
    return next(body + str(d) for d in range(10) if luhn(body + str(d)))


def luhn(digits: str) -> bool:
    doubled = (int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits)))
    return sum(d - 9 * (d > 9) for d in doubled) % 10 == 0


def words_of(n: int) -> tuple[str, str]:
    """The n-th canary: its kind and a sentence with it."""
    r = random.Random(n)
    surname = "Okanari" + r.choice(MIDDLE) + r.choice(MIDDLE) + r.choice(MIDDLE)
    given, tail = r.choice(GIVEN), f"8039471{n % 1000:03}"
    who = f"{given} {surname}"
    spaced, dashed = f"{tail[:3]} {tail[3:6]} {tail[6:]}", f"{tail[:3]}-{tail[3:]}"
    phone = r.choice((f"0{tail}", f"0{spaced}", f"+234{tail}", f"+234 (0) {dashed}"))
    street = f"{1 + n % 180} Kanari{r.choice(MIDDLE)} {r.choice(('Street', 'Road', 'Avenue', 'Close'))}, Ikeja"
    kinds = {
        "phone": r.choice((f"call me on {phone}", f"{phone}", f"my number na {phone}", f"line {phone} is dead")),
        "email": f"write to {given.lower()}.kanari{n}@example.com",
        "handle": f"ask @kanari_{n}x about it",
        "nin": r.choice((f"my NIN is 7039471{n:04}", f"7039471{n:04}")),
        "bvn": f"BVN 2239471{n:04} given",
        "account": f"refund to 3039471{n % 1000:03} Zenith",
        "card": f"card {card(n)} was charged twice",
        "name": r.choice(("my name is {}", "Regards, {}", "na {} be this", "cust name {}")).format(who),
        "address": r.choice((f"I live at {street}", f"come to {street}", f"addr {street}")),
    }  # fmt: skip
    kind = list(kinds)[n % len(kinds)]
    said = kinds[kind]
    return kind, r.choice((said, said, said.lower()))


def plant(folder: Path, canaries: int) -> None:
    """Write the canaries' files; each record carries one in its words and more in its columns."""
    folder.mkdir(parents=True)
    with open(folder / "canary.csv", "w", newline="", encoding="utf-8") as f:
        out = csv.writer(f)
        out.writerow(["id", "at", "phone", "email", "name", "words"])
        for n in range(canaries):
            _, said = words_of(n)
            place = (
                "no network since morning. {}",
                "{}. they took my N500 airtime",
                "abeg data don finish, {}, help me",
            )
            at = f"2026-01-{1 + n % 28:02} 1{n % 10}:00:00"
            text = place[n % 3].format(said)
            out.writerow([f"C{n}", at, f"08039471{n % 1000:03}", f"kanari{n}@example.com", f"Kanari {n}", text])


def beejan(root: Path, *args: str) -> None:
    command = [sys.executable, "-c", "from beejan.cli import main; main()", *args]
    env = {**os.environ, "BEEJAN_HOME": str(root)}
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=env)
    print(f"  beejan {' '.join(args)}: {'ok' if done.returncode == 0 else 'FAILED ' + done.stderr[-300:]}", flush=True)
    said = done.stdout + done.stderr
    if re.search(CANARY, said, re.I):
        print("  LEAK in what it printed")
        raise SystemExit(1)


def statistics(settings: Settings) -> dict[str, int]:
    """Canaries in the catalog's statistics, by schema."""
    sql = """SELECT s.schema_name, f.min_value, f.max_value FROM {} f JOIN ducklake_table t USING (table_id)
             JOIN ducklake_schema s USING (schema_id)"""
    found: dict[str, int] = {}
    with closing(sqlite3.connect(settings.folder("lake") / "catalog.sqlite")) as db:
        for table in ("ducklake_file_column_stats", "ducklake_table_column_stats"):
            for schema, *values in db.execute(sql.format(table)).fetchall():
                found[schema] = found.get(schema, 0) + sum(bool(re.search(CANARY, str(v), re.I)) for v in values)
    return {k: v for k, v in found.items() if v}


def leaks(settings: Settings) -> list[str]:
    """Files that hold a canary and may not."""
    allowed = ("data/", "lake/data/raw/", "lake/data/vault/", "lake/catalog.sqlite")
    out = [w for row in scan(settings, CANARY) for w in row["where"] if not w.startswith(allowed)]
    return out + [f"catalog: {schema}" for schema in statistics(settings) if schema not in ("raw", "vault")]


def main() -> None:
    a = argparse.ArgumentParser()
    a.add_argument("--contacts", type=int, default=3_000)
    a.add_argument("--canaries", type=int, default=2_000)
    a.add_argument("--keep", type=Path)
    args = a.parse_args()
    root = args.keep or Path(tempfile.mkdtemp()) / "team"
    make_workspace(root)
    synthesise(root / "data/synth", contacts=args.contacts, days=28)
    settings = load_settings(root)
    before = [w for row in scan(settings, CANARY) for w in row["where"]]
    assert not before, f"the canaries are no canaries: {before}"
    plant(root / "data/canary", args.canaries)
    (root / "pipelines/sources/canary.toml").write_text(SOURCE)
    begin = time.monotonic()
    for name in ("ingest", "transform", "quality", "discover", "report_daily", "maintenance"):
        if (root / f"pipelines/{name}.ipynb").exists():
            beejan(root, "run", name)
    found = leaks(settings)
    rows = {r["place"]: r for r in scan(settings, CANARY)}
    seen = sum(r["hits"] for r in rows.values())
    print(f"{args.canaries} canaries planted, seen {seen} times where they may be; {time.monotonic() - begin:.0f} s")
    print(f"found outside raw and vault: {len(found)}", *found[:20], sep="\n  ")
    if not args.keep:
        shutil.rmtree(root.parent)
    raise SystemExit(bool(found) or seen < args.canaries)


if __name__ == "__main__":
    main()
