"""Comparisons whose cells are tasks of a Ray cluster of this machine."""

import os
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from djd.errors import InputError
from djd.machine import Stopped
from djd.sweeps.node import NodeJob
from djd.sweeps.queue import Ended, Queue
from djd.sweeps.ray_cluster import RayCluster
from djd.sweeps.ray_connection import Connection, join
from tests.conftest import tiny_values
from tests.eight_cells import eight_cells, eight_here, outcome
from tests.made_once import MakeOnce
from tests.ray_cluster import ENVIRONMENT, RayTestCluster, processes_with, ray_cluster, wait_for
from tests.sweeping import ROOT, start_train, sweep_arguments

ray = pytest.importorskip("ray", reason='Ray is not installed (pip install "djd[ray]")')

pytestmark = pytest.mark.slow

LONG = (
    "data.fold=0,1,2",
    "data.pixels=32",
    "trainer.max_epochs=600",
    "score_epochs=[300]",
    "test=never",
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayTestCluster]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        with ray_cluster("--num-cpus=2", "--num-gpus=2") as running:
            yield running


@pytest.fixture(scope="module")
def cache(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tiny_values(phantom_folder, tmp_path_factory.mktemp("ray"))["paths"]["cache"])


@contextmanager
def joined(cluster: RayTestCluster) -> Iterator[Connection]:
    """This process in the cluster."""
    connection = join(cluster.address)
    assert connection
    try:
        yield connection
    finally:
        ray.shutdown()


def metrics_in(folder: Path) -> list[Path]:
    """Metrics of cells that have ended an epoch."""
    return list(folder.glob("*/metrics.csv"))


def seen_devices(folder: Path, jobs: int) -> str:
    """In a cell's process: what it sees of GPUs, once all jobs run at a time."""
    (folder / str(os.getpid())).touch()
    wait_for(lambda: len(list(folder.iterdir())) == jobs, "jobs side by side")
    return os.environ["CUDA_VISIBLE_DEVICES"]


def devices_seen(connection: Connection, folder: Path, *, share: float, jobs: int) -> list[str]:
    folder.mkdir()
    job = NodeJob(seen_devices, [(folder, jobs)], start=str(Path.cwd()))
    there = RayCluster(
        connection, folder, {"CPU": 0.5, "GPU": share}, None, retries=0, path=[str(ROOT)]
    )
    (names,), seen = there.submit([job] * jobs), []
    wait_for(lambda: all(isinstance(each, Ended) for each in there.look(names).values()), "ends")
    for look in there.look(names).values():
        assert isinstance(look, Ended)
        assert not look.reason
        (ending,) = look.endings
        seen.append(ending.value if ending else "")
    return sorted(seen)


def test_gpus_are_shared_out_between_jobs(cluster: RayTestCluster, tmp_path: Path) -> None:
    with joined(cluster) as connection:
        assert devices_seen(connection, tmp_path / "a", share=1, jobs=2) == ["0", "1"]
        assert devices_seen(connection, tmp_path / "b", share=0.5, jobs=4) == ["0", "0", "1", "1"]
        assert devices_seen(connection, tmp_path / "c", share=0, jobs=1) == [""]


def test_a_job_for_which_no_node_is_large_enough_is_refused(
    cluster: RayTestCluster, tmp_path: Path
) -> None:
    with joined(cluster) as connection:
        there = RayCluster(connection, tmp_path, {"CPU": 1, "GPU": 3}, None, 0, path=[])
        with pytest.raises(InputError, match=r"a node of Ray with 1 CPU and 3 GPU.* 2 GPU"):
            list(there.submit([NodeJob(seen_devices, [()])]))


@pytest.mark.parametrize(("step", "arrived"), [("_desk", False), ("_ask", True)])
def test_jobs_are_found_again_that_arrived_before_the_command_was_stopped(
    cluster: RayTestCluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    arrived: bool,
) -> None:
    def stop(_: RayCluster, *questions: object) -> None:
        ray.get(list(questions))
        raise Stopped(signal.SIGINT)

    with joined(cluster) as connection:
        there = RayCluster(connection, tmp_path, {"CPU": 1, "GPU": 0}, None, 0, path=[])
        queue = Queue(there, tmp_path)
        job = NodeJob(time.sleep, [(60,)])
        with monkeypatch.context() as patch:
            patch.setattr(RayCluster, step, stop)
            with pytest.raises(Stopped):
                queue.submit(["a"], lambda _: job, cells_a_job=1)
        found = queue.found(["a"])
        assert list(found.values()) == ([[0]] if arrived else [])
        there.cancel(found)


def test_eight_cells_and_their_failures_are_those_of_one_machine(
    cluster: RayTestCluster, cache: Path, make_once: MakeOnce, tmp_path: Path
) -> None:
    there = eight_cells(cache, tmp_path, "hydra/launcher=ray", **cluster.environment)
    assert there == eight_here(cache, make_once)
    assert "optim=sgd/predictions.csv" in there
    shown = (tmp_path / "log").read_text(encoding="utf-8")
    assert "Traceback" not in shown
    assert not {"raylet", "worker.py", "INFO"} & {*re.findall(r"[\w.]+", shown)}, "of Ray's own"


def test_a_sweep_that_is_left_and_loses_a_process_and_a_node_ends_as_on_one_machine(
    cluster: RayTestCluster, cache: Path, tmp_path: Path
) -> None:
    """The whole story on one sweep, since a start of each command takes seconds."""
    whole, folder, log = tmp_path / "whole", tmp_path / "sweep", tmp_path / "log"
    assert start_train(tmp_path / "whole.log", *sweep_arguments(cache, whole, *LONG)).wait() == 0
    arguments = sweep_arguments(cache, folder, *LONG, "hydra/launcher=ray", "paths.stale_after=5")
    arguments.append("hydra.launcher.num_gpus=1")
    with cluster.node("--num-cpus=1", "--num-gpus=1") as node:
        leader = start_train(log, *arguments, **cluster.environment)
        wait_for(lambda: len(metrics_in(folder)) >= 3, "cells train on both nodes")
        leader.send_signal(signal.SIGINT)
        assert leader.wait(60) == 130
        assert "they go on without this command" in log.read_text(encoding="utf-8")
        process = cluster.head.processes("ray::djd")[0]
        os.kill(process, signal.SIGKILL)
        wait_for(lambda: len(cluster.head.processes("ray::djd")) == 2, "it is launched again")
        leader = start_train(log, *arguments, **cluster.environment)
        wait_for(lambda: "cells done" in _second(log), "the display came back")
        assert node.processes("ray::djd")
    assert leader.wait(300) == 0, log.read_text(encoding="utf-8")
    assert outcome(folder) == outcome(whole)
    wait_for(lambda: not cluster.head.processes("ray::Desk"), "its actor is gone")


def test_a_ray_that_the_command_has_started_ends_with_it(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, log = tmp_path / "sweep", tmp_path / "log"
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with tempfile.TemporaryDirectory(
        prefix="djd-ray-"
    ) as place:  # tmp_path is too long for sockets
        environment = {**ENVIRONMENT, "RAY_TMPDIR": place}
        arguments = sweep_arguments(cache, folder, *LONG, "hydra/launcher=ray")
        leader = start_train(log, *arguments, **environment)
        wait_for(lambda: metrics_in(folder), "a cell trains")
        leader.send_signal(signal.SIGINT)
        assert leader.wait(60) == 130
        assert "they end with this command" in log.read_text(encoding="utf-8")
        wait_for(lambda: not processes_with(place), "Ray has ended")
    for each in metrics_in(folder):
        assert (each.parent / "checkpoints" / "last.ckpt").exists()
    assert not list(folder.rglob("error.txt")), "nothing has failed"


def _second(log: Path) -> str:
    """What the second command has printed."""
    return log.read_text(encoding="utf-8").partition("they go on without this command")[2]
