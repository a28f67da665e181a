"""Comparisons whose cells are jobs of Slurm, in a cluster of one node; or of submitit alone."""

import importlib.util
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import tiny_values
from tests.eight_cells import eight_cells, eight_here, outcome
from tests.made_once import MakeOnce
from tests.slurm_cluster import NoSlurmError, SlurmCluster, slurm_cluster
from tests.sweeping import rows_of, start_train, sweep_arguments

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("submitit") is None,
        reason='submitit is not installed (pip install "djd[slurm]")',
    ),
]

LONG = (
    "data.fold=0,1",
    "data.pixels=32",
    "trainer.max_epochs=1000",
    "score_epochs=[500]",
    "test=never",
)
ON_SLURM = ("hydra/launcher=slurm", "hydra.launcher.mem_gb=1.5", "hydra.launcher.cells_a_job=1")
ON_SUBMITIT = ("hydra/launcher=slurm", "hydra.launcher.executor=local")


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    try:
        with slurm_cluster() as running:
            yield running
    except NoSlurmError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def cache(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tiny_values(phantom_folder, tmp_path_factory.mktemp("slurm"))["paths"]["cache"])


def test_eight_cells_and_their_failures_are_those_of_one_machine_under_submitit(
    cache: Path, make_once: MakeOnce, tmp_path: Path
) -> None:
    assert eight_cells(cache, tmp_path, *ON_SUBMITIT) == eight_here(cache, make_once)
    assert [row["state"] for row in rows_of(tmp_path / "sweep" / "cells.csv")].count("failed") == 5


def test_eight_cells_and_their_failures_are_those_of_one_machine_under_slurm(
    cluster: SlurmCluster, cache: Path, make_once: MakeOnce, tmp_path: Path
) -> None:
    # Arrays of three: the second waits for the first.
    arrays = (*ON_SLURM, "hydra.launcher.array_size=3")
    there = eight_cells(cache, tmp_path, *arrays, **cluster.env)
    assert there == eight_here(cache, make_once)
    queue = (tmp_path / "sweep" / "jobs" / "queue.jsonl").read_text()
    assert queue.count('"engine": "Slurm"') == 9, "a job a cell, and one for the winner"
    assert "uptake" in {path.parent.name for path in tmp_path.rglob("baseline.json")}


@contextmanager
def leading(log: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    process = start_train(log, *arguments, **environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], object], what: str, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def cells_with_epochs(sweep: Path) -> int:
    return len([*sweep.glob("*/metrics.csv")])


def running(cluster: SlurmCluster) -> list[str]:
    return [job for job, (state, _) in cluster.squeue().items() if state == "RUNNING"]


def test_a_sweep_that_is_left_preempted_killed_and_timed_out_ends_as_on_one_machine(
    cluster: SlurmCluster, cache: Path, tmp_path: Path
) -> None:
    whole, sweep, log = tmp_path / "whole", tmp_path / "sweep", tmp_path / "log"
    assert start_train(tmp_path / "here", *sweep_arguments(cache, whole, *LONG)).wait() == 0
    arguments = [*sweep_arguments(cache, sweep, *LONG, *ON_SLURM), "paths.stale_after=5"]
    with leading(log, *arguments, **cluster.env) as leader:
        wait_for(lambda: cells_with_epochs(sweep) >= 2, "cells train")
        leader.send_signal(signal.SIGINT)
        assert leader.wait(60) == 130
    assert "2 jobs of Slurm: they go on without this command; to end them: scancel" in (
        log.read_text()
    )
    assert len(running(cluster)) == 2
    # Another partition needs the node.
    high = cluster.sbatch("sleep 2", "--partition=high", "--exclusive", "--mem=0")
    cluster.wait(high, "COMPLETED")
    assert not list(sweep.glob("*/error.txt"))
    wait_for(lambda: running(cluster), "preempted jobs run again")
    # One job comes to the end of its time.
    cluster.end_in(10, running(cluster)[0])
    with leading(log, *arguments, **cluster.env) as leader:
        wait_for(lambda: log.read_text().count("cells done") == 2, "the command is back")
        os.kill(leader.pid, signal.SIGKILL)
    cluster.kill_node()
    cluster.wait_for_node("down", "down*")
    cluster.restart_node()
    with leading(log, *arguments, **cluster.env) as leader:
        assert leader.wait(400) == 0, log.read_text()
    assert outcome(sweep) == outcome(whole)


def test_a_cancelled_job_is_a_failure_until_the_next_command(
    cluster: SlurmCluster, cache: Path, tmp_path: Path
) -> None:
    sweep, log = tmp_path / "sweep", tmp_path / "log"
    axes = ("optim=sgd,adam", "trainer.max_epochs=20000", "test=never")
    with leading(log, *sweep_arguments(cache, sweep, *axes, *ON_SLURM), **cluster.env) as leader:
        wait_for(lambda: cells_with_epochs(sweep) == 2, "cells train")
        first = {name.partition("_")[0] for name in running(cluster)}
        cluster.cancel(*first)
        assert leader.wait(120) == 1
    assert "was cancelled" in (sweep / "optim=sgd" / "error.txt").read_text()
    assert not running(cluster), "nothing was launched again"
