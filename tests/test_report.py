"""The report as a reader meets it: from a file, network off, narrow and wide, light and dark, empty and overfull."""

import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
import report_marts as made

from beejan.core.errors import InputError
from beejan.serve.reports import bokeh_inline, daily_report, index_report
from beejan.serve.theme import GROUND

MORNING = datetime(2026, 11, 19, 5, 30, tzinfo=UTC)
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
LONG = "Supercalifragilisticexpialidocious_feed_name_without_any_break_at_all_whatsoever"
# every canvas of a plot lies in a shadow root; one that holds a visible pixel counts as painted
PAINTED = """() => [...document.querySelectorAll('.plot')].map(plot => {
  const canvases = [];
  const walk = node => node.querySelectorAll('*').forEach(el => {
    if (el.tagName === 'CANVAS') canvases.push(el);
    if (el.shadowRoot) walk(el.shadowRoot);
  });
  walk(plot);
  const data = c => {
    const copy = new OffscreenCanvas(c.width, c.height).getContext('2d', {willReadFrequently: true});
    copy.drawImage(c, 0, 0);
    return copy.getImageData(0, 0, c.width, c.height).data;
  };
  return canvases.some(c => c.width && c.height && data(c).some(v => v > 0));
})"""
DANGLING = """() => ['aria-labelledby', 'aria-describedby', 'href'].flatMap(name =>
  [...document.querySelectorAll(`[${name}]`)].map(e => e.getAttribute(name).replace('#', ''))
).filter(id => !document.getElementById(id))"""


def long_marts() -> dict:
    "Millions of contacts under names that nobody would choose, and books that do not balance."
    daily = made.rollup_daily().assign(channel="a_new_channel_with_a_name_nobody_expected_to_be_this_long", source=LONG)
    for column in ("contacts", "duplicates", "unique_contacts", "unclassified"):
        daily[column] *= 1000
    books = made.books().assign(source=[LONG, "b", "c", "d"])
    books.iloc[:, 1:] *= 100_000
    books.loc[1, "loaded"] -= 3
    labels = [(code, f"Donaudampfschifffahrtselektrizitätenhauptbetriebswerk {code}") for code in made.CATEGORIES]
    return made.marts(daily, dim_category=pd.DataFrame(labels, columns=["category_code", "label"]), books=books)


def few_marts(rows: int) -> dict:
    "No row, or one."
    daily, cut = made.rollup_daily(), slice(0, rows)
    last = daily[daily["local_date"] == made.UNTIL]
    return made.marts(
        last.iloc[cut],
        made.rollup_hourly(daily).iloc[-1:].iloc[cut],
        books=made.books().iloc[cut],
        quality=made.quality().iloc[1 : 1 + rows],
        quarantine=made.quarantine().iloc[cut],
    )


def undated_marts() -> dict:
    "Contacts, none of them dated."
    daily = made.rollup_daily()
    return made.marts(daily[daily["local_date"].isna()], made.rollup_hourly(daily).iloc[:0])


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "A folder with a report of every kind, and its index."
    folder = tmp_path_factory.mktemp("reports")
    kinds = {
        "daily": (made.marts(), 28, MORNING),
        "running": (made.marts(), 7, MORNING - timedelta(hours=20)),
        "long": (long_marts(), 29, MORNING),
        "zero": (few_marts(0), 28, MORNING),
        "one": (few_marts(1), 28, MORNING),
        "undated": (undated_marts(), 28, MORNING),
    }
    for name, (marts, days, when) in kinds.items():
        daily_report(
            marts,
            until=made.UNTIL,
            days=days,
            out=folder / f"{name}.html",
            operator="Example Telecom",
            snapshot=1042,
            run_id="run-1",
            generated_at=when,
        )
    index_report(folder)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator:
    "A headless Chromium; without one these tests are skipped aloud, and fail under CI."
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("BEEJAN_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"no browser: none of {', '.join(names)} is installed, nor is BEEJAN_CHROMIUM set"
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=path, args=ARGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser) -> Iterator:
    "A page without a network; a request that is not for a file, an error or a warning on the console fails the test."
    context = browser.new_context(viewport={"width": 1440, "height": 900}, offline=True)
    page, faults = context.new_page(), []
    page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else faults.append(r.url))
    page.on("console", lambda m: faults.append(m.text))
    page.on("pageerror", lambda e: faults.append(str(e)))
    yield page
    context.close()
    assert not faults


def opened(page, path: Path):
    "Open a report and wait until its plots are drawn."
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", timeout=20_000)
    return page


@pytest.mark.browser
@pytest.mark.parametrize("kind", ["daily", "running", "long", "zero", "one", "undated"])
def test_it_fits_every_screen_and_every_plot_is_painted(page, shelf: Path, kind: str) -> None:
    "Three widths in light, then the system turns dark on a phone."
    opened(page, shelf / f"{kind}.html")
    for width, mode in ((1440, "light"), (1024, "light"), (390, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 844})
        page.emulate_media(color_scheme=mode)
        page.wait_for_selector(f"html[data-ready={mode}]")
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (kind, width, mode)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == f"rgb{tuple(bytes.fromhex(getattr(GROUND['page'], mode)[1:]))}"
        assert all(page.evaluate(PAINTED)), (kind, width, mode)
        top = page.locator("h1").bounding_box()["y"], page.locator(".card .value").first.bounding_box()["y"]
        assert max(top) < 844, "the first screen must hold the answer"


@pytest.mark.browser
def test_the_reader_can_switch_the_theme_and_it_is_drawn_again(page, shelf: Path) -> None:
    opened(page, shelf / "daily.html").click("[data-switch]")
    page.wait_for_selector("html[data-ready=dark]")
    assert all(page.evaluate(PAINTED))
    assert page.locator("[data-switch]").get_attribute("aria-label") == "Switch to the light page"


@pytest.mark.browser
def test_every_plot_has_words_and_a_table_and_every_name_resolves(page, shelf: Path) -> None:
    opened(page, shelf / "daily.html")
    plots = page.locator(".plot").all()
    assert len(plots) == 6
    for plot in plots:
        assert len(page.locator(f"#{plot.get_attribute('aria-describedby')}").text_content()) > 40
        assert (
            page.locator(f"section:has(#{plot.locator('div').first.get_attribute('id')}) .behind tbody tr").count() > 2
        )
    broken = page.evaluate(DANGLING)
    assert broken == []
    assert page.locator("h1").count() == 1 and page.locator("main h2").count() >= 15


@pytest.mark.browser
def test_a_question_mark_opens_by_keyboard_and_closes_with_escape(page, shelf: Path) -> None:
    opened(page, shelf / "daily.html")
    why = page.locator(".cards .why summary").nth(1)
    why.focus()
    page.keyboard.press("Enter")
    told = page.locator(".cards .why[open] p")
    assert "same days" in told.text_content()
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 844})
        box = told.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
    page.keyboard.press("Escape")
    assert page.locator(".why[open]").count() == 0


@pytest.mark.browser
def test_paper_gets_the_tables_and_a_picture_of_each_plot(page, shelf: Path) -> None:
    opened(page, shelf / "daily.html")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("canvas.on-paper").count() == 6 and page.locator("details.behind:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("canvas.on-paper").count() == 0 and page.locator("details.behind[open]").count() == 0


@pytest.mark.browser
def test_the_index_opens_its_newest_report(page, shelf: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto((shelf / "index.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    links = page.locator(".shelf a")
    assert links.count() == 6 and "so far" in links.last.text_content()
    links.first.click()
    page.wait_for_selector("html[data-ready]")


def test_no_words_of_a_customer_and_no_markup_from_data(tmp_path: Path) -> None:
    daily = made.rollup_daily(days=3).assign(text="my number is 0803 555 0199", text_redacted="0803 555 0199")
    evil = "</script><script>alert(1)</script>"
    labels = pd.DataFrame([("call", evil)], columns=["channel", "label"])
    aside = made.quarantine().assign(detail="could not read 0803 555 0199")
    path = daily_report(
        made.marts(daily, quarantine=aside, dim_channel=labels),
        until=made.UNTIL,
        days=1,
        out=tmp_path / "r.html",
        operator=evil,
    )
    text = path.read_text(encoding="utf-8")
    assert "0803" not in text and "alert(1)</script>" not in text and "alert(1)" in text


def test_a_report_is_one_file_that_fetches_nothing(shelf: Path) -> None:
    for path in shelf.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "default-src 'none'" in text
        own = text.replace(bokeh_inline(), "")
        assert not re.findall(r"<(?:script|img|iframe|link)[^>]+(?:src|href)=|@import|url\(", own)
        assert path.stat().st_size < 2_000_000


def test_a_missing_mart_is_named(tmp_path: Path) -> None:
    marts = {name: table for name, table in made.marts().items() if name != "books"}
    with pytest.raises(InputError, match="books"):
        daily_report(marts, until=made.UNTIL, days=28, out=tmp_path / "r.html")
    assert list(tmp_path.iterdir()) == []
