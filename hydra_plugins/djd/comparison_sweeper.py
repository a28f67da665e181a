"""`hydra/sweeper=comparison`: every sweep as a comparison that can be stopped and gone on with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from djd.comparison.job import Job


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
        params: Axes of the experiment's file; the command line replaces, adds and removes.
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
        """Run the comparison.

        Raises:
            InputError: Something the person gave is wrong; nothing was trained.
            FailedCellsError: It reached its end, and some cells had failed.
            Stopped: It was stopped; the exception says how to go on.
        """
        from djd.comparison.compare import Comparison, compare
        from djd.errors import FailedCellsError
        from djd.stopping import Stopped
        from hydra_plugins.djd.axes import read_axes
        from hydra_plugins.djd.composing import CellComposer

        loader = self.context.config_loader
        axes = read_axes(self.params, arguments, loader)
        cells = CellComposer(loader, self.master, axes).cells()
        folder = Path(self.master.hydra.sweep.dir)
        comparison = Comparison.of(
            cells,
            folder,
            at_once=getattr(self.launcher, "n_jobs", 1),
            arguments=["-m", *self._hydra_overrides(), *arguments],
        )
        try:
            whole = compare(comparison, self._launch)
        except Stopped as stop:
            stop.folder_argument = f"hydra.sweep.dir={folder}"
            raise
        if not whole:
            raise FailedCellsError

    def _hydra_overrides(self) -> list[str]:
        overrides: Any = OmegaConf.to_container(self.master.hydra.overrides.hydra)
        return [each for each in overrides if not each.startswith("hydra.mode=")]

    def _launch(self, jobs: Sequence["Job"]) -> None:
        """Hand jobs to the launcher; what it loses or drops is a failure of those jobs alone."""
        from djd.training.failure import record_failure

        if hasattr(self.launcher, "jobs"):
            self.launcher.jobs = jobs
        try:
            returns = self.launcher.launch([_overrides(job) for job in jobs], self._launched)
        except Exception as error:
            returns = []
            for job in jobs:
                if not _has_ended(job):
                    record_failure(job.folder, error)
        self._launched += len(jobs)
        for job, returned in zip(jobs, returns, strict=False):
            if returned.status == JobStatus.FAILED and not _has_ended(job):
                record_failure(job.folder, str(returned._return_value))


def _overrides(job: "Job") -> list[str]:
    return [*job.overrides, f"hydra.sweep.subdir='{job.name}'", f"hydra.job.name={job.kind}"]


def _has_ended(job: "Job") -> bool:
    from djd.resume_latest import RESULT_NAME
    from djd.training.failure import ERROR_NAME

    return any((job.folder / name).exists() for name in (RESULT_NAME, ERROR_NAME))
