"""Personal data in text: found in the shapes people write, left alone where it is none, and never lost by redacting."""

import importlib.util
import string
from itertools import pairwise
from pathlib import Path

import ibis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beejan.land.synth import synthesise
from beejan.understand.privacy import PLACEHOLDERS, find_personal, personal_spans, redact, redact_texts, redacted

ROOT = Path(__file__).resolve().parent.parent
_spec = importlib.util.spec_from_file_location("bench_privacy", ROOT / "bench/privacy.py")
bench = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(bench)


def found(text: str) -> list[tuple[str, str]]:
    return [(s.kind, text[s.start : s.end]) for s in personal_spans(text)]


@pytest.mark.parametrize(
    "written",
    ["08035550142", "0803 555 0142", "0803-555-0142", "+234 803 555 0142", "+234 (0) 803 555 0142", "2348035550142",
     "002348035550142", "8035550142", "+44 20 7946 0958", "(555) 555-0100", "01-271 4455"],
)  # fmt: skip
@pytest.mark.parametrize("around", ["call {}", "{}", "call {}, now", "today.{}pls", "({})"])
def test_a_phone_is_found_in_every_spelling_and_beside_anything(written, around):
    text = around.format(written)
    digits = set(string.digits)
    assert not digits & set(redact(text)), redact(text)


@pytest.mark.parametrize(
    "text",
    ["I paid N1,250,000.50 and 12,500 naira", "20GB, 2026-01-04 10:32:11", "dial *556*1# or 30200, sms 3131",
     "ticket KM48812345 of 12/05/2026", "on sunday and monday no joy", "grace period, patience finished, favour us",
     "version 10.2.33 of the app", "2 weeks on the road to the market", "no network in Bello market",
     "4G on my iPhone 13 pro max", "@MTNNG @airtelnigeria do something", "see www.ncc.example", "a b c", "", "   ",
     "\u0000\u202e", "😡😡😡", "call me back please", "my name is not showing", "I am tired of this", "this is bad"],
)  # fmt: skip
def test_what_is_no_personal_data_stays(text):
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "kinds"),
    [("my nin 80312345678", ["nin"]), ("bvn: 22123456789", ["bvn"]), ("acct 8031234567 gtb", ["bank_account"]),
     ("card 4084-0840-8408-4081", ["card"]), ("imei 490154203237518", ["imei"]), ("89234010000123456789", ["sim"]),
     ("dob 1/2/1990", ["birth_date"]), ("my otp is 4411", ["secret"]), ("meter no 45700123456", ["reference"]),
     ("from 10.1.2.3", ["ip"]), ("GB29 NWBK 6016 1331 9268 19", ["iban"]), ("a.b+c@x.example.com", ["email"]),
     ("https://t.co/aBcDeF12", ["url"]), ("@ada_lovesng said", ["handle"]), ("na ebuka be this", ["name"])],
)  # fmt: skip
def test_the_kind_is_right(text, kinds):
    assert [k for k, _ in found(text)] == kinds


def test_own_texts_with_planted_data_are_found_whole_and_nothing_else():
    got = bench.score(bench.labelled())
    assert got["recall all"] >= 0.98 and got["precision"] >= 0.98, got
    small = bench.score(bench.lowered(bench.labelled()))
    assert small["recall structured"] >= 0.98 and small["recall name"] >= 0.85 and small["precision"] >= 0.95, small


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synth") / "made"
    synthesise(folder, contacts=4_000, days=20, seed=7)
    return bench.synthetic(folder)


@pytest.mark.parametrize("small", [False, True], ids=["as written", "small letters"])
def test_the_synthetic_truth_is_found(made, small):
    got = bench.score(bench.lowered(made) if small else made)
    assert got["recall structured"] >= 0.98 and got["recall name"] >= 0.85 and got["precision"] >= 0.95, got


@given(st.text(alphabet=st.sampled_from(string.printable + "ọ́ẹ₦@#+àé😡"), max_size=120))
def test_any_text_is_redacted_without_a_change_outside_the_spans(text):
    spans = personal_spans(text)
    assert all(0 <= s.start < s.end <= len(text) and s.kind in PLACEHOLDERS for s in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    left = redact(text)
    for s in reversed(spans):
        text = text[: s.start] + PLACEHOLDERS[s.kind] + text[s.end :]
    assert left == text


def test_a_long_hostile_text_takes_no_time():
    for unit in (
        "0803 ",
        "1-",
        "a.",
        "my name is ",
        "5 a ",
        "@",
        "Blessing ",
        "http://",
        "0" * 9 + " ",
        "((((",
        "dob ",
    ):
        redact(unit * (20_000 // len(unit)))


def test_the_table_function_keeps_rows_and_nulls(made):
    texts = [t for t, _ in made[:500]] + [None, ""]
    t = ibis.memtable({"seq": range(len(texts)), "text": texts}, schema={"seq": "int64", "text": "string"})
    rows = redacted(t).order_by("seq").to_pyarrow().to_pydict()
    assert rows["text_redacted"] == [*redact_texts(texts[:-2]), None, ""] and rows["text"] == texts
    assert len(find_personal(texts[:3])) == 3
