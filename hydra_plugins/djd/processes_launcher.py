"""`hydra/launcher=processes`: each job in a process of its own, as many at once as there are cores.

Each job has one thread: two such trainings at once on two cores are faster than one after the
other on both, and the number of threads changes results.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from djd.errors import InputError
from djd.windows import MOST_PROCESSES

if TYPE_CHECKING:
    from djd.sweeps.cells import Job
    from djd.sweeps.processes import Ending, Watcher


@dataclass
class ProcessesLauncherConf:
    """Keys of `hydra.launcher`."""

    _target_: str = "hydra_plugins.djd.processes_launcher.ProcessesLauncher"
    n_jobs: int | None = None


ConfigStore.instance().store(
    group="hydra/launcher", name="processes", node=ProcessesLauncherConf, provider="djd"
)


class ProcessesLauncher(Launcher):
    """Runs jobs in processes, a few at a time; a job that dies stops no other.

    Args:
        n_jobs: Number of jobs at a time; None or -1 for as many as there are cores or, under
            `ComparisonSweeper`, as GPUs have room for.

    Attributes:
        n_jobs: As given; None for a number that is still to be chosen.
        jobs: The jobs of `ComparisonSweeper`, for the display; empty under another sweeper.
        here: Whether jobs run on this machine.
    """

    here = True

    def __init__(self, n_jobs: int | None = None) -> None:
        self.n_jobs = min(n_jobs, MOST_PROCESSES) if n_jobs and n_jobs > 0 else None
        self.jobs: Sequence[Job] = ()
        self.context: HydraContext
        self.task_function: TaskFunction
        self.master: DictConfig

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep Hydra's objects."""
        self.context, self.task_function, self.master = hydra_context, task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs; each return holds the job's value or error."""
        import cloudpickle
        from hydra.core.singleton import Singleton

        from djd.sweeps.display import JobDisplay
        from djd.sweeps.gpus import most_at_once
        from djd.terminal import Terminal

        # Hydra's state holds resolvers, which are functions inside functions.
        state = (self.task_function, Singleton.get_state(), self.context, self.master)
        shared, numbered = cloudpickle.dumps(state), list(enumerate(job_overrides, initial_job_idx))
        calls = [(shared, list(overrides), index) for index, overrides in numbered]
        jobs = self.jobs or [self._job(overrides, index) for index, overrides in numbered]
        fast, at_once = bool(self.master.get("fail_fast", False)), self.n_jobs or most_at_once()
        with JobDisplay(jobs, at_once=at_once, fail_fast=fast, console=Terminal()) as display:
            endings = self.run(jobs, calls, at_once=at_once, watcher=display)
        return [
            _returned(list(each), end) for each, end in zip(job_overrides, endings, strict=True)
        ]

    def run(
        self,
        jobs: Sequence["Job"],
        calls: Sequence[tuple[Any, ...]],
        *,
        at_once: int,
        watcher: "Watcher",
    ) -> "Sequence[Ending | None]":
        """Call `run_job_alone` for each job; the endings in their order."""
        from djd.sweeps.processes import run_in_processes

        return run_in_processes(run_job_alone, calls, at_once=at_once, watcher=watcher)

    def _job(self, overrides: Sequence[str], index: int) -> "Job":
        """A job of another sweeper, for the display."""
        from djd.sweeps.cells import Job

        config = _composed(self.context, self.master, overrides, index)
        folder = Path(config.hydra.sweep.dir, config.hydra.sweep.subdir)
        epochs = int(OmegaConf.select(config, "trainer.max_epochs", default=0))
        name = str(config.hydra.sweep.subdir)
        return Job(folder, name, "cell", tuple(overrides), epochs=epochs, seconds=1.0)


def _returned(overrides: list[str], ending: "Ending | None") -> JobReturn:
    returned = JobReturn(overrides=overrides)
    if ending is None:  # never started, or stopped because another job failed
        return returned
    if ending.reason:
        returned.status = JobStatus.FAILED
        returned.return_value = InputError(ending.reason)
    else:
        returned.status = JobStatus.COMPLETED
        returned.return_value = ending.value
    return returned


def run_job_alone(shared: bytes, overrides: list[str], index: int) -> Any:
    """In the job's own process: compose the configuration and run the task."""
    import pickle

    from hydra.core.singleton import Singleton
    from hydra.core.utils import run_job, setup_globals

    task: TaskFunction
    context: HydraContext
    task, singletons, context, master = pickle.loads(shared)
    setup_globals()
    Singleton.set_state(singletons)
    config = _composed(context, master, overrides, index)
    # All that is printed goes to the log already.
    root = OmegaConf.select(config, "hydra.job_logging.root")
    if root and "handlers" in root:
        root.handlers = [each for each in root.handlers if each != "console"]
    with _into_log(Path(config.hydra.sweep.dir, config.hydra.sweep.subdir)):
        returned = run_job(task, config, "hydra.sweep.dir", "hydra.sweep.subdir", context)
        logging.shutdown()  # Hydra's file of this job stays open otherwise
    return returned.return_value  # raises the task's exception


def _composed(
    context: HydraContext, master: DictConfig, overrides: Sequence[str], index: int
) -> DictConfig:
    config = context.config_loader.load_sweep_config(master, list(overrides))
    with open_dict(config):
        config.hydra.job.id = config.hydra.job.num = index
    return config


@contextmanager
def _into_log(folder: Path) -> Iterator[None]:
    """Send everything that is printed, crashes included, to the job's log."""
    import faulthandler

    from djd.runs.folder import LOG_NAME

    folder.mkdir(parents=True, exist_ok=True)
    before = {number: os.dup(number) for number in (1, 2)}
    with (folder / LOG_NAME).open(
        "a", encoding="utf-8", errors="backslashreplace", buffering=1
    ) as log:
        # Libraries write to the numbers; Python's own streams reach a Windows console otherwise.
        for number in before:
            os.dup2(log.fileno(), number)
        faulthandler.enable(log)
        try:
            with redirect_stdout(log), redirect_stderr(log):
                yield
        finally:
            faulthandler.disable()
            for number, place in before.items():
                os.dup2(place, number)
                os.close(place)
