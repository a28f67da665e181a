"""What launchers of clusters share: jobs of several cells, and calls that are made on a node."""

import sys
import sysconfig
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra_plugins.djd.processes_launcher import ProcessesLauncher, run_job_alone

if TYPE_CHECKING:
    from djd.sweeps.cells import Job
    from djd.sweeps.node import NodeJob
    from djd.sweeps.processes import Ending, Watcher
    from djd.sweeps.queue import Cluster, Queue


class ClusterLauncher(ProcessesLauncher):
    """Runs jobs on other machines than this one.

    Args:
        max_jobs: Jobs of the cluster that run at a time.
        cells_a_job: Cells in a job; None for a number by their expected time.
        cells_at_once: Cells of a job that train at a time.
    """

    here = False

    extra: str
    """The extra of the package that has the engine's library."""

    def __init__(self, max_jobs: int, cells_a_job: int | None, cells_at_once: int) -> None:
        super().__init__()
        self.require_counts(max_jobs=max_jobs, cells_a_job=cells_a_job, cells_at_once=cells_at_once)
        self.n_jobs = max_jobs * cells_at_once
        self._queue: Queue | None = None
        self.max_jobs, self.cells_a_job, self.cells_at_once = max_jobs, cells_a_job, cells_at_once

    @staticmethod
    def require_counts(**counts: int | None) -> None:
        """Raise InputError for a number below 1."""
        from djd.errors import InputError

        for key, count in counts.items():
            if count is not None and count < 1:
                raise InputError(f"hydra.launcher.{key}: expected 1 or more, received {count}")

    @abstractmethod
    def connect(self, folder: Path) -> "Cluster":
        """The engine; it may keep files in the folder."""

    def run(
        self,
        jobs: Sequence["Job"],
        calls: Sequence[tuple[Any, ...]],
        *,
        at_once: int,
        watcher: "Watcher",
    ) -> "Sequence[Ending | None]":
        """Call `run_job_alone` for each job; the endings in their order."""
        from djd.sweeps.cluster import run_on_cluster
        from djd.sweeps.processes import Ending

        job, cells = self._node_job(run_job_alone, calls), self.cells_in_a_job(jobs)
        with self._leaving():
            endings = run_on_cluster(self.queue(), jobs, job, cells_a_job=cells, watcher=watcher)
        if self.jobs:  # of our own sweeper, which launches lost jobs again
            return endings
        return [each or Ending(1, error="its job was lost") for each in endings]

    def queued(self, jobs: Sequence["Job"]) -> "Sequence[Job]":
        """See `djd.sweeps.cells.Queued`."""
        found = self.queue().found([job.name for job in jobs]) if jobs else {}
        return [jobs[index] for batch in found.values() for index in batch]

    def apart(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Make one call on a node, and wait for its value; raises InputError where it fails."""
        from djd.sweeps.cluster import call_on_cluster

        with self._leaving():
            return call_on_cluster(self.queue().cluster, self._node_job(work, [arguments]))

    def leave(self) -> None:
        """Act on the stop of this command; the jobs of most engines go on."""

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        from djd.machine import Stopped

        try:
            yield
        except Stopped:
            self.leave()
            raise

    def queue(self) -> "Queue":
        """The jobs of this sweep on the cluster.

        Raises:
            InputError: The engine's library is not installed, or the engine doesn't answer.
        """
        from djd.sweeps.queue import JOBS, Queue

        folder = Path(self.master.hydra.sweep.dir, JOBS).resolve()
        with self.library_there():
            self._queue = self._queue or Queue(self.connect(folder), folder)
            return self._queue

    @contextmanager
    def library_there(self) -> Iterator[None]:
        """Raise InputError where the engine's library is not installed."""
        from djd.errors import InputError

        try:
            yield
        except ModuleNotFoundError as error:
            library = (error.name or self.extra).partition(".")[0]
            raise InputError(
                f"hydra/launcher={self.extra}: expected an installed {library}, received none; "
                f'say pip install "djd[{self.extra}]"'
            ) from error

    def cells_in_a_job(self, jobs: "Sequence[Job]") -> int:
        """As many as were asked for, or as many as take a while."""
        from djd.sweeps.cluster import cells_in_a_job

        return self.cells_a_job or cells_in_a_job(
            jobs, at_once=self.cells_at_once, max_jobs=self.max_jobs
        )

    def module_folders(self) -> tuple[str, ...]:
        """Where a node finds modules: beside those of its Python, which is this one."""
        folders = dict.fromkeys(str(Path(each).absolute()) for each in sys.path if each)
        of_python = {*sysconfig.get_paths().values()}
        return tuple(each for each in folders if each not in of_python)

    def _node_job(self, work: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> "NodeJob":
        from djd.sweeps.node import NodeJob

        start = str(Path.cwd())
        return NodeJob(
            work, calls, at_once=self.cells_at_once, start=start, path=self.module_folders()
        )
