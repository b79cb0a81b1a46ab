"""Readers, densely: dialects, encodings, shapes and archives, each with what must come out."""

import csv
import gzip
import io
import json
import sqlite3
import struct
import zipfile
from contextlib import closing
from datetime import datetime
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import duckdb
import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beejan.core.errors import InputError
from beejan.core.sources import Format
from beejan.land import members
from beejan.land.readers import read_records
from beejan.land.records import READ_SCHEMA


def rows_of(path: Path, **fmt) -> list[dict]:
    """Every record of a file as plain values, its fields as a dict."""
    batch_rows = fmt.pop("batch_rows", 50_000)
    table = pa.Table.from_batches(read_records(path, Format(**fmt), batch_rows=batch_rows), READ_SCHEMA)
    return [r | {"fields": None if r["fields"] is None else dict(r["fields"])} for r in table.to_pylist()]


@pytest.fixture
def read(tmp_path):
    """Read bytes as a file of a format."""

    def of(data: bytes, **fmt) -> list[dict]:
        (tmp_path / "file").write_bytes(data)
        return rows_of(tmp_path / "file", **fmt)

    return of


def brief(rows: list[dict]) -> list:
    """Values for a good record, the reason for a bad one."""
    return [r["fault"] or list(r["fields"].values()) for r in rows]


# ---- the eight public sets -----------------------------------------------------------------------------------------

PUBLIC = [
    ("comcast/*.csv", {"kind": "csv"}, 2224, {}),
    ("nyc311/*.csv", {"kind": "csv"}, 1000, {}),
    ("nyc311/*.json", {"kind": "json"}, 1000, {}),
    ("sentitel/*train.json", {"kind": "json"}, 3968, {}),
    ("sentitel/*dev.json", {"kind": "json"}, 571, {}),
    (
        "twcs/*.csv",
        {"kind": "csv"},
        5000,
        {"joined_lines": 1},
    ),  # 5,001 pieces: one record is torn in two by a carriage return
    ("nus_sms/*.zip", {"kind": "xml", "records": "message"}, 55_835, {}),
    ("uci_sms/*.csv", {"kind": "csv", "encoding": "cp1252"}, 5572, {}),
    ("cfpb/*.csv", {"kind": "csv"}, 10_000, {}),
    ("afrisenti/*/*.tsv", {"kind": "csv", "delimiter": "\t", "quote": ""}, 45_896, {}),
]


@pytest.mark.parametrize(("pattern", "fmt", "n", "repairs"), PUBLIC, ids=lambda v: v if isinstance(v, str) else "")
def test_the_public_sets_are_read_whole(shared_data, pattern, fmt, n, repairs):
    tables = [
        pa.Table.from_batches(read_records(p, Format(**fmt)), READ_SCHEMA) for p in sorted(shared_data.glob(pattern))
    ]
    table = pa.concat_tables(tables)
    assert (len(table), table["fault"].null_count) == (n, n)
    found = [r for r in table["repair"].to_pylist() if r]
    assert {r: found.count(r) for r in found} == repairs


# ---- what every format has in common -------------------------------------------------------------------------------


def test_a_file_that_cannot_be_opened_is_an_input_error(tmp_path):
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            next(read_records(path, Format(kind="csv")))


@pytest.mark.parametrize(
    "fmt",
    [
        {"kind": k, "records": "x", "pattern": "(?P<a>.)"}
        for k in ("csv", "json", "jsonl", "xml", "log", "sqldump", "sqlite", "xlsx")
    ],
)
def test_an_empty_file_has_no_records(read, fmt):
    assert read(b"", **fmt) == []


def test_batches_are_as_long_as_asked_for_and_duckdb_takes_them(tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n" + "".join(f"{i},x\n" if i % 9 else "torn\n" for i in range(1, 1001)))
    batches = list(read_records(tmp_path / "a.csv", Format(kind="csv"), batch_rows=300))
    assert [len(b) for b in batches] == [300, 300, 300, 100]
    con = duckdb.connect()
    con.register("read", pa.RecordBatchReader.from_batches(READ_SCHEMA, batches))
    found = con.execute("SELECT count(*), count(fault), sum(record_no), sum(fields['id']::INT) FROM read").fetchone()
    assert found == (1000, 111, 500_500, sum(i for i in range(1, 1001) if i % 9))


@pytest.mark.parametrize(
    ("data", "fmt"),
    [
        (b'\xef\xbb\xbfid,text\n1,a\n\n2,"b\nc"\n3,caf\xe9\n4,d\n', {"kind": "csv"}),
        (b'{"id":1}\n\n{"id":2}\n{"id":\n{"id":4}\n', {"kind": "jsonl"}),
        (b"<x>\n <r id='1'/>\n <r id='2'>&no;</r>\n <r id='3'/></x>", {"kind": "xml", "records": "r"}),
        (b"1 a\n2 b\nno\n4 c\n", {"kind": "log", "pattern": r"(?P<id>\d)"}),
    ],
)
def test_line_and_offset_point_to_the_record(read, data, fmt):
    found = read(data, **fmt)
    assert len(found) >= 3
    for r in found:
        assert data[: r["offset"]].count(b"\n") == r["line"] - 1
        assert r["fault"] is None or data[r["offset"] :].startswith(r["raw"])


# ---- delimited -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "fmt", "expected"),
    [
        (b"a;b\n1;2,5\n", {"delimiter": ";"}, [["1", "2,5"]]),
        (b"a|b\n1|'x|y'\n", {"delimiter": "|", "quote": "'"}, [["1", "x|y"]]),
        (b'a,b\n1,"say \\"no\\", ok"\n', {"escape": "\\"}, [["1", 'say "no", ok']]),
        (b'a\tb\n1\tsay "no\n2\tx\n', {"delimiter": "\t", "quote": ""}, [["1", 'say "no'], ["2", "x"]]),
        (b"a,b\r\n1,2\r\n", {}, [["1", "2"]]),
        (b"a,b\r1,2\r3,4", {}, [["1", "2"], ["3", "4"]]),
        (b"a,b\r\r\n1,2\r\r\n", {}, [["1", "2"]]),
        (b"title\n\na,b\n1,2\n", {"skip": 2}, [["1", "2"]]),
        (b"1,2\n3,4\n", {"header": False, "columns": ["x", "y"]}, [["1", "2"], ["3", "4"]]),
        (b"1,2\n3,4\n", {"header": False}, [["1", "2"], ["3", "4"]]),
        (b"a,b\n1,2,,\n", {}, [["1", "2"]]),
        (b"a,b\n1,2\na,b\n3,4\n", {}, [["1", "2"], ["3", "4"]]),
        (b"a,b\n,\n1,2\n", {}, ["empty_record", ["1", "2"]]),
        (b'a,b\n1,"x"\n2,"y', {}, [["1", "x"], "torn_record"]),
        (b'a,b,c\n1,"x,2\n2,y,3\n3,z,4\n', {}, ["torn_record", ["2", "y", "3"], ["3", "z", "4"]]),
        (b'a,b,c\n1,"x" ,2\n', {}, [["1", "x ", "2"]]),
        (b"a,b\n1,x\x00y\n2,z\n", {}, ["nul_byte", ["2", "z"]]),
        (b"a\n1\n\n2\n", {}, [["1"], ["2"]]),
    ],
)
def test_csv_dialects(read, data, fmt, expected):
    assert brief(read(data, kind="csv", **fmt)) == expected


def test_unnamed_and_repeated_columns_get_names(read):
    (row,) = read(b",Date, Date ,,\xef\xbb\xbfx\n1,2,3,4,5\n", kind="csv")
    assert row["fields"] == {"column_1": "1", "Date": "2", "Date_2": "3", "column_4": "4", "x": "5"}


ENCODINGS = [
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "cp1252",
    "latin-1",
    "cp037",
    "gb18030",
    "shift_jis",
    "big5",
    "koi8_r",
    "mac_roman",
]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "log", "sqldump"])
def test_any_encoding(read, encoding, kind):
    word = {"gb18030": "网络很慢", "shift_jis": "遅い表ソ", "big5": "網路很慢功", "koi8_r": "связь"}.get(
        encoding, "café £5" if encoding != "cp037" else "cafe"
    )
    text = {
        "csv": f"id,text\n1,{word}\n2,b\n",
        "jsonl": f'{{"id":"1","text":"{word}"}}\n{{"id":"2","text":"b"}}\n',
        "json": f'[{{"id":"1","text":"{word}"}},{{"id":"2","text":"b"}}]',
        "log": f"1 {word}\n2 b\n",
        "sqldump": f"INSERT INTO t (id, text) VALUES ('1','{word}'),('2','b');",
    }[kind]
    found = read(
        text.encode(encoding),
        kind=kind,
        encoding=encoding,
        records="t" if kind == "sqldump" else "",
        pattern="(?P<id>.) (?P<text>.*)",
    )
    assert [r["fields"] for r in found] == [{"id": "1", "text": word}, {"id": "2", "text": "b"}]


@pytest.mark.parametrize(
    ("encoding", "bad"),
    [("utf-8", b"\xe9"), ("cp1252", b"\x81"), ("ascii", b"\xe9"), ("gb18030", b"\x81\x20"), ("utf-16-le", b"\x00\xd8")],
)
def test_a_record_in_the_wrong_encoding_costs_itself_alone(read, encoding, bad):
    line = "2,".encode(encoding) + bad + "x\n".encode(encoding)
    data = "id,text\n1,a\n".encode(encoding) + line + "3,c\n".encode(encoding)
    found = read(data, kind="csv", encoding=encoding)
    assert brief(found) == [["1", "a"], "bad_encoding", ["3", "c"]]
    assert found[1]["raw"] == line


def test_torn_records_are_joined_if_they_fit_exactly(read):
    head = b"id,at,text,state\n" + b"".join(b"%d,2026-01-%02d,ok,Kano\n" % (i, i) for i in range(1, 9))
    (healed,) = read(head + b"9,2026-01-09,cannot\n\nload card,Lagos\n", kind="csv")[8:]
    assert healed["fields"]["text"] == "cannot\n\nload card" and healed["repair"] == "joined_lines"
    assert [r["fault"] for r in read(head + b"9,2026-01-09\n10,2026-01-10,ok,Kano\n", kind="csv")[8:]] == [
        "torn_record",
        None,
    ]
    # two halves of different records: a date column would hold a text
    assert [r["fault"] for r in read(head + b"9\nx,late,Kano\n", kind="csv")[8:]] == ["torn_record", "torn_record"]


def test_a_torn_record_is_joined_over_the_edge_of_a_block(tmp_path):
    rows = [f"{i},{'x' * 200},Kano" for i in range(12_000)]
    rows[5000:] = [r.replace("xx,", "x\nx,") if i % 3 == 0 else r for i, r in enumerate(rows[5000:])]
    (tmp_path / "a.csv").write_text("id,text,state\n" + "\n".join(rows))
    found = rows_of(tmp_path / "a.csv", kind="csv")
    assert len(found) == 12_000 and not [r for r in found if r["fault"]]
    assert sum(r["repair"] == "joined_lines" for r in found) == 2334


def test_a_quote_never_closed_does_not_swallow_the_file(tmp_path):
    rows = [f"{i},sms,no network" for i in range(30_000)]
    rows[7] = '7,"sms,no network'
    (tmp_path / "a.csv").write_text("id,channel,text\n" + "\n".join(rows) + "\n")
    found = rows_of(tmp_path / "a.csv", kind="csv", max_record_bytes=50_000)
    assert [(i, r["fault"]) for i, r in enumerate(found) if r["fault"]] == [(7, "torn_record")]
    assert len(found) == 30_000


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=12)


@given(
    st.lists(st.lists(words, min_size=3, max_size=3).filter(any), max_size=8),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_csv_writer_writes_comes_back(tmp_path_factory, rows, delimiter, quoting, end):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerows([["id", "at", "text"], *rows])
    path = tmp_path_factory.getbasetemp() / "round.csv"
    path.write_bytes(out.getvalue().encode())
    found = rows_of(path, kind="csv", delimiter=delimiter)
    assert [list(r["fields"].values()) for r in found] == [r for r in rows if r != ["id", "at", "text"]]


# ---- JSON ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "records", "expected"),
    [
        (b'[{"a":1},{"a":2}]', "", [["1"], ["2"]]),
        (b'\xef\xbb\xbf[{"a":1}]', "", [["1"]]),
        (b'{"a":1}', "", [["1"]]),
        (b'{"a":1}{"a":2}\n{"a":3}', "", [["1"], ["2"], ["3"]]),
        (b'[{"a":1}][{"a":2}]', "", [["1"], ["2"]]),
        (b'{"x":[{"a":9}],"data":{"rows":[{"a":1}]}}', "data.rows", [["1"]]),
        (b'[{"rows":[{"a":1}]},{"rows":[{"a":2}]}]', "rows", [["1"], ["2"]]),
        (b'{"d":{"note":"rows: [{","rows":[{"a":"]}"}]}}', "d.rows", [["]}"]]),
        (b'{"rows":{"a":1}}', "rows", ["bad_json"]),
        (b"not json at all", "", ["bad_json"]),
        (b"<html><body>Error</body></html>", "rows", ["bad_json"]),
        (b'[{"a":1}, 5, "x", null, {"a":2}]', "", [["1"], "bad_json", ["2"]]),
        (b'[{"a":1},{},{"a":""}]', "", [["1"], "empty_record", "empty_record"]),
        (b'[{"a":1},\n{"a":"x\n{"a":3}]', "", [["1"], "torn_record", ["3"]]),
        (b'[{"a":1},\n{"a":2}', "", [["1"], ["2"], "torn_record"]),
        (b'[{"a":1}]\n]', "", [["1"], "torn_record"]),
        (b'[{"a":"x\\u0000y"}]', "", [["xy"]]),
    ],
)
def test_json_documents(read, data, records, expected):
    assert brief(read(data, kind="json", records=records)) == expected


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (
            b'{"a":1.10,"b":-0.0,"c":1e3,"d":12345678901234567890123}',
            {"a": "1.10", "b": "-0.0", "c": "1e3", "d": "12345678901234567890123"},
        ),
        (
            b'{"a":true,"b":null,"c":[1,"x"],"d":{},"e":[]}',
            {"a": "true", "b": None, "c": '[1,"x"]', "d": "{}", "e": "[]"},
        ),
        (b'{"a":{"b":{"c":"x"}},"a.b":{"c":"y"}}', {"a.b.c": "x", "a.b.c_2": "y"}),
        (b'{"a":"x","a":"y"}', {"a": "y"}),
        (b'{"a":"\\ud83d\\ude21 \\u00e9"}', {"a": "😡 é"}),
        (b'{"a":"\\ud83d"}', {"a": "\ufffd"}),
        (b'{"a":Infinity,"b":1.50}', {"a": "Infinity", "b": "1.50"}),
    ],
)
def test_json_values_are_kept_as_written(read, line, fields):
    (row,) = read(line, kind="jsonl")
    assert row["fields"] == fields


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9),
    lambda inner: st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3),
    max_leaves=8,
)


def flat(found: dict, path: str = "") -> dict:
    """What an object must become: the obvious way."""
    out = {}
    for k, v in found.items():
        if isinstance(v, dict) and v:
            out |= flat(v, f"{path}{k}.")
        else:
            out[path + k] = v if v is None or isinstance(v, str) else json.dumps(v)
    return out


@given(
    st.lists(st.dictionaries(st.text("xyz", min_size=1, max_size=2), json_values, min_size=1, max_size=4), max_size=6),
    st.sampled_from([None, 2]),
)
def test_what_a_json_writer_writes_comes_back(tmp_path_factory, objects, indent):
    path = tmp_path_factory.getbasetemp() / "round.json"
    path.write_text(json.dumps(objects, indent=indent, ensure_ascii=indent is None), encoding="utf-8")
    found = rows_of(path, kind="json")
    assert [r["fields"] or {} for r in found] == [flat(o) if any(flat(o).values()) else {} for o in objects]
    path.write_text("\n".join(json.dumps(o) for o in objects), encoding="utf-8")
    assert [(r["fields"], r["fault"]) for r in rows_of(path, kind="jsonl")] == [
        (r["fields"], r["fault"]) for r in found
    ]


def test_a_broken_line_of_json_lines_is_joined_over_the_edge_of_a_block(tmp_path):
    lines = [json.dumps({"id": i, "text": "x" * 300}) for i in range(9000)]
    lines = [line.replace("xx", "x\nx", 1) if i % 4 == 0 else line for i, line in enumerate(lines)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    found = rows_of(tmp_path / "a.jsonl", kind="jsonl")
    assert len(found) == 9000 and not [r for r in found if r["fault"]]
    assert sum(r["repair"] == "joined_lines" for r in found) == 2250


# ---- XML -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"<x><r><a>1</a></r></x>", [{"a": "1"}]),
        (b"<r><a>1</a></r>", [{"a": "1"}]),
        (b"<x><r>own <b>1</b> text</r></x>", [{"b": "1", "#text": "own  text"}]),
        (
            b"<x><r i='7'><a/><a k='v'>2</a><c><d>3</d></c></r></x>",
            [{"@i": "7", "a": "", "a@k": "v", "a_2": "2", "c.d": "3"}],
        ),
        (b"<n:x xmlns:n='urn:n'><n:r n:i='1' xmlns:m='urn:m'><m:a>1</m:a></n:r></n:x>", [{"@i": "1", "a": "1"}]),
        (b"<x><r><a><![CDATA[<b>&]]></a></r></x>", [{"a": "<b>&"}]),
        (b"<x><r><a>&#233;&lt;</a></r></x>", [{"a": "é<"}]),
        (b"<x><r><a>1<r><a>2</a></r></a></r></x>", [{"a.r.a": "2", "a": "1"}]),
        (b"\n\n<?xml version='1.0'?><x><r><a>1</a></r></x>", [{"a": "1"}]),
        (b"<x><r><a>1</a></r></x><?xml version='1.0'?><x><r><a>2</a></r></x>", [{"a": "1"}, {"a": "2"}]),
        (b"<x><r><a>1</a></r><r><a>2</a>", [{"a": "1"}, "torn_record"]),
        (b"<x><r><a>1</a></r>", [{"a": "1"}, "torn_record"]),
        (b"<x><r><a>1</b></r><r><a>2</a></r></x>", ["bad_xml", {"a": "2"}]),
        (b"<x><r><a>1</a></r></x>junk", [{"a": "1"}, "bad_xml"]),
        (b"<x><g><r a='1></r></g><g><r a='2'/></g></x>", ["bad_xml", {"@a": "2"}]),
        (b"just words", ["bad_xml"]),
    ],
)
def test_xml_documents(read, data, expected):
    found = read(data, kind="xml", records="r")
    assert [r["fault"] or r["fields"] for r in found] == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1251", "shift_jis", "gb2312"])
def test_xml_says_its_encoding_itself(read, encoding):
    word = {"windows-1251": "связь", "shift_jis": "遅い", "gb2312": "很慢"}.get(encoding, "café")
    data = f'<?xml version="1.0" encoding="{encoding}"?><x><r><a>{word}</a></r></x>'.encode(encoding)
    assert [r["fields"] for r in read(data, kind="xml", records="r")] == [{"a": word}]


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE x [<!ENTITY a "b">]>',
        '<!DOCTYPE x [<!ENTITY % a SYSTEM "http://x.example/">%a;]>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_entities_are_refused(read, doctype):
    (row,) = read(f"{doctype}<x><r><a>&a;</a></r></x>".encode(), kind="xml", records="r")
    assert row["fault"] == "unsafe_xml" and "entities" in row["detail"]


def test_a_document_type_without_entities_is_read(read):
    assert brief(read(b'<!DOCTYPE x SYSTEM "x.dtd"><x><r><a>1&nbsp;2</a></r></x>', kind="xml", records="r")) == [
        ["1&nbsp;2"]
    ]


xml_words = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="\ufffe\uffff"), min_size=1, max_size=9
)


@given(st.lists(st.tuples(xml_words, xml_words), min_size=1, max_size=6))
def test_what_an_xml_writer_writes_comes_back(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "round.xml"
    body = "".join(f"<r a={quoteattr(a)}><t>{escape(t)}</t></r>" for a, t in rows)
    path.write_text(f"<x>{body}</x>", encoding="utf-8")
    assert [tuple(r["fields"].values()) for r in rows_of(path, kind="xml", records="r")] == rows


# ---- logs ----------------------------------------------------------------------------------------------------------


def test_a_log_without_continuation_keeps_strange_lines_as_faults(read):
    found = read(b"1 a\n\n  more\n2 b", kind="log", pattern=r"(?P<id>\d) (?P<text>.*)")
    assert brief(found) == [["1", "a"], "no_match", ["2", "b"]]


def test_a_continued_record_has_a_limit(read):
    data = b"before\n1 a\n" + b"more\n" * 500 + b"2 b\n"
    found = read(data, kind="log", pattern=r"(?P<id>\d) (?P<text>.*)", continued=True, max_record_bytes=1024)
    assert brief(found) == ["no_match", "too_long", ["2", "b"]]
    assert found[1]["raw"] == data[7:-4]


# ---- databases and dumps -------------------------------------------------------------------------------------------


def test_a_database_is_read_while_another_program_has_it_locked(tmp_path):
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as con:
        con.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x REAL, b BLOB, n)")
        con.execute("INSERT INTO t VALUES (1, 0.5, x'cafe', NULL)")
        con.execute("BEGIN EXCLUSIVE")
        assert brief(rows_of(tmp_path / "a.db", kind="sqlite", records="t")) == [["1", "0.5", "cafe", None]]
        con.execute("ROLLBACK")


@pytest.mark.parametrize(
    "data", [b"not a database, but long enough to be read as one" * 40, b"SQLite format 3\0" + bytes(4000)]
)
def test_what_is_no_database_is_a_fault(read, data):
    assert [r["fault"] for r in read(data, kind="sqlite", records="t")] == ["bad_database"]


def test_a_view_is_not_run(tmp_path):
    with closing(sqlite3.connect(tmp_path / "a.db")) as con:
        con.execute("CREATE VIEW t AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c")
        con.commit()
    (row,) = rows_of(tmp_path / "a.db", kind="sqlite", records="t")
    assert row["fault"] == "bad_database" and "no table `t`" in row["detail"]


def test_a_database_value_that_is_too_long_is_not_fetched(tmp_path):
    with closing(sqlite3.connect(tmp_path / "a.db")) as con:
        con.execute("CREATE TABLE t (id, text)")
        con.executemany("INSERT INTO t VALUES (?, ?)", [(1, "x" * 3_000_000), (2, "ok")])
        con.commit()
    found = rows_of(tmp_path / "a.db", kind="sqlite", records="t")
    assert brief(found) == ["too_long", ["2", "ok"]]


sql_words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(st.lists(st.tuples(sql_words, sql_words | st.none(), st.integers(-(2**60), 2**60)), max_size=6))
def test_what_sqlite_dumps_comes_back(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "round.sql"
    with closing(sqlite3.connect(":memory:")) as con:
        con.execute('CREATE TABLE "my t" (a TEXT, "b c" TEXT, n INTEGER)')
        con.executemany('INSERT INTO "my t" VALUES (?, ?, ?)', rows)
        path.write_text("\n".join(con.iterdump()), encoding="utf-8", newline="")
    found = rows_of(path, kind="sqldump", records="my t")
    assert [list(r["fields"].values()) for r in found] == [[a, b, str(n)] for a, b, n in rows]
    assert not found or list(found[0]["fields"]) == ["a", "b c", "n"]


@pytest.mark.parametrize(
    ("dump", "expected"),
    [
        (b"INSERT INTO t VALUES (1,'a');\nINSERT INTO t VALUES (2,'b');", [["1", "a"], ["2", "b"]]),
        (
            b"-- MySQL\nINSERT INTO `d`.`T` (`id`,`x`) VALUES (1,'it\\'s; (x)'),(2,_utf8'b\\nc');",
            [["1", "it's; (x)"], ["2", "b\nc"]],
        ),
        (
            b"-- PostgreSQL database dump\nINSERT INTO public.t VALUES (1, 'C:\\');\n"
            b"INSERT INTO public.t VALUES (2, E'a\\tb');",
            [["1", "C:\\"], ["2", "a\tb"]],
        ),
        (b"insert into t values(1,replace('a\\nb','\\n',char(10)));", [["1", "a\nb"]]),
        (
            b"/* t */ # x\nINSERT IGNORE INTO t VALUES /* here */ (1, 0x4142) ON DUPLICATE KEY UPDATE x = ';';\n"
            b"INSERT INTO t VALUES (2, TRUE);",
            [["1", "4142"], ["2", "TRUE"]],
        ),
        (b"INSERT INTO t (id, x) VALUES (1,'a'),\n(2,'b", [["1", "a"], "torn_record"]),
        (b"INSERT INTO t (id, x) VALUES (1,'a),\n(2,'b'),(3,'c');", ["torn_record", ["2", "b"], ["3", "c"]]),
        (
            b"COPY public.t (id, x) FROM stdin;\n1\ta\\\\b\n2\t\\N\n\\.\nINSERT INTO t VALUES (3,'c');",
            [["1", "a\\b"], ["2", None], ["3", "c"]],
        ),
        (b"COPY public.t (id, x) FROM stdin;\n1\ta\n2", [["1", "a"], "torn_record", "torn_record"]),
        (b"CREATE TABLE t (id int);", []),
        (b"CREATE TABLE u (id int);", ["bad_sql"]),
        (b"hello, this is a letter.", ["bad_sql"]),
        (b"CREATE FUNCTION f() AS $$ INSERT INTO t VALUES (9); $$;\nINSERT INTO t VALUES (1);", [["1"]]),
    ],
)
def test_dumps(read, dump, expected):
    assert brief(read(dump, kind="sqldump", records="t")) == expected


# ---- workbooks -----------------------------------------------------------------------------------------------------


def test_a_workbook_shows_what_a_person_sees(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "first"
    book.create_sheet("second").append(["only", "here"])
    sheet.append(["Exported on", "today"])
    sheet.append(["id", "when", "text", "text", None])
    sheet.append([1.0, datetime(2026, 1, 2, 3, 4, 5), "a\nb", 0.1 + 0.2, True])
    sheet["B3"].number_format = "dd/mm/yyyy hh:mm"
    sheet.append([])
    sheet.append(["0803", 46024, "=1+1"])
    sheet["B5"].number_format = '"on" d mmm'
    book.save(tmp_path / "a.xlsx")
    found = rows_of(tmp_path / "a.xlsx", kind="xlsx", skip=1)
    assert [r["line"] for r in found] == [3, 5]
    assert found[0]["fields"] == {
        "id": "1",
        "when": "2026-01-02T03:04:05",
        "text": "a\nb",
        "text_2": "0.3",
        "column_5": "TRUE",
    }
    assert found[1]["fields"] == {"id": "0803", "when": "2026-01-02", "text": "=1+1", "text_2": None}
    assert brief(rows_of(tmp_path / "a.xlsx", kind="xlsx", records="second", header=False)) == [["only", "here"]]


def sheet_xml(path: Path, rows: str, **parts: str) -> Path:
    """A workbook made by hand, with one sheet."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("[Content_Types].xml", "<Types/>")
        z.writestr(
            "xl/workbook.xml",
            parts.get(
                "workbook",
                '<workbook xmlns:r="r"><workbookPr date1904="1"/>'
                '<sheets><sheet name="s" r:id="r1"/></sheets></workbook>',
            ),
        )
        z.writestr(
            "xl/_rels/workbook.xml.rels",
            '<Relationships><Relationship Id="r1" Target="/xl/worksheets/s.xml"/></Relationships>',
        )
        z.writestr(
            "xl/sharedStrings.xml",
            "<sst><si><t>a_x000D_b</t><rPh><t>no</t></rPh></si><si><r><t>rich </t></r><r><t>text</t></r></si></sst>",
        )
        z.writestr("xl/styles.xml", '<styleSheet><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>')
        z.writestr(
            "xl/worksheets/s.xml", f"{parts.get('head', '')}<worksheet><sheetData>{rows}</sheetData></worksheet>"
        )
    return path


def test_the_cells_that_other_programs_write(tmp_path):
    rows = """<row><c t="inlineStr"><is><t>h1</t></is></c><c t="str"><v>h2</v></c><c r="D1" t="s"><v>0</v></c></row>
    <row r="7"><c r="A7" t="s"><v>1</v></c><c r="B7" s="1"><v>1</v></c><c r="D7"><f>A1</f><v></v></c></row>
    <row r="8"><c r="A8" t="e"><v>#N/A</v></c><c r="B8" t="s"><v>99</v></c><c r="C8" s="9"><v>x</v></c></row>"""
    found = rows_of(sheet_xml(tmp_path / "a.xlsx", rows), kind="xlsx")
    assert [r["line"] for r in found] == [7, 8]
    assert found[0]["fields"] == {"h1": "rich text", "h2": "1904-01-02", "column_3": None, "a b": "=A1"}
    assert found[1]["fields"] == {"h1": "#N/A", "h2": "", "column_3": "x", "a b": None}


def test_a_hostile_workbook_is_a_fault(tmp_path, read):
    entity = sheet_xml(tmp_path / "a.xlsx", "", head='<!DOCTYPE x [<!ENTITY a "b">]>')
    assert [r["fault"] for r in rows_of(entity, kind="xlsx")] == ["unsafe_xml"]
    torn = sheet_xml(tmp_path / "b.xlsx", '<row><c t="str"><v>h</v></c></row><row><c t="str"><v>1</v></c></row><row><c')
    assert brief(rows_of(torn, kind="xlsx")) == [["1"], "bad_workbook"]
    bomb = sheet_xml(tmp_path / "c.xlsx", "<row/>" * 20_000_000)
    assert [r["fault"] for r in rows_of(bomb, kind="xlsx")] == ["unsafe_archive"]
    assert [r["fault"] for r in read(b"id,text\n1,a\n", kind="xlsx")] == ["bad_workbook"]
    assert [r["fault"] for r in read(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), kind="xlsx")] == ["bad_workbook"]


def test_an_open_document_sheet_is_read_too(tmp_path):
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    row = "<table:table-row>{}</table:table-row>"
    content = "".join(row.format(cell.format(a) + cell.format(b)) for a, b in (("id", "text"), ("1", "slow")))
    names = " ".join(f'xmlns:{n}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for n in ("office", "table", "text"))
    with zipfile.ZipFile(tmp_path / "a.ods", "w") as z:
        z.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        z.writestr(
            "META-INF/manifest.xml",
            "<manifest:manifest xmlns:manifest='urn:oasis:names:tc:opendocument:xmlns:manifest:1.0'/>",
        )
        z.writestr(
            "content.xml",
            f"<office:document-content {names}><office:body><office:spreadsheet><table:table table:name='s'>"
            f"{content}</table:table></office:spreadsheet></office:body></office:document-content>",
        )
    assert brief(rows_of(tmp_path / "a.ods", kind="xlsx")) == [["1", "slow"]]


# ---- archives ------------------------------------------------------------------------------------------------------

CALLS = b"id,text\n1,a\n2,b\n"


def zipped(method: int = zipfile.ZIP_DEFLATED, **files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in files.items():
            z.writestr(name.replace("__", "."), data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "members_", "n"),
    [
        (gzip.compress(CALLS), [""], 2),
        (gzip.compress(CALLS[:10]) + gzip.compress(CALLS[10:]) + bytes(99), [""], 2),
        (zipped(a__csv=CALLS, b__csv=CALLS), ["a.csv", "b.csv"], 4),
        (zipped(zipfile.ZIP_STORED, a__csv=CALLS), ["a.csv"], 2),
        (gzip.compress(zipped(a__csv=CALLS)), ["a.csv"], 2),
        (zipped(a__zip=zipped(b__csv=CALLS), c__gz=gzip.compress(CALLS)), ["a.zip/b.csv", "c.gz"], 4),
        (zipped(LICENSE=CALLS), ["LICENSE"], 2),
        (zipped(readme__md=b"x", a__csv=CALLS, __hidden=b"x"), ["a.csv"], 2),
        (zipped(), [], 0),
    ],
    ids=[
        "gzip",
        "two gzips",
        "zip",
        "stored",
        "zip in gzip",
        "zip and gzip in zip",
        "licence alone",
        "readme beside",
        "empty",
    ],
)
def test_packed_files_are_opened(read, data, members_, n):
    found = read(data, kind="csv")
    assert sorted({r["member"] for r in found}) == members_ and len(found) == n
    assert not [r for r in found if r["fault"]]
    assert [r["record_no"] for r in found] == list(range(1, n + 1))


def locked() -> bytes:
    data = bytearray(zipped(a__csv=CALLS))
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    return bytes(data)


def lying() -> bytes:
    """A zip that says its member unpacks to ten bytes."""
    data = bytearray(zipped(a__csv=CALLS * 99))
    at = data.index(b"PK\1\2")
    data[22:26] = data[at + 24 : at + 28] = struct.pack("<I", 10)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (locked(), "password"),
        (zipped(zipfile.ZIP_LZMA, a__csv=CALLS), "method"),
        (zipped(zipfile.ZIP_BZIP2, a__csv=CALLS), "method"),
        (zipped(a__csv=CALLS)[:-30], "cannot be opened"),
        (gzip.compress(CALLS)[:-3], "damaged"),
        (gzip.compress(CALLS) + b"junk", "damaged"),
        (lying(), "damaged"),
        (b"PK\3\4", "cannot be opened"),
    ],
    ids=["locked", "lzma", "bzip2", "cut zip", "cut gzip", "junk behind", "lying", "four bytes"],
)
def test_damaged_archives_say_so_after_what_could_be_read(read, data, words):
    found = read(data, kind="csv")
    assert found[-1]["fault"] == "bad_archive" and words in found[-1]["detail"]


def test_a_cut_archive_gives_what_comes_before_the_cut(read):
    lines = b"id,text\n" + b"".join(b"%d,%s\n" % (i, str(hash(i * 1.1)).encode()) for i in range(20_000))
    found = read(gzip.compress(lines)[:-4000], kind="csv")
    good = [r for r in found if not r["fault"]]
    assert 15_000 < len(good) < 20_000 and [r["fault"] for r in found[len(good) :]] == ["torn_record", "bad_archive"]


def test_a_list_of_files_that_is_huge_is_not_opened(read, monkeypatch):
    monkeypatch.setattr(members, "_DIRECTORY", 100)
    assert [r["fault"] for r in read(zipped(a__csv=CALLS, b__csv=CALLS, c__csv=CALLS), kind="csv")] == [
        "unsafe_archive"
    ]


def test_a_file_may_grow_but_not_without_end(read, monkeypatch):
    monkeypatch.setattr(members, "SMALL", 10_000)
    assert [r["fault"] for r in read(zipped(a__csv=b"id,text\n" + b"1,a\n" * 99), kind="csv")] == [None] * 99
    assert [r["fault"] for r in read(zipped(a__csv=b"id,text\n" + b"1,a\n" * 99_999), kind="csv")] == ["unsafe_archive"]
    found = read(gzip.compress(b"id,text\n" + b"1,a\n" * 99_999), kind="csv")
    assert found[-1]["fault"] == "unsafe_archive" and len(found) < 60_000


def test_a_packed_workbook_and_a_packed_database(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["id"])
    book.active.append([7])
    book.save(tmp_path / "a.xlsx")
    with closing(sqlite3.connect(tmp_path / "a.db")) as con:
        con.execute("CREATE TABLE t (id)")
        con.execute("INSERT INTO t VALUES (7)")
        con.commit()
    (tmp_path / "x.zip").write_bytes(zipped(a__xlsx=(tmp_path / "a.xlsx").read_bytes()))
    (tmp_path / "d.gz").write_bytes(gzip.compress((tmp_path / "a.db").read_bytes()))
    (tmp_path / "x.gz").write_bytes(gzip.compress((tmp_path / "a.xlsx").read_bytes()))
    assert brief(rows_of(tmp_path / "x.zip", kind="xlsx")) == [["7"]]
    assert brief(rows_of(tmp_path / "x.gz", kind="xlsx")) == [["7"]]
    assert brief(rows_of(tmp_path / "d.gz", kind="sqlite", records="t")) == [["7"]]


def test_a_cut_row_of_a_dump_that_makes_a_row_with_those_after_it_costs_itself_alone(read):
    """The quote that the cut leaves open closes in the next row; brackets and commas then happen to fit."""
    rows = [
        r"('1','9 am','sms','Lagos','08,",
        r"('2','Sun','web_form','Kano','0803','Charged twice (ticket 2)'),",
        r"('3','2026/02','social','Rivers','0803','No network, I cannot call (ticket 3)'),",
        r"('4','09h08','call','Oyo','0803','Una don chop my data again (ticket 4)'),",
        r"('5','22.02.26','sms','FCT','0803','Card no dey load; *311# says error (ticket 5)'),",
        r"""('6','2026','web_form','Lagos','0803','=HYPERLINK("http://evil.example","refund") (ticket 6)'),""",
        r"('7','22/02/2026','social','Kano','0803','+cmd|\' /C calc\'!A0 (ticket 7)');",
    ]
    head = "-- MySQL dump 10.13\nCREATE TABLE `t` (`a` text, `b` text, `c` text, `d` text, `e` text, `f` text);\n"
    found = read((head + "INSERT INTO `t` VALUES\n" + "\n".join(rows)).encode(), kind="sqldump", records="t")
    assert [r["fault"] for r in found] == ["torn_record", *[None] * 6]
