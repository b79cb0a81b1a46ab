"""Measure the learned classifier beside the rules: `python bench/classifier.py [contacts] [folder of real data]`.

Prints SentiTel's several aspects (train to dev); one category for synthetic complaints made of phrases the model has
met (other seed: how well phrases are remembered) and of phrases it has not met (how the next phrase fares; all are
written by one hand, so neither figure speaks for real customers); one category for SentiTel's dev split; 220 Comcast
subjects labelled by hand, of which nothing was learned; whether the declared precision held; and the speed.
"""

import csv
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from beejan.core.settings import Settings
from beejan.operate.models import compare, gathered, learn_aspects, made_truth, measured, ruled
from beejan.understand.classifier import Classifier, learn
from beejan.understand.embeddings import encode

ROOT = Path(__file__).resolve().parent.parent
CONTACTS = int(sys.argv[1]) if len(sys.argv) > 1 else 60_000
DATA = Path(sys.argv[2] if len(sys.argv) > 2 else os.environ.get("BEEJAN_SHARED_DATA", ROOT.parent / "shared/data"))
PRECISION = 0.95


def told(name: str, found: dict) -> None:
    print(f"{name}, n = {next(iter(found.values()))['n']:,}")
    for who, f in found.items():
        keys = ("macro_f1", "accuracy", "coverage", "precision", "calibration_error")
        print(f"  {who:6}", *(f"{k} {f[k]}" for k in keys), flush=True)


def comcast(model: Classifier) -> None:
    labels = {r["ticket"]: {r["label"], *r["also"].split()} for r in csv.DictReader(LABELS.open())}
    rows = list(csv.DictReader((DATA / "comcast/comcast_fcc_2015.csv").open()))
    rows = [r for r in rows if r["Ticket #"] in labels]
    texts, gold = [r["Customer Complaint"] for r in rows], [labels[r["Ticket #"]] for r in rows]
    own, rules = model.predict(texts)[0], ruled(texts)[0]
    print(f"Comcast subjects, n = {len(rows)}")
    for who, said in {"rules": rules, "model": own, "both": np.where(own == "unclassified", rules, own)}.items():
        right = np.array([s in g for s, g in zip(said, gold, strict=True)])
        spoke = said != "unclassified"
        print(f"  {who:6} right {right.mean():.3f} coverage {spoke.mean():.3f} precision {right[spoke].mean():.3f}")


LABELS = ROOT / "tests/labels/comcast_subjects.csv"


def speed(model: Classifier, rows: int = 40_000) -> None:
    tweets = [r["text"] for r in json.loads((DATA / "sentitel/sentitel_train.json").read_text())]
    texts = (tweets * (rows // len(tweets) + 1))[:rows]
    model.predict(texts[:100])
    wall, busy = 1e9, 1e9
    for _ in range(3):
        start, cpu = time.perf_counter(), time.process_time()
        model.predict(texts)
        wall, busy = min(wall, time.perf_counter() - start), min(busy, time.process_time() - cpu)
    load = os.getloadavg()[0]
    print(
        f"speed: {rows / wall:,.0f} texts/s in one process, {rows / busy:,.0f} per CPU second; load average {load:.1f}"
    )


def main() -> None:
    folder = DATA / "sentitel"
    with tempfile.TemporaryDirectory() as d:
        found = learn_aspects(Settings(root=Path(d)), folder, encode)["figures"]
    print(f"SentiTel dev, 7 aspects, several a tweet: micro-F1 {found['micro_f1']}, macro-F1 {found['macro_f1']}")
    truth = gathered(CONTACTS, folder)
    model = learn(truth["text"], truth["category"], encode, PRECISION, truth["group"])
    speed(model)
    new = made_truth(5_000, 20_270_101)
    texts, gold = new["text"].to_pylist(), new["category"].to_pylist()
    told("synthetic, phrases it has met, other seed", compare(model, texts, gold))
    best = np.array(model.codes)[model.scores(texts).argmax(axis=1)]
    f1 = [2 * ((best == c) & (np.array(gold) == c)).sum() / ((best == c).sum() + gold.count(c)) for c in set(gold)]
    print(f"  model, made to speak on every text: macro-F1 {np.mean(f1):.4f}")
    comcast(model)
    for name, by in measured(truth, folder, encode, PRECISION).items():
        told(f"{name}, declared precision {PRECISION}", by)


if __name__ == "__main__":
    main()
