"""`source check` on files nobody described: a draft that loads, evidence for times, questions."""

import gzip
import json
import random
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beejan.core.errors import BeejanError
from beejan.core.sources import load_source, load_sources, source_files
from beejan.land.mapping import guess_codes, guess_times, name_score, plain
from beejan.land.propose import Proposal, check_file, proposal_words
from beejan.land.readers import read_records
from beejan.land.timeevidence import Witnesses, decide, honest_orders, rank_correlation

SOURCES = Path(__file__).parent.parent / "pipelines" / "sources"
WORDS = (
    "network is down since noon and nobody answers my calls please refund the data bundle you deducted twice this week"
).split()
START = datetime(2024, 3, 1, 8, tzinfo=UTC)


def words(i: int) -> str:
    return " ".join(random.Random(i).sample(WORDS, 9))


def moment(i: int) -> datetime:
    return START + timedelta(hours=11 * i, minutes=7 * i % 60)


def check(path: Path, **options) -> Proposal:
    """A proposal whose TOML loads from disk and whose columns exist."""
    p = check_file(path, data=path.parent, **options)
    file = path.parent / f"{p.source.name}.toml"
    file.write_text(p.toml, encoding="utf-8")
    assert load_source(file) == p.source
    assert proposal_words(p) and json.dumps(p.to_dict())
    seen = {k for b in read_records(path, p.source.format) for m in b["fields"].to_pylist() for k, _ in m or []}
    used = (
        {c for cs in p.source.fields.values() for c in cs}
        | set(p.source.personal.fields)
        | {r.field for r in p.source.reject.values()}
    )
    assert used <= seen, used - seen
    return p


def table(
    path: Path,
    names: list[str],
    rows: list[list[object]],
    delimiter: str = ",",
    encoding: str = "utf-8",
    header: bool = True,
) -> Path:
    lines = [delimiter.join(names)] * header + [delimiter.join(map(str, r)) for r in rows]
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


# --- formats


def test_semicolons_cp1252_decimal_commas(tmp_path):
    rows = [
        [700 + i, f"Störung, {words(i)}", f"{i},50", moment(i).strftime("%d.%m.%Y %H:%M"), ("Telefon", "E-Mail")[i % 2]]
        for i in range(60)
    ]
    p = check(
        table(tmp_path / "beschwerden.csv", ["Nr", "Beschwerde", "Betrag", "Eingang", "Kanal"], rows, ";", "cp1252")
    )
    f = p.source.format
    assert (f.kind, f.delimiter, f.encoding) == ("csv", ";", "cp1252")
    assert p.source.fields["text"] == ["Beschwerde"] and p.source.fields["source_record_id"] == ["Nr"]
    assert p.source.time.formats == {"received_at": ["%d.%m.%Y %H:%M"]}
    assert any("decimal comma" in x for x in p.findings)


def test_tabs_without_a_header(tmp_path):
    rows = [
        [
            f"0803{1_000_000 + 37 * i}",
            moment(i).strftime("%Y-%m-%d %H:%M:%S"),
            words(i),
            ("positive", "negative")[i % 2],
        ]
        for i in range(60)
    ]
    p = check(table(tmp_path / "sms_log.tsv", [], rows, "\t", header=False))
    assert (p.source.format.delimiter, p.source.format.header) == ("\t", False)
    assert p.source.format.columns == ["phone", "received_at", "text", "label"]
    assert p.source.fields == {"text": ["text"], "received_at": ["received_at"], "phone": ["phone"], "label": ["label"]}
    assert (p.source.channel, p.source.personal.fields) == ("sms", ["phone"])


def test_json_inside_data_items(tmp_path):
    items = [
        {
            "ticketId": f"T-{i}",
            "customer": {"msisdn": f"+234803{1_000_000 + i}"},
            "message": words(i),
            "createdAt": moment(i).isoformat(),
            "tags": ["a", {"b": i}],
        }
        for i in range(40)
    ]
    path = tmp_path / "api.json"
    path.write_text(json.dumps({"meta": {"page": 1, "errors": []}, "data": {"items": items}}))
    p = check(path)
    assert (p.source.format.kind, p.source.format.records) == ("json", "data.items")
    assert p.source.fields["text"] == ["message"] and p.source.fields["phone"] == ["customer.msisdn"]
    assert p.source.time.formats == {"received_at": ["iso"]} and not any("time zone" in q for q in p.questions)


def test_xml_with_namespaces(tmp_path):
    rows = "".join(
        f'<c:case no="{i}"><c:narrative>{words(i)}</c:narrative><c:opened>{moment(i):%Y-%m-%dT%H:%M:%S}</c:opened>'
        f"<c:state>{('Open', 'Closed')[i % 2]}</c:state></c:case>"
        for i in range(40)
    )
    path = tmp_path / "export.xml"
    path.write_text(
        '<?xml version="1.0"?><c:export xmlns:c="urn:x"><c:head><c:when>now</c:when></c:head>'
        f"<c:cases>{rows}</c:cases></c:export>"
    )
    p = check(path)
    assert (p.source.format.kind, p.source.format.records) == ("xml", "case")
    assert p.source.fields["text"] == ["narrative"] and p.source.fields["status"] == ["state"]
    assert p.source.values["status"] == {"Closed": "closed", "Open": "acknowledged"}


def test_pipe_log_with_lines_that_go_on(tmp_path):
    lines = []
    for i in range(60):
        lines.append(
            f"{moment(i):%Y-%m-%d %H:%M:%S} | {('SMS', 'USSD')[i % 2]} | 0803{1_000_000 + 37 * i} | {words(i)}"
        )
        if i % 7 == 0:
            lines.append("  and it goes on | here")
    path = tmp_path / "gateway.log"
    path.write_text("\n".join(lines) + "\n")
    p = check(path)
    assert (p.source.format.kind, p.source.format.continued, p.n_records) == ("log", True, 60)
    assert p.source.fields["text"] == ["text"] and p.source.time.formats == {"received_at": ["iso"]}
    assert p.source.fields["phone"] == ["phone"] and "(?P<phone>" in p.source.format.pattern


def test_chat_export(tmp_path):
    path = tmp_path / "whatsapp.txt"
    path.write_text(
        "".join(f"[{moment(i):%d/%m/%Y}, {moment(i):%H:%M}] Customer {i % 5}: {words(i)}\n" for i in range(60))
    )
    p = check(path)
    assert p.source.format.kind == "log" and p.source.time.formats == {"received_at": ["%d/%m/%Y, %H:%M"]}
    assert p.source.channel == "social"


def test_workbook_with_a_title(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Complaints of the first quarter", None, None])
    sheet.append([])
    sheet.append(["Complaint No", "Complaint Details", "Date Received"])
    for i in range(40):
        sheet.append([f"C{i:04}", words(i), moment(i).replace(tzinfo=None)])
    book.save(tmp_path / "quarter.xlsx")
    p = check(tmp_path / "quarter.xlsx")
    assert (p.source.format.kind, p.source.format.skip, p.n_records) == ("xlsx", 2, 40)
    assert p.source.fields["text"] == ["Complaint Details"] and "received_at" in p.source.time.formats


def test_postgres_dump(tmp_path):
    rows = "".join(f"{i}\t{words(i)}\t{moment(i):%Y-%m-%d %H:%M:%S}+01\t\\N\n" for i in range(40))
    path = tmp_path / "crm.sql"
    path.write_text(
        "CREATE TABLE public.ticket (id integer, note text, created_at timestamptz, closed_at timestamptz);\n"
        "COPY public.agent (id) FROM stdin;\n1\n\\.\n"
        f"COPY public.ticket (id, note, created_at, closed_at) FROM stdin;\n{rows}\\.\n"
    )
    p = check(path)
    assert (p.source.format.kind, p.source.format.records.split(".")[-1], p.n_records) == ("sqldump", "ticket", 40)
    assert p.source.fields["text"] == ["note"] and any("Several tables" in q for q in p.questions)
    assert not any("time zone" in q for q in p.questions)


def test_database_with_two_tables(tmp_path):
    con = sqlite3.connect(tmp_path / "crm.db")
    con.execute("create table agent(id, name)")
    con.execute("create table complaint(complaint_id, description, date_opened, contact_channel)")
    con.execute("insert into agent values (1, 'Ada')")
    con.executemany(
        "insert into complaint values (?, ?, ?, ?)",
        [(i, words(i), f"{moment(i):%Y-%m-%d}", ("walk-in", "letter")[i % 2]) for i in range(50)],
    )
    con.commit()
    con.close()
    p = check(tmp_path / "crm.db")
    assert (p.source.format.kind, p.source.format.records) == ("sqlite", "complaint")
    assert any("agent (1)" in q for q in p.questions)
    assert p.source.values["channel"] == {"letter": "letter", "walk-in": "walk_in"}


def test_utf16_table_from_a_spreadsheet(tmp_path):
    rows = [[i, words(i) + " ñ", moment(i).strftime("%d/%m/%Y")] for i in range(60)]
    p = check(table(tmp_path / "unicode.txt", ["Ref", "Comentario", "Fecha"], rows, "\t", "utf-16"))
    assert (p.source.format.encoding, p.source.format.delimiter) == ("utf-16", "\t")
    assert p.source.time.formats == {"received_at": ["%d/%m/%Y"]}


# --- times


def timed(tmp_path, values: list[str], ids: list[object] | None = None, name: str = "Received") -> Proposal:
    ids = ids if ids is not None else [f"x{random.Random(i).getrandbits(40):x}" for i in range(len(values))]
    return check(
        table(
            tmp_path / "times.csv",
            ["Ref", name, "Complaint"],
            [[r, v, words(i)] for i, (r, v) in enumerate(zip(ids, values, strict=True))],
        )
    )


def shuffled(values: list, seed: int = 5) -> list:
    return random.Random(seed).sample(values, len(values))


def test_epoch_milliseconds(tmp_path):
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(
        gzip.compress(
            "".join(
                json.dumps({"id": f"e{i}", "ts": int(moment(i).timestamp() * 1000), "text": words(i)}) + "\n"
                for i in range(60)
            ).encode()
        )
    )
    p = check(path)
    assert (p.source.format.kind, p.source.time.formats) == ("jsonl", {"received_at": ["epoch_ms"]})


def test_excel_serial_days(tmp_path):
    days = [f"{45_292 + i / 3:.6f}" for i in range(60)]
    assert timed(tmp_path, days, name="Date Received").source.time.formats == {"received_at": ["excel_serial"]}


def test_two_digit_years(tmp_path):
    p = timed(tmp_path, shuffled([moment(i).strftime("%d/%m/%y %H:%M") for i in range(80)]))
    assert p.source.time.formats == {"received_at": ["%d/%m/%y %H:%M"]}


def test_a_part_above_twelve_decides(tmp_path):
    p = timed(tmp_path, shuffled([moment(i).strftime("%m/%d/%Y") for i in range(80)]))
    assert p.source.time.formats == {"received_at": ["%m/%d/%Y"]} and "cannot be read as %d/%m/%Y" in p.toml


def low_days(n: int = 90) -> list[datetime]:
    """Days that read both ways: the first twelve of each month, over half a year."""
    return [datetime(2024, 1 + i * 6 // n, 1 + i * 72 // n % 12, 9, tzinfo=UTC) for i in range(n)]


def test_nothing_tells_days_from_months_so_it_asks(tmp_path):
    p = timed(tmp_path, shuffled([d.strftime("%d/%m/%Y") for d in low_days()]))
    assert "received_at" not in p.source.fields
    assert any("%d/%m/%Y" in q and "%m/%d/%Y" in q for q in p.questions)
    assert (
        '# received_at = ["%d/%m/%Y"]' in p.toml
        and '# received_at = ["%m/%d/%Y"]' in p.toml
        and '# received_at = "Received"' in p.toml
    )


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y"])
def test_ticket_numbers_decide(tmp_path, form):
    days = shuffled(list(enumerate(low_days())))
    p = timed(tmp_path, [d.strftime(form) for _, d in days], [5000 + 3 * i for i, _ in days])
    assert p.source.time.formats == {"received_at": [form]} and "rank correlation" in p.toml


def test_a_file_sorted_by_the_written_date_is_no_witness(tmp_path):
    p = timed(tmp_path, sorted(d.strftime("%d/%m/%Y") for d in low_days()), list(range(1, 91)))
    assert "received_at" not in p.source.fields and p.questions


def test_another_column_of_the_file_decides(tmp_path):
    rows = [
        [f"x{i}", words(i), d.strftime("%d/%m/%Y"), (d + timedelta(days=15)).strftime("%d/%m/%Y")]
        for i, d in shuffled(list(enumerate(low_days())))
    ]
    p = check(table(tmp_path / "two.csv", ["Ref", "Complaint", "Date Opened", "Date Closed"], rows))
    assert p.source.time.formats == {"received_at": ["%d/%m/%Y"], "closed_at": ["%d/%m/%Y"]}


def test_the_other_times_of_the_column_decide(tmp_path):
    iso = [(d + timedelta(days=13)).strftime("%Y-%m-%d") for d in low_days(90)[:45]]
    slashes = [d.strftime("%m/%d/%Y") for d in low_days(90)[:45]]
    p = timed(tmp_path, shuffled(iso + slashes))
    assert sorted(p.source.time.formats["received_at"]) == ["%m/%d/%Y", "iso"]


def test_both_orders_in_one_column_ask(tmp_path):
    values = [moment(i).strftime(("%d/%m/%Y", "%m/%d/%Y")[i % 2]) for i in range(100)]
    p = timed(tmp_path, shuffled(values))
    assert "received_at" not in p.source.fields and any("both orders" in q for q in p.questions)


def test_offsets_in_the_values_need_no_zone(tmp_path):
    offsets = ["+01:00", "Z", "-05:00", "+05:30"]
    p = timed(tmp_path, [moment(i).strftime("%Y-%m-%dT%H:%M:%S") + offsets[i % 4] for i in range(60)])
    assert p.source.time.formats == {"received_at": ["iso"]} and not any("time zone" in q for q in p.questions)


def test_some_offsets_still_need_a_zone(tmp_path):
    p = timed(tmp_path, [moment(i).strftime("%Y-%m-%dT%H:%M:%S") + ("Z" if i % 2 else "") for i in range(60)])
    assert p.source.time.zone == "unknown" and any("time zone" in q for q in p.questions)


def test_a_country_suggests_and_does_not_decide(tmp_path):
    path = table(
        tmp_path / "t.csv",
        ["Ref", "Complaint", "Date"],
        [[f"r{i}", words(i), f"{moment(i):%Y-%m-%d %H:%M}"] for i in range(40)],
    )
    p = check(path, country="NG")
    assert (
        p.source.time.zone == "unknown" and p.source.country == "NG" and any("Africa/Lagos" in q for q in p.questions)
    )


def test_day_and_clock_in_two_columns(tmp_path):
    rows = [[i + 100, words(i), f"{moment(i):%d-%b-%Y}", f"{moment(i):%I:%M %p}", "x"] for i in range(60)]
    p = check(table(tmp_path / "d.csv", ["Case No", "Details", "Date of Call", "Time of Call", "z"], rows))
    assert p.source.fields["received_at"] == ["Date of Call", "Time of Call"]
    assert p.source.time.formats == {"received_at": ["%d-%b-%Y %I:%M %p"]}


def test_the_time_inside_an_id(tmp_path):
    ids = [(int(moment(i).timestamp() * 1000) - 1288834974657) << 22 | i for i in range(60)]
    path = tmp_path / "posts.json"
    path.write_text(json.dumps([{"id": n, "text": words(i)} for i, n in enumerate(ids)]))
    p = check(path)
    assert p.source.fields["received_at"] == ["id"] == p.source.fields["source_record_id"]
    assert (p.source.time.formats, p.source.channel) == ({"received_at": ["snowflake"]}, "social")


def test_numbers_that_are_no_times(tmp_path):
    rows = [[1_700_000_000 + i * 977, 45_000 + i, words(i)] for i in range(60)]
    p = check(table(tmp_path / "n.csv", ["Account", "Meter", "Complaint"], rows))
    assert "received_at" not in p.source.fields and any("No column holds a time" in q for q in p.questions)


# --- keys, codes, people


def test_ids_rounded_by_a_spreadsheet_are_no_key(tmp_path):
    rows = [["5.70306E+17", words(i), "negative"] for i in range(60)]
    p = check(table(tmp_path / "air.csv", ["tweet_id", "text", "sentiment"], rows))
    assert "source_record_id" not in p.source.fields and any("rounded" in f for f in p.findings)


def test_ids_that_come_again_are_no_key(tmp_path):
    rows = [[i // 2, words(i), "Open"] for i in range(60)]
    p = check(table(tmp_path / "c.csv", ["Ticket ID", "Message", "Status"], rows))
    assert "source_record_id" not in p.source.fields


def test_the_same_record_twice_is_a_duplicate_not_a_contradiction(tmp_path):
    rows = [[i, words(i), "Open"] for i in [*range(60), 7, 7]]
    p = check(table(tmp_path / "c.csv", ["Ticket ID", "Message", "Status"], rows))
    assert p.source.fields["source_record_id"] == ["Ticket ID"] and any(
        "the same record twice" in f for f in p.findings
    )


def test_row_numbers_are_no_key(tmp_path):
    p = check(table(tmp_path / "c.csv", ["S/N", "Complaint"], [[i, words(i)] for i in range(1, 60)]))
    assert "source_record_id" not in p.source.fields


def test_a_status_without_a_code_is_asked_about(tmp_path):
    rows = [[i, words(i), ("Open", "Closed", "Parked at legal")[i % 3]] for i in range(60)]
    p = check(table(tmp_path / "c.csv", ["Ticket ID", "Message", "Status"], rows))
    assert p.source.values["status"] == {"Open": "acknowledged", "Closed": "closed"}
    assert any("Parked at legal" in q for q in p.questions) and '# "Parked at legal" = ""' in p.toml


def test_state_is_a_place_or_a_status_by_its_values(tmp_path):
    places = check(
        table(
            tmp_path / "a.csv",
            ["Id", "State", "Complaint"],
            [[i, ("Lagos", "Kano", "Rivers")[i % 3], words(i)] for i in range(60)],
        )
    )
    states = check(
        table(
            tmp_path / "b.csv",
            ["Id", "State", "Complaint"],
            [[i, ("Open", "Closed", "Pending")[i % 3], words(i)] for i in range(60)],
        )
    )
    assert places.source.fields["state"] == ["State"] and states.source.fields["status"] == ["State"]


def test_the_operators_own_messages_are_rejected(tmp_path):
    rows = [[i, ("inbound", "outbound")[i % 2], words(i), f"user{i % 9}"] for i in range(60)]
    p = check(table(tmp_path / "m.csv", ["Message ID", "Direction", "Body", "From"], rows))
    assert p.source.reject["agent_reply"].values == ["outbound"] and p.source.personal.fields == ["From"]


def test_nothing_personal_in_what_is_shown(tmp_path):
    rows = [[f"0803{1_234_567 + i}", f"ada{i}@mail.ng", f"Ada Obi {i}", words(i)] for i in range(40)]
    p = check(table(tmp_path / "p.csv", ["Phone", "Email", "Customer Name", "Complaint"], rows))
    shown = proposal_words(p) + p.toml + json.dumps({k: v for k, v in p.to_dict().items() if k != "source"})
    assert not re.search(r"08031234|ada\d+@|Ada Obi|refund", shown)
    assert set(p.source.personal.fields) == {"Phone", "Email", "Customer Name"}


def test_a_hopeless_file_still_gives_a_draft_and_questions(tmp_path):
    p = check(table(tmp_path / "x.csv", ["a", "b"], [[i % 3, i % 2] for i in range(30)]))
    assert len(p.questions) >= 3 and p.source.fields


def test_torn_records_are_said_in_plain_words(tmp_path):
    path = table(tmp_path / "t.csv", ["Ticket ID", "Status", "Complaint"], [[i, "Open", words(i)] for i in range(60)])
    path.write_text(path.read_text() + "61,Open,what,is,this,more\n62,Open,fine and good to read\n")
    p = check(path)
    assert p.n_records == 62 and p.faults["records"].to_pylist() == [1] and "too_many_fields" in proposal_words(p)


def test_a_big_file_is_read_in_part(tmp_path):
    path = table(tmp_path / "big.csv", ["Ticket ID", "Complaint"], [[i, words(i % 50)] for i in range(5000)])
    p = check_file(path, sample_rows=100)
    assert not p.whole and p.n_records >= 1000 and "every tenth" in p.findings[0]


def test_a_time_that_no_format_reads_is_said(tmp_path):
    rows = [[i + 7, f"{1 + i % 28:02}/05/2024 {i % 24:02}h{i % 60:02}", words(i)] for i in range(60)]
    p = check(table(tmp_path / "t.csv", ["Ticket ID", "Date received", "Complaint"], rows))
    assert any("Date received looks like a time" in q for q in p.questions)


def test_columns_of_known_public_exports(tmp_path):
    names = "case_enquiry_id,open_dt,target_dt,closed_dt,case_status,closure_reason,case_title,subject,type"
    names += ",department,source"
    rows = [
        [101_000 + 7 * i, moment(i).isoformat(" "), moment(i + 20).isoformat(" "), moment(i + 9).isoformat(" "), *rest]
        for i, rest in enumerate(
            [("Open", "", words(i), "Parks", "Litter", "DPW", "Constituent Call") for i in range(60)]
        )
    ]
    fields = check(table(tmp_path / "b.csv", names.split(","), rows)).source.fields
    assert {k: v[0] for k, v in fields.items() if k in ("received_at", "expected_resolution_at", "closed_at")} == {
        "received_at": "open_dt",
        "expected_resolution_at": "target_dt",
        "closed_at": "closed_dt",
    }
    assert (fields["source_record_id"], fields["status"], fields["channel"]) == (
        ["case_enquiry_id"],
        ["case_status"],
        ["source"],
    )


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.text(max_size=9), min_size=1, max_size=4), min_size=1, max_size=12))
def test_any_table_gives_a_draft_that_loads_or_a_sentence(tmp_path, rows):
    path = tmp_path / "any.csv"
    path.write_text("\n".join(",".join(r) for r in rows), encoding="utf-8", errors="ignore", newline="")
    try:
        p = check_file(path)
    except BeejanError as e:
        assert str(e)
    else:
        assert p.toml and proposal_words(p)


# --- the pieces


@given(st.lists(st.integers(0, 10**9), min_size=10, max_size=60, unique=True))
def test_rank_correlation_knows_only_order(numbers):
    x = np.array(numbers, float)
    assert rank_correlation(x, np.sqrt(x)) == pytest.approx(1) and rank_correlation(x, -x) == pytest.approx(-1)


def test_alphabetical_files_and_their_row_numbers_are_dismissed():
    written = np.array(sorted(f"{i:03}" for i in range(50)))
    rows, ids = np.arange(50.0), np.random.default_rng(0).random(50)
    assert list(honest_orders(np.arange(50), written, {"row": rows, "id": ids})) == ["id"]


def test_a_weak_witness_does_not_decide():
    rng = np.random.default_rng(0)
    a, b = rng.random(60), rng.random(60)
    assert decide({"%d/%m/%Y": a, "%m/%d/%Y": b}, Witnesses({"id": a + rng.normal(0, 1, 60)})).rivals == [
        "%d/%m/%Y",
        "%m/%d/%Y",
    ]


def test_names_prefer_the_telling_one():
    wanted = ["complaint text", "text", "description"]
    scores = [
        name_score(n, wanted, ["resolution"])
        for n in ("Complaint Text", "body.text", "Product Description", "Resolution Description")
    ]
    assert all(a > b for a, b in pairwise(scores)) and scores[-1] == 0


@given(st.text(max_size=30))
def test_plain_is_stable(name):
    assert plain(plain(name)) == plain(name)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.text(max_size=20), st.integers(1, 9)), max_size=9, unique_by=lambda x: x[0]),
    st.sampled_from(["channel", "status"]),
)
def test_every_spelling_is_a_code_or_open(values, field):
    codes, unknown = guess_codes(values, field)
    assert {*codes, *unknown} == {v for v, _ in values} and not set(codes) & set(unknown)


def test_time_names():
    assert guess_times(["sla_target_dt", "open_dt", "closed_dt"]) == {
        "received_at": "open_dt",
        "closed_at": "closed_dt",
        "expected_resolution_at": "sla_target_dt",
    }
    assert guess_times(["tweet_created"]) == {"received_at": "tweet_created"}
    assert guess_times(["Date received", "Date sent to company"]) == {"received_at": "Date received"}


# --- the real sets

NYC_TIMES = ("received_at", "expected_resolution_at", "closed_at")
REAL = {
    "comcast/comcast_fcc_2015.csv": {"received_at": ["%d-%m-%Y %I:%M:%S %p", "%m/%d/%Y %I:%M:%S %p"]},
    "nyc311/311_Service_Requests.csv": {t: ["%m/%d/%Y %I:%M:%S %p"] for t in NYC_TIMES},
    "nyc311/fhrw-4uyv.json": {t: ["iso"] for t in NYC_TIMES},
    "sentitel/sentitel_dev.json": {"received_at": ["snowflake"]},
    "sentitel/sentitel_train.json": {"received_at": ["snowflake"]},
    "twcs/twcs.csv": {"received_at": ["%a %b %d %H:%M:%S %z %Y"]},
    "nus_sms/smsCorpus_en_xml_2015.03.09_all.zip": {
        "received_at": ["%Y.%m.%d %H:%M:%S", "%Y.%m.%d %H:%M", "%m/%d/%Y %I:%M:%S %p"]
    },  # and one more, six times
    "uci_sms/spam.csv": {},
    "cfpb/train.csv": {},
    "afrisenti/yor/train.tsv": {},
    "afrisenti/pcm/dev.tsv": {},
}


@pytest.mark.parametrize("name", REAL)
def test_real_sets(shared_data, tmp_path, name):
    p = check_file(shared_data / name, data=shared_data, sample_rows=4000)
    (tmp_path / f"{p.source.name}.toml").write_text(p.toml, encoding="utf-8")
    found = load_source(tmp_path / f"{p.source.name}.toml").time.formats
    assert {k: v[:3] for k, v in found.items()} == REAL[name]
    declared = next(s for s in load_sources(SOURCES).values() if (shared_data / name) in source_files(s, shared_data))
    same = ("kind", "encoding", "delimiter", "header", "records")
    assert {k: getattr(p.source.format, k) for k in same} == {k: getattr(declared.format, k) for k in same}
    assert {"text", "subject"} & set(p.source.fields)
    for target in ("text", "source_record_id", "received_at"):
        assert p.source.fields.get(target, [""])[0] in declared.fields.get(target, [""]), target


def test_declared_columns_are_in_the_files(shared_data):
    for source in load_sources(SOURCES).values():
        for file in source_files(source, shared_data)[:1]:
            first = next(iter(read_records(file, source.format, batch_rows=2000)))
            seen = {k for m in first["fields"].to_pylist() for k, _ in m or []}
            used = (
                {c for t, cs in source.fields.items() for c in cs}
                | set(source.personal.fields)
                | {r.field for r in source.reject.values()}
            )
            assert used <= seen, (source.name, used - seen)


def test_the_check_also_says_what_conforming_would_set_aside(tmp_path, monkeypatch):
    """A record that is read and cannot be used is named before it lands, not after."""
    from click.testing import CliRunner

    from beejan.cli import cli

    monkeypatch.chdir(tmp_path)
    days = [f"{d:02}/01/2026 08:10" for d in range(13, 30)]
    rows = [f"{i};No network since morning;{day}" for i, day in enumerate([*days, "99/99/2026"])]
    (tmp_path / "desk.csv").write_text("\n".join(["Ticket;Details;Logged", *rows, "77;;"]) + "\n")
    said = CliRunner().invoke(cli, ["source", "check", "desk.csv"]).output
    assert "What would not get in: 2 of 19 records" in said
    assert "1 × time_unparsed" in said and "1 × no_content" in said
