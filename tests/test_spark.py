"""Spark and DuckDB give the same tables, hash by hash: a standalone cluster with two workers on loopback."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import cluster, run_job

from beejan.core.errors import LakeError, SettingsError
from beejan.core.settings import Settings, parse_settings
from beejan.scale import spark


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a standalone master with two workers; without Java it is skipped, and fails under CI."""
    if not shutil.which("java"):
        words = "NOT CHECKED: no Java on the PATH, so Spark was not run (Debian: openjdk-17-jre-headless)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(words)
    with cluster(tmp_path_factory.mktemp("spark")) as url:
        yield url


@pytest.fixture(scope="module")
def job(master: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What DuckDB and the cluster made of the same raw records."""
    done = run_job(str(tmp_path_factory.mktemp("job") / "team"), master, "200")
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


def test_a_source_whose_clocks_change_is_understood(job: dict[str, Any]):
    assert {"contact_id", "received_at", "resolved_at", "problem"} <= set(job["understood"])


def test_a_missing_java_is_one_sentence(workspace: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spark.shutil, "which", lambda name: None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(LakeError, match="Spark needs Java"):
        spark.spark_session(workspace)


@pytest.mark.parametrize("master", ["yarn", "spark://", "local[x]", "spark://a/b"])
def test_a_wrong_master_is_refused(master: str, tmp_path: Path):
    with pytest.raises(SettingsError, match=r"spark\.master"):
        parse_settings({"spark": {"master": master}}, tmp_path)
