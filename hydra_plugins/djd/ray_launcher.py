"""`hydra/launcher=ray`: cells as tasks of a Ray cluster, or of a Ray that this command starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.config_store import ConfigStore
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.djd._cluster_launcher import ClusterLauncher

if TYPE_CHECKING:
    from djd.sweeps.queue import Cluster
    from djd.sweeps.ray_cluster import RayCluster
    from djd.sweeps.ray_connection import Connection, Resources


@dataclass
class RayLauncherConf:
    """Keys of `hydra.launcher`.

    Attributes:
        address: `host:port` of a cluster to which this machine belongs; None for RAY_ADDRESS, else
            a cluster that `ray start` has started on this machine, else one that starts and ends
            with the command.
        max_jobs: Jobs that run at a time; None for as many as the resources allow.
        num_cpus: Cores of a job; None for one for each of its cells that train at a time.
        num_gpus: GPUs of a job; 0.25 lets four jobs share one; None for 1 where the cluster has
            GPUs.
        memory_gb: Memory that Ray sets aside for a job; None for no account of it.
        cells_a_job: Cells in a job.
        cells_at_once: Cells of a job that train at a time; GPUs of the job are shared out.
        retries: How often a job is launched again whose worker process was lost.
    """

    _target_: str = "hydra_plugins.djd.ray_launcher.RayLauncher"
    address: str | None = None
    max_jobs: int | None = None
    num_cpus: float | None = None
    num_gpus: float | None = None
    memory_gb: float | None = None
    cells_a_job: int | None = 1
    cells_at_once: int = 1
    retries: int = 3


ConfigStore.instance().store(
    group="hydra/launcher", name="ray", node=RayLauncherConf, provider="djd"
)


class RayLauncher(ClusterLauncher):
    """Runs jobs on a Ray cluster; see `RayLauncherConf`."""

    extra = "ray"

    def __init__(
        self,
        address: str | None,
        max_jobs: int | None,
        num_cpus: float | None,
        num_gpus: float | None,
        memory_gb: float | None,
        cells_a_job: int | None,
        cells_at_once: int,
        retries: int,
    ) -> None:
        super().__init__(max_jobs or 1, cells_a_job, cells_at_once)
        self.address, self.most, self.retries = address, max_jobs, retries
        self.num_cpus = cells_at_once if num_cpus is None else num_cpus
        self.num_gpus, self.memory_gb = num_gpus, memory_gb
        self.connection: Connection | None = None
        self.cluster: RayCluster | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep Hydra's objects, and join the cluster."""
        from djd.errors import InputError
        from djd.machine import usable_cores

        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        gpus = self.num_gpus
        if gpus and (gpus < 0 or (gpus > 1 and gpus % 1)):
            raise InputError(
                "hydra.launcher.num_gpus: expected a number of GPUs, or a share of one, received "
                f"{gpus}"
            )
        with self.library_there():
            from djd.sweeps.ray_connection import join, places, require_place

            self.connection = join(self.address)
        nodes = self.connection.nodes if self.connection else [{"CPU": usable_cores()}]
        wanted = self.resources(nodes)
        if self.connection:
            require_place(nodes, wanted)
        self.max_jobs = self.most or max(1, places(nodes, wanted))
        self.n_jobs = self.max_jobs * self.cells_at_once

    def connect(self, folder: Path) -> "Cluster":
        """The cluster; a Ray that is started here starts with the first job."""
        from djd.sweeps.ray_cluster import RayCluster
        from djd.sweeps.ray_connection import start

        self.connection = self.connection or start()
        wanted = self.resources(self.connection.nodes)
        path = self.module_folders()
        self.cluster = RayCluster(self.connection, folder, wanted, self.most, self.retries, path)
        return self.cluster

    def leave(self) -> None:
        """End a Ray of this command's own."""
        if self.cluster:
            self.cluster.leave()

    def resources(self, nodes: "Sequence[Resources]") -> "Resources":
        """What a job takes, by Ray's names."""
        gpus = self.num_gpus
        if gpus is None:
            gpus = float(any(node.get("GPU", 0) for node in nodes))
        memory = {"memory": self.memory_gb * 1e9} if self.memory_gb else {}
        return {"CPU": self.num_cpus, "GPU": gpus, **memory}
