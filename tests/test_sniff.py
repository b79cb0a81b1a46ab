"""Sniffing: formats, encodings, dialects and places of records that nobody described."""

import gzip
import json
import sqlite3
import zipfile
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beejan.core.errors import InputError
from beejan.land.dialect import find_dialect, has_header, lines_above, split_records
from beejan.land.encoding import byte_facts, detect_encoding
from beejan.land.sniff import sniff
from beejan.land.structure import json_place, log_place, xml_place

TEXTS = {
    "en": "They don’t refund my £50 – “awful” service… ",
    "es": "La señal está caída en Bogotá, ¿por qué no contestan? ",
    "fr": "Réseau indisponible depuis hier à Orléans, ça m’a coûté 20 €! ",
    "de": "Für die Störung gab es keine Rückerstattung, größere Ausfälle. ",
    "pt": "Não consigo ligação, é péssimo. Reclamação já foi feita às 10h. ",
    "pl": "Brak zasięgu, proszę o zwrot pieniędzy. Dziękuję, źle działa. ",
    "cs": "Příliš žluťoučký kůň úpěl ďábelské ódy. Síť nefunguje. ",
    "ru": "Сеть не работает, верните деньги. Очень плохо. ",
    "el": "Το δίκτυο δεν λειτουργεί, επιστρέψτε τα χρήματα. ",
    "tr": "Şebeke çalışmıyor, paramı iade edin. Çok kötü. ",
    "ar": "الشبكة لا تعمل، أعيدوا المال ",
    "ja": "ネットワークが遅いです。返金してください。",
    "zh": "网络太慢了，请退款。客服没有回应。",
    "ko": "네트워크가 느려요. 환불해 주세요. ",
}
ENCODINGS = {
    "en": ["cp1252", "mac_roman"],
    "es": ["cp1252", "mac_roman", "cp850"],
    "fr": ["cp1252", "mac_roman"],
    "de": ["cp1252", "mac_roman", "cp850"],
    "pt": ["cp1252", "cp850"],
    "pl": ["cp1250"],
    "cs": ["cp1250"],
    "ru": ["cp1251", "koi8_r"],
    "el": ["cp1253"],
    "tr": ["cp1254"],
    "ar": ["cp1256"],
    "ja": ["cp932"],
    "zh": ["gb18030"],
    "ko": ["cp949"],
}


def facts(data: bytes, size: int = 4096):
    return byte_facts(data[i : i + size] for i in range(0, len(data), size))


@pytest.mark.parametrize(("language", "codec"), [(k, c) for k, cs in ENCODINGS.items() for c in cs])
def test_legacy_encodings_are_read_as_they_were_written(language, codec):
    raw = (TEXTS[language] * 3 + "\n").encode(codec, "replace")
    found = detect_encoding(facts(raw))
    assert raw.decode(found.name) == raw.decode(codec), found


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_is_proved(codec):
    text = "id,text\n" + "".join(f"{i},no network\n" for i in range(50)) + ("é" if codec == "utf-8" else "")
    found = detect_encoding(facts(text.encode(codec)))
    assert found.sure and text.encode(codec).decode(found.name).lstrip("\ufeff") == text


@given(st.text(min_size=1), st.integers(1, 7))
def test_any_utf8_in_any_blocks_is_utf8(text, size):
    assert detect_encoding(facts(text.encode("utf-8", "ignore"), size)).name.startswith("utf")


def test_torn_utf8_stays_utf8_and_counts_what_is_torn():
    found = detect_encoding(facts("ọjọ́ mẹ́ta, ẹ jọ̀ọ́\n".encode() * 20 + b"caf\xe9\n"))
    assert (found.name, found.n_bad) == ("utf-8", 1)


def test_an_accent_after_a_million_plain_bytes_is_seen():
    assert detect_encoding(byte_facts([b"plain text\n" * 100_000, "café £5\n".encode("cp1252")])).name == "cp1252"


# --- dialects

CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=40, deadline=None)
@given(
    st.sampled_from([",", ";", "\t", "|"]),
    st.integers(2, 6),
    st.lists(st.tuples(CELLS, st.booleans()), min_size=4, max_size=30),
)
def test_quoted_cells_come_back_whatever_is_in_them(delimiter, width, cells):
    rows = [[c for c, _ in cells[i : i + width]] for i in range(0, len(cells) - width + 1, width)]
    if not rows or any(r == [""] for r in rows):
        return
    text = "".join(delimiter.join('"' + c.replace('"', '""') + '"' for c in r) + "\n" for r in rows)
    assert split_records(text, delimiter).rows == rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;b;c\n1,5;x, y;2\n2,5;z, w, v;3\n", (";", '"')),
        ('a\tb\n"he said" no\tx\n"why\ty\nok\tz\n', ("\t", "")),
        ("a|b|c\n1|x,y|2\n2|z|3\n", ("|", '"')),
        ("id,text\n1,'a, b'\n2,'c, d'\n3,'e, f'\n", (",", "'")),
        ("id,text\n" + "".join(f'{i},"well, ""ok"", {i}"\n' for i in range(9)), (",", '"')),
        ("id\x01text\n1\x01a,b\n2\x01c\n", ("\x01", '"')),
    ],
)
def test_dialects(text, expected):
    found = find_dialect(text)
    assert (found.delimiter, found.quote) == expected


def test_title_lines_are_passed_over():
    assert (
        lines_above("Report\n\nMay 2024;;\nid;a;b\n1;2;3\n2;3;4\n3;4;5\n", find_dialect("id;a;b\n1;2;3\n2;3;4\n")) == 3
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["tweet_id", "text"], ["1", "slow"], ["2", "off"]], True),
        ([["1", "slow"], ["2", "off"]], False),
        ([["v1", "v2"], ["ham", "ok"], ["spam", "win"]], True),
        ([["Nachricht", "Datum"], ["kein Netz", "01.02.2024"], ["langsam", "02.02.2024"]], True),
        ([["ada@mail.ng", "slow"], ["bola@mail.ng", "off"]], False),
    ],
)
def test_headers(rows, expected):
    assert has_header(rows)[0] is expected


# --- structure


def test_json_arrays_inside_records_are_no_records():
    items = [{"id": i, "tags": ["x"], "notes": [{"a": 1}] * 5} for i in range(3)]
    assert json_place(json.dumps({"meta": {"n": 3}, "result": {"data": items}})).records == "result.data"
    assert json_place(json.dumps(items)[:60]).records == ""


def test_json_braces_in_strings_do_not_count():
    assert json_place(json.dumps({"note": "}{][", "rows": [{"t": '"}]'}, {"t": "\\"}]})).records == "rows"


def test_xml_record_is_the_shallow_repeated_element():
    data = b"<r><h><v>1</v></h><list>" + b"<c id='1'><t>a</t><n><x>1</x><x>2</x></n></c>" * 4 + b"</list></r>"
    assert xml_place(data).records == "c"
    assert len(xml_place(b"<r><only><a>1</a></only></r>").questions) == 1


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("2024-01-02 10:11:12 | INFO | sms | 08031234567 | no network", "no network"),
        ("[2024-01-02T10:11:12.123Z] ERROR [billing] charged twice: please help", "charged twice: please help"),
        ("02/01/2024, 22:15 - Ada Obi: no network since noon", "no network since noon"),
        ("Jan  2 10:11:12 gw7 smsd: no network", "no network"),
        ("2024-01-02 10:11:12,345 level=info channel=sms no network", "no network"),
        ("1704190272 no network", "no network"),
    ],
)
def test_log_lines(line, text):
    import re

    body = (
        "\n".join([line, line.replace(text, "slow"), line.replace(text, "the data bundle was deducted twice")]) + "\n"
    )
    m = re.match(log_place(body).pattern, line)
    assert m and m["text"] == text, log_place(body).pattern


def test_log_lines_that_go_on():
    place = log_place("2024-01-02 10:11 Ada: no network\nsince noon\n2024-01-03 10:11 Bola: slow\n")
    assert place.continued


# --- files


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as z:
        for name, data in members.items():
            z.writestr(name, data)
    return path


def test_formats_are_seen_whatever_the_name(tmp_path):
    contents = {
        "csv": b"id,text\n1,slow\n2,off\n",
        "json": b'[{"id": 1}, {"id": 2}]',
        "jsonl": b'{"id": 1}\n{"id": 2}\n',
        "xml": b"<r><c><t>a</t></c><c><t>b</t></c></r>",
        "sqldump": b"CREATE TABLE t (a int);\nINSERT INTO t VALUES (1),(2);\n",
        "log": b"2024-01-02 10:11:12 Ada: slow\n2024-01-02 10:12:12 Bola: off\n",
    }
    for kind, data in contents.items():
        (tmp_path / "plain.dat").write_bytes(data)
        assert sniff(tmp_path / "plain.dat").format.kind == kind
        (tmp_path / "packed.dat").write_bytes(gzip.compress(data))
        assert sniff(tmp_path / "packed.dat").packed == ["gzip"]
        assert sniff(zipped(tmp_path / "z.dat", {"a/x": gzip.compress(data)})).format.kind == kind


def test_workbook_and_database(tmp_path):
    book = openpyxl.Workbook()
    book.active.title = "Cover"
    sheet = book.create_sheet("Complaints")
    for row in [
        ["Complaints of May"],
        [],
        ["Ref", "Complaint", "Date"],
        *[[i, "no network", "2024-05-01"] for i in range(30)],
    ]:
        sheet.append(row)
    book.save(tmp_path / "book.bin")
    found = sniff(tmp_path / "book.bin").format
    assert (found.kind, found.records, found.skip, found.header) == ("xlsx", "Complaints", 2, True)
    con = sqlite3.connect(tmp_path / "crm")
    con.executescript(
        "create table agents(a); insert into agents values(1);"
        "create table tickets(a); insert into tickets values (1),(2)"
    )
    con.close()
    found = sniff(tmp_path / "crm")
    assert (found.format.kind, found.format.records, len(found.questions)) == ("sqlite", "tickets", 1)
    assert sniff(zipped(tmp_path / "z", {"crm.db": (tmp_path / "crm").read_bytes()})).format.records == "tickets"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"PAR1....", "Parquet"),
        (b"%PDF-1.4", "PDF"),
        (b"\xd0\xcf\x11\xe0....", ".xlsx"),
        (b"<!doctype html><html>", "web page"),
        (b"PK\x03\x04 broken", "not one"),
        (b"\x1f\x8b broken", "unpacked"),
        (b"BZh91AY", "bzip2"),
    ],
)
def test_what_is_refused_says_what_to_do(tmp_path, data, words):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(InputError, match=words):
        sniff(tmp_path / "x")


def test_a_zip_bomb_costs_no_memory(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z, z.open("a.csv", "w", force_zip64=True) as f:
        f.write(b"id,text\n")
        for _ in range(300):
            f.write(b"1,slow network since noon\n" * 40_000)
    assert sniff(path).format.kind == "csv"


def test_a_torn_archive_is_asked_about(tmp_path):
    (tmp_path / "x.gz").write_bytes(
        gzip.compress(b"".join(b"%d,slow %d\n" % (i, i * i) for i in range(90_000)))[:90_000]
    )
    assert any("too early" in q for q in sniff(tmp_path / "x.gz").questions)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=400))
def test_any_bytes_give_an_answer_or_a_sentence(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    try:
        sniff(tmp_path / "x")
    except InputError as e:
        assert str(e)
