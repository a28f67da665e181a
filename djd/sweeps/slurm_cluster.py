"""Slurm as a cluster, over submitit: job arrays, requeueing, and the states that squeue prints.

submitit asks `sacct` for states, which many sites don't have; `squeue` is everywhere. A job that
squeue no longer lists has ended.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import submitit
from submitit.core.utils import (
    DelayedSubmission,
    FailedJobError,
    FailedSubmissionError,
    JobPaths,
    pickle_load,
)

from djd.errors import InputError
from djd.machine import Stopped, process_lives, process_start, stop_on_signals
from djd.runs.summary import say
from djd.sweeps.node import NodeJob
from djd.sweeps.processes import Ending
from djd.sweeps.queue import Ended, Look

MOST_TIMEOUTS = 10_000
"""How often submitit requeues a job at the end of its time: a cell may need many."""

SECONDS_TO_ANSWER = 60
"""Of Slurm's commands; a busy controller takes many seconds."""

_MEMORY = re.compile(r"exceeded (job )?memory limit|oom[-_ ]kill|out of memory", re.IGNORECASE)

_WAITS = {"PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD", "REQUEUE_FED"}
_RUNS = {"RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING"}
_RUNS |= {"STAGE_OUT"}
_CANCELLED = {"CANCELLED", "REVOKED"}
_OF_THE_SITE = {"NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "TIMEOUT", "DEADLINE"}
"""Ends of jobs that are no fault of a cell: its last checkpoint is gone on with."""


@dataclass(frozen=True)
class _SubmittedJob:
    """What a node of Slurm calls; submitit finds `checkpoint` when it requeues the job."""

    job: NodeJob

    def __call__(self) -> list[Ending | None]:
        requeue = signal.getsignal(signal.SIGUSR2)  # submitit's
        if os.environ.get("SUBMITIT_EXECUTOR") == "local":
            with suppress(OSError):
                os.setsid()  # Ctrl-C in the terminal of the command is not for its jobs
        try:
            with stop_on_signals():
                return self.job.run()
        except Stopped as stop:
            # The cells have kept their last epochs by now.
            if callable(requeue) and (stop.exit_status == 128 + signal.SIGUSR2 or _is_preempted()):
                requeue(signal.SIGUSR2, None)
            sys.exit(stop.exit_status)

    def checkpoint(self) -> DelayedSubmission:
        return DelayedSubmission(self)


def _is_preempted() -> bool:
    """Whether SIGTERM came to a job that Slurm still has as running: a cancelled one is not."""
    job = os.environ.get("SLURM_JOB_ID")
    if not job:
        return False
    with suppress(OSError, subprocess.SubprocessError):
        return _slurm("squeue", "-h", "-j", job, "-o", "%T").strip() in ("RUNNING", "PREEMPTED")
    return False


def _slurm(*command: str) -> str:
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=SECONDS_TO_ANSWER
    )
    return done.stdout


@dataclass
class SlurmCluster:
    """Jobs in Slurm's queue; or, for trials, in processes of this machine.

    Attributes:
        folder: Where submitit keeps jobs, their values and their logs.
        options: Of submitit's executor, such as `timeout_min`.
        array_size: Most jobs in an array; an array waits for the one before.
        executor: `local` for processes of this machine, all of which start at once.
    """

    folder: Path
    options: Mapping[str, Any]
    array_size: int
    executor: Literal["slurm", "local"] = "slurm"
    name: str = field(init=False)
    seconds_between_looks: float = field(init=False)
    _here: dict[str, Any] = field(default_factory=dict, init=False)
    _gone: set[str] = field(default_factory=set, init=False)
    _is_silent: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Name the engine."""
        local = self.executor == "local"
        self.name = "submitit's local executor" if local else "Slurm"
        self.seconds_between_looks = 0.3 if local else 5.0

    def submit(self, jobs: Sequence[NodeJob]) -> Iterator[list[str]]:
        """See `Cluster`; arrays of `array_size`, of which one runs at a time."""
        names: list[str] = []
        options = dict(self.options)
        for at in range(0, len(jobs), self.array_size):
            if names and self.executor == "slurm":
                options["slurm_dependency"] = f"afterany:{_array_of(names[-1])}"
            names = self._submit_array(jobs[at : at + self.array_size], options)
            yield names

    def _submit_array(self, jobs: Sequence[NodeJob], options: Mapping[str, Any]) -> list[str]:
        timeouts = {f"{self.executor}_max_num_timeout": MOST_TIMEOUTS}
        try:
            executor = submitit.AutoExecutor(self.folder, cluster=self.executor, **timeouts)
            executor.update_parameters(**options)
            with _without_ctrl_c(), _outside_of_a_job():
                submitted = executor.submit_array([_SubmittedJob(job) for job in jobs])
        except (FailedJobError, FailedSubmissionError, RuntimeError, NameError) as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise InputError(
                f"hydra/launcher=slurm: expected {self.name} to take {len(jobs)} jobs, received: "
                f"{lines[-1] if lines else error!r}"
            ) from error
        if self.executor == "slurm":
            return [job.job_id for job in submitted]
        # Numbers of processes come again.
        named = {f"{job.job_id}-{process_start(int(job.job_id))}": job for job in submitted}
        self._here |= named
        return list(named)

    def look(self, names: Collection[str]) -> Mapping[str, Look | Ended]:
        """See `Cluster`."""
        if self.executor == "local":
            states = {name: "RUNNING" for name in names if self._lives_here(name)}
        elif (found := self._states()) is None:
            return {}
        else:
            states = found
        gone = {name for name in names if name not in states} - self._gone
        self._gone |= gone  # an answer may be empty by mistake: the second one counts
        return {
            name: self._look_of(name, *states.get(name, "").split("|"))
            for name in names
            if name not in gone
        }

    def _look_of(self, name: str, state: str, why: str = "") -> Look | Ended:
        if state in _RUNS | _WAITS:
            return Look(runs=state in _RUNS)
        return self._ended(name, state, why)

    def _ended(self, name: str, state: str, why: str) -> Ended:
        paths = JobPaths(self.folder, job_id=name.partition("-")[0])
        with suppress(OSError, EOFError, ValueError):  # none, or it is on its way
            outcome, value = pickle_load(paths.result_pickle)
            if outcome == "success":
                return Ended(value)
            return Ended(reason=f"{str(value).strip().splitlines()[-1]} ({paths.stderr})")
        if state in _CANCELLED:
            return Ended(reason=f"its job {name} was cancelled", of="all")
        if state == "OUT_OF_MEMORY" or (state == "FAILED" and _says_memory(paths.stderr)):
            return Ended(
                reason=f"its job {name} ran out of memory; say hydra.launcher.mem_gb", of="ran"
            )
        if not state or state in _OF_THE_SITE or state == "COMPLETED":
            return Ended()
        said = f"{state}, {why}" if why not in ("", "None") else state
        return Ended(reason=f"its job {name} ended as {said} ({paths.stderr})")

    def _states(self) -> dict[str, str] | None:
        """State and reason of all jobs of this user; None while Slurm doesn't answer."""
        try:
            listed = _slurm(
                "squeue", "-h", "-r", "-t", "all", "-u", str(os.getuid()), "-o", "%i|%T|%r"
            )
        except (OSError, subprocess.SubprocessError) as error:
            if not self._is_silent:
                say(f"warning: squeue doesn't answer, and is asked again: {_last_line(error)}")
            self._is_silent = True
            return None
        self._is_silent = False
        rows = (line.strip().partition("|") for line in listed.splitlines())
        return {name: state for name, _, state in rows}

    def _lives_here(self, name: str) -> bool:
        if job := self._here.get(name):
            return not job.done()
        process, _, started = name.partition("-")
        return bool(process_lives(int(process), started))

    def cancel(self, names: Collection[str]) -> None:
        """See `Cluster`."""
        try:
            if self.executor == "slurm" and names:
                _slurm("scancel", *names)
        except (OSError, subprocess.SubprocessError) as error:
            say(f"warning: scancel failed ({_last_line(error)}): {self.how_to_end(names)}")
        for name in names if self.executor == "local" else ():
            if self._lives_here(name):
                with suppress(OSError):
                    os.kill(int(name.partition("-")[0]), signal.SIGTERM)

    def how_to_end(self, names: Collection[str]) -> str:
        """See `Cluster`."""
        command = "kill" if self.executor == "local" else "scancel"
        named = " ".join(dict.fromkeys(_array_of(each).partition("-")[0] for each in names))
        return f"they go on without this command; to end them: {command} {named}"


@contextmanager
def _outside_of_a_job() -> Iterator[None]:
    """Hide what Slurm says of the job in which this command runs: sbatch takes it for a request."""
    names = [name for name in os.environ if name.startswith(("SLURM_", "SRUN_", "SUBMITIT_"))]
    is_job = "SLURM_JOB_ID" in os.environ
    hidden = {name: os.environ.pop(name) for name in names if is_job and name != "SLURM_CONF"}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _says_memory(log: Path) -> bool:
    """Whether a job was killed for its memory: not every site's Slurm has a state for that."""
    with suppress(OSError):
        return bool(_MEMORY.search(log.read_text(encoding="utf-8", errors="replace")))
    return False


def _array_of(name: str) -> str:
    return name.partition("_")[0]


def _last_line(error: Exception) -> str:
    lines = str(getattr(error, "stderr", None) or error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Start processes that ignore Ctrl-C, which a terminal sends to all of a command."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
