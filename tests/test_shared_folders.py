"""Two hosts lead one sweep in one folder: clocks apart, no locks, one suspended in mid-cell."""

import csv
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.conftest import tiny_values
from tests.made_once import MakeOnce
from tests.sweeping import predictions, start_train, sweep_arguments
from tests.test_kill_sweep import descendants

AXES = ("model.depth=1", "data.fold=0,1,2", "trainer.max_epochs=40", "score_epochs=[20]")
HERE = ("paths.stale_after=4", "hydra.launcher.n_jobs=1")

pytestmark = pytest.mark.slow

Host = Callable[[str, float], dict[str, str]]


@pytest.fixture(scope="module")
def cache(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tiny_values(phantom_folder, tmp_path_factory.mktemp("hosts"))["paths"]["cache"])


@pytest.fixture(scope="module")
def alone(phantom_folder: Path, make_once: MakeOnce) -> dict[str, str]:
    """Predictions of a sweep that one host leads."""

    def make(root: Path) -> dict[str, str]:
        cache = Path(tiny_values(phantom_folder, root)["paths"]["cache"])
        arguments = sweep_arguments(cache, root / "sweep", *AXES, *HERE)
        assert start_train(root / "log", *arguments).wait() == 0
        return predictions(root / "sweep")

    return make_once("one host", make)


def signal_all(process: subprocess.Popen[bytes], number: int) -> None:
    for each in [process.pid, *descendants(process.pid)]:
        os.kill(each, number)


def wait_for(what: Callable[[], Sequence[Path]]) -> Path:
    deadline = time.monotonic() + 100
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found[0]


def require_whole(sweep: Path) -> None:
    """Each training has ended once, and its metrics are of one process."""
    for log in sweep.rglob("run.log"):
        name, lines = log.parent.name, log.read_text(encoding="utf-8").splitlines()
        part = ": test" if "winner" in log.parts else ": validation"
        assert sum(line.startswith(f"{name}{part}") for line in lines) == 1, "trained once"
    for metrics in sweep.rglob("metrics.csv"):
        with metrics.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(1, len(rows) + 1)]
        seconds = [float(row["seconds"]) for row in rows]
        assert seconds == sorted(seconds)
    for left in ("error.txt", "last.ckpt", ".*.writing"):
        assert not list(sweep.rglob(left))
    assert len((sweep / "test_openings.jsonl").read_text().splitlines()) == 1


def test_hosts_whose_clocks_differ_train_each_cell_once_and_as_one_host_does(
    cache: Path, tmp_path: Path, alone: dict[str, str], another_host: Host
) -> None:
    sweep = tmp_path / "sweep"
    arguments = sweep_arguments(cache, sweep, *AXES, *HERE)
    hosts = {"node1": -300, "node2": 1800}
    both = [
        start_train(tmp_path / name, *arguments, **another_host(name, hosts[name]))
        for name in hosts
    ]
    statuses = [process.wait() for process in both]
    said = [(tmp_path / name).read_text(encoding="utf-8") for name in hosts]
    assert sorted(statuses) in ([0, 0], [0, 3]), said
    assert min(text.count(": validation kappa") for text in said) > 0
    assert predictions(sweep) == alone
    require_whole(sweep)


def test_a_host_that_was_suspended_in_mid_cell_leaves_the_cell_to_its_new_holder(
    cache: Path, tmp_path: Path, alone: dict[str, str], another_host: Host
) -> None:
    sweep = tmp_path / "sweep"
    arguments = sweep_arguments(cache, sweep, *AXES, *HERE)
    first = start_train(tmp_path / "node1", *arguments, **another_host("node1", 0))
    marker = wait_for(
        lambda: [each for each in sweep.glob("*/.lock.1") if (each.parent / "metrics.csv").exists()]
    )
    signal_all(first, signal.SIGSTOP)
    try:
        second = start_train(tmp_path / "node2", *arguments, **another_host("node2", 0))
        wait_for(lambda: list(sweep.glob("*/.lock.2")))
    finally:
        signal_all(first, signal.SIGCONT)
    statuses = first.wait(), second.wait()
    said = (tmp_path / "node1").read_text(encoding="utf-8")
    assert sorted(statuses) in ([0, 0], [0, 3]), said
    assert "this process stops" in (marker.parent / "run.log").read_text(encoding="utf-8")
    assert "FAILED" not in said
    assert predictions(sweep) == alone
    require_whole(sweep)
