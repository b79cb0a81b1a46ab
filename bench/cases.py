"""How well contacts are linked into cases, whether ids stay, and what a million contacts cost.

    python bench/cases.py [--contacts 20000] [--seed 20260707] [--scale 1000000] [--no-model]

Quality: synthetic complaints of a seed that nothing was learned or tuned on, categorised by the rules, and by a model
learned on another seed. Of all pairs of contacts that share a phone or account pseudonym, which are of one case, and
which are said to be; besides, the precision of all pairs said, whether they share an id or not.
Days: 14 days that arrive one by one; every id that changes has an event, and the end is that of all at once.
Scale: contacts in the lake, linked at once, and then a hundred more.
Fails where pairwise F1 (with the model) is below 0.90, or an id changed without an event.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from beejan.core.lake import Lake, reader, table, table_hash, writer
from beejan.core.settings import load_settings
from beejan.core.sources import load_sources
from beejan.land.landing import land_source
from beejan.land.synth import synthesise
from beejan.operate.models import train
from beejan.operate.transform import rebuild_lake, transform
from beejan.operate.workspace import make_workspace
from beejan.understand.embeddings import encode, model_id

CHANNEL = {"synth_calls": "call", "synth_forms": "web_form", "synth_sms": "sms", "synth_social": "social"}
SCALE = """
import os, resource, sys, time
from datetime import UTC, datetime
from pathlib import Path
from beejan.core.lake import Lake, commit, table, writer
from beejan.core.settings import load_settings
from beejan.operate.cases import publish_cases
lake, n = Lake(load_settings(Path(sys.argv[1]))), int(sys.argv[2])
con = writer(lake)
TEXT = ("My airtime went down from 3,500 to 649.70 overnight since Wednesday. I cannot call anybody now. They told me "
        "48 hours. My workers are affected. Please return my money ")
def fill(first, rows):
    con.raw_sql(f'''CREATE OR REPLACE TEMP TABLE made AS SELECT md5(i::VARCHAR) contact_id, 'koko' source_system,
      'synth' AS source, i::VARCHAR source_record_id, i seq,
      TIMESTAMPTZ '2026-01-01' + INTERVAL (i * 2592000 // {n}) SECOND received_at, 'second' received_at_precision,
      md5('c' || (hash(i) % ({n} * 6 // 10))) customer_key,
      CASE hash(i, 1) % 1000 WHEN 0 THEN 'reseller' WHEN 1 THEN NULL ELSE md5('c' || (hash(i) % ({n} * 6 // 10))) END
      msisdn_key,
      ['billing_charging', 'network_voice', 'recharge_topup', 'vas', 'unclassified'][1 + (hash(i, 2) % 5)::BIGINT]
      category_code,
      if(hash(i, 3) % 50 = 0, md5('r' || hash(i, 4) % 10000), NULL) case_id,
      if(hash(i, 5) % 5 > 0, '{TEXT}' || i || if(hash(i, 6) % 3 = 0, ' this is the third time', ''), NULL)
      text_redacted,
      ['call', 'sms', 'social', 'web_form'][1 + (hash(i, 7) % 4)::BIGINT] channel, []::VARCHAR[] dq_flags,
      now() ingested_at,
      ['resolved', 'acknowledged', NULL][1 + (hash(i, 8) % 3)::BIGINT] status, 'NG-LA' state
      FROM range({first}, {first + rows}) t(i)''')
    for name in ("curated.contact", "vault.content"):
        have = {c for c in table(con, name).columns} & set(con.table("made", database=("temp", "main")).columns)
        con.raw_sql(f"INSERT INTO lake.{name} BY NAME SELECT {', '.join(sorted(have))} FROM made")
    return con.table("made", database=("temp", "main"))
def timed(what, touched):
    began = time.monotonic()
    done = commit(lake, con, lambda c: publish_cases(c, touched))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"  {what}: {time.monotonic() - began:.2f} s, peak {peak:.2f} GiB, {done}", flush=True)
fill(0, n)
timed(f"{n:,} contacts at once", None)
for k in range(3):
    timed("100 more", fill(n + 100 * k, 100))
timed("all of it again", None)
con.disconnect()
"""


def ingest(space: Path) -> Lake:
    """Land what there is and transform it."""
    lake = Lake(load_settings(space))
    con = writer(lake)
    for source in load_sources(space / "pipelines/sources").values():
        land_source(lake, con, source, space / "data")
    con.disconnect()
    transform(lake)
    return lake


def judged(lake: Lake, folder: Path) -> pd.DataFrame:
    """Contacts with the case they are in, the true one, and their keys."""
    con = reader(lake)
    contact = table(con, "curated.contact").select(
        "contact_id", "source", "source_record_id", "customer_key", "msisdn_key"
    )
    found = contact.inner_join(table(con, "curated.case_member"), "contact_id").to_pandas()
    con.disconnect()
    truth = pq.read_table(folder / "truth/contact.parquet").to_pandas()
    truth = truth[truth.duplicate_kind != "resent"][["channel", "written_id", "case"]]
    found["channel"] = found.source.map(CHANNEL)
    both = found.merge(truth, left_on=["channel", "source_record_id"], right_on=["channel", "written_id"])
    return both.drop_duplicates("contact_id").reset_index(drop=True)


def pairs(label: pd.Series) -> set[tuple[int, int]]:
    """Pairs of rows with the same label."""
    g = pd.DataFrame({"i": label.index, "k": label.to_numpy()}).dropna()
    g = g.merge(g, on="k")
    return set(map(tuple, g.loc[g.i_x < g.i_y, ["i_x", "i_y"]].to_numpy().tolist()))


def quality(lake: Lake, folder: Path, words: str) -> float:
    """Print and return pairwise F1 among pairs that share an id."""
    t = judged(lake, folder)
    shared = pairs(t.customer_key) | pairs(t.msisdn_key)
    true, said = pairs(t.case), pairs(t.case_id)
    hits, made, wanted = len(true & said & shared), len(said & shared), len(true & shared)
    precision, recall = hits / made, hits / wanted
    f1 = 2 * precision * recall / (precision + recall)
    every = len(true & said) / len(said)
    figures = f"F1 {f1:.3f}  precision {precision:.3f}  recall {recall:.3f}  of all pairs said, right {every:.3f}"
    print(f"  {words:16} {figures}  (n = {wanted:,} true pairs, {len(t):,} contacts)", flush=True)
    return f1


def linking(base: Path, contacts: int, seed: int, model: bool) -> float:
    """F1 with the rules, then with a model learned on another seed."""
    space = base / "quality"
    make_workspace(space)
    synthesise(space / "data/synth", contacts=contacts, days=30, seed=seed)
    lake = ingest(space)
    found = quality(lake, space / "data/synth", "rules alone")
    if model:
        train(lake.settings, encode, embedding=model_id(), contacts=8000, folder=None, force=True)
        rebuild_lake(lake)
        transform(lake)
        found = quality(lake, space / "data/synth", "with the model")
    return found


def members(lake: Lake) -> dict[str, str]:
    """The case of each contact."""
    con = reader(lake)
    t = table(con, "curated.case_member").to_pandas()
    con.disconnect()
    return dict(zip(t.contact_id, t.case_id, strict=True))


def events(lake: Lake) -> pd.DataFrame:
    """Every change of an id."""
    con = reader(lake)
    t = table(con, "curated.case_event").to_pandas()
    con.disconnect()
    return t


def days(base: Path, contacts: int, seed: int) -> int:
    """Let 14 days arrive one by one; how many ids changed without an event, or ended otherwise than at once."""
    whole, space = base / "whole", base / "days"
    for s in (whole, space):
        make_workspace(s)
    shutil.copy(whole / "beejan.key", space / "beejan.key")
    synthesise(whole / "data/synth", contacts=contacts, days=14, seed=seed)
    files = sorted(p for d in ("calls", "social", "sms") for p in (whole / "data/synth" / d).iterdir())
    silent, lake = 0, Lake(load_settings(space))
    for day in sorted({p.name[:10] for p in files}):
        for p in (p for p in files if p.name[:10] == day):
            to = space / "data/synth" / p.parent.name
            to.mkdir(parents=True, exist_ok=True)
            shutil.copy(p, to)
        before, told = (members(lake), len(events(lake))) if lake.exists() else ({}, 0)
        lake = ingest(space)
        after, news = members(lake), events(lake).sort_values("event_no")[told:]
        changed = {(c, k, after.get(c)) for c, k in before.items() if after.get(c) != k}
        silent += len(changed ^ set(zip(news.contact_id, news.from_case_id, news.case_id, strict=True)))
    shutil.rmtree(whole / "data/synth/forms")
    at_once = members(ingest(whole))
    other = sum(at_once[c] != k for c, k in members(lake).items())
    kinds = events(lake).kind.value_counts().to_dict()
    print(f"  14 days: {len(at_once):,} contacts, ids changed with an event {kinds}, without {silent}; "
          f"other than at once {other}", flush=True)  # fmt: skip
    con = reader(lake)
    before = [table_hash(con, f"curated.{n}") for n in ("case", "case_member", "case_event")]
    con.disconnect()
    rebuild_lake(lake)
    transform(lake)
    con = reader(lake)
    same = before == [table_hash(con, f"curated.{n}") for n in ("case", "case_member", "case_event")]
    con.disconnect()
    print(f"  a rebuild from raw gives equal tables: {'yes' if same else 'NO'}", flush=True)
    return silent + other + (not same)


def main() -> int:
    """Measure; 0 if the bars hold."""
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--contacts", type=int, default=20_000)
    args.add_argument("--seed", type=int, default=20260707)
    args.add_argument("--scale", type=int, default=1_000_000)
    args.add_argument("--no-model", action="store_true")
    opt = args.parse_args()
    base, began = Path(tempfile.mkdtemp()), time.monotonic()
    print(f"load average at the start: {os.getloadavg()[0]:.1f}")
    try:
        f1 = linking(base, opt.contacts, opt.seed, not opt.no_model)
        wrong = days(base, opt.contacts // 4, opt.seed + 1)
        if opt.scale:
            make_workspace(base / "scale")
            command = [sys.executable, "-W", "ignore", "-c", SCALE, str(base / "scale"), str(opt.scale)]
            subprocess.run(command, check=True)
    finally:
        shutil.rmtree(base)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"  this process {time.monotonic() - began:.0f} s, peak {peak:.2f} GiB, load {os.getloadavg()[0]:.1f}")
    holds = bool(np.isfinite(f1)) and f1 >= 0.90 and not wrong
    print(
        f"bar: pairwise F1 0.90 where an id is shared, no id changed without an event: {'holds' if holds else 'MISSED'}"
    )
    return not holds


if __name__ == "__main__":
    sys.exit(main())
