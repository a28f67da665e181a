"""Ray as a cluster: each job a task, owned by an actor that outlives the command."""

import hashlib
import pickle
import secrets
import sys
import time
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from djd.errors import InputError
from djd.sweeps.node import NodeJob
from djd.sweeps.queue import Ended, Look
from djd.sweeps.ray_connection import NAMESPACE, Connection, Resources, require_place
from djd.wording import in_shell

SECONDS_TO_ANSWER = 120
"""Of an actor, whose process Ray may have to start first."""

SECONDS_TO_STOP = 40
"""Cells take up to `djd.sweeps.processes.SECONDS_TO_STOP`."""


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
    _had_place: bool = False

    @property
    def desk_name(self) -> str:
        """The name of the sweep's actor in the cluster."""
        return f"sweep {hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]}"

    def submit(self, jobs: Sequence[NodeJob]) -> Iterator[list[str]]:
        """See `Cluster`; names come first: a stop while jobs are sent leaves no job without one."""
        if not self._had_place:  # later the only such node may be away for a while
            require_place(self.connection.nodes, self.wanted)
        self._had_place = True
        import cloudpickle
        from ray.exceptions import ActorDiedError, GetTimeoutError

        sent = {secrets.token_hex(4): zlib.compress(cloudpickle.dumps(job)) for job in jobs}
        yield list(sent)  # a job that never arrives counts as lost, and is submitted again
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
        return (
            f"they go on without this command; to end them: {in_shell(sys.executable, '-c', end)}"
        )


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
