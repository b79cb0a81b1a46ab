"""A person is found everywhere, taken out everywhere, and stays out; and the scanner is not blind anywhere."""

import csv
import gzip
import json
import shutil
import sqlite3
import threading
import zipfile
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from beejan.commands.privacy import erase_command, scan_command
from beejan.core.errors import InputError, LakeError
from beejan.core.lake import Lake, commit, reader, table_hash, writer
from beejan.core.schema import TABLES
from beejan.core.settings import load_settings
from beejan.core.sources import load_sources
from beejan.govern import erasure
from beejan.govern.erasure import erase, hold, preview, resume
from beejan.govern.files import hits_in, mask_file
from beejan.govern.persons import Person, pattern
from beejan.govern.places import PLACES, TABLES_HOLD, files_of, place_of, register, scan
from beejan.land.landing import land_source
from beejan.operate.books import lake_books
from beejan.operate.transform import rebuild_lake, transform
from beejan.operate.workspace import make_workspace

PHONE, MAIL, HANDLE = "+2348035550142", "ada.nwosu@example.com", "ada_sings_9"
SPELLED = ["0803 555 0142", "+234 (0) 803-555-0142", "2348035550142", "8035550142"]
OTHERS = 40
DECLARED = {
    "calls": ('path = "calls.csv"', 'kind = "csv"', 'source_record_id = "id"\nphone = "phone"\ntext = "text"'),
    "tweets": ('path = "tweets.jsonl.gz"', 'kind = "jsonl"', 'customer_ref = "handle"\ntext = "text"'),
    "forms": ('path = "forms.sqlite"', 'kind = "sqlite"\nrecords = "forms"',
              'source_record_id = "id"\ncustomer_ref = "email"\nphone = "phone"\ntext = "text"'),
    "sms": ('path = "sms.xml"', 'kind = "xml"\nrecords = "sms"',
            'source_record_id = "@id"\nphone = "@from"\ntext = "#text"'),
    "batch": ('path = "batch.json"', 'kind = "json"', 'source_record_id = "id"\nphone = "phone"\ntext = "text"'),
    "mail": ('path = "mail.zip"', 'kind = "csv"', 'source_record_id = "id"\ncustomer_ref = "email"\ntext = "text"'),
}  # fmt: skip
REGEX = pattern(Person(("8035550142",), (MAIL, HANDLE)))
WORDS = "my own unmistakable words about a dead line"


def rows(kind: str) -> list[dict[str, str]]:
    """Somebody's complaints, Ada's, and a neighbour's that names her; a row each."""
    out = [{"id": f"{kind}{i}", "phone": f"0905000{i:04}", "email": f"p{i}@example.org", "handle": f"person_{i}",
            "text": f"no network in street {i} of {kind}"} for i in range(OTHERS)]  # fmt: skip
    out[7] |= {"phone": SPELLED[len(kind) % 3 + 1], "email": MAIL, "handle": HANDLE, "text": f"{WORDS}, {kind}"}
    out[20]["text"] += f", ask my friend on {SPELLED[0]} or {MAIL} or @{HANDLE.upper()}"
    return out


def as_csv(kind: str, columns: list[str]) -> str:
    lines = [",".join(columns)]
    return "\n".join(lines + [",".join('"' + r[c] + '"' for c in columns) for r in rows(kind)]) + "\n"


def fill(data: Path) -> None:
    (data / "calls.csv").write_text(as_csv("calls", ["id", "phone", "text"]))
    lines = "".join(json.dumps({k: r[k] for k in ("handle", "text")}) + "\n" for r in rows("tweets"))
    (data / "tweets.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    with closing(sqlite3.connect(data / "forms.sqlite")) as db:
        db.execute("CREATE TABLE forms (id TEXT, email TEXT, phone TEXT, text TEXT)")
        db.executemany("INSERT INTO forms VALUES (?, ?, ?, ?)",
                       [(r["id"], r["email"], r["phone"], r["text"]) for r in rows("forms")])  # fmt: skip
        db.commit()
    body = "".join(f'<sms id="{r["id"]}" from="{r["phone"]}">{r["text"]}</sms>\n' for r in rows("sms"))
    (data / "sms.xml").write_text(f"<all>\n{body}</all>\n")
    (data / "batch.json").write_text(json.dumps([{k: r[k] for k in ("id", "phone", "text")} for r in rows("batch")]))
    with zipfile.ZipFile(data / "mail.zip", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("mail.csv", as_csv("mail", ["id", "email", "text"]))


def land(lake: Lake) -> None:
    con = writer(lake)
    for source in load_sources(lake.settings.folder("pipelines") / "sources").values():
        _, problems = land_source(lake, con, source, lake.settings.folder("data"))
        assert not problems
    con.disconnect()


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    root = tmp_path_factory.mktemp("erasure") / "team"
    make_workspace(root, sources="none")
    for name, (path, form, fields) in DECLARED.items():
        text = f'name = "{name}"\n{path}\nchannel = "call"\n[format]\n{form}\n[fields]\n{fields}\n'
        (root / "pipelines/sources").mkdir(exist_ok=True)
        (root / f"pipelines/sources/{name}.toml").write_text(text)
    fill(root / "data")
    lake = Lake(load_settings(root))
    land(lake)
    transform(lake)
    for place in PLACES.values():
        folder = place.folder(lake.settings)
        if folder.is_relative_to(root) and place.name not in ("lake", "source files", "streams"):
            folder.mkdir(exist_ok=True)
            (folder / "note.txt").write_text(f"call {SPELLED[1]} or write {MAIL.upper()}")
    (root / "runs/x.ipynb").write_text(json.dumps({"outputs": [{"text": f"{SPELLED[0]} {HANDLE}"}]}))
    duckdb.sql(f"SELECT '{PHONE}' AS phone, 1 AS n").write_parquet(str(root / "exports/rows.parquet"))
    with zipfile.ZipFile(root / "exports/rows.zip", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("inner.gz", gzip.compress(f"x{SPELLED[3]}x".encode()))
    (root / "exports/windows.csv").write_bytes(f"phone\r\n{PHONE}\r\n".encode("utf-16"))
    return lake


@pytest.fixture
def planted(filled, tmp_path, monkeypatch):
    """A fresh copy at the same address, for a lake knows its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache/beejan").mkdir(parents=True)
    (tmp_path / "cache/beejan/vectors.bin").write_bytes(b"\0\1" + PHONE.encode() + b"\2")
    root = filled.settings.root
    shutil.copytree(root, tmp_path / "kept")
    yield filled
    shutil.rmtree(root)
    shutil.copytree(tmp_path / "kept", root)


def hits(lake: Lake, regex: str = REGEX) -> dict[str, int]:
    return {r["place"]: r["hits"] for r in scan(lake.settings, regex) if r["hits"]}


def test_every_table_of_the_lake_is_on_the_list(planted):
    con = reader(planted)
    have = con.raw_sql("SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = 'lake'")
    found = {name for (name,) in have.fetchall() if not name.startswith("mart.")}
    con.disconnect()
    missing = sorted((found | set(TABLES)) - set(TABLES_HOLD))
    assert not missing, f"say in govern.places.TABLES_HOLD what these tables hold of a person: {missing}"


def test_every_folder_of_a_workspace_is_on_the_list(planted):
    root = planted.settings.root
    unknown = sorted(
        p.name for p in root.iterdir()
        if p.is_dir() and place_of(planted.settings, p / "x") == "workspace"
    )  # fmt: skip
    assert not unknown, f"register a govern.places.Place for these folders: {unknown}"
    assert {p for p, _ in files_of(planted.settings)} <= set(PLACES)


def test_the_scanner_sees_her_in_every_place_before(planted):
    assert set(hits(planted)) == set(PLACES) - {"streams"}
    seen = {w for r in scan(planted.settings, REGEX) for w in r["where"]}
    root = planted.settings.root
    for name in ("rows.parquet", "rows.zip", "windows.csv"):
        assert f"exports/{name}" in seen
    assert {f"data/{p.name}" for p in (root / "data").iterdir()} <= seen


def test_she_is_found_from_any_of_her_identifiers(planted):
    con = reader(planted)
    found = con.raw_sql("SELECT contact_id FROM lake.vault.content WHERE source = 'forms' AND phone_e164 = ?",
                        parameters=[PHONE]).fetchone()  # fmt: skip
    con.disconnect()
    one = preview(planted, phone="0803-555-0142")
    assert one == preview(planted, ref=MAIL.upper()) == preview(planted, contact=found[0])
    assert one[1]["records"] == 5 and one[1]["records of others that name the person"] == 6, one[1]


def test_she_is_erased_from_every_place_and_a_replay_brings_nobody_back(planted):
    lake, data = planted, planted.settings.folder("data")
    before = look(lake, "curated.contact")[0]
    delivered = {p.name: p.read_bytes() for p in data.iterdir()}
    person, _ = preview(lake, phone="0803-555-0142")
    regex = "|".join([pattern(person), WORDS, *person.contacts, *person.keys])
    erase(lake, preview(lake, ref=f"@{HANDLE}")[0])  # it stands on no record beside her number: nobody could know
    receipt = erase(lake, person, transform)
    assert receipt["complete"] and not hits(lake, regex), hits(lake, regex)
    assert not any(word in json.dumps(receipt) for word in (WORDS, "8035550142", MAIL, HANDLE))
    assert len(list(csv.DictReader((data / "calls.csv").read_text().splitlines()))) == OTHERS - 1
    assert len(json.loads((data / "batch.json").read_text())) == OTHERS - 1
    hashes = {n: look(lake, n) for n in ("curated.contact", "curated.outcome", "vault.content", "curated.case")}
    assert hashes["curated.contact"][0] == before - 6 and balanced(lake)
    land(lake)
    rebuild_lake(lake)
    transform(lake)
    assert hashes == {n: look(lake, n) for n in hashes} and not hits(lake, regex) and balanced(lake)
    for name, content in delivered.items():  # last month's files are delivered again, under other names
        (data / name).write_bytes(content + (b"" if name.endswith(("gz", "zip", "sqlite", "xml", "json")) else b"\n"))
    land(lake)
    lake_refuses(lake)
    transform(lake)
    place = [r["where"] for r in scan(lake.settings, regex) if r["hits"] and r["place"] != "source files"]
    assert not place and look(lake, "curated.contact")[0] == before - 6


def lake_refuses(lake: Lake) -> None:
    from beejan.core.tombstones import refuse_erased

    con = writer(lake)
    refuse_erased(lake, con, load_sources(lake.settings.folder("pipelines") / "sources"))
    con.disconnect()


def look(lake: Lake, name: str) -> tuple[int, str]:
    con = reader(lake)
    try:
        return table_hash(con, name)
    finally:
        con.disconnect()


def balanced(lake: Lake) -> bool:
    con = reader(lake)
    try:
        return all(r["balanced"] for r in lake_books(con).to_pyarrow().to_pylist())
    finally:
        con.disconnect()


def test_the_neighbours_record_stays_with_the_number_masked(planted):
    lake = planted
    erase(lake, preview(lake, phone=PHONE)[0])
    con = reader(lake)
    rows = con.raw_sql("SELECT text FROM lake.vault.content WHERE text LIKE '%ask my friend%'").fetchall()
    said = [t for (t,) in rows]
    con.disconnect()
    assert len(said) == len(DECLARED) and all("[erased] or [erased] or" in t for t in said), said


@pytest.mark.parametrize("step", ["clean_sources", "purge", "scan"])
def test_a_crash_in_the_middle_is_finished_by_the_next_erasure(planted, monkeypatch, step):
    lake = planted
    person, _ = preview(lake, phone=PHONE)

    def crash(*args, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(erasure, step, crash)
        with pytest.raises(KeyboardInterrupt):
            erase(lake, person)
    assert list((lake.settings.root / "erasures").glob("*.pending"))
    again = resume(lake)
    assert len(again) == 1 and again[0]["complete"]
    left = hits(lake, pattern(Person(person.phones, person.refs)) + "|" + WORDS + ", c")
    assert not left and not list((lake.settings.root / "erasures").glob("*.pending")), left


def test_two_erasures_at_once_wait_for_each_other(planted):
    lake, problems = planted, []
    people = [preview(lake, phone=PHONE)[0], preview(lake, phone="09050000003")[0]]

    def run(person):
        try:
            erase(Lake(lake.settings), person)
        except Exception as e:
            problems.append(e)

    threads = [threading.Thread(target=run, args=(p,)) for p in people]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not problems and not hits(lake, "|".join(pattern(p) for p in people))


def test_a_legal_hold_keeps_her_until_it_is_released(planted):
    hold(planted, "order 12/2026", phone=SPELLED[0])
    with pytest.raises(InputError, match="order 12/2026"):
        preview(planted, phone=PHONE)
    hold(planted, "", phone=PHONE)
    preview(planted, phone=PHONE)


def test_a_place_that_cannot_be_cleaned_fails_loudly(planted, monkeypatch):
    monkeypatch.setattr(erasure, "mask_file", lambda path, regex: "masked")
    with pytest.raises(LakeError, match="still found"):
        erase(planted, preview(planted, phone=PHONE)[0])


def test_a_new_place_is_cleaned_once_it_is_registered(planted, tmp_path, monkeypatch):
    from beejan.govern.places import Place

    monkeypatch.setitem(PLACES, "attic", PLACES["exports"])
    register(Place("attic", "old things", lambda s: tmp_path / "attic"))
    (tmp_path / "attic").mkdir()
    (tmp_path / "attic/x.txt").write_text(PHONE)
    assert "attic" in hits(planted)
    erase(planted, preview(planted, phone=PHONE)[0])
    assert (tmp_path / "attic/x.txt").read_text() == "[erased]"


def test_an_open_writer_does_not_bring_statistics_back(planted):
    lake, con = planted, writer(planted)
    con.raw_sql("SELECT max(phone_e164) FROM lake.vault.content").fetchall()
    person, _ = preview(lake, phone=PHONE)
    erase(lake, person)
    commit(lake, con, lambda c: c.raw_sql("INSERT INTO lake.vault.content BY NAME SELECT 1 AS seq, 'c' AS contact_id, "
           "'s' AS source, 'b' AS batch_id, 1 AS record_no, '+2347000000000' AS phone_e164"))  # fmt: skip
    con.disconnect()
    assert not hits(lake, pattern(Person(person.phones, person.refs)))


def test_the_commands_say_what_would_go_and_ask(planted, monkeypatch, tmp_path):
    monkeypatch.setenv("BEEJAN_HOME", str(planted.settings.root))
    run = CliRunner()
    dry = run.invoke(erase_command, ["--phone", PHONE, "--dry-run", "--json"])
    assert dry.exit_code == 0 and PHONE not in dry.output and hits(planted)
    no = run.invoke(erase_command, ["--phone", PHONE], input="n\n")
    assert no.exit_code == 1 and hits(planted)
    tokens = tmp_path / "tokens.txt"
    tokens.write_text("8035550142\n")
    assert isinstance(run.invoke(scan_command, ["--token-file", str(tokens)]).exception, LakeError)
    yes = run.invoke(erase_command, ["--phone", PHONE, "--yes"])
    assert yes.exit_code == 0 and "Receipt" in yes.output and PHONE not in yes.output, yes.output
    assert run.invoke(scan_command, ["--token-file", str(tokens)]).exit_code == 0
    assert isinstance(run.invoke(erase_command, []).exception, InputError)


@pytest.mark.parametrize("torn", [b"\x1f\x8b\x08\0 0803 555 0142", b"PK\x03\x04 0803 555 0142", b"PAR1 0803 555 0142",
                                  b"SQLite format 3\0 0803 555 0142"])  # fmt: skip
def test_a_torn_file_with_her_number_is_deleted(tmp_path, torn):
    file = tmp_path / "torn.bin"
    file.write_bytes(torn)
    assert hits_in(file, "0803 555 0142") and mask_file(file, "0803 555 0142") in ("deleted", "masked")
    assert not file.exists() or not hits_in(file, "0803 555 0142")


def test_a_catalog_on_postgresql_forgets_too(tmp_path, postgres_server, postgres_database, monkeypatch):
    """The smallest and largest values of a column stand in the server's files until they are vacuumed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root, secret = tmp_path / "team", "Zyxavier Qwotoken of Zzabeth Street"
    make_workspace(root, sources="none")
    (root / "pipelines/sources").mkdir(exist_ok=True)
    path, form, fields = DECLARED["calls"]
    text = f'name = "calls"\n{path}\nchannel = "call"\n[format]\n{form}\n[fields]\n{fields}\n'
    (root / "pipelines/sources/calls.toml").write_text(text)
    (root / "data/calls.csv").write_text(as_csv("calls", ["id", "phone", "text"]).replace(WORDS, secret))
    toml = (root / "beejan.toml").read_text().replace('catalog = "sqlite"', f'catalog = "{postgres_database}"')
    (root / "beejan.toml").write_text(toml)
    lake, tokens = Lake(load_settings(root)), (b"8035550142", secret.encode())
    land(lake)
    transform(lake)

    def on_disk(*but: str) -> dict[bytes, set[str]]:
        postgres_server.psql("CHECKPOINT;")
        files = [p for p in Path(postgres_server.pgdata).rglob("*") if p.is_file() and not {*but} & {*p.parts}]
        return {t: {str(p) for p in files if t in p.read_bytes()} for t in tokens}

    postgres_server.psql("ANALYZE;")
    assert all(on_disk("pg_wal").values()), "the scan is not blind"
    person, _ = preview(lake, phone=PHONE)
    receipt = erase(lake, person, rebuild=transform)
    assert receipt["complete"] and not any(on_disk("pg_wal").values())
    assert any(on_disk().values()), "the log keeps it for a while"
    assert any("write-ahead log" in words for words in receipt["beyond_reach"])
    con = reader(lake)
    assert lake.settings.lake.catalog == postgres_database
    assert con.raw_sql("SELECT count(*) FROM lake.vault.content").fetchone()[0] == OTHERS - 1
    con.disconnect()
