"""The clock on real pipelines: asleep for a day, failing and mended, two at once; and the house that holds it."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import nbformat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beejan.core.lake import Lake, writer
from beejan.core.processes import alive
from beejan.core.settings import Settings, load_settings
from beejan.govern.access import add_person
from beejan.operate import clock as clock_module
from beejan.operate.alerts import alerts
from beejan.operate.clock import run_clock
from beejan.operate.freshness import expected, habit, judge_silence
from beejan.operate.runs import begin, record, run_pipeline
from beejan.operate.schedule import Plan, last_due, load_schedule, past_runs, run_due, standing, trigger, whats_due
from beejan.operate.workspace import make_workspace

BEEJAN = [sys.executable, "-W", "ignore", "-c", "from beejan.cli import main; main()"]
YEARLY = 'cron = "0 0 1 1 *"\n'
LONE = """import os, time
from pathlib import Path
mark = Path("{name}.busy")
os.close(os.open(mark, os.O_CREAT | os.O_EXCL))  # fails if another one runs
with open("ran.txt", "a") as f:
    print("{name}", file=f)
time.sleep({seconds})
mark.unlink()"""


def until(what: Callable[[], object], seconds: float = 180) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def pipeline(space: Path, name: str, code: str) -> None:
    cells = [nbformat.v4.new_code_cell("n: int = 1  # any", metadata={"tags": ["parameters"]})]
    made = nbformat.v4.new_notebook(cells=[*cells, nbformat.v4.new_code_cell(code)])
    nbformat.write(made, space / "pipelines" / f"{name}.ipynb")


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """A workspace with no pipeline but those of the test."""
    folder = tmp_path / "team"
    make_workspace(folder, sources="none")
    for path in folder.glob("pipelines/*"):
        path.unlink()
    return folder


def schedule(space: Path, text: str) -> Settings:
    (space / "pipelines/schedule.toml").write_text(text, encoding="utf-8")
    settings = load_settings(space)
    writer(Lake(settings)).disconnect()
    return settings


def ran(space: Path) -> list[str]:
    path = space / "ran.txt"
    return path.read_text().split() if path.exists() else []


# ---- asleep for a day --------------------


def test_a_machine_asleep_for_a_day_runs_what_it_missed_once_and_in_order(space):
    for name in ("a", "b", "c"):
        pipeline(space, name, LONE.format(name=name, seconds=0))
    # two hours ago, so that no new time comes while the test runs
    hour = (datetime.now(UTC) - timedelta(hours=2)).hour
    daily = f'cron = "*/5 {hour} * * *"\n'
    toml = f'[c]\n{daily}needs = ["b"]\n[b]\n{daily}needs = ["a"]\n[a]\n{daily}'
    (space / "beejan.toml").write_text('[operator]\ntime_zone = "UTC"\n')
    settings = schedule(space, toml)
    slept = datetime.now(UTC) - timedelta(days=1, hours=3)
    for name in ("a", "b", "c"):
        run = begin(settings, name, {})
        run.started_at = run.ended_at = slept
        record(run, Lake(settings))
    started = time.monotonic()
    with open(os.devnull, "w") as quiet:
        done = run_due(settings, out=quiet)
        assert [(r.pipeline, r.status) for r in done] == [("a", "ok"), ("b", "ok"), ("c", "ok")]
        assert run_due(settings, out=quiet) == []
    assert ran(space) == ["a", "b", "c"]
    took = time.monotonic() - started
    print(f"\nasleep for 27 h, due 12 times or more: 3 pipelines caught up, each once, in order, in {took:.1f} s")


PLANS = {"a": Plan(cron="*/15 * * * *", retries=1, back_off=60), "b": Plan(cron="*/15 * * * *", needs=["a"], retries=0),
         "c": Plan(cron="30 6 * * *", needs=["b"], retries=2, back_off=30)}  # fmt: skip
START = datetime(2026, 3, 1, 5, tzinfo=UTC)


@given(st.lists(st.tuples(st.integers(10, 200_000), st.booleans()), min_size=5, max_size=40))
def test_whatever_happens_nothing_runs_too_early_twice_or_before_what_it_needs(events):
    now, runs = START, []
    for wait, good in events:
        now += timedelta(seconds=wait)
        ready = [d for d in whats_due(PLANS, runs, now, "Africa/Lagos") if d.state == "ready"]
        for due in ready:
            plan, mine = PLANS[due.pipeline], [r for r in runs if r["pipeline"] == due.pipeline]
            assert due.due_at and due.due_at <= now
            since = [r for r in mine if r["started_at"] >= due.due_at]
            assert all(r["status"] == "failed" for r in since) and len(since) <= plan.retries
            for need in plan.needs:
                at = last_due(trigger(PLANS[need].cron, "Africa/Lagos"), now)
                assert any(r["pipeline"] == need and r["status"] == "ok" and r["ended_at"] >= at for r in runs)
        if ready:
            end = now + timedelta(seconds=5)
            status = "ok" if good else "failed"
            runs.append({"pipeline": ready[0].pipeline, "status": status, "started_at": now, "ended_at": end})
            now = end


# ---- failing, and mended --------------------


class Ear(BaseHTTPRequestHandler):
    """What an address of the alerts is: it hears, and answers as it is told."""

    heard: list[dict[str, str]]
    answers: list[int]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        code = self.answers.pop(0) if self.answers else 200
        if code == 200:
            self.heard.append(body)
        self.send_response(code)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def ear() -> Iterator[HTTPServer]:
    Ear.heard, Ear.answers = [], [503]
    server = HTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_failing_notebook_is_retried_alerted_once_and_recovers_with_a_notice(space, ear, monkeypatch):
    monkeypatch.setattr(clock_module, "LOOK_S", 0.3)
    pipeline(space, "feed", 'from pathlib import Path\nassert Path("mended").exists(), "Ada Obi 08031234567 is cross"')
    address = f"json://user:hidden@127.0.0.1:{ear.server_port}/"
    (space / "beejan.toml").write_text(f'[alerts]\nurls = ["{address}"]\n')
    settings = schedule(space, f"[feed]\n{YEARLY}retries = 1\nback_off = 1\nowner = 'data engineer'\n")
    stop, said = threading.Event(), list[str]()
    running = threading.Thread(target=run_clock, args=(settings, stop, said.append))
    running.start()
    began = time.monotonic()
    try:
        until(lambda: Ear.heard)
        told = time.monotonic() - began
        looks = len(past_runs(settings))
        (space / "mended").touch()
        with open(os.devnull, "w") as quiet:
            run_pipeline(settings, "feed", out=quiet)
        until(lambda: len(Ear.heard) > 1)
    finally:
        stop.set()
        running.join()
    assert looks == 2 and [r["try_no"] for r in past_runs(settings)][:2] == [1, 2]
    assert [h["message"].split(":")[0] for h in Ear.heard] == ["✗ ERROR", "✓ Over"]
    assert "feed failed 2 times in a row, in cell 2 (owner: data engineer)" in Ear.heard[0]["message"]
    assert [(a.kind, a.status, a.told, a.told_over) for a in alerts(Lake(settings))] == [
        ("pipeline_failed", "closed", [1], [1])
    ]
    assert any("could not be reached" in line for line in said), "the first answer was 503"
    everything = "\n".join(said) + json.dumps(Ear.heard)
    assert not [w for w in ("Ada", "0803", "hidden", "cross") if w in everything]
    print(f"\nfailing twice: 1 message, {told:.1f} s after the clock was started (once undelivered); mended: 1 notice")


# ---- silent, or a quiet hour --------------------


def test_a_dead_gateway_is_silent_within_the_hour_and_a_quiet_night_is_no_alarm():
    rng, zone, start = np.random.default_rng(7), "Africa/Lagos", datetime(2026, 1, 5, tzinfo=UTC)
    hours = [start + timedelta(hours=h) for h in range(24 * 7 * 12)]
    rates = [40.0 if 6 <= h.hour < 19 else 0.5 for h in hours]
    drawn = [(h, rng.random(rng.poisson(r))) for h, r in zip(hours, rates, strict=True)]
    came = sorted(h + timedelta(hours=x) for h, xs in drawn for x in xs)
    learnt = start + timedelta(weeks=8)
    week = habit(Counter(t.replace(minute=0, second=0, microsecond=0) for t in came if t < learnt), zone)

    def state(last: datetime, now: datetime) -> str:
        chance = math.exp(-expected(week, last, now, zone))
        return judge_silence("5m", last, now, (chance, float(week.sum())), live=True)

    gaps = [(a, b) for a, b in pairwise(t for t in came if t >= learnt) if b - a > timedelta(minutes=9)]
    seen = Counter(state(a, b) for a, b in gaps)  # the longest that each silence became
    by_hand = Counter(judge_silence("5m", a, b, live=True) for a, b in gaps)
    dead = {at: next(m for m in range(1, 2000) if state(at, at + timedelta(minutes=m)) == "silent")
            for at in (learnt + timedelta(days=1, hours=9), learnt + timedelta(days=1, hours=23))}  # fmt: skip
    print(f"\na live gateway, four weeks: {seen['silent']} false silences, {seen['late']} late, {seen['quiet']} quiet; "
          f"by `every` alone {by_hand['silent']} silences; dead at 9:00: seen after {min(dead.values())} min, "
          f"at 23:00: after {max(dead.values())} min")  # fmt: skip
    assert seen["silent"] <= 1 and seen["late"] <= 8 and by_hand["silent"] > 100
    assert min(dead.values()) <= 30 and max(dead.values()) <= 600


# ---- a schedule that changes --------------------


def test_a_changed_schedule_is_read_anew_and_a_broken_one_leaves_the_old_one(space, monkeypatch):
    monkeypatch.setattr(clock_module, "LOOK_S", 0.5)
    for name, seconds in (("a", 3), ("b", 0), ("c", 0)):
        pipeline(space, name, LONE.format(name=name, seconds=seconds))
    settings = schedule(space, f"[a]\n{YEARLY}")
    stop, said = threading.Event(), list[str]()
    clock = threading.Thread(target=run_clock, args=(settings, stop, said.append))
    clock.start()
    try:
        until(lambda: "a" in ran(space))
        file = space / "pipelines/schedule.toml"
        file.write_text(f"[b]\n{YEARLY}")  # a is gone from it while it runs
        until(lambda: "b" in ran(space))
        for broken in ("[b", f"[b]\n{YEARLY}[nowhere]\n{YEARLY}"):
            said.clear()
            file.write_text(broken)
            until(lambda: any("goes on as it was" in words for words in said))
        said.clear()
        file.write_text(f'[b]\n{YEARLY}[c]\n{YEARLY}needs = ["b"]')
        until(lambda: "c" in ran(space))
        until(lambda: {r["pipeline"] for r in past_runs(settings)} == {"a", "b", "c"})
    finally:
        stop.set()
        clock.join()
    assert sorted(ran(space)) == ["a", "b", "c"] and "schedule.toml was changed, and is read anew" in said
    assert {r["status"] for r in past_runs(settings)} == {"ok"}


def test_what_the_old_schedule_starts_runs_beside_a_broken_file(space):
    pipeline(space, "a", LONE.format(name="a", seconds=0))
    settings = schedule(space, f"[a]\n{YEARLY}")
    plans = load_schedule(settings)
    (space / "pipelines/schedule.toml").write_text("[a")
    run = clock_module.start(settings, standing(settings, plans=plans)[0], plans)
    assert run.process.wait(180) == 0 and ran(space) == ["a"]


# ---- what runs leave behind --------------------


def test_maintenance_lets_old_notebooks_go_and_keeps_every_row(tmp_path):
    make_workspace(tmp_path / "team", sources="none")
    settings, now = load_settings(tmp_path / "team"), datetime.now(UTC)
    lake, files = Lake(settings), {}
    for days, status in ((29, "ok"), (31, "ok"), (31, "failed"), (179, "failed"), (181, "failed"), (181, "no row")):
        run = begin(settings, "feed", {})
        began = now - timedelta(days=days)
        run.run_id, run.started_at, run.ended_at = f"{began:%Y%m%dT%H%M%S%f}-{status[:2]}", began, began
        files[days, status] = settings.folder("runs") / f"{run.run_id}.ipynb"
        files[days, status].write_text("{}")
        if status != "no row":  # a killed run has none
            run.status = status
            record(run, lake)
    others = [settings.folder("runs") / name for name in ("mine.ipynb", "20200101-mine.ipynb", "logs/up.json")]
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    with open(os.devnull, "w") as quiet:
        done = run_pipeline(settings, "maintenance", out=quiet)
    gone = {k for k, path in files.items() if not path.exists()}
    assert gone == {(31, "ok"), (181, "failed"), (181, "no row")} and done.result["notebooks_removed"] == 3
    assert all(path.exists() for path in others)
    assert len(past_runs(settings)) == 6, "five of them, and the maintenance itself"


# ---- two at once --------------------


def test_two_clocks_and_a_hand_never_run_the_same_pipeline_at_once(space):
    for name, seconds in (("a", 1.5), ("b", 0)):
        pipeline(space, name, LONE.format(name=name, seconds=seconds))
    settings = schedule(space, f'[b]\n{YEARLY}needs = ["a"]\n[a]\n{YEARLY}')
    logs = [(space / f"clock{i}.log").open("w+") for i in range(2)]
    clocks = [subprocess.Popen([*BEEJAN, "clock"], cwd=space, stdout=log, stderr=log) for log in logs]
    try:
        until(lambda: "a" in ran(space))
        by_hand = subprocess.Popen([*BEEJAN, "run", "a"], cwd=space, stdout=logs[0], stderr=logs[0])
        assert by_hand.wait(180) == 0
        until(lambda: len(past_runs(settings)) == 3)
    finally:
        for process in clocks:
            process.terminate()
        codes = [process.wait(120) for process in clocks]
        for log in logs:
            log.close()
    assert codes == [0, 0]
    assert sorted(ran(space)) == ["a", "a", "b"], "once by a clock, once by hand"
    assert {r["status"] for r in past_runs(settings)} == {"ok"}
    print("\ntwo clocks and a hand: a ran once by a clock and once by hand, b once, none beside another")


# ---- the house --------------------


def free_port() -> int:
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def children(settings: Settings) -> dict[str, int]:
    """The parts that are up, by name."""
    try:
        told = json.loads((settings.folder("runs") / "logs/up.json").read_text())
    except (OSError, ValueError):
        return {}
    return {p["part"]: p["pid"] for p in told["parts"] if p["state"] == "up"}


def test_up_serves_survives_the_death_of_a_part_and_stops_in_order(space):
    pipeline(space, "a", "print(n)")
    settings, port = schedule(space, f"[a]\n{YEARLY}"), free_port()
    add_person(settings, "ada", "manager", "a long password")

    def healthy() -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as reply:
                return bool(reply.status == 200)
        except (URLError, OSError):
            return False

    with (space / "up.log").open("w+") as log:
        up = subprocess.Popen([*BEEJAN, "up", "--port", str(port)], cwd=space, stdout=log, stderr=log)
        try:
            until(lambda: set(children(settings)) == {"serve", "clock"})
            first = children(settings)
            assert healthy()
            os.kill(first["clock"], signal.SIGKILL)
            until(lambda: children(settings).get("clock", first["clock"]) != first["clock"])
            assert healthy() and children(settings)["serve"] == first["serve"]
            last = children(settings)
            second = subprocess.run([*BEEJAN, "up", "--port", str(port)], cwd=space, capture_output=True, text=True)
            assert second.returncode == 1 and len(second.stderr.splitlines()) == 1, second.stderr
        finally:
            up.terminate()
            code = up.wait(120)
        log.seek(0)
        said = log.read()
    assert code == 0 and not [pid for pid in (*first.values(), *last.values()) if alive(pid)]
    assert f"Beejan is up: http://127.0.0.1:{port}/" in said and "clock ended (code -9)" in said
    assert said.index("serve stopped") < said.index("clock stopped")
    assert not healthy()


def test_killing_the_house_leaves_no_part_no_run_and_no_kernel(space):
    code = 'import os, time\nopen("kernel.pid", "w").write(str(os.getpid()))\ntime.sleep(600)'
    pipeline(space, "long", code)
    settings = schedule(space, f"[long]\n{YEARLY}")
    house = (
        "import threading; from beejan.core.settings import load_settings; from beejan.operate.supervise import *;"
        "supervise(load_settings(), [Part('clock', ('clock',), says='clock runs')], threading.Event(), print)"
    )
    with (space / "up.log").open("w") as log:
        up = subprocess.Popen([sys.executable, "-W", "ignore", "-c", house], cwd=space, stdout=log, stderr=log)
        try:
            kernel = space / "kernel.pid"
            until(lambda: kernel.exists() and kernel.read_text() and children(settings))
            left = [children(settings)["clock"], int(kernel.read_text())]
        finally:
            up.kill()
            up.wait()
    until(lambda: not [pid for pid in left if alive(pid)])
    assert past_runs(settings) == [], "a run that was killed is due again"
