"""Kill -9 at random points of ingest and transform; the next run must end as an undisturbed one does.

python tests/soak/crash.py [--kills 50] [--contacts 3000] [--seed 1]
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from beejan.core.lake import Lake, reader, table_hash
from beejan.core.settings import load_settings
from beejan.land.synth import synthesise
from beejan.operate.books import lake_books
from beejan.operate.transform import DERIVED
from beejan.operate.workspace import make_workspace

JOB = """
import sys
from pathlib import Path
from beejan.core.lake import Lake, writer
from beejan.core.settings import load_settings
from beejan.core.sources import load_sources
from beejan.land.landing import land_source
from beejan.operate.transform import transform
settings = load_settings(Path(sys.argv[1]))
lake = Lake(settings)
con = writer(lake)
for source in load_sources(settings.folder("pipelines") / "sources").values():
    land_source(lake, con, source, settings.folder("data"))
con.disconnect()
transform(lake)
"""


def start(space: Path) -> subprocess.Popen:
    """Ingest and transform in a process of its own."""
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", JOB, str(space)], stderr=subprocess.DEVNULL)


def hashes(space: Path) -> dict[str, tuple[int, str]]:
    """Rows and hash of every table that a rebuild must repeat."""
    con = reader(Lake(load_settings(space)))
    names = (*DERIVED, "raw.record", "raw.fault", *(f"mart.{t}" for t in con.list_tables(database=("lake", "mart"))))
    assert lake_books(con).to_pyarrow()["balanced"].to_pylist().count(False) == 0, "the books do not balance"
    return {n: table_hash(con, n) for n in names}


def fresh(like: Path, folder: Path) -> Path:
    """A workspace with the same key, declarations and data, and no lake."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(like, folder, ignore=shutil.ignore_patterns("lake"))
    return folder


def main() -> int:
    """Run the check; 0 if every table came out equal."""
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--kills", type=int, default=50)
    args.add_argument("--contacts", type=int, default=3000)
    args.add_argument("--seed", type=int, default=1)
    opt = args.parse_args()
    rng = random.Random(opt.seed)
    base = Path(tempfile.mkdtemp())
    make_workspace(base / "calm")
    synthesise(base / "calm/data/synth", contacts=opt.contacts, days=4)
    began = time.monotonic()
    assert start(base / "calm").wait() == 0
    length = time.monotonic() - began
    expected, killed, wrong = hashes(base / "calm"), 0, []
    while killed < opt.kills:
        space = fresh(base / "calm", base / "torn")
        for _ in range(min(5, opt.kills - killed)):
            job = start(space)
            try:
                job.wait(rng.uniform(0.3, 1.1) * length)
            except subprocess.TimeoutExpired:
                os.kill(job.pid, signal.SIGKILL)
                job.wait()
                killed += 1
        assert start(space).wait() == 0, "the run after a crash failed"
        found = hashes(space)
        wrong += [n for n in expected if found.get(n) != expected[n]]
        print(f"{killed} of {opt.kills} kills, tables that differ: {len(wrong)}", flush=True)
    shutil.rmtree(base)
    print(f"crash: {killed} kills, {len(expected)} tables compared, {len(wrong)} differ {sorted(set(wrong))}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
