"""Spark and DuckDB give the same tables, hash by hash: a standalone cluster with two workers on loopback."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from beejan.core.errors import LakeError, SettingsError
from beejan.core.settings import Settings, parse_settings
from beejan.scale import spark

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def wait_for(words: str, times: int, log: Path, process: subprocess.Popen[bytes], patience: float = 60) -> None:
    """Until a log has said something so often."""
    end = time.monotonic() + patience
    while log.read_text(errors="replace").count(words) < times:
        assert process.poll() is None, f"{log.name} ended: {log.read_text(errors='replace')[-500:]}"
        assert time.monotonic() < end, f"{log.name} never said {words!r}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a standalone master with two workers; without Java it is skipped, and fails under CI."""
    if not shutil.which("java"):
        words = "NOT CHECKED: no Java on the PATH, so Spark was not run (Debian: openjdk-17-jre-headless)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(words)
    import pyspark

    home, folder, port = Path(pyspark.__file__).parent, tmp_path_factory.mktemp("spark"), free_port()
    env = {**os.environ, "SPARK_HOME": str(home), "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1"}
    url, kind = f"spark://127.0.0.1:{port}", "org.apache.spark.deploy"
    parts = {"master": [f"{kind}.master.Master", "--port", str(port)]} | {
        f"worker{i}": [f"{kind}.worker.Worker", "--cores", "1", "--memory", "1g", "-d", str(folder / f"w{i}"), url]
        for i in (1, 2)
    }
    with ExitStack() as stack:
        for name, words in parts.items():
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            command = [str(home / "bin/spark-class"), words[0], "--host", "127.0.0.1", "--webui-port", "0"]
            command += words[1:]
            part = subprocess.Popen(command, env=env, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
            stack.callback(part.wait)
            stack.callback(part.terminate)
            if name == "master":
                first = part
                wait_for("New state: ALIVE", 1, folder / "master.log", first)
        wait_for("Registering worker", 2, folder / "master.log", first)
        yield url


@pytest.fixture(scope="module")
def job(master: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What DuckDB and the cluster made of the same raw records."""
    command = [sys.executable, "-W", "ignore", str(ROOT / "tests/spark_job.py")]
    command += [str(tmp_path_factory.mktemp("job") / "team"), master, "200"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-2_000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_two_workers_took_part(job: dict[str, Any]):
    assert job["executors"] == 2


def test_every_table_is_equal_hash_by_hash(job: dict[str, Any]):
    assert job["duckdb"]["curated.contact"][0] > 150
    differing = {n: (found, job["spark"].get(n)) for n, found in job["duckdb"].items() if job["spark"].get(n) != found}
    assert not differing
    assert job["spark"].keys() == job["duckdb"].keys()


def test_exact_repetitions_are_equal(job: dict[str, Any]):
    assert job["exact"]["n"] > 0
    assert job["exact"]["equal"]


def test_stand_ins_agree_with_duckdb_at_the_edges(job: dict[str, Any]):
    assert job["edges"] == {}


def test_a_missing_java_is_one_sentence(workspace: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spark.shutil, "which", lambda name: None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(LakeError, match="Spark needs Java"):
        spark.spark_session(workspace)


@pytest.mark.parametrize("master", ["yarn", "spark://", "local[x]", "spark://a/b"])
def test_a_wrong_master_is_refused(master: str, tmp_path: Path):
    with pytest.raises(SettingsError, match=r"spark\.master"):
        parse_settings({"spark": {"master": master}}, tmp_path)
