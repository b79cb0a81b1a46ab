"""The same tables on Spark as on DuckDB: a standalone cluster with two workers, rebuilt from the same raw records.

    python bench/spark.py [CONTACTS] [DATA]

CONTACTS synthetic contacts (20,000), then the eight public data sets where DATA is (../shared/data).
Fails where a table differs in its rows or its hash.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from cluster import cluster, run_job


def compared(folder: Path, master: str, *job: str) -> int:
    """Print what a job found; how many tables differ."""
    done = run_job(str(folder), master, *job, seconds=3_600)
    if done.returncode:
        print(done.stderr[-2_000:])
        return 1
    found = json.loads(done.stdout.splitlines()[-1])
    duck, spark = found["duckdb"], found["spark"]
    differ = [n for n in sorted(duck.keys() | spark.keys()) if duck.get(n) != spark.get(n)]
    rows = duck["curated.contact"][0]
    print(
        f"{rows:,} contacts, {len(duck)} tables: {len(differ)} differ {differ or ''}; "
        f"DuckDB {found['duckdb_s']:.0f} s, Spark {found['spark_s']:.0f} s, {found['executors']} executors"
    )
    return len(differ)


def main() -> int:
    contacts = sys.argv[1] if len(sys.argv) > 1 else "20000"
    data = Path(sys.argv[2] if len(sys.argv) > 2 else os.environ.get("BEEJAN_SHARED_DATA", ROOT.parent / "shared/data"))
    with tempfile.TemporaryDirectory() as d, cluster(Path(d)) as master:
        wrong = compared(Path(d) / "synthetic", master, contacts)
        if data.is_dir():
            wrong += compared(Path(d) / "real", master, "0", str(data.resolve()))
        else:
            print(f"NOT COMPARED: there are no public data sets in {data}")
    print(f"bar: equal, hash by hash; load {os.getloadavg()[0]:.1f}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
