"""`hydra/sweeper=comparison`: every sweep can be stopped, continued and widened."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobStatus
from hydra.experimental.callback import Callback
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, read_write
from omegaconf.errors import OmegaConfBaseException

from djd.environment import expand_home
from djd.runs.command_line import quote_paths

if TYPE_CHECKING:
    from djd.sweeps.cells import Job


@dataclass
class ComparisonSweeperConf:
    """Keys of `hydra.sweeper`; `params` has an axis a key, with commas between the values."""

    _target_: str = "hydra_plugins.djd.comparison_sweeper.ComparisonSweeper"
    params: dict[str, Any] = field(default_factory=dict)


ConfigStore.instance().store(
    group="hydra/sweeper", name="comparison", node=ComparisonSweeperConf, provider="djd"
)


class HomeInFolders(Callback):
    """Expands the tilde of `hydra.run.dir` and `hydra.sweep.dir`, which a shell leaves alone."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Before the folder of a run is made."""
        with read_write(config), suppress(OmegaConfBaseException):  # which Hydra names afterwards
            config.hydra.run.dir = expand_home(config.hydra.run.dir)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Before a sweep; launchers compose each job again, from the overrides."""
        with read_write(config), suppress(OmegaConfBaseException):
            folder = str(config.hydra.sweep.dir)
            if folder != (expanded := expand_home(folder)):
                config.hydra.sweep.dir = expanded
                config.hydra.overrides.hydra += quote_paths([f"hydra.sweep.dir={expanded}"])


class ComparisonSweeper(Sweeper):
    """Trains every combination of the axes, and chooses the best.

    Args:
        params: Axes of the experiment's file, which the command line overrides.
    """

    def __init__(self, params: dict[str, Any] | None = None) -> None:
        self.params = dict(params or {})
        self._launched = 0
        self.launcher: Launcher
        self.context: HydraContext
        self.master: DictConfig

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep Hydra's objects, and make the launcher."""
        from hydra.core.plugins import Plugins

        self.context, self.master = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run the sweep.

        Raises:
            InputError: A value of the user is wrong; nothing was trained.
            FailedCellsError: The sweep reached its end, and some cells failed.
            ElsewhereError: Other processes still train some cells.
            Stopped: The sweep was stopped; the exception says how to go on.
        """
        from djd.errors import ElsewhereError, FailedCellsError, InputError
        from djd.garbage import keeping_all
        from djd.machine import Stopped
        from djd.report.report import report_sweep
        from djd.runs.summary import say
        from djd.sweeps.compare import compare
        from djd.sweeps.folder import COMPARISON_NAME
        from hydra_plugins.djd._axes import read_axes
        from hydra_plugins.djd._composing import CellComposer

        loader = self.context.config_loader
        axes = read_axes(self.params, arguments, loader)
        with keeping_all():  # thousands of cells are no garbage
            cells = CellComposer(loader, self.master, axes).cells()
        if not self.master.hydra.sweep.dir:  # what a shell makes of an unset variable
            raise InputError("hydra.sweep.dir: expected a path, received an empty one")
        if any(each.startswith("hydra.sweep.subdir=") for each in sys.argv[1:]):
            say("warning: hydra.sweep.subdir isn't used: the axes name each cell's folder")
        folder, at_once = Path(self.master.hydra.sweep.dir), getattr(self.launcher, "n_jobs", 1)
        cluster = None if getattr(self.launcher, "here", True) else self.launcher
        try:
            outcome = compare(
                cells,
                folder,
                at_once=at_once,
                arguments=sys.argv[1:],
                launch=self._launch,
                queued=cluster.queued if cluster else None,
            )
            if outcome is None:  # dry_run
                return
            report_sweep(outcome, apart=cluster.apart if cluster else None)
        except Stopped as stop:
            if (folder / COMPARISON_NAME).exists():
                stop.folder_argument = f"hydra.sweep.dir={folder}"
            raise
        if outcome.failures:
            raise FailedCellsError
        if not outcome.complete:
            raise ElsewhereError

    def _launch(self, jobs: Sequence["Job"], at_once: int) -> None:
        """Hand jobs to the launcher; jobs that the launcher loses have failed.

        `ProcessesLauncher` takes the jobs and their number at a time too, and stops at the first
        failure with `fail_fast`; any other launcher then gets one job at a time.
        """
        from djd.runs.folder import failure_reason

        # Hydra executes the modules of plugins once more: a class that was imported at the top of
        # this module isn't the class of Hydra's launcher.
        from hydra_plugins.djd.processes_launcher import ProcessesLauncher

        batches = [jobs]
        fails_fast = bool(self.master.get("fail_fast", False))
        if isinstance(self.launcher, ProcessesLauncher):
            self.launcher.jobs, self.launcher.n_jobs = jobs, at_once
        elif fails_fast:
            batches = [[job] for job in jobs]
        for batch in batches:
            self._launch_batch(batch)
            if fails_fast and any(failure_reason(job.folder) for job in batch):
                return

    def _launch_batch(self, jobs: Sequence["Job"]) -> None:
        from djd.errors import InputError
        from djd.runs.folder import record_loss

        overrides = [
            [*job.overrides, f"hydra.sweep.subdir='{job.name}'", f"kind={job.kind}"] for job in jobs
        ]
        try:
            returns = self.launcher.launch(overrides, self._launched)
        except InputError:  # the cluster has taken nothing
            raise
        except Exception as error:
            returns = []
            for job in jobs:
                record_loss(job.folder, error)
        self._launched += len(jobs)
        for job, returned in zip(jobs, returns, strict=False):
            if returned.status == JobStatus.FAILED:
                record_loss(job.folder, str(returned._return_value))
