"""Run the library notebooks on two cores, as tests: `python tools/notebooks.py [NAME …]`.

What `nbdev_test` does, and warnings are errors here too: the exceptions are those of pytest in pyproject.toml. Names
what takes longer than 10 s; the house's budget is 10 s for one notebook and 90 s for all of them.
"""

import builtins
import io
import os
import sys
import time
import tomllib
import warnings
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing import get_context
from pathlib import Path

from nbdev.config import get_config
from nbdev.test import test_nb

ROOT = Path(__file__).resolve().parent.parent


def strict() -> None:
    """Turn warnings into errors, but for the exceptions that stand in pyproject.toml with their reasons."""
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    for line in options["filterwarnings"]:
        action, message, category = [*line.split(":"), "", ""][:3]
        warnings.filterwarnings(action, message, getattr(builtins, category or "Warning"))


def tested(notebook: Path) -> tuple[str, bool, float, str]:
    """Run one notebook in this worker: its name, whether it passed, seconds, and what it said if it did not."""
    os.chdir(ROOT)
    main, out = sys.modules["__main__"], io.StringIO()
    with warnings.catch_warnings(), redirect_stdout(out), redirect_stderr(out):
        strict()
        ok, seconds = test_nb(notebook, skip_flags=get_config().tst_flags.split(), basepath=ROOT)
    sys.modules["__main__"] = main  # IPython puts the notebook in its place
    return notebook.name, ok, seconds, out.getvalue()


if __name__ == "__main__":
    names = sys.argv[1:]
    notebooks = sorted(ROOT.glob("nbs/[0-9]*.ipynb"), key=lambda p: -p.stat().st_size)
    notebooks = [p for p in notebooks if not names or p.name in names or p.stem in names]
    began = time.monotonic()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(tested, notebooks))
    for name, ok, seconds, said in sorted(results, key=lambda r: (not r[1], r[2])):
        if not ok or seconds > 10:
            print(f"{name}: {'passed' if ok else 'FAILED'} in {seconds:.1f} s{'' if ok else said}")
    failed = [name for name, ok, *_ in results if not ok]
    print(f"{len(results) - len(failed)} of {len(results)} notebooks passed in {time.monotonic() - began:.0f} s")
    sys.exit(bool(failed) or not results)
