"""Nobody gets in who may not: every route and every role, from the application's own routing table."""

import json
import re
import socket
import threading
from datetime import UTC, datetime, timedelta
from html import unescape

import pandas as pd
import pytest
import schemathesis
import uvicorn
from click.testing import CliRunner
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from ibis import _
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import status_code_conformance
from starlette.websockets import WebSocketDisconnect
from test_report import ARGS

from beejan.commands.users import user
from beejan.core.lake import Lake, reader, table, writer
from beejan.core.settings import load_settings
from beejan.core.sources import load_sources
from beejan.govern.access import ROLES, TRIES, Who, add_key, add_person, lock_person, session_of, sign_in, visibility
from beejan.govern.audit import audit
from beejan.land.landing import land_source
from beejan.land.synth import synthesise
from beejan.model.metrics import measures
from beejan.operate.transform import transform
from beejan.operate.workspace import make_workspace
from beejan.serve.app import create_app
from beejan.serve.basis import basis
from beejan.serve.desk import Desk, look, sight
from beejan.serve.filters import Choice
from beejan.serve.guard import COOKIE, RULES, rule_of
from beejan.serve.pages import PAGES
from beejan.serve.panels import hour_frame
from beejan.serve.sqlroom import ask_sql

PASSWORD = "a long enough one"


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    space = tmp_path_factory.mktemp("desk") / "team"
    make_workspace(space)
    settings = load_settings(space)
    writer(Lake(settings)).disconnect()
    for role in ROLES:
        add_person(settings, role, role, PASSWORD)
    return settings


@pytest.fixture(scope="module")
def app(settings):
    return create_app(settings)


def routes(app) -> set[str]:
    """Every path that the application answers at, pages and their sockets among them."""
    paths = {r.path for r in app.routes if hasattr(r, "path")} | {*app.openapi()["paths"]}
    return {p.replace("{name}", "duplicate_share") for p in paths} | {
        p.path.rstrip("/") + end for p in PAGES for end in ("/", "/ws", "/autoload.js")
    }


def test_every_route_has_a_rule(app):
    assert [p for p in routes(app) if rule_of(p) is None and rule_of(p.rstrip("/")) is None] == []
    assert all(r.act is None or any(r.act in acts for acts in ROLES.values()) for r in RULES)


@pytest.mark.parametrize("role", [None, *ROLES])
def test_a_route_opens_to_whom_the_table_says(app, settings, role):
    cookies = {COOKIE: sign_in(settings, role, PASSWORD)} if role else {}
    wrong = []
    with TestClient(app, base_url="http://desk", cookies=cookies, follow_redirects=False) as client:
        for path in sorted(routes(app)):
            for method in ("GET", "POST", "DELETE"):
                rule = rule_of(path, method=method) or rule_of(path.rstrip("/"), method=method)
                allowed = rule.act is None or (role and rule.act in ROLES[role])
                if path in ("/sign-in", "/sign-out", "/sql") and method == "POST" and allowed:
                    continue  # looked at below
                status = client.request(method, path).status_code
                expected = 405 if method not in rule.methods else None if allowed else 403 if role else 401
                refused = status if status in (401, 403) else None
                if (expected in (401, 403) and refused != expected) or (expected is None and refused):
                    wrong.append((method, path, status, expected))
                if expected == 405 and status not in (404, 405):
                    wrong.append((method, path, status, expected))
    assert wrong == []


def test_the_sockets_are_behind_the_guard_too(app, settings):
    with TestClient(app, base_url="http://desk") as client:
        for page in PAGES:
            with pytest.raises(WebSocketDisconnect) as e, client.websocket_connect(page.path.rstrip("/") + "/ws"):
                pass
            assert e.value.code == 4401
    token = sign_in(settings, "viewer", PASSWORD)
    with (
        TestClient(app, base_url="http://desk", cookies={COOKIE: token}) as client,
        pytest.raises(WebSocketDisconnect) as e,
        client.websocket_connect("/explore/ws", headers={"origin": "http://evil.example"}),
    ):
        pass
    assert e.value.code == 4403


@pytest.mark.parametrize(
    "path", ["/%2e%2e/people.sqlite", "/reports/../people.sqlite", "/reports/%2e%2e/people.sqlite"]
)
def test_no_path_leads_out_of_the_reports(app, settings, path):
    with TestClient(app, base_url="http://desk", cookies={COOKIE: sign_in(settings, "admin", PASSWORD)}) as client:
        assert client.get(path).status_code == 404


def test_a_session_ends_with_signing_out_with_the_lock_and_with_a_new_password(app, settings):
    with TestClient(app, base_url="http://desk") as client:
        token = client.post("/sign-in", data={"name": "manager", "password": PASSWORD}, follow_redirects=False).cookies
        client.cookies = token
        assert client.post("/sign-out", data={"csrf": "wrong"}).status_code == 403
        who = session_of(settings, token[COOKIE])
        assert client.post("/sign-out", data={"csrf": who.csrf}, follow_redirects=False).status_code == 303
        assert session_of(settings, token[COOKIE]) is None
    token = sign_in(settings, "manager", PASSWORD)
    lock_person(settings, "manager")
    assert session_of(settings, token) is None and sign_in(settings, "manager", PASSWORD) is None
    lock_person(settings, "manager", False)
    token = sign_in(settings, "manager", PASSWORD)
    add_person(settings, "manager", "manager", "another long one")
    assert session_of(settings, token) is None
    add_person(settings, "manager", "manager", PASSWORD)


def test_a_new_password_is_asked_twice_signs_out_and_lifts_the_pause(settings, monkeypatch):
    monkeypatch.setenv("BEEJAN_HOME", str(settings.root))
    add_person(settings, "lost", "manager", PASSWORD)
    token = sign_in(settings, "lost", PASSWORD)
    assert [sign_in(settings, "lost", "a wrong guess") for _ in range(TRIES)] == [None] * TRIES
    assert sign_in(settings, "lost", PASSWORD) is None  # the pause holds for the right one too
    new = "a new and long one"
    for typed, valid in ((f"{new}\nanother\n{new}\n{new}\n", True), ("short\nshort\n", False)):
        done = CliRunner().invoke(user, ["passwd", "lost"], input=typed)
        assert (done.exit_code == 0) == valid and new not in done.output, done.output
    assert session_of(settings, token) is None and sign_in(settings, "lost", PASSWORD) is None
    token = sign_in(settings, "lost", new)
    assert session_of(settings, token).role == "manager"
    last = audit(settings, 1)[0]
    assert (last["who"], last["act"], last["what"]) == ("command line", "password", "lost")
    lock_person(settings, "lost")  # on purpose: a new password does not open it
    done = CliRunner().invoke(user, ["passwd", "lost"], input=f"{new}\n{new}\n")
    assert "still locked out" in done.output and sign_in(settings, "lost", new) is None


def test_a_form_from_elsewhere_signs_nobody_in(app):
    with TestClient(app, base_url="http://desk", headers={"origin": "http://evil.example"}) as client:
        assert client.post("/sign-in", data={"name": "viewer", "password": PASSWORD}).status_code == 403


def test_hostile_words_are_shown_as_words(app):
    hostile = '"><script>alert(1)</script>'
    with TestClient(app, base_url="http://desk", headers={"accept": "text/html"}) as client:
        for answer in (
            client.get("/sign-in", params={"next": "/" + hostile}),
            client.post("/sign-in", data={"name": hostile, "password": hostile, "next": "/" + hostile}),
        ):
            assert "<script>alert" not in answer.text and answer.headers["content-security-policy"]


def test_hostile_words_of_a_query_are_shown_as_words_and_its_form_must_be_ours(app, settings):
    token = sign_in(settings, "analyst", PASSWORD)
    hostile = "SELECT '<script>alert(1)</script>' AS \"<img src=x onerror=alert(2)>\", '</textarea><b>' AS b"
    with TestClient(app, base_url="http://desk", cookies={COOKIE: token}) as client:
        assert client.post("/sql", data={"query": hostile}).status_code == 403
        form = {"query": hostile, "csrf": session_of(settings, token).csrf}
        answer = client.post("/sql", data=form)
        assert answer.status_code == 200 and "1 row" in answer.text
        assert not any(words in answer.text for words in ("<script>alert", "<img src=x", "</textarea><b>"))
        wrong = client.post(
            "/sql", data=form | {"query": "SELECT '<script>alert(1)</script>' FROM \"<script>alert(2)\""}
        )
        assert wrong.status_code == 400 and "<script>alert" not in wrong.text


@pytest.mark.parametrize("words", ["%00", "'%20OR%201=1--", "%F0%9F%92%A9", "%27%27%00"])
def test_no_filter_s_words_break_a_page_or_the_api(app, settings, words):
    with TestClient(app, base_url="http://desk", cookies={COOKIE: sign_in(settings, "manager", PASSWORD)}) as client:
        for path in (
            *(f"/v1/{p}=" for p in ("contacts?channel", "trends?by", "metrics/contacts_received?by", "exports?table")),
            *(f"/{p}=" for p in ("explore?channel", "explore/contacts.csv?channel", "?state", "topics?topic")),
        ):
            assert client.get(path + words).status_code in (200, 400, 404, 422, 503), path  # 503: no marts yet


def test_what_is_taken_out_is_in_the_audit(app, settings, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with TestClient(app, base_url="http://desk", cookies={COOKIE: sign_in(settings, "manager", PASSWORD)}) as client:
        got = client.get("/v1/exports", params={"table": "curated.contact"})
    assert got.status_code == 200 and got.text.startswith('"contact_id"')
    assert [*tmp_path.iterdir()] == []  # nothing stays behind
    last = audit(settings, 1)[0]
    assert (last["who"], last["act"], last["what"]) == ("manager", "export", "/v1/exports?table=curated.contact")


def test_a_name_that_is_nobody_s_is_not_kept(app, settings):
    with TestClient(app, base_url="http://desk") as client:
        client.post("/sign-in", data={"name": "my secret password", "password": "x"})
    assert (audit(settings, 1)[0]["who"], audit(settings, 1)[0]["ok"]) == ("unknown", False)


def test_refusals_are_in_the_audit_without_secrets(app, settings):
    key = add_key(settings, "probe", "viewer")
    with TestClient(app, base_url="http://desk", headers={"authorization": f"Bearer {key}"}) as client:
        assert client.get("/v1/contacts").status_code == 403
    lines = audit(settings)
    assert ("probe", "refused", "/v1/contacts") in [(a["who"], a["act"], a["what"]) for a in lines]
    assert key not in json.dumps(lines) and PASSWORD not in json.dumps(lines)


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A workspace with contacts, in which some roles are limited."""
    space = tmp_path_factory.mktemp("busy") / "team"
    make_workspace(space)
    with (space / "beejan.toml").open("a") as f:
        f.write('[roles.manager]\nchannels = ["sms"]\n[roles.analyst]\nstates = ["unknown", "NG-LA"]\n')
    synthesise(space / "data/synth", contacts=150, days=5)
    lake = Lake(load_settings(space))
    con = writer(lake)
    for source in load_sources(lake.settings.folder("pipelines") / "sources").values():
        land_source(lake, con, source, lake.settings.folder("data"))
    con.disconnect()
    transform(lake)
    for role in ROLES:
        add_person(lake.settings, role, role, PASSWORD)
    return lake.settings


def page_rows(client: TestClient) -> set[str]:
    """The contacts that Explore shows, page after page."""
    found, following = set(), "/explore?days=90"
    while following:
        text = unescape(client.get(following).text)
        found |= {*re.findall(r"[?&]see=([0-9a-f]{16,})", text)}
        key = re.search(r'href="(\?[^"]*)" data-go data-key="next"', text)
        following = "/explore" + key[1] if key else ""
    return found


def test_page_api_export_and_sql_give_a_role_the_same_rows(busy):
    con = reader(Lake(busy))
    fact = table(con, "mart.fact_contact").select("contact_id", "channel", "state", "dated").execute()
    con.disconnect()
    limits = {"manager": fact.channel == "sms", "analyst": fact.state.isin(["unknown", "NG-LA"])}
    app, told = create_app(busy), {}
    for role, acts in ROLES.items():
        meant = {*fact.contact_id[limits.get(role, fact.state.notna())]} if "rows" in acts else set()
        with TestClient(app, base_url="http://desk", cookies={COOKIE: sign_in(busy, role, PASSWORD)}) as client:
            answers = {"page": page_rows(client) if "look" in acts else set()}
            got = client.get("/v1/contacts", params={"limit": 1000})
            answers["api"] = {r["contact_id"] for r in got.json()["items"]} if got.status_code == 200 else set()
            if "look" in acts:
                unseen = next(iter({*fact.contact_id} - meant), None)
                assert unseen is None or "not yours to see" in client.get("/explore", params={"see": unseen}).text
                by_id = client.get("/v1/metrics/first_contact_resolution", params={"by": "case_id"})
                assert by_id.status_code == (200 if "rows" in acts else 400), by_id.text
                missed = {m: client.get(f"/v1/metrics/{m}", params={"by": "source"}).status_code for m in measures()}
                assert {m for m, code in missed.items() if code != 200} <= {"complaints_per_1000", "change"}, missed
            if "export" in acts:
                for path in ("/explore/contacts.csv?days=90", "/v1/exports?table=mart.fact_contact"):
                    lines = client.get(path).text.splitlines()
                    answers[path] = {line.split(",")[0].strip('"') for line in lines[1:]}
            links = client.get("/explore").text.count("Export as CSV")
            assert links == ("export" in acts)
        for name in ("mart.fact_contact", "curated.contact") if "sql" in acts else ():
            answers[name] = {*ask_sql(busy, f"FROM {name}", Who(role, role))["contact_id"].to_pylist()}
            links = ask_sql(busy, "FROM curated.duplicate_link", Who(role, role))
            assert role not in limits or links.num_rows == 0  # it does not say of which channel or state they are
        dated = meant & {*fact.contact_id[fact.dated]}  # a page shows days; what has none is on none
        told[role] = {n: len(rows ^ (dated if n == "page" or "csv" in n else meant)) for n, rows in answers.items()}
        assert bool(meant) == ("rows" in acts)
    assert {role: {how: n for how, n in of.items() if n} for role, of in told.items() if any(of.values())} == {}


@pytest.mark.parametrize("role", ["manager", "analyst", "engineer"])
def test_nothing_that_is_counted_tells_a_limited_role_of_more(busy, role):
    """Sums of days and hours are those of the contacts it sees; a report, which counts all, is shut."""
    who, limited = Who(role, role), role in busy.roles
    seen = {"manager": {"channel": ["sms"]}, "analyst": {"state": ["unknown", "NG-LA"]}}.get(role, {})
    desk = Desk(busy, visibility(busy))
    view = look(desk, who)
    fact = table(desk.con(), "mart.fact_contact").select("channel", "state", "local_date", "local_hour").execute()
    for column, values in seen.items():
        fact = fact[fact[column].isin(values)]
    base = basis(view, Choice(days=90), datetime.now(UTC))
    inside = fact[fact.local_hour.notna() & (fact.local_date >= pd.Timestamp(base.period.first))]
    full = inside[inside.local_date < pd.Timestamp(base.period.first + timedelta(days=base.period.full))]
    assert hour_frame(base)["contacts"].sum() == len(full) > 0
    assert view.ask(sight(view, "mart.rollup_daily").agg(n=_.contacts.sum())).n[0] == len(fact)
    hours = view.ask(sight(view, "mart.rollup_hourly").agg(n=_.contacts.sum().fill_null(0))).n[0]
    assert hours == (0 if "state" in seen else fact.local_hour.notna().sum())
    desk.close()
    (busy.folder("reports") / "index.html").write_text("all contacts")
    with TestClient(
        create_app(busy), base_url="http://desk", cookies={COOKIE: sign_in(busy, role, PASSWORD)}
    ) as client:
        assert client.get("/reports/").status_code == (403 if limited else 200)
        assert ("/reports/" in client.get("/account").text) is not limited


def test_the_openapi_lists_every_rest_route(app, settings):
    with TestClient(app, base_url="http://desk", cookies={COOKIE: sign_in(settings, "viewer", PASSWORD)}) as client:
        known = client.get("/v1/openapi.json").json()["paths"]
    assert {"/v1/contacts", "/v1/metrics", "/v1/metrics/{name}", "/v1/trends", "/v1/exports"} <= set(known)
    assert all(rule_of(path) for path in known)


def test_the_rest_api_does_what_its_openapi_says(app, settings):
    """Property-based calls of every route: no 5xx, no status that the description does not name."""
    headers = {"authorization": f"Bearer {add_key(settings, 'schemathesis', 'analyst')}"}
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", app, headers=headers)
    for found in schema.get_all_operations():

        @effort(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=found.ok().as_strategy())
        def call(case):
            case.call_and_validate(headers=headers, checks=[not_a_server_error, status_code_conformance])

        call()


@pytest.mark.parametrize(("width", "mode"), [(1440, "light"), (390, "dark")])
def test_the_door_and_the_sql_page_in_a_browser(app, chromium, width, mode):
    from playwright.sync_api import sync_playwright

    door = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, args=([door],), daemon=True)
    thread.start()
    home, wrong = f"http://127.0.0.1:{door.getsockname()[1]}", []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=ARGS)
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=mode)
        page.on("request", lambda r: None if r.url.startswith((home, "data:", "blob:")) else wrong.append(r.url))
        page.on("pageerror", lambda e: wrong.append(str(e)))
        page.goto(home + "/sql")
        assert "/sign-in?next=%2Fsql" in page.url
        page.fill("#name", "analyst")
        page.fill("#password", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_selector("#query")
        page.fill("#query", "SELECT '<img src=x onerror=document.title=1>' AS words, 7 AS n")
        page.click(".do button")
        page.wait_for_selector(".answer td.num")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(".answer img").count() == 0
        cookie = next(c for c in page.context.cookies() if c["name"] == COOKIE)
        assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
        page.goto(home + "/account")
        page.click("button[type=submit]")
        page.wait_for_selector("#password")
        browser.close()
    server.should_exit = True
    thread.join(20)
    assert wrong == []
