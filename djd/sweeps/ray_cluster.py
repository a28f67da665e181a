"""Ray as a cluster: each job a task, owned by an actor that outlives the command.

Nothing at the top imports Ray, which takes a second.
"""

import hashlib
import logging
import math
import os
import pickle
import secrets
import signal
import socket
import sys
import time
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from djd.errors import InputError
from djd.machine import usable_cores
from djd.sweeps.cluster import Ended, Look
from djd.sweeps.node import NodeJob
from djd.wording import in_shell, listed

NAMESPACE = "djd"

SECONDS_TO_ANSWER = 120
"""Of an actor, whose process Ray may have to start first."""

SECONDS_TO_CONNECT = 5
"""Ray itself tries for minutes."""

SECONDS_TO_STOP = 40
"""Cells take up to `djd.sweeps.processes.SECONDS_TO_STOP`."""

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under uv, Ray would send the folder to each node
}

OBJECT_STORE_BYTES = 128 * 2**20
"""Of a Ray that is started here; cells exchange files, and values of a few megabytes at most."""

Resources = Mapping[str, float]
"""As Ray names them: CPU, GPU, and memory in bytes."""


@dataclass(frozen=True)
class Connection:
    """This process's place in a Ray cluster.

    Attributes:
        address: As `ray.init` takes it.
        is_own: Whether this process has started it; it ends with this process.
    """

    address: str
    is_own: bool

    @property
    def nodes(self) -> list[Resources]:
        """All resources of each living node."""
        import ray

        return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def join(address: str | None) -> Connection | None:
    """Join a running cluster.

    Args:
        address: `host:port` of a cluster to which this machine belongs; None for that of the
            environment's RAY_ADDRESS, else one that `ray start` has started on this machine.

    Returns:
        The connection; None where no address was said and none is running.

    Raises:
        InputError: Nothing answers, or another version of Ray or Python.
        ModuleNotFoundError: Ray is not installed.
    """
    said = address or os.environ.get("RAY_ADDRESS")
    with _quiet(said) as options:
        import ray

        if not _is_running(said):
            return None
        # Ray sends a token that it has to a cluster that it has found, never to one that was said.
        ray.init(said, **options)
        return Connection(said or "auto", is_own=False)


def start() -> Connection:
    """Start a cluster of this machine alone, which ends with this process.

    Raises:
        InputError: Ray can't start.
    """
    own: dict[str, Any] = {"num_cpus": usable_cores(), "object_store_memory": OBJECT_STORE_BYTES}
    with _quiet("this machine") as options:
        import ray

        ray.init("local", include_dashboard=False, **own, **options)
        return Connection("local", is_own=True)


@contextmanager
def _quiet(place: str | None) -> Iterator[dict[str, Any]]:
    """Options of `ray.init` by which Ray prints nothing; its errors become InputErrors."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from ray._private import worker

    # Ray prints what happens to its processes, whatever `log_to_driver` says.
    vars(worker)["print_to_stdstream"] = lambda *_, **__: None
    terminate = signal.getsignal(signal.SIGTERM)  # `ray.init` sets a handler of its own
    try:
        yield {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": logging.CRITICAL}
    except (OSError, RuntimeError, ValueError) as error:
        words = " ".join(str(error).split())
        if place and words.startswith("Failed to connect"):  # after something took a connection
            words += "; is it no cluster, or does it want a token (RAY_AUTH_MODE=token)?"
        raise InputError(
            "hydra.launcher.address: expected a Ray cluster that takes this command"
            f"{f' at {place}' if place else ''}, received: {words}"
        ) from error
    finally:
        signal.signal(signal.SIGTERM, terminate)


def _is_running(said: str | None) -> bool:
    """Whether a cluster runs at the address, or on this machine where none was said.

    Raises:
        ConnectionError: Nothing answers at the address that was said.
        ValueError: It is none.
    """
    from ray._private.services import canonicalize_bootstrap_address

    if said and "://" in said:
        raise ValueError("another scheme; say host:port, on a machine that belongs to the cluster")
    found = canonicalize_bootstrap_address(said)
    why = found and _why_silent(found)
    if why and said:
        raise ConnectionError(why)
    return bool(found) and not why


def _why_silent(address: str) -> str | None:
    """Why nothing takes connections at `host:port`; None where something does."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS_TO_CONNECT).close()
    except (OSError, ValueError) as error:
        return str(error)
    return None


def places(nodes: Sequence[Resources], wanted: Resources) -> int:
    """How many jobs run at a time on nodes that do nothing else; 0 where none ever could."""
    return sum(_places_on(node, wanted) for node in nodes)


def _places_on(node: Resources, wanted: Resources) -> int:
    shares = [node.get(key, 0.0) / amount for key, amount in wanted.items() if amount]
    return math.floor(min(shares, default=1.0) + 1e-6)  # 0.3 / 0.1 is not quite 3


@dataclass
class RayCluster:
    """Jobs as tasks of Ray.

    Attributes:
        folder: `jobs` of the sweep, whose actor is found by it.
        wanted: Resources of a job.
        max_jobs: Jobs at a time; None for as many as the resources allow.
        retries: How often a job is launched again whose worker process was lost.
        path: Folders of modules.
    """

    connection: Connection
    folder: Path
    wanted: Resources
    max_jobs: int | None
    retries: int
    path: Sequence[str]
    name: str = "Ray"
    seconds_between_looks: float = 1.0

    @property
    def desk_name(self) -> str:
        """The name of the sweep's actor in the cluster."""
        return f"sweep {hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]}"

    def submit(self, jobs: Sequence[NodeJob]) -> list[str]:
        """See `Cluster`."""
        nodes = self.connection.nodes
        if not places(nodes, self.wanted):
            raise InputError(
                f"hydra.launcher: expected a node of Ray with {_in_words(self.wanted)} for a job, "
                f"received {'; '.join(map(_in_words, nodes))}"
            )
        import cloudpickle
        from ray.exceptions import ActorDiedError, GetTimeoutError

        sent = {secrets.token_hex(4): zlib.compress(cloudpickle.dumps(job)) for job in jobs}
        options = {f"num_{key.lower()}s": self.wanted[key] for key in ("CPU", "GPU")}
        if "memory" in self.wanted:
            options["memory"] = self.wanted["memory"]
        how = {"most": self.max_jobs, "retries": self.retries, "options": options}
        for last in (False, True):
            try:
                self._ask(self._desk().submit.remote(sent, self.path, **how))
                break
            except (ActorDiedError, GetTimeoutError) as error:  # the former may have been leaving
                if last or isinstance(error, GetTimeoutError):
                    raise InputError(
                        f"hydra/launcher=ray: expected an actor that takes {len(jobs)} jobs, "
                        f"received: {' '.join(str(error).split())}"
                    ) from error
        return list(sent)

    def _desk(self) -> Any:
        import ray
        from ray import cloudpickle

        from djd.sweeps import ray_desk

        cloudpickle.register_pickle_by_value(ray_desk)
        actor = ray.remote(ray_desk.Desk).options(
            name=self.desk_name,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=0,
            resources={"node:__internal_head__": 0.001},  # a cluster ends with that node
        )
        return actor.remote()

    def _ask(self, question: Any) -> Any:
        import ray

        return ray.get(question, timeout=SECONDS_TO_ANSWER)

    def look(self, names: Collection[str]) -> Mapping[str, Look | Ended]:
        """See `Cluster`."""
        import ray
        from ray.exceptions import ActorDiedError, ActorUnavailableError, GetTimeoutError

        try:
            states = self._ask(ray.get_actor(self.desk_name).look.remote(list(names)))
        except (ValueError, ActorDiedError):  # no such actor: all tasks have ended with it
            states = {}
        except (ActorUnavailableError, GetTimeoutError):
            return {}
        return {name: state_of(name, *states.get(name, ("lost", None))) for name in names}

    def cancel(self, names: Collection[str] | None) -> None:
        """See `Cluster`; None for all. Returns once cells have kept their last epochs."""
        import ray
        from ray.exceptions import RayError

        until = time.monotonic() + SECONDS_TO_STOP
        with suppress(ValueError, RayError):  # its actor is gone, and all tasks with it
            ending = self._ask(ray.get_actor(self.desk_name).cancel.remote(names and list(names)))
            while ending and time.monotonic() < until:
                ending = [name for name, look in self.look(ending).items() if look in _LIVING]
                time.sleep(0.2)

    def leave(self) -> None:
        """End a Ray that this process has started, and its jobs before."""
        import ray

        if self.connection.is_own:
            self.cancel(None)
            ray.shutdown()

    def how_to_end(self, names: Collection[str]) -> str:
        """See `Cluster`."""
        if self.connection.is_own:
            return (
                "they end with this command, which has started their Ray; cells keep their last "
                "epochs"
            )
        end = (
            f"import ray; ray.init({self.connection.address!r}, namespace={NAMESPACE!r}); "
            f"ray.get(ray.get_actor({self.desk_name!r}).cancel.remote())"
        )
        return f"nobody has to watch them; to end them: {in_shell(sys.executable, '-c', end)}"


_LIVING = (Look(runs=False), Look(runs=True))


def state_of(name: str, state: str, value: Any) -> Look | Ended:
    """A job's state from its actor's word for it; see `djd.sweeps.ray_desk.State`."""
    if state in ("waits", "runs"):
        return Look(runs=state == "runs")
    if state == "ended":
        return Ended(pickle.loads(value))
    if state == "cancelled":
        return Ended(reason=f"its job {name} was cancelled", of="all")
    reason = " ".join(value.split()) if value else None
    return Ended(reason=reason, of="ran" if state == "crashed" else "none")


def _in_words(resources: Resources) -> str:
    amounts = [f"{resources.get(key, 0):g} {key}" for key in ("CPU", "GPU")]
    if memory := resources.get("memory"):
        amounts.append(f"{memory / 1e9:.3g} GB")
    return listed(amounts)
