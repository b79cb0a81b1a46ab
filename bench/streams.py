"""From publish to mart: messages at a rate, over a month of history, and how long each takes until a query sees it.

python bench/streams.py [RATE] [SECONDS] [HISTORY]
"""

import bisect
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from brokers import start_nats

from beejan.core.lake import Lake, reader, writer
from beejan.core.settings import load_settings
from beejan.core.sources import load_sources
from beejan.land.brokers import open_feed, stream_sources
from beejan.land.landing import land_source
from beejan.land.synth import synthesise
from beejan.operate.transform import transform
from beejan.operate.workspace import make_workspace

BEEJAN = [sys.executable, "-W", "ignore", "-c", "from beejan.cli import main; main()"]
SOURCE = "synth_sms_live"


def workspace(folder: Path, history: int) -> None:
    """A workspace with history, and the embedded broker set."""
    make_workspace(folder)
    toml = folder / "beejan.toml"
    toml.write_text(toml.read_text().replace('broker = "off"', 'broker = "nats"'))
    settings = load_settings(folder)
    synthesise(folder / "data/synth", contacts=history, days=30)
    con = writer(Lake(settings))
    for source in load_sources(settings.folder("pipelines") / "sources").values():
        land_source(Lake(settings), con, source, settings.folder("data"))
    con.disconnect()
    transform(Lake(settings))


def words(folder: Path) -> list[str]:
    """What synthetic customers write by SMS."""
    import pyarrow.parquet as pq

    t = pq.read_table(folder / "data/synth/truth/contact.parquet", columns=["text", "channel"]).to_pylist()
    return [r["text"] for r in t if r["channel"] == "sms" and r["text"]]


def publish(settings, texts: list[str], rate: int, seconds: int, at: list[float], name: str = "b") -> None:
    """Publish at a rate; `at` is when each message was sent, `name` begins their ids."""
    feed, start, n = open_feed(settings, stream_sources(settings)[SOURCE]), time.monotonic(), 0
    while n < rate * seconds:
        due = min(int((time.monotonic() - start) * rate), rate * seconds) - n
        if due <= 0:
            time.sleep(0.05)
            continue
        now, some = time.time(), []
        said = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        for i in range(n, n + due):
            record = {"id": f"{name}{i}", "from": f"+23480{i % 50_000:08d}", "text": f"{texts[i % len(texts)]} {i}"}
            some.append((f"{name}{i}", json.dumps(record | {"at": said}).encode()))
        at += [now] * due
        feed.publish(some)
        n += due
    feed.close()


def watch(settings, total: int, seen: list[tuple[float, int]], patience: float) -> None:
    """Note when how many were in the mart; asked after each new snapshot, so that asking costs little."""
    con, until, known = reader(Lake(settings)), time.monotonic() + patience, None
    sql = f"SELECT count(*) FROM lake.mart.fact_contact WHERE source = '{SOURCE}'"
    while time.monotonic() < until and (not seen or seen[-1][1] < total):
        time.sleep(0.1)
        newest = con.raw_sql("FROM lake.current_snapshot()").fetchall()
        if newest != known:
            known, ((n,),) = newest, con.raw_sql(sql).fetchall()
            if not seen or n > seen[-1][1]:
                seen.append((time.time(), n))
    con.disconnect()


def main() -> int:
    rate, seconds, history = [*map(int, sys.argv[1:]), *(1_000, 120, 20_000)[len(sys.argv) - 1 :]]
    with tempfile.TemporaryDirectory() as d:
        workspace(Path(d), history)
        settings, texts = load_settings(Path(d)), words(Path(d))
        broker = start_nats(settings)
        follows = subprocess.Popen([*BEEJAN, "stream", "run"], cwd=d, stdout=subprocess.PIPE, text=True)
        follows.stdout.readline()
        publish(settings, texts, 100, 1, [], "warm")
        watch(settings, 100, [], 60)  # what is asked for the first time has to be written first
        sent, seen = list[float](), list[tuple[float, int]]()
        publishing = threading.Thread(target=publish, args=(settings, texts, rate, seconds, sent))
        publishing.start()
        watch(settings, 100 + rate * seconds, seen, seconds + 300)
        publishing.join()
        follows.terminate()
        follows.communicate()
        broker.kill()
        broker.wait()
    counts = [n for _, n in seen]
    waits = []
    for k, at in enumerate(sent, 1):
        i = bisect.bisect_left(counts, 100 + k)
        waits.append(seen[i][0] - at if i < len(seen) else float("inf"))
    waits.sort()
    p50, p95 = waits[len(waits) // 2], waits[int(len(waits) * 0.95)]
    took = len(sent) / (sent[-1] - sent[0])
    print(f"{len(sent):,} messages at {took:,.0f}/s over {history:,} contacts of history, {len(seen)} transforms")
    print(f"publish to mart: p50 {p50:.1f} s, p95 {p95:.1f} s, most {waits[-1]:.1f} s; load {os.getloadavg()[0]:.1f}")
    print("bar: 1,000/s for 2 minutes, p95 <= 5 s")
    return int(p95 > 5)


if __name__ == "__main__":
    sys.exit(main())
