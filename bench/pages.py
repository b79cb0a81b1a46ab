"""How long a change of a filter takes in a real Chromium, click to painted, over the marts of a million contacts.

python bench/pages.py [CONTACTS] [CHANGES]
"""

import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from beejan.core.lake import Lake, commit, overwrite, writer
from beejan.core.settings import load_settings
from beejan.model import marts
from beejan.operate.workspace import make_workspace

SERVE = """
import socket, sys
from pathlib import Path
import uvicorn
from fastapi import FastAPI
from beejan.core.settings import load_settings
from beejan.serve.pages import mount_pages
app = FastAPI()
mount_pages(app, load_settings(Path(sys.argv[1])))
uvicorn.Server(uvicorn.Config(app, log_level="warning")).run([socket.socket(fileno=int(sys.argv[2]))])
"""
FACT = """
SELECT *, 'feed_' || channel AS source, NULL::VARCHAR AS status, d AS received_at, d::DATE AS local_date,
  date_trunc('hour', d) AS local_hour
FROM (
  SELECT md5(i::VARCHAR) AS contact_id, c[1 + (pow(random(), 2) * 9)::INT % 9] AS channel,
    k[1 + (pow(random(), 1.5) * 15)::INT % 15] AS category_code, p[1 + (pow(random(), 1.5) * 38)::INT % 38] AS state,
    random() < 0.1 AS is_duplicate,
    TIMESTAMPTZ '2026-01-01 00:00:00+00' + INTERVAL 1 SECOND * (random() * 86400 * 90)::INT AS d
  FROM range({n}) t(i), (SELECT list(state ORDER BY state) AS p FROM lake.mart.dim_place),
    (SELECT list(category_code) AS k FROM lake.mart.dim_category),
    (SELECT list(channel) AS c FROM lake.mart.dim_channel WHERE channel <> 'unknown')
) ORDER BY d
"""
COUNTS = """count(*) AS contacts, count_if(is_duplicate)::BIGINT AS duplicates,
  count_if(NOT is_duplicate)::BIGINT AS unique_contacts,
  count_if(category_code = 'unclassified')::BIGINT AS unclassified"""
DAILY = """
SELECT local_date, channel, category_code, state, source, {counts}, 0::BIGINT AS undated, 0::BIGINT AS flagged
FROM lake.mart.fact_contact GROUP BY ALL"""
HOURLY = """
SELECT local_hour::TIMESTAMP AS local_hour, channel, category_code, {counts} FROM lake.mart.fact_contact GROUP BY ALL"""
TEXTS = """
INSERT INTO lake.curated.contact BY NAME SELECT contact_id, source, channel, category_code, state, received_at,
  'My data finished within the day and nobody answers, please look into ' || contact_id AS text_redacted
FROM lake.mart.fact_contact ORDER BY received_at"""
CLICK = """key => new Promise(done => {
  const root = document.documentElement, before = root.dataset.painted, start = performance.now();
  new MutationObserver((list, me) => {
    if (root.dataset.painted !== before) { me.disconnect(); done(Number(root.dataset.painted) - start); }
  }).observe(root, { attributes: true, attributeFilter: ["data-painted"] });
  document.querySelector(`[data-key="${CSS.escape(key)}"]`).click();
})"""
KEYS = """() => [...document.querySelectorAll("[data-key]")].map(e => e.dataset.key)
  .filter(k => /^(category|channel|state|source|lens|days|drop|flip|clear)\\b/.test(k))"""


def fill(folder: Path, contacts: int) -> None:
    """Write marts and texts of `contacts` contacts, without the pipeline before them."""
    make_workspace(folder)
    settings = load_settings(folder)
    con = writer(Lake(settings))

    dims = {"channel": marts.dim_channel(), "category": marts.dim_category(), "place": marts.dim_place("NG")}

    def work(c) -> None:
        for name, rows in dims.items():
            overwrite(c, f"mart.dim_{name}", rows)
        c.raw_sql(f"CREATE TABLE lake.mart.fact_contact AS {FACT.format(n=contacts)}")
        c.raw_sql(f"CREATE TABLE lake.mart.rollup_daily AS {DAILY.format(counts=COUNTS)}")
        c.raw_sql(f"CREATE TABLE lake.mart.rollup_hourly AS {HOURLY.format(counts=COUNTS)}")
        c.raw_sql(TEXTS)

    commit(Lake(settings), con, work, "bench")
    n = con.raw_sql("SELECT count(*) FROM lake.mart.rollup_daily").fetchone()[0]
    print(f"{contacts:,} contacts, {n:,} rows in the daily rollup")
    con.disconnect()


def measure(address: str, changes: int) -> list[float]:
    """Click at random and take the time to the paint, in ms."""
    from playwright.sync_api import sync_playwright

    luck, times = random.Random(7), []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(address)
        page.wait_for_selector("html[data-live]", state="attached")
        page.wait_for_timeout(500)
        for i in range(changes):
            keys = page.evaluate(KEYS)
            few = [k for k in keys if k.startswith(("drop", "clear"))]
            key = luck.choice(few if len(few) > 4 else keys)
            times.append(page.evaluate(CLICK, key))
            if "-v" in sys.argv:
                print(i, key, round(times[-1]))
        browser.close()
    return times


def main() -> None:
    numbers = [int(a) for a in sys.argv[1:] if a.isdigit()]
    contacts, changes = [*numbers, *(1_000_000, 100)[len(numbers) :]]
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), contacts)
        door = socket.create_server(("127.0.0.1", 0))
        server = subprocess.Popen([sys.executable, "-c", SERVE, folder, str(door.fileno())], pass_fds=[door.fileno()])
        try:
            start = time.perf_counter()
            times = sorted(measure(f"http://127.0.0.1:{door.getsockname()[1]}/explore", changes))
        finally:
            server.terminate()
            server.wait()
    p50, p95 = statistics.median(times), times[int(0.95 * (len(times) - 1))]
    print(
        f"{changes} changes of a filter, click to painted: p50 {p50:.0f} ms, p95 {p95:.0f} ms, most {times[-1]:.0f} ms"
    )
    print(f"bar: p50 <= 200 ms, p95 <= 500 ms; load {os.getloadavg()[0]:.1f}, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
