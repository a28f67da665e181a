"""`hydra/launcher=slurm`: cells as jobs of a Slurm cluster, over submitit."""

import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore

from hydra_plugins.djd._cluster_launcher import ClusterLauncher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djd.sweeps.cells import Job
    from djd.sweeps.queue import Cluster


@dataclass
class SlurmLauncherConf:
    """Keys of `hydra.launcher`; what is None is left to the site.

    Attributes:
        max_jobs: Jobs that run at a time; None for 100, or a job a core with `executor=local`.
        cells_a_job: Cells in a job; None for as many as take ten minutes, or fewer where that
            leaves places of `max_jobs` empty.
        cells_at_once: Cells of a job that train at a time, on a core each; GPUs are shared out.
        timeout_min: After so many minutes a job is requeued, and goes on from its last epochs.
        signal_delay_s: How long before its end a job is asked to keep its last epochs.
        setup: Lines of the shell before the job, such as `module load`.
        options: Further options of sbatch.
        array_size: Most jobs in an array; Slurm's MaxArraySize is 1001 by default.
        executor: slurm; local tries everything in processes of this machine.
    """

    _target_: str = "hydra_plugins.djd.slurm_launcher.SlurmLauncher"
    max_jobs: int | None = None
    cells_a_job: int | None = None
    cells_at_once: int = 1
    timeout_min: int = 240
    signal_delay_s: int = 90
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gpus_per_node: int | None = None
    mem_gb: float | None = None
    setup: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    array_size: int = 1000
    executor: str = "slurm"


ConfigStore.instance().store(
    group="hydra/launcher", name="slurm", node=SlurmLauncherConf, provider="djd"
)


class SlurmLauncher(ClusterLauncher):
    """Runs jobs on a Slurm cluster; see `SlurmLauncherConf`."""

    extra = "slurm"

    def __init__(
        self,
        max_jobs: int | None,
        cells_a_job: int | None,
        cells_at_once: int,
        array_size: int,
        executor: str,
        **options: Any,
    ) -> None:
        from djd.errors import InputError
        from djd.machine import usable_cores

        if executor not in ("slurm", "local"):
            raise InputError(
                f"hydra.launcher.executor: expected slurm or local, received {executor}"
            )
        self.require_counts(array_size=array_size, max_jobs=max_jobs, cells_at_once=cells_at_once)
        if executor == "slurm" and not (shutil.which("sbatch") and shutil.which("squeue")):
            raise InputError(
                "hydra/launcher=slurm: expected Slurm's commands (sbatch, squeue) on this machine, "
                "received none; hydra.launcher.executor=local tries all of it without Slurm"
            )
        with self.library_there():
            import submitit  # noqa: F401
        most = max(1, usable_cores() // cells_at_once) if executor == "local" else 100
        super().__init__(max_jobs or most, cells_a_job, cells_at_once)
        self.array_size, self.executor, self.options = array_size, executor, options

    def connect(self, folder: Path) -> "Cluster":
        """The queue of Slurm; submitit keeps its files in the folder."""
        from djd.sweeps.slurm_cluster import SlurmCluster

        return SlurmCluster(folder, self._executor_options(), self.array_size, self.executor)

    def cells_in_a_job(self, jobs: "Sequence[Job]") -> int:
        """As elsewhere; all jobs of the local executor start at once, so there are `max_jobs`."""
        fewest = -(-len(jobs) // self.max_jobs) if self.executor == "local" else 1
        return max(super().cells_in_a_job(jobs), fewest)

    def _executor_options(self) -> dict[str, Any]:
        """Options as submitit names them."""
        given = {key: value for key, value in self.options.items() if value is not None}
        path = ":".join(self.module_folders())
        setup = [*given.pop("setup"), f"export PYTHONPATH={shlex.quote(path)}:$PYTHONPATH"]
        more, shared = dict(given.pop("options")), ("timeout_min", "mem_gb", "gpus_per_node")
        own = {f"slurm_{key}": value for key, value in given.items() if key not in shared}
        return {
            "name": "djd",
            "cpus_per_task": self.cells_at_once,
            **{key: given[key] for key in shared if key in given},
            **own,
            "slurm_setup": setup,
            # Since Slurm 22.05 srun has one core, whatever its job has.
            "slurm_srun_args": [f"--cpus-per-task={self.cells_at_once}"],
            "slurm_array_parallelism": self.max_jobs,
            "slurm_additional_parameters": more,
        }
