"""A Ray cluster of this machine for tests, in processes that end with the test."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.kept_process import __file__ as kept_process

ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}


def wait_for(condition: Callable[[], object], what: str, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


@dataclass
class RayNode:
    """Processes of `ray start`, which end with the one that keeps them."""

    keeper: subprocess.Popen[bytes]

    def processes(self, title: str) -> list[int]:
        """Numbers of this node's processes whose title begins so, as Ray sets it."""
        return [each for each in _below(self.keeper.pid) if _title(each).startswith(title)]

    def end(self) -> None:
        """Kill all of the node, as a machine that is switched off."""
        self.keeper.send_signal(signal.SIGTERM)
        self.keeper.wait()


@dataclass
class RayTestCluster:
    """A head, and nodes that come and go."""

    folder: Path
    address: str
    head: RayNode

    @contextmanager
    def node(self, *options: str) -> Iterator[RayNode]:
        node = _start(self.folder, f"--address={self.address}", *options)
        try:
            yield node
        finally:
            node.end()

    @property
    def environment(self) -> dict[str, str]:
        """By which a command finds the cluster."""
        return {**ENVIRONMENT, "RAY_ADDRESS": self.address}


@contextmanager
def ray_cluster(*options: str) -> Iterator[RayTestCluster]:
    """A cluster of one node."""
    # Sockets lie there, and Linux limits the length of their paths.
    folder = Path(tempfile.mkdtemp(prefix="djd-ray-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    head = _start(folder, "--head", f"--port={port}", f"--temp-dir={folder}", *options)
    try:
        wait_for(lambda: _address(folder), "a head", 90)
        yield RayTestCluster(folder, _address(folder), head)
    finally:
        head.end()
        shutil.rmtree(folder, ignore_errors=True)


def _address(folder: Path) -> str:
    file = folder / "ray_current_cluster"
    return file.read_text().strip() if file.exists() else ""


def _start(folder: Path, *options: str) -> RayNode:
    ray = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--block"]
    small = ["--object-store-memory=80000000", "--disable-usage-stats"]
    log = (folder / "start.log").open("ab")
    with log:
        keeper = subprocess.Popen(
            [sys.executable, kept_process, *ray, *small, *options],
            stdout=log,
            stderr=log,
            env={**os.environ, **ENVIRONMENT},
        )
    return RayNode(keeper)


def _below(process: int) -> list[int]:
    """Processes that a process has started, and those that these have."""
    from tests.test_kill_sweep import descendants

    return descendants(process)


def processes_with(text: str) -> list[int]:
    """Numbers of all processes whose command line has a text."""
    numbers = [int(each.name) for each in Path("/proc").glob("[0-9]*")]
    return [each for each in numbers if text in _title(each)]


def _title(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""
