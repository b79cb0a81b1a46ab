"""Hostile files: every record accounted for, bounded memory, no exception, whatever the bytes."""

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from faults import STREAMS, Maker, make_corpus

from beejan.core.sources import Format, parse_source
from beejan.land.readers import read_records
from beejan.land.records import FAULTS, RAW_LIMIT, READ_SCHEMA

CORPUS = (
    "csv",
    "jsonl",
    "json",
    "xml",
    "log",
    "dump",
    "sqlite",
    "xlsx",
    "zip",
    "bomb",
    "gzip_bomb",
    "laughs",
    "fetch",
    "cut",
)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    return folder, make_corpus(folder)


def tally(path, fmt):
    """How many good records, how many of each fault; what holds of every batch is checked on the way."""
    found, n = Counter(), 0
    for batch in read_records(path, fmt):
        assert batch.schema == READ_SCHEMA and 0 < len(batch) <= 50_000
        assert batch.column("record_no").to_pylist() == list(range(n + 1, n + len(batch) + 1))
        n += len(batch)
        for fields, fault, detail, raw in zip(
            *(batch.column(c).to_pylist() for c in ("fields", "fault", "detail", "raw")), strict=True
        ):
            assert (fields is None) == (fault in FAULTS) == (raw is not None) == bool(detail)
            assert fault or (len({k for k, _ in fields}) == len(fields) and any(v for _, v in fields))
            assert raw is None or len(raw) <= RAW_LIMIT
        found.update(batch.column("fault").to_pylist())
    return found.pop(None, 0), found


@pytest.mark.parametrize("name", CORPUS)
def test_every_record_of_the_corpus_is_accounted_for(corpus, name):
    folder, made = corpus
    declared = made["sources"][f"fuzz_{name}"]
    good, faults = tally(folder / declared["path"], parse_source({"channel": "call"} | declared, name).format)
    expected = made["files"][declared["path"]]
    assert (good, faults) == (expected.good, expected.faults)


def test_the_corpus_is_whole_and_declared(corpus):
    _, made = corpus
    assert {f"fuzz_{name}" for name in CORPUS} == set(made["sources"])
    assert made["records"] == sum(e.records for e in made["files"].values()) > 6_000


READ = """
import json, resource, sys
from pathlib import Path
from beejan.core.sources import Format
from beejan.land.readers import read_records

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fmt = Format(**json.loads(sys.argv[2]))
faults = [f for b in read_records(Path(sys.argv[1]), fmt) for f in b.column("fault").to_pylist()]
print(json.dumps([faults, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]))
"""


@pytest.mark.parametrize(
    ("name", "begin", "end", "fmt", "expected"),
    [
        ("a.csv", b'id,text\n1,"', b'"\n2,ok\n', {"kind": "csv"}, ["too_long", None]),
        ("a.jsonl", b'{"id":1,"t":"', b'"}\n{"id":2}\n', {"kind": "jsonl"}, ["too_long", None]),
        ("a.json", b'[{"id":0},\n{"id":1,"t":"', b'"},\n{"id":2}]', {"kind": "json"}, [None, "too_long", None]),
        ("b.json", b'{"big": "', b'", "rows": [{"id":2}]}', {"kind": "json", "records": "rows"}, [None]),
        ("a.xml", b"<x><r><t>", b"</t></r><r><t>2</t></r></x>", {"kind": "xml", "records": "r"}, ["too_long", None]),
        ("b.xml", b'<x><r t="', b'"/><r t="2"/></x>', {"kind": "xml", "records": "r"}, ["too_long", None]),
        ("a.log", b"", b"\nB ok\n", {"kind": "log", "pattern": "B (?P<text>.*)"}, ["too_long", None]),
        (
            "a.sql",
            b"INSERT INTO r VALUES ('",
            b"'),\n('2');\n",
            {"kind": "sqldump", "records": "r"},
            ["too_long", None],
        ),
    ],
)
def test_a_record_of_64_mib_costs_little_memory(tmp_path, name, begin, end, fmt, expected):
    path = tmp_path / name
    with open(path, "wb") as f:
        f.write(begin)
        for _ in range(64):
            f.write(b"A" * 2**20)
        f.write(end)
    done = subprocess.run(
        [sys.executable, "-c", READ, path, json.dumps(fmt)], capture_output=True, text=True, check=True
    )
    faults, kilobytes = json.loads(done.stdout)
    assert faults == expected
    assert kilobytes < 48 * 1024


def mutated(rng: random.Random, data: bytes) -> bytes:
    """The bytes with a few accidents."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at, n = rng.randrange(len(out) + 1), rng.choice((1, 1, 2, 9, 60))
        match rng.randrange(6):
            case 0:
                del out[at : at + n]
            case 1:
                out[at:at] = bytes(rng.randrange(256) for _ in range(n))
            case 2:
                out[at : at + n] = bytes(n)
            case 3:
                out[at:at] = rng.choice((b'"', b"'", b"\n", b"\r", b"\\", b"<", b"]", b"{", b"&", b",", b"\t"))
            case 4:
                out[at:at] = out[max(0, at - n) : at]
            case _:
                del out[at:]
        out = out or bytearray(b" ")
    return bytes(out)


@pytest.fixture(scope="session")
def healthy(tmp_path_factory):
    """One small file of each format, without a fault, and its format."""
    folder = tmp_path_factory.mktemp("healthy")
    made = make_corpus(folder, records=300, long_line=0, bomb=1000)
    files = {n: (folder / d["path"], Format(**d["format"])) for n, d in made["sources"].items()}
    for name, (write, file, _, fmt) in STREAMS.items():
        with open(folder / file, "wb") as out:
            write(out, Maker(random.Random(1)), 19, 0)
        files[name] = folder / file, Format(**fmt)
    return files


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", ["csv", "jsonl", "json", "xml", "log", "dump", "sqlite", "xlsx", "zip"])
def test_no_accident_is_an_exception(healthy, tmp_path, name, seed):
    source, fmt = healthy[f"fuzz_{name}"]
    data, path = source.read_bytes(), tmp_path / "x"
    rng = random.Random(f"{name}{seed}")
    for _ in range(10 if len(data) < 9_000 else 2):
        path.write_bytes(mutated(rng, data))
        first = tally(path, fmt)
        assert first == tally(path, fmt)  # and twice the same
        assert sum(first[1].values()) + first[0] >= 0


@pytest.mark.parametrize("name", ["csv", "jsonl", "json", "xml", "log", "dump"])
def test_any_format_reads_any_file(healthy, name):
    for source, _ in healthy.values():
        tally(source, healthy[f"fuzz_{name}"][1])


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
@pytest.mark.parametrize("name", ["csv", "jsonl", "json", "xml", "log", "dump"])
def test_how_the_bytes_arrive_makes_no_difference(healthy, monkeypatch, name, chunk):
    source, fmt = healthy[f"fuzz_{name}"]
    whole = [b.to_pylist() for b in read_records(source, fmt)]
    read = Path(source).read_bytes()

    class Slow:
        def __init__(self) -> None:
            self.at = 0

        def read(self, n: int = -1) -> bytes:
            self.at += chunk
            return read[self.at - chunk : self.at]

    from beejan.land import readers
    from beejan.land.members import Member, Stream

    monkeypatch.setattr(readers, "open_members", lambda path, sheets: iter([Member("", Stream(Slow()))]))
    assert [b.to_pylist() for b in read_records(source, fmt)] == whole
