"""The cluster of `slurm_cluster` does what Slurm does to jobs, and leaves nothing behind."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests import slurm_cluster as module
from tests.slurm_cluster import NoSlurmError, SlurmCluster, slurm_cluster

RESTARTS = "echo start ${SLURM_RESTART_COUNT:-0}"


def test_without_the_programs_of_slurm_there_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROGRAMS", ("sh", "slurm-nothing"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(NoSlurmError, match="not installed: slurm-nothing"), slurm_cluster():
        pass


def test_another_user_than_root_gets_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NoSlurmError, match="takes root"), slurm_cluster():
        pass


@pytest.mark.slow
def test_a_daemon_that_ends_at_once_is_named_with_the_end_of_its_log(slurm: SlurmCluster) -> None:
    with (
        pytest.raises(NoSlurmError, match=r"slurmctld doesn't run: .*auth/nothing"),
        slurm_cluster(AuthType="auth/nothing"),
    ):
        pass


@pytest.mark.slow
def test_jobs_beside_each_other_have_gpus_of_their_own(slurm: SlurmCluster) -> None:
    first, second = (
        slurm.sbatch("echo $CUDA_VISIBLE_DEVICES; sleep 2; exit 3", "--gres=gpu:1")
        for _ in range(2)
    )
    slurm.wait(first, "FAILED")
    slurm.wait(second, "FAILED")
    assert {slurm.output(first), slurm.output(second)} == {"0\n", "1\n"}
    assert slurm.squeue()[first] == ("FAILED", "NonZeroExitCode")
    assert slurm.show(first)["ExitCode"] == "3:0"


@pytest.mark.slow
def test_an_array_runs_two_tasks_at_a_time(slurm: SlurmCluster) -> None:
    job = slurm.sbatch("date +%s.%N; sleep 1; date +%s.%N", "--array=0-3%2")
    tasks = [f"{job}_{task}" for task in range(4)]
    for task in tasks:
        slurm.wait(task, "COMPLETED")
    spans = [tuple(map(float, slurm.output(task).split())) for task in tasks]
    beside = [sum(start <= moment < end for start, end in spans) for moment, _ in spans]
    assert max(beside) == 2
    with pytest.raises(subprocess.CalledProcessError):
        slurm.sbatch("true", "--array=0-11")  # over MaxArraySize


@pytest.mark.slow
def test_a_job_over_its_memory_is_killed(slurm: SlurmCluster) -> None:
    hungry = f"{sys.executable} -c \"import time; kept = b'1' * 300_000_000; time.sleep(60)\""
    alone, in_srun = (slurm.sbatch(f"{run} {hungry}", "--mem=100") for run in ("", "srun"))
    slurm.wait(alone, "FAILED")
    slurm.wait(in_srun, "FAILED")
    jobs = slurm.squeue()
    assert (jobs[alone][1], slurm.show(alone)["ExitCode"]) == ("JobLaunchFailure", "0:9")
    assert (jobs[in_srun][1], slurm.show(in_srun)["ExitCode"]) == ("NonZeroExitCode", "137:0")
    assert "exceeded memory limit" in slurm.output(alone)


@pytest.mark.slow
def test_a_preempted_job_starts_again_and_is_told(slurm: SlurmCluster) -> None:
    low = slurm.sbatch(f'{RESTARTS}; [ "$SLURM_RESTART_COUNT" ] || sleep 60', "-c4")
    slurm.wait_for_output(low)
    high = slurm.sbatch("true", "-p", "high", "-c4")
    slurm.wait(high, "COMPLETED")
    assert slurm.state(low) == "PENDING"
    slurm.wait(low, "COMPLETED")
    assert "DUE TO PREEMPTION" in slurm.output(low)
    assert slurm.output(low).splitlines()[-1] == "start 1"


@pytest.mark.slow
def test_a_job_puts_itself_back_to_the_queue(slurm: SlurmCluster) -> None:
    job = slurm.sbatch(
        f'{RESTARTS}; [ "$SLURM_RESTART_COUNT" ] || {{ scontrol requeue $SLURM_JOB_ID; sleep 60; }}'
    )
    slurm.wait(job, "COMPLETED")
    assert slurm.output(job).splitlines()[-1] == "start 1"
    assert slurm.show(job)["Restarts"] == "1"


@pytest.mark.slow
def test_a_signal_before_the_end_of_its_time_reaches_python(slurm: SlurmCluster) -> None:
    waits = "import signal; print(signal.sigwait([signal.SIGUSR1]).name)"
    block = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]); "
    job = slurm.sbatch(f"srun {sys.executable} -c '{block}{waits}'", "--time=1", "--signal=USR1@60")
    slurm.wait(job, "COMPLETED")
    assert slurm.output(job) == "SIGUSR1\n"


@pytest.mark.slow
def test_jobs_of_a_lost_node_start_again_or_end_as_node_fail(slurm: SlurmCluster) -> None:
    again = slurm.sbatch(f'{RESTARTS}; [ "$SLURM_RESTART_COUNT" ] || sleep 60')
    ends = slurm.sbatch("echo $$ $PPID; sleep 60", "--no-requeue")
    for job in again, ends:
        slurm.wait_for_output(job)
    slurm.kill_node()
    assert not any(map(_runs, slurm.output(ends).split()))
    slurm.wait_for_node("down*")
    assert slurm.squeue()[ends] == ("NODE_FAIL", "NodeDown")
    assert slurm.squeue()[again] == ("PENDING", "BeginTime")
    slurm.restart_node()
    slurm.wait(again, "COMPLETED")
    assert slurm.output(again) == "start 0\nstart 1\n"


ENDS_BY_ITSELF = """
import os, sys, time
from tests.slurm_cluster import slurm_cluster
with slurm_cluster() as cluster:
    job = cluster.sbatch("setsid sleep 60 & echo $! $$ $PPID; wait")
    while not cluster.output(job):
        time.sleep(0.05)
    daemons = (str(each.pid) for each in cluster.daemons.values())
    print(os.uname().nodename, cluster.output(job).strip(), *daemons, flush=True)
    eval(sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize("end", ["1 / 0", "os.kill(os.getpid(), 9)"], ids=["error", "killed"])
def test_nothing_stays_behind_whatever_ends_the_tests(slurm: SlurmCluster, end: str) -> None:
    """On a host whose name is none that a network takes, in a folder that nobody else enters."""
    # Its path is short: sockets of jobs lie below, and Linux takes 107 bytes.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        _require_nothing_stays(Path(place), end)


def _require_nothing_stays(place: Path, end: str) -> None:
    rename = 'printf "%s" "odd_näme.--x" > /proc/sys/kernel/hostname || exit 99; exec "$@"'
    python = [sys.executable, "-c", ENDS_BY_ITSELF, end]
    program = subprocess.run(
        ["unshare", "--uts", "sh", "-c", rename, "sh", *python],
        capture_output=True, text=True, timeout=240, check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "TMPDIR": str(place)},
    )  # fmt: skip
    if not program.stdout and "unshare" in program.stderr:
        pytest.skip(f"the host's name can't be changed: {program.stderr}")
    name, *processes = program.stdout.split()
    assert name == "odd_näme.--x"
    assert len(processes) == 6
    patience = time.monotonic() + 60  # a killed process can't wait for the others
    while any(map(_runs, processes)) and time.monotonic() < patience:
        time.sleep(0.05)
    assert not any(map(_runs, processes))


def _runs(process: str) -> bool:
    """A process that is over but not waited for by its parent has no memory left."""
    try:
        return "VmSize" in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False
