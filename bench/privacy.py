"""Measure the finder of personal data: `python bench/privacy.py [contacts]`.

Prints recall and precision by kind on synthetic complaints with their truth, as written and in small letters, then on
own texts with planted data (tests/labels/personal_texts.txt, written before the rules), and the speed of the table
function. A span is found when it is covered whole, whatever kind it was taken for; what is found and touches no planted
span is a false alarm. The truth does not list agents' first names ("agent Musa"): they are people too, so they are
counted apart. The synthetic people's names and the list of names have one origin, the country, so the recall of names
is also printed for people of whom the list knows no word: those are found by the words around them.
"""

import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import duckdb
import ibis

from beejan.land.synth import synthesise
from beejan.land.synth_words import vocabulary
from beejan.understand.names import folded, name_lists
from beejan.understand.privacy import find_personal, redacted

Planted = tuple[int, int, str]
LABELS = Path(__file__).resolve().parent.parent / "tests/labels/personal_texts.txt"
NUMBERS = {"phone", "email", "bvn", "nin", "bank_account", "handle", "card", "iban", "imei", "sim", "reference", "url"}
AGENTS = {a.lower() for a in vocabulary("slots")["agent_name"]}


def labelled(path: Path = LABELS) -> list[tuple[str, list[Planted]]]:
    """Texts with the places marked as {kind:value}."""
    out = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            text, spans, at = "", [], 0
            for m in re.finditer(r"\{(\w+):([^}]*)\}", line):
                text += line[at : m.start()]
                spans.append((len(text), len(text) + len(m[2]), m[1]))
                text, at = text + m[2], m.end()
            out.append((text + line[at:], spans))
    return out


def synthetic(folder: Path) -> list[tuple[str, list[Planted]]]:
    """Synthetic texts with the truth's spans."""
    con, planted = duckdb.connect(), defaultdict(list)
    for channel, record, kind, a, b in con.execute(
        f'SELECT channel, source_record_id, kind, "start", "end" FROM \'{folder}/truth/pii.parquet\''
    ).fetchall():
        planted[channel, record].append((a, b, kind))
    texts = con.execute(
        f"SELECT channel, source_record_id, any_value(text) FROM '{folder}/truth/contact.parquet' "
        "WHERE broken IS NULL GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    return [(text, planted[c, r]) for c, r, text in texts]


def lowered(items: list[tuple[str, list[Planted]]]) -> list[tuple[str, list[Planted]]]:
    return [(t.lower(), s) for t, s in items if len(t.lower()) == len(t)]


def unknown(name: str) -> bool:
    return all(name_lists().weight.get(folded(w), 1) < 2 for w in name.split())


def score(items: list[tuple[str, list[Planted]]]) -> dict[str, float]:
    """Recall by kind and by group, precision with and without agents' names."""
    n, hit, found, false, agents = Counter(), Counter(), 0, 0, 0
    for (text, planted), spans in zip(items, find_personal([t for t, _ in items]), strict=True):
        for a, b, kind in planted:
            got = sum(max(0, min(s.end, b) - max(s.start, a)) for s in spans) == b - a
            groups = [kind, "all", *(["structured"] if kind in NUMBERS else [])]
            groups += ["name not in the list"] if kind == "name" and unknown(text[a:b]) else []
            groups += ["address, street alone"] if kind == "address" else []
            street = kind == "address" and any(s.kind == "address" and s.start <= a < s.end for s in spans)
            for g in groups:
                n[g] += 1
                hit[g] += street if g == "address, street alone" else got
        for s in spans:
            found += 1
            if all(s.end <= a or s.start >= b for a, b, _ in planted):
                agents += (who := s.kind == "name" and text[s.start : s.end].lower() in AGENTS)
                false += not who
    out = {f"recall {k}": hit[k] / n[k] for k in sorted(n)}
    return out | {"precision": 1 - false / found, "precision, agents' names as false": 1 - (false + agents) / found}


def speed(texts: list[str]) -> tuple[float, float]:
    """Contacts a second, by the clock and by the processor's time: another program's work is in the first alone."""
    con = ibis.duckdb.connect(threads=2)
    t = con.create_table("t", ibis.memtable({"text": texts}))
    begin, busy = time.perf_counter(), time.process_time()
    redacted(t).text_redacted.length().sum().execute()
    return len(texts) / (time.perf_counter() - begin), len(texts) / (time.process_time() - busy)


def main() -> None:
    contacts = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as folder:
        synthesise(Path(folder) / "synth", contacts=contacts, days=30, seed=20261123)
        made = synthetic(Path(folder) / "synth")
    for name, items in (("synthetic", made), ("synthetic, small letters", lowered(made)), ("own texts", labelled())):
        print(f"{name}, {len(items)} texts")
        for k, v in score(items).items():
            print(f"  {k:36} {v:.4f}")
    wall, cpu = speed([t for t, _ in made])
    print(f"speed of the table function: {wall:,.0f} contacts/s, {cpu:,.0f} a second of one core's time")


if __name__ == "__main__":
    main()
