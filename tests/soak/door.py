"""Plant 2,000 canaries, run everything, look for them: none may be outside `raw` and `vault`.

python tests/soak/door.py [--contacts 3000] [--canaries 2000] [--keep FOLDER]

A canary is a person's number, name or address that no other text has, written as people write: in the columns of a
record, and in its words. All pipelines run through `beejan run` as a person runs them: topics, reports and executed
notebooks with them; then every byte of every place is read, and Parquet value by value. The sources' own files, raw and
vault hold them by right; so do the catalog's statistics of the tables of raw and vault, which are looked at by table.
Then `beejan serve` serves the workspace, and each role reads what it may: pages, rows page after page, stories,
reports, REST, exports and SQL. No answer may hold a canary, whether the role reads texts or not.
"""

import argparse
import csv
import io
import os
import random
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from html import unescape
from pathlib import Path

from httpx import Client, Response, TransportError, get
from pyarrow import parquet

from beejan.core.lake import Lake, reader, table
from beejan.core.settings import Settings, load_settings
from beejan.govern.access import ROLES, Who, add_person, sign_in
from beejan.govern.places import scan
from beejan.land.synth import synthesise
from beejan.model.metrics import measures
from beejan.operate.workspace import make_workspace
from beejan.serve.guard import COOKIE
from beejan.serve.pages import PAGES
from beejan.serve.provenance import TITLE
from beejan.serve.sqlroom import allowed_tables, ask_sql

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


FILES = {"reports": "*.html", "runs": "*.ipynb"}  # folder -> what a full run leaves there


def topics(settings: Settings) -> int:
    """How many topics were found."""
    con = reader(Lake(settings))
    n = int(table(con, "curated.topic").count().execute())
    con.disconnect()
    return n


def beejan(root: Path, *args: str) -> None:
    command = [sys.executable, "-c", "from beejan.cli import main; main()", *args]
    env = {**os.environ, "BEEJAN_HOME": str(root)}
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=env)
    print(f"  beejan {' '.join(args)}: {'ok' if done.returncode == 0 else 'FAILED ' + done.stderr[-300:]}", flush=True)
    assert done.returncode == 0, "a full run has no step that fails"
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


def rows_of(address: str, pages: int = 40) -> Callable[[Client], Iterator[tuple[str, str]]]:
    """Explore page after page, and the story of the first contact of each."""

    def walked(client: Client) -> Iterator[tuple[str, str]]:
        following = address
        for _ in range(pages):
            text = client.get("/explore" + following).text
            yield following, text
            story = re.search(r'href="(\?[^"]*see=[^"]*)"', text)
            if story:
                yield unescape(story[1]), client.get("/explore" + unescape(story[1])).text
            further = re.search(r'href="(\?[^"]*)" data-go data-key="next"', text)
            if not further:
                return
            following = unescape(further[1])

    return walked


def addresses(settings: Settings) -> list[str]:
    """What is asked, whoever asks; a role gets what it may."""
    con = reader(Lake(settings))
    tables = allowed_tables(con)
    con.disconnect()
    reports = [str(p.relative_to(settings.folder("reports"))) for p in settings.folder("reports").rglob("*.html")]
    days = "until=2026-01-28&days=28"
    asked = [f"{page.path}?{days}&why={why}" for page in PAGES for why in ("", *TITLE)]
    asked += [f"/explore?{days}&lens={lens}" for lens in ("channel", "category", "state", "source")]
    asked += [f"/explore/contacts.csv?{days}", "/account", "/sql", "/reports", *(f"/reports/{r}" for r in reports)]
    asked += ["/v1/openapi.json", "/v1/metrics", *(f"/v1/trends?by={by}" for by in ("channel", "state", "source"))]
    asked += [f"/v1/metrics/{m}" for m in measures()] + [f"/v1/metrics/{m}?by=source" for m in measures()]
    return asked + [f"/v1/exports?table={t}&format={kind}" for t in tables for kind in ("csv", "parquet")]


def read(answer: Response) -> str:
    """An answer as a reader sees it: Parquet as values, HTML also without its escapes."""
    if answer.content[:4] == b"PAR1":
        return "\n".join(map(str, parquet.read_table(io.BytesIO(answer.content)).to_pylist()))
    return answer.text + (unescape(answer.text) if "html" in answer.headers.get("content-type", "") else "")


def told(client: Client, settings: Settings, role: str) -> Iterator[tuple[str, str]]:
    """All that a role is told: the address and the answer."""
    for address in addresses(settings):
        answer = client.get(address)
        if answer.status_code == 200:
            yield address, read(answer)
    for where in ("?until=2026-01-28&days=28&source=canary", "?days=366"):
        yield from rows_of(where)(client)
    following = ""
    while following is not None and (page := client.get(f"/v1/contacts?limit=1000{following}")).status_code == 200:
        yield f"/v1/contacts{following}", page.text
        following = f"&after={page.json()['next']}" if page.json()["next"] else None
    con = reader(Lake(settings))
    names = allowed_tables(con)
    con.disconnect()
    for name in names if "sql" in ROLES[role] else ():
        yield f"SQL {name}", str(ask_sql(settings, f"FROM {name}", Who(role, role)).to_pylist())


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """`beejan serve` of the workspace, until the end of the block."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-c", "from beejan.cli import main; main()", "serve", "--port", str(port)]
    env = {**os.environ, "BEEJAN_HOME": str(settings.root)}
    log = settings.root.parent / "serve.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, env=env, cwd=settings.root, stdout=out, stderr=out)
    until = time.monotonic() + 120
    try:
        while True:
            try:
                if get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code == 200:
                    break
            except TransportError:
                assert process.poll() is None and time.monotonic() < until, log.read_text()[-500:]
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)
    assert not re.search(CANARY, log.read_text(), re.I), "LEAK in the server's log"


def leaks_to(settings: Settings) -> dict[str, tuple[int, int, list[str]]]:
    """Role -> answers, bytes, and the addresses whose answer holds a canary."""
    out = {}
    for role in ROLES:
        add_person(settings, role, role, "a password of the soak test")
    with served(settings) as base:
        for role in ROLES:
            token = sign_in(settings, role, "a password of the soak test")
            with Client(base_url=base, cookies={COOKIE: str(token)}, timeout=120) as client:
                n, size, found = 0, 0, list[str]()
                for address, text in told(client, settings, role):
                    n, size = n + 1, size + len(text)
                    if hit := re.search(CANARY, text, re.I):
                        found.append(f"{role} {address}: …{text[max(0, hit.start() - 40) : hit.end() + 20]!r}…")
                    if address.startswith("/explore/contacts.csv"):
                        assert text.count('"canary"') > 1000, "the canaries' contacts are not among the rows"
            out[role] = (n, size, found)
            silent = "reads no texts" if "text" not in ROLES[role] else "reads redacted texts"
            print(f"  {role} ({silent}): {n} answers, {size / 1e6:.1f} MB, {len(found)} with a canary", flush=True)
    return out


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
    beejan(root, "models", "build")
    for name in ("ingest", "transform", "quality", "discover", "report_daily", "maintenance"):
        beejan(root, "run", name)
    made = {"topics": topics(settings), **{n: len([*settings.folder(n).rglob(p)]) for n, p in FILES.items()}}
    assert all(made.values()), f"the run was not a full one: {made}"
    print(f"looked at, with all else: {made}")
    found = [*leaks(settings), *(f for _, _, some in leaks_to(settings).values() for f in some)]
    found += leaks(settings)  # what serving wrote: the audit, sessions, spill files
    rows = {r["place"]: r for r in scan(settings, CANARY)}
    seen = sum(r["hits"] for r in rows.values())
    print(f"{args.canaries} canaries planted, seen {seen} times where they may be; {time.monotonic() - begin:.0f} s")
    found = sorted({*found})
    print(f"found outside raw and vault: {len(found)}", *found[:20], sep="\n  ")
    if not args.keep:
        shutil.rmtree(root.parent)
    raise SystemExit(bool(found) or seen < args.canaries)


if __name__ == "__main__":
    main()
