"""Near-duplicates on a planted set: recall of copies, precision of links, seconds, peak memory; beside datasketch.

    python bench/near_duplicates.py --n 500000

Exits 1 if a bar fails. The work is done in a process of its own, so that its peak memory is its own and not that of
the set's maker. A link is right if its two texts are a planted copy and its source (or copies of one source), or if
rapidfuzz gives them 85 or more after a neutral folding (lower case, letters and digits only). A planted copy is found
if the later of the two is linked to the earlier, or both to the same first.
"""

import argparse
import importlib.util
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather as feather

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

BARS = {"recall": 0.97, "precision": 0.97, "seconds": 30.0, "peak_mib": 1024.0}  # for 500,000 texts on 2 cores
ABOVE = {"seconds": 45.0, "peak_mib": 2048.0}  # a million texts, for larger sets
FRESH = 1_000  # records of the incremental run


# ---------------------------------------- what is measured, each in its own process


def ours(contents: pa.Table) -> np.ndarray:
    "Beejan: position of each text's first, or its own."
    from beejan.resolve.duplicates import link_duplicates
    from beejan.resolve.fingerprints import fingerprints

    linked = link_duplicates(fingerprints(contents))
    first = np.arange(len(contents))
    first[linked["seq"].to_numpy()] = pc.coalesce(linked["first_seq"], linked["seq"]).to_numpy()
    return first


def datasketch(contents: pa.Table) -> np.ndarray:
    "The same recipe by datasketch: 4-letter shingles, 64 permutations, 16 x 4 bands, then rapidfuzz 85."
    from datasketch import MinHash, MinHashLSH
    from rapidfuzz import fuzz, utils

    texts = [utils.default_process(t) for t in contents["text"].to_pylist()]
    lsh, first = MinHashLSH(num_perm=64, params=(16, 4)), np.arange(len(texts))
    for i, t in enumerate(texts):
        m = MinHash(num_perm=64)
        m.update_batch([t[k : k + 4].encode() for k in range(max(1, len(t) - 3))])
        scored = [(fuzz.ratio(t, texts[j], score_cutoff=85), -j) for j in lsh.query(m)]
        if scored and max(scored)[0]:
            first[i] = first[-max(scored)[1]]
        lsh.insert(i, m)
    return first


def incremental(contents: pa.Table) -> dict[str, float]:
    "The last thousand records against all others, which lie in a Parquet file, seen only through `candidates`."
    import ibis
    import pyarrow.parquet as pq

    from beejan.resolve.duplicates import candidates, link_duplicates
    from beejan.resolve.fingerprints import fingerprints

    whole = link_duplicates(fingerprints(contents))
    cut = len(contents) - FRESH
    is_new = pc.greater_equal(whole["seq"], cut)
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(whole.filter(pc.invert(is_new)), f"{folder}/known.parquet")
        con = ibis.duckdb.connect()
        known = con.read_parquet(f"{folder}/known.parquet")
        start = time.perf_counter()
        new = fingerprints(contents.slice(cut))
        earlier = candidates(ibis.memtable(new), known).to_pyarrow()
        linked = link_duplicates(new, earlier)
        seconds = time.perf_counter() - start
        con.disconnect()
    return {"seconds": seconds, "loaded": len(earlier), "known": cut, "equal": linked.equals(whole.filter(is_new))}


METHODS: dict[str, Callable] = {"beejan": ours, "datasketch": datasketch, "incremental": incremental}


def peak_mib() -> float:
    "Peak memory of this process alone: `ru_maxrss` starts from its parent's."
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s+(\d+)", status.read_text())[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(method: str, source: str, target: str) -> None:
    "Run one method on a stored set; leave its answer and print its cost."
    contents = feather.read_table(source, memory_map=False)
    start, cpu = time.perf_counter(), time.process_time()
    answer = METHODS[method](contents)
    seconds = time.perf_counter() - start
    if isinstance(answer, np.ndarray):
        np.save(target, answer)
        answer = {"seconds": seconds}
    print(json.dumps(answer | {"cpu_seconds": time.process_time() - cpu, "peak_mib": peak_mib()}))


# ---------------------------------------- the judge


def _fold(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.lower()).strip()


def judge(texts: list[str], source: list[int], kind: list[str], first: np.ndarray) -> dict[str, float]:
    "Recall of planted copies (in all and by kind) and precision of links."
    from rapidfuzz import fuzz, process

    of = np.array(source)
    copies = np.flatnonzero(of >= 0)
    late, early = np.maximum(copies, of[copies]), np.minimum(copies, of[copies])
    found = (first[late] != late) & ((first[late] == early) | (first[late] == first[early]))
    base = np.where(of >= 0, of, np.arange(len(of)))
    links = np.flatnonzero(first != np.arange(len(first)))
    planted = base[links] == base[first[links]]
    one, other = ([_fold(texts[i]) for i in side] for side in (links, first[links]))
    near = process.cpdist(one, other, scorer=fuzz.ratio, workers=2) >= 85
    kinds = np.array(kind)[copies]
    return {
        "recall": float(found.mean()),
        "precision": float((planted | near).mean()),
        "links": len(links),
        "natural": int((~planted).sum()),
        **{f"recall {k}": float(found[kinds == k].mean()) for k in dict.fromkeys(kinds.tolist())},
    }


def measure(method: str, n: int, seed: int) -> dict[str, float]:
    "Make the set, run the method in a process of its own, judge its answer."
    from planted import planted

    made = planted(n, seed=seed)
    if absent := [name for name, count in made.real.items() if not count]:
        print(f"NOT MEASURED ON REAL TEXTS of {', '.join(absent)}: absent, generated ones stand in", file=sys.stderr)
    ids = pc.cast(pa.array(np.arange(n)), pa.string())
    contents = pa.table({"seq": np.arange(n), "contact_id": pc.utf8_lpad(ids, 32, "0"), "text": made.texts})
    with tempfile.TemporaryDirectory() as folder:
        feather.write_feather(contents, f"{folder}/set.arrow", compression="uncompressed")
        call = [sys.executable, __file__, "--child", method, f"{folder}/set.arrow", f"{folder}/first.npy"]
        cost = json.loads(subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True).stdout)
        if method == "incremental":
            return cost
        return cost | judge(made.texts, made.source, made.kind, np.load(f"{folder}/first.npy"))


def main() -> int:
    "Measure, print, hold against the bars."
    p = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    p.add_argument("--n", type=int, default=500_000, help="texts in the planted set")
    p.add_argument("--seed", type=int, default=7)
    p.add_argument("--beside", type=int, default=20_000, help="texts for the run beside datasketch; 0 leaves it out")
    p.add_argument("--child", nargs=3, metavar=("METHOD", "SET", "ANSWER"), help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.child:
        child(*a.child)
        return 0
    got = measure("beejan", a.n, a.seed)
    print(f"beejan, {a.n:,} texts: " + ", ".join(f"{k} {v:,.4g}" for k, v in got.items()))
    inc = measure("incremental", a.n, a.seed)
    print(f"incremental: {FRESH:,} new against {inc['known']:,.0f} known in {inc['seconds']:.2f} s, "
          f"{inc['loaded']:,.0f} known rows loaded, links equal to one run's: {bool(inc['equal'])}")  # fmt: skip
    if a.beside:
        methods = ["beejan", "datasketch"] if importlib.util.find_spec("datasketch") else ["beejan"]
        for method in methods:
            side = measure(method, a.beside, a.seed)
            print(f"beside it, {a.beside:,} texts, {method}: " + ", ".join(
                f"{k} {side[k]:,.4g}" for k in ("recall", "precision", "seconds", "peak_mib")))  # fmt: skip
        if "datasketch" not in methods:
            print("beside it: DATASKETCH IS NOT INSTALLED, so it was not measured (pip install datasketch)")
    bars = BARS | ({k: per * a.n / 1e6 for k, per in ABOVE.items()} if a.n > 500_000 else {})
    good = {k: got[k] >= bar if bar < 1 else got[k] <= bar for k, bar in bars.items()}
    failed = [f"{k} {got[k]:.4g}, bar {bars[k]:g}" for k, ok in good.items() if not ok]
    failed += [] if inc["equal"] else ["incremental links differ from one run's"]
    print("FAILED: " + "; ".join(failed) if failed else "all bars hold")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
