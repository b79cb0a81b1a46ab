"""Measure the keyword rules: `python bench/rules.py [folder of the real data sets]`.

Prints what they get right on labelled texts they were not written from (SentiTel's dev split; 220 Comcast subjects
labelled by hand before the rules existed), on synthetic complaints with their truth, how often they speak on texts that
are no complaint, how their confidence compares with being right, and their speed. The rules' author read SentiTel's
train split, other Comcast subjects and synthetic complaints: on the last, the figure says how well these phrases are
covered, not how well the next ones will be.
"""

import csv
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import ibis
import pandas as pd

from beejan.land.synth import synthesise
from beejan.understand.rules import classify
from beejan.understand.taxonomy import crosswalk

HERE = Path(__file__).resolve().parent
DATA = Path(
    sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BEEJAN_SHARED_DATA", HERE.parent.parent / "shared/data")
)
LABELS = HERE.parent / "tests/labels/comcast_subjects.csv"


def classified(texts: list[str]) -> pd.DataFrame:
    con = ibis.duckdb.connect(threads=2)
    t = con.create_table("t", pd.DataFrame({"i": range(len(texts)), "text": texts}))
    return classify(t).order_by("i").to_pandas()


def sentitel(split: str) -> pd.DataFrame:
    rows = json.loads((DATA / f"sentitel/sentitel_{split}.json").read_text())
    got = classified([r["text"] for r in rows])
    known = crosswalk("sentitel").map
    got["gold"] = [{known[o["aspect"]] for o in r["opinions"]} - {"unclassified"} for r in rows]
    return got


def comcast() -> pd.DataFrame:
    labels = {r["ticket"]: [r["label"], *r["also"].split()] for r in csv.DictReader(LABELS.open())}
    rows = pd.read_csv(DATA / "comcast/comcast_fcc_2015.csv", dtype=str)
    rows = rows[rows["Ticket #"].isin(labels)].reset_index(drop=True)
    got = classified(rows["Customer Complaint"].tolist())
    got["gold"] = [labels[t] for t in rows["Ticket #"]]
    return got


def micro_f1(got: pd.DataFrame, scope: set[str], second: bool) -> tuple[float, float, float]:
    tp = fp = fn = 0
    for gold, first, other in zip(got.gold, got.category_code, got.secondary_category_code, strict=True):
        said = {first, other if second else first} & scope
        tp, fp, fn = tp + len(gold & said), fp + len(said - gold), fn + len(gold - said)
    return tp / (tp + fp), tp / (tp + fn), 2 * tp / (2 * tp + fp + fn)


def main() -> None:
    scope = set(crosswalk("sentitel").map.values()) - {"unclassified"}
    dev = sentitel("dev")
    print(f"SentiTel dev, {len(dev)} tweets, aspects mapped to {len(scope)} categories (several per tweet):")
    for second, name in ((False, "first category only"), (True, "first and second")):
        print(f"  {name:20} precision {{:.3f}} recall {{:.3f}} micro-F1 {{:.3f}}".format(*micro_f1(dev, scope, second)))
    com = comcast()
    com["strict"] = [p == g[0] for p, g in zip(com.category_code, com.gold, strict=True)]
    com["right"] = [p in g for p, g in zip(com.category_code, com.gold, strict=True)]
    spoke = com[com.category_code != "unclassified"]
    print(f"Comcast, n = {len(com)}: right {com.strict.mean():.3f}, or a defensible second {com.right.mean():.3f}")
    print(f"  of the {len(spoke)} it spoke on {spoke.right.mean():.3f}")
    dev["right"] = [p in g for p, g in zip(dev.category_code, dev.gold, strict=True)]
    confidence(pd.concat([spoke, dev[dev.category_code.isin(scope)]]))
    synthetic()
    ham = pd.read_csv(DATA / "uci_sms/spam.csv", encoding="cp1252").iloc[:, :2].set_axis(["kind", "text"], axis=1)
    print(f"speaks on {share(ham[ham.kind == 'ham'].text.tolist())} of UCI ham (private SMS, no complaints)")
    for code in ("pcm", "hau", "yor", "ibo"):
        files = sorted((DATA / f"afrisenti/{code}").glob("*.tsv"))
        lines = [line for f in files for line in f.read_text(encoding="utf-8").splitlines()[1:]]
        print(f"speaks on {share(lines)} of AfriSenti {code} (tweets about anything)")
    speed()


def confidence(got: pd.DataFrame) -> None:
    bins = got.groupby(pd.cut(got.category_confidence, [0, 0.49, 0.7, 0.82, 0.9, 0.94])).agg(
        n=("right", "size"), said=("category_confidence", "mean"), right=("right", "mean")
    )
    gap = ((bins.said - bins.right).abs() * bins.n).sum() / bins.n.sum()
    print(f"confidence against being right, both sets; mean gap {gap:.3f}\n{bins.round(3).to_string()}")


def share(texts: list[str]) -> str:
    return f"{(classified(texts).category_code != 'unclassified').mean():.3f} of {len(texts):,}"


def synthetic(contacts: int = 5_000) -> None:
    with tempfile.TemporaryDirectory() as d:
        synthesise(Path(d) / "synth", contacts=contacts)
        truth = pd.read_parquet(Path(d) / "synth/truth/contact.parquet")
    truth = truth[truth.category.notna() & (truth.role == "complaint")].reset_index(drop=True)
    got = classified(truth.text.tolist())
    right, spoke = got.category_code == truth.category, got.category_code != "unclassified"
    second = right | (got.secondary_category_code == truth.category)
    print(f"synthetic complaints, n = {len(got):,}: right {right.mean():.3f}, first or second {second.mean():.3f},")
    print(f"  speaks on {spoke.mean():.3f}, right when it speaks {right[spoke].mean():.3f}")
    print("  right by language: " + ", ".join(f"{k} {v:.3f}" for k, v in right.groupby(truth.language).mean().items()))


def speed(rows: int = 500_000) -> None:
    texts = [
        r["text"] for s in ("train", "dev") for r in json.loads((DATA / f"sentitel/sentitel_{s}.json").read_text())
    ]
    texts = (texts * (rows // len(texts) + 1))[:rows]
    con = ibis.duckdb.connect(threads=2)
    t = con.create_table("t", pd.DataFrame({"text": texts}))
    best, busy = 1e9, 1e9
    for _ in range(3):
        start, cpu = time.perf_counter(), time.process_time()
        con.create_table("o", classify(t), overwrite=True)
        best, busy = min(best, time.perf_counter() - start), min(busy, time.process_time() - cpu)
    size = sum(map(len, texts)) / rows
    print(f"speed: {rows / best:,.0f} texts/s on 2 threads, {rows / busy:,.0f} per CPU second, {size:.0f} characters")


if __name__ == "__main__":
    main()
