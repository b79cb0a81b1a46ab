"""Nobody gets in who may not: every route and every role, from the application's own routing table."""

import json

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from beejan.core.lake import Lake, writer
from beejan.core.settings import load_settings
from beejan.govern.access import ROLES, add_key, add_person, lock_person, session_of, sign_in
from beejan.govern.audit import audit
from beejan.operate.workspace import make_workspace
from beejan.serve.app import create_app
from beejan.serve.guard import COOKIE, RULES, rule_of
from beejan.serve.pages import PAGES

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
            rule = rule_of(path) or rule_of(path.rstrip("/"))
            for method in ("GET", "POST", "DELETE"):
                if path in ("/sign-in", "/sign-out") and method == "POST":
                    continue  # looked at below
                status = client.request(method, path).status_code
                allowed = rule.act is None or (role and rule.act in ROLES[role])
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


def test_refusals_are_in_the_audit_without_secrets(app, settings):
    key = add_key(settings, "probe", "viewer")
    with TestClient(app, base_url="http://desk", headers={"authorization": f"Bearer {key}"}) as client:
        assert client.get("/v1/contacts").status_code == 403
    lines = audit(settings)
    assert ("probe", "refused", "/v1/contacts") in [(a["who"], a["act"], a["what"]) for a in lines]
    assert key not in json.dumps(lines) and PASSWORD not in json.dumps(lines)


def test_the_openapi_lists_every_rest_route(app, settings):
    with TestClient(app, base_url="http://desk", cookies={COOKIE: sign_in(settings, "viewer", PASSWORD)}) as client:
        known = client.get("/v1/openapi.json").json()["paths"]
    assert {"/v1/contacts", "/v1/metrics", "/v1/metrics/{name}", "/v1/trends"} <= set(known)
    assert all(rule_of(path) for path in known)
