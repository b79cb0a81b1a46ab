"""The worked notebooks run from top to bottom in a workspace with data, and their kernel's output is clean."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from beejan.core.lake import Lake, writer
from beejan.core.settings import load_settings
from beejan.core.sources import load_sources
from beejan.land.landing import land_source
from beejan.land.synth import synthesise
from beejan.operate.runs import LocalKernel
from beejan.operate.transform import transform
from beejan.operate.workspace import make_workspace

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    """A workspace with a few days of complaints."""
    space = tmp_path_factory.mktemp("lab") / "team"
    make_workspace(space)
    synthesise(space / "data/synth", contacts=1500, days=4)
    settings = load_settings(space)
    con = writer(Lake(settings))
    for source in load_sources(settings.folder("pipelines") / "sources").values():
        land_source(Lake(settings), con, source, settings.folder("data"))
    con.disconnect()
    transform(Lake(settings))
    return space


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
@pytest.mark.filterwarnings("ignore")  # of the kernel's client; the notebook's own warnings are looked for below
def test_a_worked_notebook_runs(notebook, filled, monkeypatch):
    monkeypatch.setenv("BEEJAN_HOME", str(filled))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    nb = nbformat.read(notebook, as_version=4)
    assert not any(c.get("outputs") for c in nb.cells), "committed without outputs"
    NotebookClient(nb, timeout=120, kernel_manager_class=LocalKernel, kernel_name="python3").execute()
    said = [o for c in nb.cells for o in c.get("outputs", []) if o.get("name") == "stderr"]
    assert not said, json.dumps(said)[:2000]
