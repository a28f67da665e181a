import os
import pickle
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from djd.errors import InputError
from djd.sweeps.node import NodeJob
from djd.sweeps.processes import Ending
from djd.sweeps.queue import Ended, Look
from djd.sweeps.ray_cluster import RayCluster, state_of
from djd.sweeps.ray_connection import Connection, Resources, join, places
from hydra_plugins.djd.ray_launcher import RayLauncher


class Nodes(Connection):
    """A cluster of given nodes, without one."""

    nodes: Sequence[Resources] = ()  # type: ignore[assignment]


def cluster_of(*nodes: Resources, wanted: Resources, is_own: bool = False) -> RayCluster:
    connection = Nodes("10.0.0.1:6379", is_own)
    object.__setattr__(connection, "nodes", nodes)
    return RayCluster(connection, Path("/sweep/jobs"), wanted, None, retries=0, path=())


def set_up(**keys: Any) -> None:
    """A launcher of these keys, as Hydra sets it up."""
    defaults: dict[str, Any] = {"address": None, "max_jobs": None, "num_cpus": 1, "num_gpus": None}
    rest = {"memory_gb": None, "cells_a_job": 1, "cells_at_once": 1, "retries": 3}
    made = RayLauncher(**{**defaults, **rest, **keys})
    nothing: Any = None
    made.setup(hydra_context=nothing, task_function=nothing, config=nothing)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"CPU": 1}, 12),
        ({"CPU": 3, "GPU": 0}, 3),
        ({"CPU": 1, "GPU": 1}, 2),
        ({"CPU": 1, "GPU": 0.25}, 8),
        ({"CPU": 0.1, "GPU": 0.1}, 20),
        ({"CPU": 0, "memory": 3e9}, 5),
        ({"CPU": 9}, 0),
    ],
)
def test_jobs_at_a_time_are_those_that_fit_on_each_node(wanted: Resources, expected: int) -> None:
    nodes = [{"CPU": 8.0, "GPU": 2.0, "memory": 10e9}, {"CPU": 4.0, "memory": 8e9}]
    assert places(nodes, wanted) == expected


def test_resources_that_no_node_has_are_refused_in_place_of_waiting_for_them() -> None:
    cluster = cluster_of({"CPU": 8.0}, {"CPU": 4.0, "GPU": 1.0}, wanted={"CPU": 1, "GPU": 2})
    with pytest.raises(InputError) as refused:
        list(cluster.submit([NodeJob(os.getpid, [()])]))
    assert str(refused.value) == (
        "hydra.launcher: expected a node of Ray with 1 CPU and 2 GPU for a job, "
        "received 8 CPU and 0 GPU; 4 CPU and 1 GPU"
    )


@pytest.mark.parametrize(
    ("state", "look"),
    [
        (("waits", None), Look(runs=False)),
        (("runs", None), Look(runs=True)),
        (("lost", None), Ended()),
        (("lost", "OSError: no\nfolder"), Ended(reason="OSError: no folder")),
        (("crashed", "again"), Ended(reason="again", of="ran")),
        (("cancelled", None), Ended(reason="its job a1 was cancelled", of="all")),
        (("ended", pickle.dumps([Ending(0, 5)])), Ended([Ending(0, 5)])),
    ],
)
def test_what_its_actor_says_of_a_job(state: tuple[str, object], look: Look | Ended) -> None:
    assert state_of("a1", *state) == look


def test_how_jobs_end_that_nobody_watches_depends_on_who_started_ray() -> None:
    own = cluster_of(wanted={}, is_own=True).how_to_end([])
    others = cluster_of(wanted={}).how_to_end([])
    assert "end with this command" in own
    assert "they go on without this command" in others
    assert "10.0.0.1:6379" in others
    assert cluster_of(wanted={}).desk_name in others


def test_without_ray_a_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r'hydra/launcher=ray: .*pip install "djd\[ray\]"'):
        set_up()


def test_a_number_of_gpus_that_ray_can_not_give_is_refused() -> None:
    with pytest.raises(InputError, match=r"hydra\.launcher\.num_gpus: .*received 1\.5"):
        set_up(num_gpus=1.5)


def test_an_address_where_nothing_answers_is_said_at_once() -> None:
    pytest.importorskip("ray", reason='Ray is not installed (pip install "djd[ray]")')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match=f"at {address}, received: .*refused"):
            join(address)


def test_addresses_of_rays_client_are_refused() -> None:
    pytest.importorskip("ray", reason='Ray is not installed (pip install "djd[ray]")')
    with pytest.raises(InputError, match=r"at ray://head:10001, received: .*host:port"):
        join("ray://head:10001")
