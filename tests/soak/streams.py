"""Kill -9 of consumer and broker while messages flow; in the end each message is there once.

python tests/soak/streams.py [--messages 100000] [--kills 20] [--broker nats|kafka] [--seed 1]

Messages go out between the kills, an equal share before each, and a part is killed only when something has landed since
the last kill. The Kafka-protocol broker (Tansu) keeps its messages in memory: there, only the consumer is killed.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from brokers import start_nats, tansu

from beejan.core.errors import BrokerError
from beejan.core.lake import Lake, reader, writer
from beejan.core.settings import load_settings
from beejan.land.brokers import open_feed, stream_sources
from beejan.operate.books import lake_books
from beejan.operate.transform import transform
from beejan.operate.workspace import make_workspace

BEEJAN = [sys.executable, "-W", "ignore", "-c", "from beejan.cli import main; main()"]
SOURCE = "synth_sms_live"


def message(i: int) -> tuple[str, bytes]:
    """One of the messages, all different."""
    text = f"No network since morning, case {i}, please mend it"
    record = {"id": f"m{i}", "from": f"+23480{i:08d}", "text": text, "at": "2026-03-01T08:00:00Z"}
    return f"m{i}", json.dumps(record).encode()


def publish(settings, n: int, kills: int, killed: dict[str, int], done: list[int]) -> None:
    """Publish all, an equal share before each kill; where no answer came, the same messages again."""
    feed = None
    for i in range(0, n, 200):
        while i * (kills + 1) > n * (sum(killed.values()) + 1):
            time.sleep(0.02)
        some = [message(k) for k in range(i, min(i + 200, n))]
        while True:
            try:
                feed = feed or open_feed(settings, stream_sources(settings)[SOURCE])
                feed.publish(some)
                break
            except BrokerError:
                if feed is not None:
                    feed.close()
                feed = None
                time.sleep(0.2)
        done.append(len(some))
    feed.close()


def start_consumer(folder: str) -> subprocess.Popen:
    """`beejan stream run` in a process of its own."""
    return subprocess.Popen(
        [*BEEJAN, "stream", "run"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def counts(lake: Lake) -> tuple[int, int, int, int]:
    """Messages received, different places among them, different ids, and contacts of them."""
    con = reader(lake)
    what = "count(*), count(DISTINCT (member, line)), count(DISTINCT fields['id'])"
    found = con.raw_sql(f"SELECT {what} FROM lake.raw.record WHERE source = '{SOURCE}'").fetchone()
    contacts = con.raw_sql(f"SELECT count(*) FROM lake.curated.contact WHERE source = '{SOURCE}'").fetchone()[0]
    con.disconnect()
    return *found, contacts


def progress(lake: Lake, before: int, patience: float = 60) -> int:
    """Wait until more has landed than before; how much."""
    until = time.monotonic() + patience
    while (now := counts(lake)[0]) <= before and time.monotonic() < until:
        time.sleep(0.2)
    return now


def settle(settings, n: int) -> None:
    """Wait until everything has landed, and transform what is left."""
    until = time.monotonic() + 600
    while counts(Lake(settings))[2] < n and time.monotonic() < until:
        time.sleep(0.5)


def main() -> int:
    ask = argparse.ArgumentParser()
    ask.add_argument("--messages", type=int, default=100_000)
    ask.add_argument("--kills", type=int, default=20)
    ask.add_argument("--broker", choices=["nats", "kafka"], default="nats")
    ask.add_argument("--seed", type=int, default=1)
    to = ask.parse_args()
    luck, began, killed = random.Random(to.seed), time.monotonic(), {"consumer": 0, "broker": 0}
    with tempfile.TemporaryDirectory() as d, ExitStack() as stack:
        make_workspace(Path(d))
        toml = Path(d) / "beejan.toml"
        url = stack.enter_context(tansu(Path(d))) if to.broker == "kafka" else ""
        said = (
            toml.read_text().replace('broker = "off"', f'broker = "{to.broker}"').replace('url = ""', f'url = "{url}"')
        )
        toml.write_text(said)
        settings = load_settings(Path(d))
        writer(Lake(settings)).disconnect()
        broker = start_nats(settings) if to.broker == "nats" else None
        consumer, sent = start_consumer(d), list[int]()
        publishing = threading.Thread(target=publish, args=(settings, to.messages, to.kills, killed, sent))
        publishing.start()
        landed = 0
        for k in range(to.kills):
            landed = progress(Lake(settings), landed)
            time.sleep(luck.uniform(0, 3))
            if broker is not None and k % 2:
                broker.kill()
                broker.wait()
                broker = start_nats(settings)
            else:
                consumer.kill()
                consumer.wait()
                consumer = start_consumer(d)
            killed["broker" if broker is not None and k % 2 else "consumer"] += 1
            print(f"kill {k + 1}: {sum(sent):,} published, {landed:,} landed", flush=True)
        publishing.join()
        settle(settings, to.messages)
        consumer.terminate()
        consumer.wait()
        transform(Lake(settings))
        received, places, different, contacts = counts(Lake(settings))
        con = reader(Lake(settings))
        balanced = all(lake_books(con).to_pyarrow()["balanced"].to_pylist())
        con.disconnect()
        if broker is not None:
            broker.kill()
            broker.wait()
    lost, twice = to.messages - different, contacts - different + received - places
    print(
        f"{to.broker}: {to.messages:,} messages, killed {killed['consumer']} consumers and {killed['broker']} brokers: "
        f"{lost} lost, {twice} twice ({places - different} sent again by the publisher and known as such), "
        f"books {'balance' if balanced else 'DO NOT BALANCE'}; {time.monotonic() - began:.0f} s"
    )
    return int(bool(lost or twice or not balanced))


if __name__ == "__main__":
    sys.exit(main())
