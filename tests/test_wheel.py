"""A person who has installed the wheel has no clone: everything that a workspace needs travels inside it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("beejan", "pipelines", "setup.py", "settings.ini", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE")


def test_an_installed_wheel_makes_a_workspace(tmp_path):
    copy, site = tmp_path / "copy", tmp_path / "site"
    copy.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, copy)
    build = [sys.executable, "setup.py", "--quiet", "bdist_wheel", "--dist-dir", str(tmp_path)]
    built = subprocess.run(build, cwd=copy, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("beejan-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)

    program = "import sys, beejan.cli; print(beejan.cli.__file__, flush=True); beejan.cli.main(sys.argv[1:])"
    command = [sys.executable, "-c", program, "init", "team"]
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(site)), "the wheel was not what ran"
    made = {p.name for p in (tmp_path / "team/pipelines").rglob("*") if p.is_file()}
    assert made >= {p.name for p in ROOT.glob("pipelines/*.ipynb")} | {"schedule.toml"}
    assert made >= {p.name for p in ROOT.glob("pipelines/sources/synth_*.toml")}
    shipped = {
        p.relative_to(ROOT) for p in ROOT.glob("beejan/data/**/*") if p.is_file() and "__pycache__" not in p.parts
    }
    assert not {p for p in shipped if not (site / p).is_file()}
