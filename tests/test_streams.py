"""Live channels: real brokers, offsets in the records' transaction, poison, two consumers, a broker that dies."""

import json
import shutil
import threading
import time

import pytest
from brokers import nats, start_nats, tansu

from beejan.core.errors import BrokerError, DeclarationError
from beejan.core.lake import Lake, reader, table, writer
from beejan.core.settings import Settings
from beejan.core.sources import parse_source
from beejan.govern.persons import Person, pattern
from beejan.land.brokers import forget, open_feed, stream_sources
from beejan.land.streams import Message, StaleConsumerError, consume, land_messages, positions
from beejan.operate.books import lake_books
from beejan.operate.follow import Line, follow, let_go, stream_lags, take
from beejan.operate.transform import transform
from beejan.operate.workspace import make_workspace


@pytest.fixture
def settings(tmp_path):
    make_workspace(tmp_path)
    return Settings(root=tmp_path, streams={"broker": "nats"})


def sms(
    i: int, text: str = "No network in Ibadan since morning", at: str = "2026-03-01T08:00:00Z"
) -> tuple[str, bytes]:
    record = {"id": f"m{i}", "from": f"+23480300{i:05d}", "text": f"{text} {i}", "at": at}
    return f"m{i}", json.dumps(record).encode()


def wait_for(found, patience: float = 150):
    until = time.monotonic() + patience
    while not (value := found()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)
    return value


def landed(con, source) -> int:
    sql = "SELECT coalesce(sum(received), 0) FROM lake.raw.batch WHERE source = $s"
    return con.raw_sql(sql, parameters={"s": source.name}).fetchone()[0]


@pytest.fixture(params=["nats", "kafka"])
def live(request, tmp_path):
    """A workspace with a broker, for both kinds."""
    make_workspace(tmp_path)
    if request.param == "nats":
        settings = Settings(root=tmp_path, streams={"broker": "nats"})
        with nats(settings):
            yield settings
    else:
        with tansu(tmp_path) as address:
            yield Settings(root=tmp_path, streams={"broker": "kafka", "url": address})


def test_every_message_lands_once_and_poison_goes_to_quarantine(live):
    source, lake = stream_sources(live)["synth_sms_live"], Lake(live)
    feed, con = open_feed(live, source), writer(lake)
    poison = [b'{"id": "torn", "text": "no net', b"\xff\xfe", b'"a text"', b'{"a":' * 200]
    feed.publish([*map(sms, range(2000)), *(("", p) for p in poison), *map(sms, range(2000, 3000))])
    wait_for(lambda: consume(lake, con, source, feed, most=700) is None and landed(con, source) >= 3004)
    assert landed(con, source) == 3004 and sum(positions(con, source.name).values()) >= 3000
    transform(lake)
    books = {r["source"]: r for r in lake_books(con).to_pyarrow().to_pylist()}["synth_sms_live"]
    assert (books["received"], books["loaded"], books["quarantined"], books["balanced"]) == (3004, 3000, 4, True)
    reasons = set(table(con, "curated.quarantine").reason.execute())
    assert reasons == {"torn_record", "bad_encoding", "bad_json", "too_deep"}
    assert feed.waiting(positions(con, source.name)) == 0
    feed.close()
    con.disconnect()


def test_a_stale_consumer_is_refused_and_writes_nothing(live):
    source, lake = stream_sources(live)["synth_sms_live"], Lake(live)
    feed, one, two = open_feed(live, source), writer(lake), writer(lake)
    feed.publish([*map(sms, range(100))])
    believed: dict[int, int] = {}
    messages = wait_for(lambda: feed.fetch(believed, 40, 0.5))
    land_messages(lake, one, source, messages, believed)
    with pytest.raises(StaleConsumerError, match="Another consumer of synth_sms_live"):
        land_messages(lake, two, source, messages[:7], believed)  # other batch, same place: it would be twice
    assert landed(two, source) == len(messages) == table(two, "raw.record").count().execute()
    feed.close()
    one.disconnect(), two.disconnect()


def test_the_consumer_outlives_the_broker_and_late_messages_count_on_their_day(settings):
    stop, said, total = threading.Event(), [], []
    running = start_nats(settings)
    following = threading.Thread(target=lambda: total.append(follow(settings, stop, said.append)))
    following.start()
    try:
        source = stream_sources(settings)["synth_sms_live"]
        feed = open_feed(settings, source)
        feed.publish([*map(sms, range(50)), sms(50, at="2026-02-11T23:30:00Z")])
        wait_for(lambda: Lake(settings).exists() and days(settings).get("2026-03-01") == 50)
        running.kill()
        running.wait()
        feed.close()
        wait_for(lambda: any("does not answer" in words for words in said))
        running = start_nats(settings)
        feed = open_feed(settings, source)
        feed.publish([*map(sms, range(45, 60))])  # 45 to 50 again: the publisher was not sure
        feed.close()
        wait_for(lambda: days(settings).get("2026-03-01") == 59)
    finally:
        stop.set()
        following.join()
        running.kill()
        running.wait()
    assert total and days(settings) == {"2026-02-12": 1, "2026-03-01": 59}  # 23:30 UTC is the next day in Lagos
    assert any("answers again" in words for words in said)
    assert not any("Ibadan" in words or "+234" in words for words in said)


def days(settings) -> dict[str, int]:
    con = reader(Lake(settings))
    try:
        if not con.raw_sql("FROM duckdb_tables() WHERE table_name = 'fact_contact'").fetchone():
            return {}
        sql = "SELECT local_date::VARCHAR, count(*) FROM lake.mart.fact_contact GROUP BY 1"
        return dict(con.raw_sql(sql).fetchall())
    finally:
        con.disconnect()


def on_disk(settings) -> bool:
    blocks = (settings.root / "streams").rglob("*.blk")
    return any(b"+2348030000077" in p.read_bytes() for p in blocks)


def test_the_broker_forgets_a_person_on_its_disk(settings):
    with nats(settings):
        feed = open_feed(settings, stream_sources(settings)["synth_sms_live"])
        feed.publish([*map(sms, range(200))])
        assert on_disk(settings)
        assert forget(settings, r"\+2348030000077") == 1
        assert not on_disk(settings) and len(feed.fetch({}, 500, 0)) == 199
        feed.close()


def test_the_broker_forgets_a_person_however_the_message_is_written(settings):
    person = Person(("8030000077",), ("adé nwosu",))
    said = {
        "escaped digits": r'{"from": "+\u0032\u0033\u00348030000\u003077", "text": "no network"}',
        "an escaped name": r'{"from": "1", "text": "this is Ad\u00e9 Nwosu"}',
        "an escaped name in capitals": r'{"from": "1", "text": "AD\u00c9 \u004eWOSU complains"}',
        "other notation": '{"from": "0803 / 000 / 0077", "text": "no network"}',
        "a number": '{"from": 2348030000077, "text": "no network"}',
        "deep, said twice": r'{"user": [{"tel": "0803000\u0030077", "tel": "2"}], "text": "x"}',
        "a name of a field": r'{"text": "x", "080300\u00300077": 1}',
        "in a text": '{"text": "call me on 0803 000 0077, please"}',
        "poison": '{"text": 0803 000 0077',
        "another in UTF-16": '{"from": "08030000077"}',
    }
    with nats(settings):
        feed = open_feed(settings, stream_sources(settings)["synth_sms_live"])
        messages = [(k, v.encode("utf-16" if "UTF-16" in k else "utf-8")) for k, v in said.items()]
        feed.publish([*map(sms, range(20)), *messages, *map(sms, range(20, 40))])
        assert forget(settings, pattern(person)) == len(said)
        assert {m.payload for m in feed.fetch({}, 500, 0)} == {sms(i)[1] for i in range(40)}
        feed.close()


def test_what_is_wrong_is_said_in_one_sentence(settings, tmp_path):
    source = stream_sources(settings)["synth_sms_live"]
    with pytest.raises(BrokerError, match="has not been started"):
        open_feed(settings, source)
    with nats(settings):
        con = writer(Lake(settings))
        assert {r["waiting"] for r in stream_lags(settings, con)} == {0}
        con.disconnect()
    with pytest.raises(BrokerError, match="does not answer"):
        open_feed(settings, source)
    dead = Settings(root=tmp_path, streams={"broker": "kafka", "url": "127.0.0.1:1"})
    with pytest.raises(BrokerError, match="does not answer"):
        open_feed(dead, source).close()
    raw = source.model_dump(exclude_none=True, exclude={"reject", "personal"})
    with pytest.raises(DeclarationError, match="must be json"):
        parse_source(raw | {"format": {"kind": "csv"}}, "sms.toml")
    with pytest.raises(DeclarationError, match=r"stream\.subject"):
        parse_source(raw | {"stream": {"subject": "a.b>"}}, "sms.toml")
    assert Message(0, 1, b"").published_at is None


def moved(settings, con, lake, first, n) -> list[str]:
    """Publish n messages to the broker that is there and follow until all have landed; what was said."""
    source, said = stream_sources(settings)["synth_sms_live"], list[str]()
    feed = open_feed(settings, source)
    feed.publish([*map(sms, range(first, first + n))])
    feed.close()
    line, before = Line(source), landed(con, source)
    wait_for(lambda: take(settings, lake, con, line, said.append) == 0 and landed(con, source) >= before + n)
    let_go(line)
    return said


def test_a_stream_that_was_made_anew_is_landed_from_its_beginning(settings):
    source, lake = stream_sources(settings)["synth_sms_live"], Lake(settings)
    con, told = writer(lake), []
    for first, n in ((0, 50), (100, 25), (200, 50)):  # fewer than have landed, and as many
        with nats(settings):
            told.append(moved(settings, con, lake, first, n))
        with nats(settings):  # the same store again: nothing lands twice
            assert moved(settings, con, lake, 0, 0) == []
        shutil.rmtree(settings.root / "streams")
    assert landed(con, source) == 125 == con.raw_sql("SELECT count(*) FROM lake.raw.record").fetchone()[0]
    another = "synth_sms_live: this is another broker than before; it is landed from its first message"
    assert told == [[], [another], [another]]
    con.disconnect()


def test_another_kafka_cluster_is_landed_from_its_first_message(tmp_path):
    make_workspace(tmp_path)
    lake = Lake(Settings(root=tmp_path))
    con, told = writer(lake), []
    for first, cluster in ((0, "one"), (100, "two")):
        with tansu(tmp_path, cluster) as address:
            here = Settings(root=tmp_path, streams={"broker": "kafka", "url": address})
            told.append(moved(here, con, lake, first, 50))
            feed = open_feed(here, source := stream_sources(here)["synth_sms_live"])
            believed = positions(con, source.name, feed.broker)
            feed.publish([*map(sms, range(first + 50, first + 60))])
            late = wait_for(lambda feed=feed, believed=believed: feed.fetch(believed, 500, 0.5))
            land_messages(lake, con, source, late, believed, feed.broker)
            with pytest.raises(StaleConsumerError):  # the compare-and-set holds on each of them
                land_messages(lake, con, source, late[:1], believed, feed.broker)
            feed.close()
    another = "synth_sms_live: this is another broker than before; it is landed from its first message"
    assert told == [[], [another]]
    brokers = con.raw_sql("SELECT DISTINCT broker FROM lake.raw.offset ORDER BY 1").fetchall()
    assert brokers == [("one",), ("two",)]
    con.disconnect()


def test_places_from_before_brokers_were_told_apart_belong_to_the_one_that_is_there(live):
    source, lake = stream_sources(live)["synth_sms_live"], Lake(live)
    con = writer(lake)
    moved(live, con, lake, 0, 40)
    con.raw_sql("UPDATE lake.raw.offset SET broker = NULL")
    assert moved(live, con, lake, 40, 40) == [] and landed(con, source) == 80
    con.disconnect()
