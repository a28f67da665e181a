"""A place in a Ray cluster: one that runs, or one that this process starts.

Nothing at the top imports Ray, which takes a second.
"""

import logging
import math
import os
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from djd.errors import InputError
from djd.machine import usable_cores
from djd.wording import listed

NAMESPACE = "djd"

SECONDS_TO_CONNECT = 5
"""Ray itself tries for minutes."""

OBJECT_STORE_BYTES = 128 * 2**20
"""Of a Ray that is started here; cells exchange files, and values of a few megabytes at most."""

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under uv, Ray would send the folder to each node
}

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


def require_place(nodes: Sequence[Resources], wanted: Resources) -> None:
    """Raise InputError where no node could ever run a job, which would wait for one."""
    if not places(nodes, wanted):
        raise InputError(
            f"hydra.launcher: expected a node of Ray with {_in_words(wanted)} for a job, "
            f"received {'; '.join(map(_in_words, nodes))}"
        )


def _in_words(resources: Resources) -> str:
    amounts = [f"{resources.get(key, 0):g} {key}" for key in ("CPU", "GPU")]
    if memory := resources.get("memory"):
        amounts.append(f"{memory / 1e9:.3g} GB")
    return listed(amounts)
