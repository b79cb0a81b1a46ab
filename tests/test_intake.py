"""POST /v1/contacts: accepted means durable, asked again means once, whatever is wrong is one sentence."""

import json

import pytest
import schemathesis
from brokers import nats
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import status_code_conformance

from beejan.core.lake import Lake, table, writer
from beejan.core.settings import Settings
from beejan.govern.access import add_key
from beejan.land.brokers import open_feed, stream_sources
from beejan.land.streams import consume
from beejan.operate.transform import transform
from beejan.operate.workspace import make_workspace
from beejan.serve.app import create_app
from beejan.serve.intake import LARGEST

BODY = {"text": "No network in Ibadan since morning", "phone": "0803 000 0001", "city": "Ibadan", "state": "Oyo State"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    space = tmp_path_factory.mktemp("intake")
    make_workspace(space)
    settings = Settings(root=space, streams={"broker": "nats"})
    writer(Lake(settings)).disconnect()
    return settings


@pytest.fixture(scope="module")
def door(settings):
    with TestClient(create_app(settings), base_url="http://desk") as client:
        yield client


@pytest.fixture(scope="module")
def sender(settings):
    return {"authorization": f"Bearer {add_key(settings, 'chatbot', 'system')}"}


def test_a_broker_that_is_down_is_said_and_nothing_is_accepted(door, sender):
    said = door.post("/v1/contacts", json=BODY, headers=sender)
    assert (said.status_code, said.headers["retry-after"]) == (503, "5")
    assert said.headers["content-type"] == "application/problem+json" and "send it again" in said.json()["title"]


def test_accepted_is_durable_and_asked_again_is_once(door, sender, settings):
    with nats(settings):
        keyed = sender | {"idempotency-key": "k1"}
        first, again = (door.post("/v1/contacts", json=BODY, headers=keyed) for _ in range(2))
        assert (first.status_code, again.status_code, first.json()) == (202, 202, again.json())
        assert again.headers["idempotent-replayed"] == "true"
        other = door.post("/v1/contacts", json=BODY | {"text": "Too dear"}, headers=keyed)
        assert other.status_code == 422 and "another body" in other.json()["title"]
        free = [door.post("/v1/contacts", json=BODY, headers=sender).json()["receipt"] for _ in range(2)]
        assert len({first.json()["receipt"], *free}) == 3
        source = stream_sources(settings)["intake"]
        feed, con = open_feed(settings, source), writer(Lake(settings))
        assert feed.waiting({}) == 3
        while consume(Lake(settings), con, source, feed):
            pass
        feed.close()
    transform(Lake(settings))
    rows = table(con, "curated.contact").filter(lambda t: t.source == "intake").to_pandas()
    con.disconnect()
    assert set(rows.source_record_id) == {first.json()["receipt"], *free}
    assert set(rows.channel) == {"app"} and set(rows.state) == {"NG-OY"} and rows.customer_key.nunique() == 1


def test_wrong_bodies_are_refused_with_the_field(door, sender):
    def said(**request):
        answer = door.post("/v1/contacts", **({"headers": sender} | request))
        return answer.status_code, answer.json()["title"]

    assert said(content=b"{", headers=sender | {"content-type": "application/json"})[0] == 422
    assert said(json=BODY | {"chanel": "sms"}) == (422, "chanel: Extra inputs are not permitted. See /v1/openapi.json.")
    assert said(json={})[1].startswith("text: Field required")
    assert said(json=BODY | {"received_at": "yesterday"})[1].startswith("received_at: ")
    assert said(content=b"a" * (LARGEST + 1), headers=sender | {"content-type": "application/json"})[0] == 413
    assert said(content=b"text", headers=sender | {"content-type": "text/plain"})[0] == 415
    assert said(json=BODY, headers=sender | {"idempotency-key": "k" * 201})[0] == 422


def test_only_a_sender_may_send_and_it_may_do_nothing_else(door, sender, settings):
    reader = {"authorization": f"Bearer {add_key(settings, 'reader', 'analyst')}"}
    assert door.post("/v1/contacts", json=BODY).status_code == 401
    assert door.post("/v1/contacts", json=BODY, headers=reader).status_code == 403
    assert {door.get(p, headers=sender).status_code for p in ("/v1/contacts", "/v1/metrics", "/explore", "/sql")} == {
        403
    }
    assert door.get("/v1/contacts", headers=reader).status_code == 200


def test_it_does_what_its_openapi_says(sender, settings):
    app = create_app(settings)
    headers = sender | {"accept": "application/json"}
    reads = {"authorization": f"Bearer {add_key(settings, 'describes', 'viewer')}"}
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", app, headers=reads)
    known = [o.ok() for o in schema.get_all_operations()]
    (found,) = [o for o in known if (o.method.upper(), o.path) == ("POST", "/v1/contacts")]
    with nats(settings):

        @effort(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=found.as_strategy())
        def call(case):
            answer = case.call(headers=headers)
            case.validate_response(answer, checks=[not_a_server_error, status_code_conformance])
            assert answer.status_code in (202, 422) and json.loads(answer.content)

        call()
