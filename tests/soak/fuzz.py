"""A million hostile records through the main job: the books must balance and nothing else may land.

python tests/soak/fuzz.py [--records 1000000] [--long-line 100000000] [--bomb 10000000000]
"""

import argparse
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from faults import make_corpus

from beejan.core.lake import Lake, reader, writer
from beejan.core.settings import load_settings
from beejan.core.sources import parse_source
from beejan.land.landing import land_source
from beejan.operate import transform as job
from beejan.operate.books import lake_books
from beejan.operate.workspace import make_workspace


def main() -> int:
    """Run the check; 0 if every file came out as its maker says and the books balance."""
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--records", type=int, default=1_000_000)
    args.add_argument("--long-line", type=int, default=100_000_000)
    args.add_argument("--bomb", type=int, default=10_000_000_000)
    args.add_argument("--seed", type=int, default=7)
    opt = args.parse_args()
    space = Path(tempfile.mkdtemp())
    make_workspace(space, sources="none")
    made = make_corpus(space / "data", opt.records, opt.seed, opt.long_line, opt.bomb)
    sources = {n: parse_source(d, f"{n}.toml") for n, d in made["sources"].items()}
    settings = load_settings(space)
    lake, wrong, began = Lake(settings), [], time.monotonic()
    con = writer(lake)
    for source in sources.values():
        for done in land_source(lake, con, source, settings.folder("data"))[0]:
            expected = made["files"][done.path]
            good, faults = expected.good, expected.faults.total()
            if (done.landed, done.faults) != (good, faults):
                wrong.append(f"{done.path}: {done.landed} good, {done.faults} faults; expected {good} and {faults}")
            print(done, flush=True)
    con.disconnect()
    job.load_sources = lambda folder: sources
    done = job.transform(lake, lambda words: print(words, flush=True))
    books = lake_books(reader(lake)).to_pyarrow().to_pylist()
    wrong += [f"the books of {b['source']} do not balance" for b in books if not b["balanced"]]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    received = sum(b["received"] for b in books)
    print(*wrong, sep="\n")
    held = sum(b["quarantined"] for b in books)
    print(f"fuzz: {received} records received, {done['contacts']} contacts, {held} quarantined,")
    print(f"      {time.monotonic() - began:.0f} s, peak {peak:.2f} GiB, {len(wrong)} wrong")
    shutil.rmtree(space)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
