"""`hydra/sweeper=comparison`: every sweep can be stopped, gone on with, and widened."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from djd.sweeps.cells import Job


@dataclass
class ComparisonSweeperConf:
    """What `hydra.sweeper` holds: an axis a key, its values with commas between them."""

    _target_: str = "hydra_plugins.djd.comparison_sweeper.ComparisonSweeper"
    params: dict[str, Any] = field(default_factory=dict)


ConfigStore.instance().store(
    group="hydra/sweeper", name="comparison", node=ComparisonSweeperConf, provider="djd"
)


class ComparisonSweeper(Sweeper):
    """Trains every combination of the axes, chooses the best, and always reaches the end.

    Args:
        params: Axes of the experiment's file; those of the command line count more.
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
        """Take what Hydra hands over, and make the launcher."""
        from hydra.core.plugins import Plugins

        self.context, self.master = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run the sweep.

        Raises:
            InputError: Something the person gave is wrong; nothing was trained.
            FailedCellsError: The sweep reached its end, and some cells had failed.
            Stopped: The sweep was stopped; the exception says how to go on.
        """
        from djd.errors import FailedCellsError, InputError
        from djd.report.report import report_sweep
        from djd.sweeps.compare import compare
        from hydra_plugins.djd._axes import read_axes
        from hydra_plugins.djd._composing import CellComposer

        loader = self.context.config_loader
        axes = read_axes(self.params, arguments, loader)
        cells = CellComposer(loader, self.master, axes).cells()
        if not self.master.hydra.sweep.dir:  # what a shell makes of an unset variable
            raise InputError("hydra.sweep.dir: expected a path, received an empty one")
        folder = Path(self.master.hydra.sweep.dir)
        outcome = compare(
            cells,
            folder,
            at_once=getattr(self.launcher, "n_jobs", 1),
            arguments=sys.argv[1:],
            launch=self._launch,
        )
        if outcome is None:  # dry_run
            return
        report_sweep(outcome)
        if outcome.failures:
            raise FailedCellsError

    def _launch(self, jobs: Sequence["Job"]) -> None:
        """Hand jobs to the launcher; a job that the launcher loses has failed by itself.

        Our launcher stops at the first failure with `fail_fast`; any other gets one job at a time.
        """
        from djd.runs.folder import failure_reason

        fails_fast = bool(self.master.get("fail_fast", False))
        by_itself = self._launches_jobs or not fails_fast
        for batch in [jobs] if by_itself else [[job] for job in jobs]:
            self._launch_batch(batch)
            if fails_fast and any(failure_reason(job.folder) for job in batch):
                return

    @property
    def _launches_jobs(self) -> bool:
        """Whether the launcher is ours, which takes the jobs too.

        Hydra executes every module of plugins once more, so that a class that was imported at the
        top of this module isn't the class of the launcher that Hydra makes.
        """
        from hydra_plugins.djd.processes_launcher import ProcessesLauncher

        return isinstance(self.launcher, ProcessesLauncher)

    def _launch_batch(self, jobs: Sequence["Job"]) -> None:
        from djd.runs.folder import record_loss

        if self._launches_jobs:
            self.launcher.jobs = jobs  # type: ignore[attr-defined]
        try:
            returns = self.launcher.launch([_overrides(job) for job in jobs], self._launched)
        except Exception as error:
            returns = []
            for job in jobs:
                record_loss(job.folder, error)
        self._launched += len(jobs)
        for job, returned in zip(jobs, returns, strict=False):
            if returned.status == JobStatus.FAILED:
                record_loss(job.folder, str(returned._return_value))


def _overrides(job: "Job") -> list[str]:
    return [*job.overrides, f"hydra.sweep.subdir='{job.name}'", f"kind={job.kind}"]
