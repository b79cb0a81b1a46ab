"""Measure discovery: `python bench/topics.py [fast|exact] [folder of the real data sets]`.

Prints how long 20,000 texts take in a fresh process (imports, embedding and all), whether a second process finds the
same ids, how much is kept over a fit with a week more of data, and how the topics agree with categories that they were
not told: the truth of synthetic complaints, SentiTel's seven aspects, CFPB's eight products. Purity is the share of
texts whose category is the most common one of their topic; ARI punishes topics for being finer than categories.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
COLUMNS = ("contact_id", "text", "category_code", "received_at")


def fit(path: Path, out: Path, mode: str, before: Path | None = None) -> None:
    """What a fresh process does: read, find topics, write."""
    from beejan.understand.embeddings import encode
    from beejan.understand.topics import discover

    start = time.perf_counter()
    rows = pq.read_table(path).select(COLUMNS)
    kept = {}
    if before:
        kept = {"known": pq.read_table(before / "topics"), "earlier": pq.read_table(before / "assignments")}
    found = discover(rows, encode, mode=mode, **kept)
    out.mkdir()
    pq.write_table(found.topics, out / "topics")
    pq.write_table(found.assignments, out / "assignments")
    print(f"    of which discovery itself {time.perf_counter() - start:.1f} s")


def fresh(*args: object) -> str:
    """Run `fit` in a process of its own; its wall and CPU time."""
    start, spent = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, __file__, "fit", *map(str, args)], check=True)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - spent.ru_utime - spent.ru_stime
    return f"{time.perf_counter() - start:.1f} s ({cpu:.1f} s of CPU)"


def guided(texts: list[str]) -> list[str]:
    """The categories that the rules give, as transform would."""
    import ibis
    import pandas as pd

    from beejan.understand.rules import classify

    con = ibis.duckdb.connect(threads=2)
    t = con.create_table("t", pd.DataFrame({"i": range(len(texts)), "text": texts}))
    return classify(t).order_by("i").to_pandas().category_code.tolist()


def rows_of(texts: list[str], times: list | None = None, guide: bool = True) -> pa.Table:
    """Texts as discovery takes them, redacted."""
    from beejan.understand.privacy import redact_texts

    n = len(texts)
    at = pa.array(times if times is not None else [0] * n).cast(pa.timestamp("us", "UTC"))
    codes = guided(texts) if guide else ["unclassified"] * n
    return pa.table([[f"c{i:06d}" for i in range(n)], redact_texts(texts), codes, at], names=list(COLUMNS))


def synthetic(folder: Path) -> tuple[pa.Table, np.ndarray]:
    """20,000 synthetic complaints of 30 days with the truth."""
    from beejan.land.synth import synthesise

    synthesise(folder / "synth", contacts=20_000, days=30)
    t = pq.read_table(folder / "synth/truth/contact.parquet").to_pandas()
    t = t[t.text.notna() & (t.role != "agent_reply")].sort_values("received_at")
    return rows_of(t.text.tolist(), t.received_at.tolist()), t.category.to_numpy(dtype=str)


def agreement(out: Path, truth: np.ndarray) -> str:
    """How topics agree with categories, over the texts that have a topic."""
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    found = pq.read_table(out / "assignments").to_pandas().sort_values("contact_id").topic_id.to_numpy(dtype=object)
    some = np.array([isinstance(t, str) for t in found])
    topics, actual = found[some].astype(str), truth[some]
    most = {t: max(set(c := actual[topics == t].tolist()), key=c.count) for t in set(topics)}
    purity = np.mean([most[t] == a for t, a in zip(topics, actual, strict=True)])
    scores = adjusted_rand_score(actual, topics), normalized_mutual_info_score(actual, topics)
    merged = adjusted_rand_score(actual, [most[t] for t in topics])
    return (
        f"{len(most)} topics, {some.mean():.1%} placed, ARI {scores[0]:.3f}, NMI {scores[1]:.3f}, purity {purity:.3f}, "
        f"ARI once topics of one category are joined {merged:.3f}"
    )


def real(data: Path) -> dict[str, tuple[pa.Table, np.ndarray]]:
    """Public texts with labels; the rules guide only where they know the domain."""
    import pandas as pd

    tweets = [r for s in ("train", "dev") for r in json.loads((data / f"sentitel/sentitel_{s}.json").read_text())]
    one = [(r["text"], a[0]) for r in tweets if len(a := sorted({o["aspect"] for o in r["opinions"]})) == 1]
    letters = pd.read_csv(data / "cfpb/train.csv")
    texts, labels = letters.iloc[:, 0].str[:1500].tolist(), letters.iloc[:, 1].to_numpy(dtype=str)
    return {
        "SentiTel, one aspect, guided by the rules": (rows_of([t for t, _ in one]), np.array([a for _, a in one])),
        "SentiTel, one aspect, unguided": (rows_of([t for t, _ in one], guide=False), np.array([a for _, a in one])),
        "CFPB, unguided": (rows_of(texts, guide=False), labels),
    }


def stability(rows: pa.Table, folder: Path, mode: str) -> str:
    """Three weeks, then four: what keeps its topic, and which topics live on."""
    at = rows["received_at"].to_pylist()
    for name, days in (("three", 21), ("four", 28)):
        end = at[0] + timedelta(days=days)
        pq.write_table(rows.filter(pa.array([t < end for t in at])), folder / f"{name}.parquet")
    fresh(folder / "three.parquet", folder / "w3", mode)
    fresh(folder / "four.parquet", folder / "w4", mode, folder / "w3")
    a, b = (dict(zip(*pq.read_table(folder / w / "assignments").columns[:2], strict=True)) for w in ("w3", "w4"))
    was, now = {k.as_py(): v.as_py() for k, v in a.items()}, {k.as_py(): v.as_py() for k, v in b.items()}
    kept = np.mean([now[c] == t for c, t in was.items() if t])
    ids, alive = {t for t in was.values() if t}, {t for t in now.values() if t}
    lives = f"{len(ids & alive) / len(ids):.3f} of {len(ids)} ids live on"
    return f"{lives}, {kept:.3f} of contacts keep their topic; {len(alive)} topics then"


def main(mode: str, data: Path) -> None:
    """Print every figure."""
    print(f"load average {os.getloadavg()[0]:.1f}; mode {mode}")
    with tempfile.TemporaryDirectory() as room:
        folder = Path(room)
        rows, truth = synthetic(folder)
        pq.write_table(rows, folder / "rows.parquet")
        print(f"{rows.num_rows} texts in a fresh process: {fresh(folder / 'rows.parquet', folder / 'one', mode)}")
        fresh(folder / "rows.parquet", folder / "two", mode)
        same = all(
            pq.read_table(folder / "one" / t).equals(pq.read_table(folder / "two" / t))
            for t in ("topics", "assignments")
        )
        print(f"the same ids, labels and assignments in another process: {same}")
        print(f"a week more: {stability(rows, folder, mode)}")
        print(f"synthetic truth: {agreement(folder / 'one', truth)}")
        for i, (name, (texts, labels)) in enumerate(real(data).items() if data.is_dir() else ()):
            pq.write_table(texts, folder / f"r{i}.parquet")
            fresh(folder / f"r{i}.parquet", folder / f"r{i}", mode)
            print(f"{name}: {agreement(folder / f'r{i}', labels)}")
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["fit"]:
        fit(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], Path(sys.argv[5]) if len(sys.argv) > 5 else None)
    else:
        default = os.environ.get("BEEJAN_SHARED_DATA", HERE.parent.parent / "shared/data")
        main(sys.argv[1] if len(sys.argv) > 1 else "fast", Path(sys.argv[2] if len(sys.argv) > 2 else default))
