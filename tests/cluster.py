"""A Spark cluster for the tests: a standalone master and two workers on loopback, ended with the block."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """A port that nobody has."""
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


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """The address of a standalone master with two workers, one core each; their logs are in the folder."""
    import pyspark

    home, port = Path(pyspark.__file__).parent, free_port()
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


def run_job(*args: str, seconds: float = 400) -> subprocess.CompletedProcess[Any]:
    """`spark_job.py` with its arguments: FOLDER MASTER CONTACTS [DATA]."""
    command = [sys.executable, "-W", "ignore", str(ROOT / "tests/spark_job.py"), *args]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=seconds)
