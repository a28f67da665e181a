"""Comparisons whose cells are jobs of a Slurm cluster of one node."""

import importlib.util
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from djd.sweeps.folder import COMPARISON_NAME
from tests.conftest import tiny_values
from tests.slurm_cluster import NoSlurmError, SlurmCluster, slurm_cluster
from tests.sweeping import failing_config, predictions, rows_of, start_train, sweep_arguments
from tests.test_failing_cells import REASONS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("submitit") is None,
        reason='submitit is not installed (pip install "djd[slurm]")',
    ),
]

LONG = ("model.depth=1,2", "data.fold=0,1", "trainer.max_epochs=160", "score_epochs=[80]")
ON_SLURM = ("hydra/launcher=slurm", "hydra.launcher.mem_gb=1.5", "hydra.launcher.cells_a_job=1")


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


def wait_for(condition: Callable[[], object], what: str, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def metrics_in(folder: Path) -> list[Path]:
    """Cells that have ended an epoch."""
    return [each.parent for each in folder.glob("*/metrics.csv")]


def test_a_sweep_that_is_left_preempted_killed_and_timed_out_ends_as_on_one_machine(
    cluster: SlurmCluster, cache: Path, tmp_path: Path
) -> None:
    """The whole story on one sweep, since a start of each command takes ten seconds."""
    whole, folder, log = tmp_path / "whole", tmp_path / "sweep", tmp_path / "log"
    assert start_train(tmp_path / "whole.log", *sweep_arguments(cache, whole, *LONG)).wait() == 0
    arguments = [*sweep_arguments(cache, folder, *LONG, *ON_SLURM), "paths.stale_after=5"]
    environment = {key: cluster.env[key] for key in ("SLURM_CONF", "PATH")}
    begun = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - begun:6.1f} {what}", cluster.squeue(), flush=True)

    leader = start_train(log, *arguments, **environment)
    wait_for(lambda: len(metrics_in(folder)) >= 2, "cells train")
    say("trains")
    leader.send_signal(signal.SIGINT)
    assert leader.wait(60) == 130
    say("left")
    high = cluster.sbatch("sleep 3", "--partition=high", "--exclusive", "--mem=0")
    cluster.wait(high, "RUNNING")
    say("preempted")
    cluster.wait(high, "COMPLETED")
    wait_for(lambda: "RUNNING" in {state for state, _ in cluster.squeue().values()}, "run again")
    say("run again")
    leader = start_train(log, *arguments, **environment)
    time.sleep(8)
    say("came back")
    cluster.kill_node()
    say("killed")
    cluster.wait_for_node("down", "down*")
    cluster.restart_node()
    say("restarted")
    running = [name for name, (state, _) in cluster.squeue().items() if state == "RUNNING"]
    for name in running:
        cluster.end_in(20, name)
    status = leader.wait(300)
    say(f"done {status}")
    print(log.read_text())
    assert status == 0
    assert predictions(folder) == predictions(whole)
