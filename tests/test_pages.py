"""The live pages as a reader meets them: whole at first, moving afterwards, and never more than one may see."""

import re
import socket
import threading
import urllib.request
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import ibis
import pandas as pd
import pytest
import uvicorn
from fastapi import FastAPI
from test_report import ARGS, LONG

from beejan.core.lake import Lake, commit, overwrite, writer
from beejan.core.settings import Settings, load_settings
from beejan.model import marts
from beejan.operate.workspace import make_workspace
from beejan.serve.desk import Desk, look, sight
from beejan.serve.filters import Choice, address_of, picked, read_address
from beejan.serve.pages import PAGES, mount_pages
from beejan.serve.rows import exported
from beejan.serve.shell import answer

DAYS = 60
NOW = datetime.now(UTC)
CHANNELS = ("sms", "call", "social", "app")
STATES = ("NG-LA", "NG-KN", "unknown")


def contacts(many: int) -> pd.DataFrame:
    """Made-up contacts of the last 60 days, the newest today."""
    rows = []
    for i in range(many):
        moment = NOW - timedelta(minutes=5 + i * DAYS * 24 * 60 // max(many, 1))
        category = ("billing_charging", "data_internet", "unclassified")[i % 7 % 3]
        rows.append((f"{i:032x}", CHANNELS[i % 4], category, STATES[i % 5 % 3], f"feed_{i % 2}", moment, moment.date()))
    columns = ["contact_id", "channel", "category_code", "state", "source", "received_at", "local_date"]
    frame = pd.DataFrame(rows, columns=columns).assign(status="pending", is_duplicate=False)
    return frame.astype({"received_at": "datetime64[us, UTC]"})


def put(settings: Settings, fact: pd.DataFrame) -> None:
    """Write the marts of some contacts."""
    kinds = dict.fromkeys(("contact_id", "channel", "category_code", "state", "source", "status"), "string")
    kinds |= {"received_at": "timestamp('UTC')", "local_date": "date", "is_duplicate": "boolean"}
    rows = ibis.memtable(fact[list(kinds)], schema=kinds)
    hour = rows.received_at.truncate("h").cast("timestamp")
    rows = rows.mutate(local_hour=hour, dated=ibis.literal(True), n_flags=ibis.literal(0))
    made = {"fact_contact": rows, "rollup_daily": marts.rollup_daily(rows), "rollup_hourly": marts.rollup_hourly(rows)}
    made |= {
        "dim_channel": marts.dim_channel(),
        "dim_category": marts.dim_category(),
        "dim_place": marts.dim_place("NG"),
    }
    made["dim_source"] = ibis.memtable(
        {"source": ["feed_0", "feed_1"], "title": ["Calls", LONG], "every": ["1d", "1h"]}
    )
    con = writer(Lake(settings))
    commit(Lake(settings), con, lambda c: [overwrite(c, f"mart.{n}", t) for n, t in made.items()], "test")
    con.disconnect()


def workspace_with(folder: Path, many: int) -> Settings:
    make_workspace(folder)
    settings = load_settings(folder)
    put(settings, contacts(many))
    return settings


def visible(t: Any, who: Any, counted: bool = False) -> Any:
    """Rules for the tests: a reader with `channels` sees those alone."""
    return t.filter(t.channel.isin(who.channels)) if who is not None and "channel" in t.columns else t


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return workspace_with(tmp_path_factory.mktemp("pages") / "team", 3000)


@pytest.fixture(scope="module")
def desk(filled: Settings) -> Iterator[Desk]:
    desk = Desk(filled, visible, patience=0)
    yield desk
    desk.close()


# ---- without a browser --------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.key)
@pytest.mark.parametrize("many", [None, 0, 1])
def test_a_page_without_data_says_why_and_what_to_do(page, many, tmp_path):
    if many is None:
        make_workspace(tmp_path / "team")
        settings = load_settings(tmp_path / "team")
    else:
        settings = workspace_with(tmp_path / "team", many)
    desk = Desk(settings)
    parts = answer(page, look(desk), Choice())
    desk.close()
    assert not [key for key, html in parts.items() if "failed" in html]
    assert "<h1>" in parts["head"]
    if many is None:
        assert "beejan run ingest" in parts["head"]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.key)
def test_no_part_fails_and_every_number_opens(page, desk):
    for address in (
        "?",
        "?days=7&channel=-sms",
        "?lens=state&state=NG-LA",
        "?until=2001-01-01",
        "?why=contacts",
        "?why=late",
    ):
        choice = read_address({k: [v] for k, v in (p.split("=") for p in address[1:].split("&") if p)})
        parts = answer(page, look(desk), choice)
        assert not [key for key, html in parts.items() if "failed" in html], (address, parts)


def test_the_address_says_everything_and_hostile_words_stay_words(desk):
    evil = "<script>alert(1)</script>"
    choice = read_address(
        {"channel": [evil, f"-{evil}"], "days": [evil], "after": [evil], "see": [evil], "why": [evil]}
    )
    for page in PAGES:
        assert evil not in "".join(answer(page, look(desk), choice).values())
    assert read_address({"days": ["0"]}).faults and read_address({"until": ["31/1/2026"]}).faults
    again = read_address(parse_qs(address_of(choice).removeprefix("?")))
    assert (again.wanted, again.unwanted) == (choice.wanted, choice.unwanted)


def test_pages_of_rows_meet_without_gap_or_repetition(desk):
    from beejan.serve.basis import basis
    from beejan.serve.filters import page_key
    from beejan.serve.rows import SIZE, chosen_rows, enough_days, page_of

    view, after, seen = look(desk), "", []
    for _ in range(1000):
        base = basis(view, Choice(days=7, after=after))
        frame = view.ask(page_of(chosen_rows(sight(view, "mart.fact_contact"), base.choice, enough_days(base)), after))
        seen += list(frame["contact_id"][:SIZE])
        if len(frame) <= SIZE:
            break
        after = page_key(frame["received_at"].iloc[SIZE - 1], frame["contact_id"].iloc[SIZE - 1])
    every = "".join(piece.decode() for piece in exported(view, Choice(days=7))).splitlines()[1:]
    assert [line.split(",")[0].strip('"') for line in every] == seen and len(seen) == len(set(seen)) > 300


def test_two_readers_never_share_what_one_of_them_may_not_see(desk):
    some, every = SimpleWho(("sms",)), SimpleWho(CHANNELS)
    for who, expected in ((every, 4), (some, 1), (every, 4), (SimpleWho(("sms", "app")), 2)):
        html = answer(PAGES[1], look(desk, who), Choice(days=30))["channel"]
        assert len(set(re.findall(r'data-key="channel-(\w+)"', html)) & set(CHANNELS)) == expected
    text = b"".join(exported(look(desk, some), Choice())).decode()
    assert '"sms"' in text and '"call"' not in text
    call = f"{1:032x}"  # a call: its story is not for this reader
    assert "not yours to see" in answer(PAGES[1], look(desk, some), Choice(see=call))["drawer"]
    assert look(desk, some).scope != look(desk, every).scope == look(desk, SimpleWho(CHANNELS)).scope


class SimpleWho(SimpleNamespace):
    """A reader, as hashable as the application's."""

    def __init__(self, channels: tuple[str, ...]) -> None:
        super().__init__(channels=channels)

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self.channels)


def test_a_filter_narrows_every_part_but_its_own_list(desk):
    parts = answer(PAGES[1], look(desk), picked(Choice(days=30), "channel", "sms"))
    whole = answer(PAGES[1], look(desk), Choice(days=30))
    assert parts["channel"].count('<li class="bar-row') == whole["channel"].count('<li class="bar-row') == 4
    assert parts["category"] != whole["category"]


# ---- with one --------------------


@pytest.fixture(scope="module")
def address(filled: Settings) -> Iterator[str]:
    """The pages, served on loopback."""
    app = FastAPI()
    desk = mount_pages(app, filled)
    door = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, args=([door],), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{door.getsockname()[1]}"
    server.should_exit = True
    thread.join(20)
    desk.close()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=chromium, args=ARGS)
        yield found
        found.close()


def visit(browser: Any, url: str, width: int = 1440, mode: str = "light") -> tuple[Any, list[str]]:
    """Open a page and wait for its socket; everything asked for outside, and every complaint of the browser."""
    page, wrong = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=mode), []
    home = url.split("/", 3)[2]
    page.on("request", lambda r: None if home in r.url or r.url.startswith(("blob:", "data:")) else wrong.append(r.url))
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    page.goto(url)
    page.wait_for_selector("html[data-live]", state="attached", timeout=60_000)
    return page, wrong


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_every_page_fits_asks_nothing_outside_and_complains_of_nothing(browser, address, width):
    for one in PAGES:
        page, wrong = visit(browser, address + one.path, width, "dark" if width == 1024 else "light")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, one.key
        assert page.locator("h1").inner_text() and not wrong, wrong
        page.close()


def test_a_click_changes_the_page_in_place_and_the_address_with_it(browser, address):
    page, wrong = visit(browser, address + "/explore?days=30")
    page.evaluate("window.same = true")
    before = page.locator(".part-cards .value").first.inner_text()
    page.click('[data-key="channel-sms"]')
    page.wait_for_selector('.chip:has-text("SMS")')
    assert "channel=sms" in page.url and page.evaluate("window.same")
    assert page.locator(".part-cards .value").first.inner_text() != before
    page.click('.chip [data-key^="flip"]')
    page.wait_for_selector(".chip.off")
    assert "channel=-sms" in page.url
    page.go_back()
    page.wait_for_selector(".chip:not(.off)")
    page.click('[data-key="clear"]')
    page.wait_for_selector(".chip", state="detached")
    assert (
        page.locator(".part-cards .value").first.inner_text() == before and page.evaluate("window.same") and not wrong
    )
    page.close()


def test_a_number_opens_where_it_comes_from_and_escape_closes_it(browser, address):
    page, wrong = visit(browser, address + "/")
    page.locator(".number").first.click()
    drawer = page.wait_for_selector(".drawer")
    text = drawer.inner_text()
    assert all(word in text for word in ("Meaning", "Formula", "Snapshot", "Run", "n")) and "why=contacts" in page.url
    page.keyboard.press("Escape")
    page.wait_for_selector(".drawer", state="detached")
    page.goto(address + "/explore?days=30")
    page.locator(".part-rows tbody a").first.click()
    assert "Contact" in page.wait_for_selector(".drawer").inner_text() and not wrong
    page.close()


def test_the_links_work_without_a_socket(address):
    with urllib.request.urlopen(address + "/explore?channel=-sms&days=30", timeout=60) as got:
        html = got.read().decode()
    assert 'class="chip off"' in html and 'href="?channel=sms&amp;days=30"' in html
    with urllib.request.urlopen(address + "/explore/contacts.csv?channel=sms", timeout=60) as got:
        lines = got.read().decode().splitlines()
    assert len(lines) > 100 and all('"sms"' in line for line in lines[1:])


def test_what_is_new_in_the_lake_comes_by_itself(browser, tmp_path):
    settings = workspace_with(tmp_path / "team", 40)
    app = FastAPI()
    desk = mount_pages(app, settings)
    door = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, args=([door],), daemon=True)
    thread.start()
    page, wrong = visit(browser, f"http://127.0.0.1:{door.getsockname()[1]}/explore?days=365")
    assert page.locator("h1").inner_text().startswith("40 contacts")
    put(settings, contacts(50))
    page.wait_for_selector('h1:has-text("50 contacts")', timeout=60_000)
    page.close()
    server.should_exit = True
    thread.join(20)
    desk.close()
    assert not wrong


def test_the_days_with_data_are_compared_where_they_can_be():
    from beejan.serve.filters import period_of

    assert period_of(Choice(), date(2026, 1, 1), date(2026, 1, 30), date(2026, 1, 30)).days == 14
