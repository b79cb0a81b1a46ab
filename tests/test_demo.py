"""`beejan demo` and every pipeline of a workspace, as a user runs them: each notebook in a kernel of its own."""

import subprocess

from test_together import BEEJAN

from beejan.cli import DEMO
from beejan.core.lake import Lake, reader, table
from beejan.core.settings import load_settings

REST = ("train", "transform", "maintenance")  # what the demo does not run, and the transform that uses what was learned
FILLED = ("mart.fact_contact", "mart.fact_case", "mart.books", "curated.topic", "mart.rollup_topic_daily")


def said(*words: str, cwd) -> str:
    """Run a command of Beejan's; it must end well."""
    done = subprocess.run([*BEEJAN, *words], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def test_the_demo_fills_every_page_and_every_other_pipeline_runs_after_it(tmp_path):
    words, space = said("demo", "demo", "--contacts", "2000", "--days", "10", cwd=tmp_path), tmp_path / "demo"
    con = reader(Lake(load_settings(space)))
    filled = {name: table(con, name).count().execute() for name in FILLED}
    con.disconnect()
    assert all(filled.values()), filled
    assert [*(space / "reports").glob("*.html")] and "up --play 50" in words and "password" in words
    assert {path.stem for path in (space / "pipelines").glob("*.ipynb")} == {*DEMO, *REST}
    more = {"train": ["--param", "contacts=3000"], "transform": ["--param", "rebuild=true"]}
    for name in REST:
        said("run", name, *more.get(name, []), cwd=space)
