"""Two ingests, a reader and maintenance at the same time: no error reaches a user, no read is torn."""

import subprocess
import sys

import pytest

from beejan.core.lake import Lake, reader
from beejan.core.settings import load_settings
from beejan.land.synth import synthesise
from beejan.operate.books import lake_books
from beejan.operate.workspace import make_workspace

BEEJAN = [sys.executable, "-W", "ignore", "-c", "from beejan.cli import main; main()"]
READER = """
import sys
from pathlib import Path
from beejan.core.lake import Lake, reader
from beejan.core.settings import load_settings
con, reads = reader(Lake(load_settings(Path(sys.argv[1])))), 0
print("reading", flush=True)
while sys.stdin.read(1) == "?":
    torn = con.raw_sql(
        "SELECT count(*) FROM (SELECT batch_id, landed FROM lake.raw.batch) b FULL JOIN"
        " (SELECT batch_id, count(*) AS n FROM lake.raw.record GROUP BY 1) r USING (batch_id)"
        " WHERE landed <> coalesce(n, 0)"
    ).fetchone()[0]
    print(torn, flush=True)
"""


@pytest.fixture
def space(tmp_path):
    make_workspace(tmp_path / "w")
    synthesise(tmp_path / "w/data/synth", contacts=3000, days=3)
    first = subprocess.run([*BEEJAN, "run", "ingest", "--param", "source=synth_sms"], cwd=tmp_path / "w")
    assert first.returncode == 0
    return tmp_path / "w"


def test_two_ingests_a_reader_and_maintenance(space):
    reading = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", READER, str(space)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reading.stdout.readline() == "reading\n"
    jobs = [
        subprocess.Popen([*BEEJAN, "run", name], cwd=space, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for name in ("ingest", "ingest", "maintenance")
    ]
    torn = []
    while any(job.poll() is None for job in jobs):
        reading.stdin.write("?")
        reading.stdin.flush()
        torn.append(int(reading.stdout.readline()))
    reading.communicate("")
    said = [job.communicate()[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0, 0], said
    assert reading.returncode == 0 and len(torn) > 5 and not any(torn)
    con = reader(Lake(load_settings(space)))
    files = con.raw_sql("SELECT count(*), count(DISTINCT batch_id) FROM lake.raw.batch").fetchone()
    assert files[0] == files[1] and all(lake_books(con).to_pyarrow()["balanced"].to_pylist())
