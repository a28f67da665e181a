"""A Slurm cluster of one node in a folder of its own, without systemd or cgroups.

It has no accounting: `sacct` says "Slurm accounting storage is disabled" and exits with 1. What
works instead are `squeue -t all` and `scontrol show job`, for as long as `MinJobAge` after a job's
end. Then a job is unknown: both say "Invalid job id specified" and exit with 1, but `squeue -j` for
several jobs leaves the unknown ones out and exits with 0.

What Slurm 22.05.8 reports here. State and reason come from `squeue -t all -h -o "%i %T %r"`, and
`JobState` and `Reason` of `scontrol show job` say the same; the last column is its `ExitCode`:

    job                                       state      reason                    ExitCode
    waits, not looked at yet                  PENDING    None                      0:0
    waits for processors or memory            PENDING    Resources, or Priority    0:0
    task of an array over its `%2`            PENDING    JobArrayTaskLimit         0:0
    held (`--hold`)                           PENDING    JobHeldUser               0:0
    after a job that failed (`afterok`)       PENDING    DependencyNeverSatisfied  0:0
    asks for more processors than there are   PENDING    PartitionConfig           0:0
    ended with 0                              COMPLETED  None                      0:0
    ended with 3                              FAILED     NonZeroExitCode           3:0
    its script was killed by signal 9         FAILED     JobLaunchFailure          0:9
    a program of its script was killed by 9   FAILED     NonZeroExitCode           137:0
    over its `--mem`, without `srun`          FAILED     JobLaunchFailure          0:9
    over its `--mem`, in `srun`, then exit $? FAILED     NonZeroExitCode           137:0
    its `--output` can't be opened            FAILED     JobLaunchFailure          0:53
    over its `--time`                         TIMEOUT    TimeLimit                 0:15
    `scancel` while it ran                    CANCELLED  None                      0:15
    `scancel` while it was held               CANCELLED  JobHeldUser               0:0
    preempted, `requeue`d, or its node lost   PENDING    BeginTime                 0:0
    the same with `--no-requeue`: node lost   NODE_FAIL  NodeDown                  0:0

`OUT_OF_MEMORY` takes cgroups. Where `srun` is over its memory and its script goes on, the job ends
as the script does. A job that is requeued may be `COMPLETING` for a moment, keeps its id, counts up
`Restarts` and finds the count in SLURM_RESTART_COUNT, which is not set in its first start.
`sbatch` refuses too much memory, too many GPUs, an unknown partition and arrays over
`MaxArraySize`, and `squeue` may show a job that was refused for its memory as FAILED with
BadConstraints. A task of an array that is cancelled before its start is unknown at once: neither
`squeue` nor `scontrol` says what became of it.

A signal of `--signal=USR1@60` reaches what `srun` runs, and with `B:` the script's own shell alone.
Slurm looks at time limits once in 30 s: the signal comes up to 30 s early, and the end late.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from tests import kept_process

PROGRAMS = "munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "sinfo", "scancel"
NODE = "node1"
CPUS = 4
GPUS = "null", "zero", "full", "random"  # a device each, and every machine has these

PARTITIONS = f"""
NodeName=DEFAULT CPUs={CPUS} RealMemory=8000 Gres=gpu:{len(GPUS)}
NodeName={NODE} NodeHostname=localhost NodeAddr=127.0.0.1
PartitionName=low Nodes={NODE} Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=2
PartitionName=high Nodes={NODE} PriorityTier=2 PreemptMode=OFF
"""


class NoSlurmError(Exception):
    """Why there is no cluster here, in a sentence."""


@dataclass
class SlurmCluster:
    """A running cluster: `env` is the environment in which Slurm's own commands find it."""

    folder: Path
    env: dict[str, str]
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def run(self, *command: str, seconds: float = 30) -> str:
        """What a command of Slurm prints; `subprocess.CalledProcessError` where it fails."""
        return subprocess.run(
            command, env=self.env, check=True, capture_output=True, text=True, timeout=seconds
        ).stdout.strip()

    def sbatch(self, script: str, *options: str) -> str:
        """The id of a job with this script for `bash`; its output goes to `output(id)`."""
        path = self.folder / f"job-{time.monotonic_ns()}.sh"
        path.write_text(f"#!/bin/bash\n{script}\n")
        places = f"--output={self.folder}/out-%A-%a", "--open-mode=append"
        return self.run("sbatch", "--parsable", *places, *options, str(path))

    def output(self, job: str) -> str:
        """What a job, or a task of an array such as `3_1`, has written in all its starts."""
        name, _, task = job.partition("_")
        path = self.folder / f"out-{name}-{task or 4294967294}"  # NO_VAL: not of an array
        return path.read_text() if path.exists() else ""

    def wait_for_output(self, job: str, seconds: float = 60) -> None:
        """Return once a job has written something; it may run for a while before that."""
        self._wait(lambda: str(bool(self.output(job))), f"output of job {job}", ("True",), seconds)

    def squeue(self, *options: str) -> dict[str, tuple[str, str]]:
        """State and reason of each job, or task of an array, that Slurm still remembers."""
        lines = self.run("squeue", "-t", "all", "-h", "-r", "-o", "%i|%T|%r", *options)
        jobs = (line.split("|") for line in lines.splitlines())
        return {job: (state, reason) for job, state, reason in jobs}

    def state(self, job: str) -> str:
        """The state of a job, such as `RUNNING`; `forgotten` once it is over for `MinJobAge`."""
        return self.squeue().get(job, ("forgotten", ""))[0]

    def show(self, job: str) -> dict[str, str]:
        """The fields of `scontrol show job`, such as `ExitCode`."""
        return dict(re.findall(r"(\w+)=(\S*)", self.run("scontrol", "show", "job", "-o", job)))

    def wait(self, job: str, *states: str, seconds: float = 60) -> str:
        """The state of a job once it is one of these; `TimeoutError` with what it is otherwise."""
        return self._wait(lambda: self.state(job), f"job {job}", states, seconds)

    def end_in(self, seconds: float, job: str) -> None:
        """Move the end of a running job's time here; limits themselves are whole minutes.

        Times of `--signal` count from there too; see above for when Slurm looks at both.
        """
        end = datetime.now() + timedelta(seconds=seconds)
        self.run("scontrol", "update", f"JobId={job}", f"EndTime={end:%Y-%m-%dT%H:%M:%S}")

    def requeue(self, job: str) -> None:
        """Put a job back to the queue, as its own `scontrol requeue` does."""
        self.run("scontrol", "requeue", job)

    def cancel(self, *jobs: str) -> None:
        self.run("scancel", *jobs)

    def kill_node(self) -> None:
        """The node is gone at once with all that ran on it, as after a power cut."""
        keeper = self.daemons.pop("slurmd")
        keeper.send_signal(signal.SIGTERM)
        keeper.wait()

    def restart_node(self) -> None:
        """The node comes back; returns once it takes jobs."""
        self.start("slurmd", "-D", "-N", NODE)
        self.wait_for_node("idle", "mixed", "allocated")

    def node_state(self) -> str:
        """What `sinfo` says of the node, such as `idle` or `down`; `*` where it doesn't answer."""
        return self.run("sinfo", "-h", "-N", "-p", "low", "-o", "%T")

    def wait_for_node(self, *states: str, seconds: float = 60) -> str:
        """The node's state once it is one of these."""
        return self._wait(self.node_state, "the node", states, seconds)

    def start(self, name: str, *arguments: str) -> None:
        """Start a daemon in the foreground; it ends with this process, with all it started."""
        command = [sys.executable, "-I", "-S", kept_process.__file__]
        path = shutil.which(name, path=self.env["PATH"])
        with (self.folder / f"{name}.log").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                [*command, str(path), *arguments],
                env=self.env, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def stop(self) -> None:
        """End all daemons and jobs; the node first, which then has nobody to tell."""
        for name in reversed(list(self.daemons)):
            self.daemons[name].send_signal(signal.SIGTERM)
            self.daemons[name].wait()

    def check_daemons(self) -> None:
        """Raise `NoSlurmError` with the end of its log where a daemon has ended."""
        for name, daemon in self.daemons.items():
            if daemon.poll() is not None:
                log = (self.folder / f"{name}.log").read_text("utf8", "replace").splitlines()
                raise NoSlurmError(f"{name} doesn't run: {' / '.join(log[-5:])}")

    def _wait(
        self, ask: Callable[[], str], what: str, states: Sequence[str], seconds: float
    ) -> str:
        end = time.monotonic() + seconds
        while True:
            self.check_daemons()
            state = "unknown"
            with contextlib.suppress(subprocess.CalledProcessError):  # slurmctld may not listen yet
                if (state := ask()) in states:
                    return state
            if time.monotonic() > end:
                raise TimeoutError(f"{what} is {state}, not {' or '.join(states)}")
            time.sleep(0.05)


@contextlib.contextmanager
def slurm_cluster(**settings: object) -> Iterator[SlurmCluster]:
    """A cluster whose node takes jobs; `settings` are lines of slurm.conf other than by default.

    Raises:
        NoSlurmError: where it can't run here.
    """
    _check_machine()
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        folder.chmod(0o711)  # munged wants a socket that others could reach
        cluster = SlurmCluster(folder, _environment(folder))
        _write_settings(folder, settings)
        try:
            try:
                _start(cluster)
            except (OSError, TimeoutError) as error:
                raise NoSlurmError(str(error)) from error
            yield cluster
        finally:
            cluster.stop()


def _check_machine() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NoSlurmError("a Slurm cluster of its own takes root on Linux")
    if missing := [each for each in PROGRAMS if shutil.which(each, path=_path()) is None]:
        raise NoSlurmError(f"not installed: {', '.join(missing)}")


def _path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def _environment(folder: Path) -> dict[str, str]:
    others = "SLURM", "SBATCH", "SQUEUE", "SCANCEL", "SINFO", "SCONTROL", "SRUN"
    kept = {key: value for key, value in os.environ.items() if not key.startswith(others)}
    return kept | {"PATH": _path(), "SLURM_CONF": str(folder / "slurm.conf")}


def _write_settings(folder: Path, settings: dict[str, object]) -> None:
    for each in "state", "spool":
        (folder / each).mkdir()
    (folder / "key").write_bytes(os.urandom(128))
    (folder / "key").chmod(0o600)
    gpus = "".join(f"Name=gpu File=/dev/{each}\n" for each in GPUS)
    (folder / "gres.conf").write_text(f"AutoDetect=off\n{gpus}")
    with socket.socket() as first, socket.socket() as second:
        for unbound in first, second:
            unbound.bind(("127.0.0.1", 0))
        ports = (bound.getsockname()[1] for bound in (first, second))
        settings = _defaults(folder, *ports) | settings
    text = "\n".join(f"{key}={value}" for key, value in settings.items())
    (folder / "slurm.conf").write_text(text + PARTITIONS)


def _defaults(folder: Path, controller: int, node: int) -> dict[str, object]:
    return {
        "ClusterName": "test",
        "SlurmctldHost": "localhost(127.0.0.1)",  # localhost: whatever this host's name is
        "SlurmctldPort": controller,
        "SlurmdPort": node,
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "StateSaveLocation": folder / "state",
        "SlurmdSpoolDir": folder / "spool",
        "SlurmctldPidFile": folder / "slurmctld.pid",
        "SlurmdPidFile": folder / "slurmd.pid",
        "AuthType": "auth/munge",
        # A job that was requeued starts once its credential has ended, 120 s by default.
        "AuthInfo": f"socket={folder}/munge,cred_expire=5",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "MpiDefault": "none",
        "SwitchType": "switch/none",
        "AccountingStorageType": "accounting_storage/none",
        "JobAcctGatherType": "jobacct_gather/linux",
        "JobAcctGatherFrequency": "task=1",
        "JobAcctGatherParams": "OverMemoryKill",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU_Memory",
        "DefMemPerCPU": 500,
        "GresTypes": "gpu",
        "SlurmdParameters": "config_overrides",  # more processors than this machine has
        "SchedulerParameters": "sched_interval=1,batch_sched_delay=0,bf_interval=1",
        "PreemptType": "preempt/partition_prio",
        "PreemptMode": "REQUEUE",
        "JobRequeue": 1,
        "MaxArraySize": 11,
        "MinJobAge": 90,
        "KillWait": 2,
        "ReturnToService": 2,
        "SlurmdTimeout": 2,  # s until a node that doesn't answer is down, and up to
        "MessageTimeout": 5,  # twice these
    }


def _start(cluster: SlurmCluster) -> None:
    folder = cluster.folder
    cluster.start(
        "munged", "--foreground", "--force",  # --force: whoever owns the folders above
        f"--key-file={folder}/key", f"--socket={folder}/munge", f"--pid-file={folder}/munged.pid",
        f"--seed-file={folder}/seed",
    )  # fmt: skip
    end = time.monotonic() + 10
    while not (folder / "munge").exists():
        cluster.check_daemons()
        if time.monotonic() > end:
            raise TimeoutError("munged makes no socket")
        time.sleep(0.02)
    cluster.start("slurmctld", "-D", "-c")
    cluster.restart_node()
