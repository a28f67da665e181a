"""Holders that were silent, clocks that are set, and jobs that start again, without locks."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from lightning import Trainer

from djd import heartbeats, markers
from djd.locks import holder_of, try_lock
from djd.machine import Stopped, stop_on_signals
from djd.runs.callbacks.checkpoints import LastEpoch
from djd.runs.folder import record_loss
from tests.without_locks import leave_marker

HOLD = """
import sys, time
from pathlib import Path
from djd.locks import try_lock
from djd.machine import stop_on_signals
from djd.markers import use_stale_after
use_stale_after(1)
with stop_on_signals(), try_lock(Path(sys.argv[1]), seconds=20) as held:
    print(held, flush=True)
    time.sleep(600)
"""

Host = Callable[[str, float], dict[str, str]]


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / ".lock"


@pytest.fixture(autouse=True)
def defaults(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(heartbeats, "_lost", set())
    monkeypatch.setattr(markers, "_ahead", {})
    for name in ("JOB_ID", "ARRAY_JOB_ID", "ARRAY_TASK_ID", "RESTART_COUNT", "CLUSTER_NAME"):
        monkeypatch.delenv(f"SLURM_{name}", raising=False)
    yield
    markers.use_stale_after(600)


def hold(lock: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "True\n"
    return process


@pytest.mark.skipif(sys.platform != "linux", reason="hosts are emulated before Linux's libraries")
def test_a_suspended_holder_stops_once_another_host_has_taken_over(
    lock: Path, another_host: Host
) -> None:
    with hold(lock, another_host("node1", -300)) as first:
        first.send_signal(signal.SIGSTOP)
        with hold(lock, another_host("node2", 1800)) as second:
            first.send_signal(signal.SIGCONT)
            _, err = first.communicate(timeout=60)
            assert f"process {second.pid} on node2 took over; this process stops" in err
            assert first.returncode != 0
            assert [each.name for each in markers.markers(lock)] == [".lock.2"]
            assert second.poll() is None
            second.kill()


@pytest.mark.usefixtures("no_locks")
def test_a_holder_that_was_silent_stops_before_it_writes(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = heartbeats._now
    with stop_on_signals(), try_lock(lock) as held:
        assert held
        heartbeats.require_held()
        leave_marker(lock, number=2)
        heartbeats.require_held()  # no silence: nobody can have taken over, and nobody looks
        monkeypatch.setattr(heartbeats, "_now", lambda: now() + 601)
        with pytest.raises(Stopped):
            heartbeats.require_held()
        assert heartbeats.was_lost()
        assert [each.name for each in markers.markers(lock)] == [".lock.2"]


@pytest.mark.usefixtures("no_locks")
def test_a_holder_that_was_silent_and_lost_nothing_goes_on(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = heartbeats._now
    with try_lock(lock) as held:
        assert held
        leave_marker(lock, number=2, silent=10_000)
        monkeypatch.setattr(heartbeats, "_now", lambda: now() + 601)
        heartbeats.require_held()
        assert not heartbeats.was_lost()
        assert holder_of(lock) is not None


def test_who_lost_a_folder_writes_no_checkpoint_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def save(checkpoint: object, path: Path) -> None:
        written.append(path)

    strategy = SimpleNamespace(checkpoint_io=SimpleNamespace(save_checkpoint=save))
    trainer = cast(Trainer, SimpleNamespace(strategy=strategy))
    for lost in (set(), {tmp_path / ".lock"}):
        monkeypatch.setattr(heartbeats, "_lost", lost)
        last = LastEpoch(tmp_path / "last.ckpt")
        last._kept.held = {"epoch": 3}
        last.on_exception(trainer, None, Stopped(signal.SIGTERM))  # type: ignore[arg-type]
    assert written == [tmp_path / "last.ckpt"]


def test_a_loss_is_recorded_neither_beside_a_worker_nor_beside_a_result(tmp_path: Path) -> None:
    worked_in, finished, lost = (tmp_path / name for name in ("worked in", "finished", "lost"))
    for folder in (worked_in, finished):
        folder.mkdir()
    leave_marker(worked_in / ".lock")
    (finished / "result.json").touch()
    for folder in (worked_in, finished, lost):
        record_loss(folder, "killed")
    assert [each.parent for each in tmp_path.glob("*/error.txt")] == [lost]


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_clock_that_is_set_makes_nobody_silent(
    lock: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    leave_marker(lock)
    assert holder_of(lock) is not None  # the folder's clock is measured here
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + seconds)
    assert holder_of(lock) is not None
    assert markers.silence(lock.with_name(".lock.1")) == 0


@pytest.mark.usefixtures("no_locks")
def test_a_file_server_whose_clock_is_set_back_makes_nobody_silent(lock: Path) -> None:
    leave_marker(lock)
    assert holder_of(lock) is not None
    markers._ahead[lock.parent] += 3600  # the server's clock was an hour ahead then
    with try_lock(lock, seconds=0) as held:
        assert not held


def start_job(monkeypatch: pytest.MonkeyPatch, restarts: str, job: str = "7") -> None:
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "lab")
    monkeypatch.setenv("SLURM_JOB_ID", job)
    monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize(
    ("job", "silent", "takes_over"),
    [
        (("lab 7", 0), 40, True),
        (("lab 7", 0), 20, False),  # a node that the scheduler alone has lost may work on
        (("lab 7", 1), 40, False),  # another task of this very start
        (("lab 8", 0), 40, False),
        (("", 0), 40, False),
    ],
)
def test_a_requeued_job_takes_over_from_its_own_earlier_start_after_three_missed_heartbeats(
    lock: Path,
    monkeypatch: pytest.MonkeyPatch,
    job: tuple[str, int],
    silent: float,
    takes_over: bool,
) -> None:
    start_job(monkeypatch, "1")
    leave_marker(lock, silent=silent, job=job)
    monkeypatch.setattr("djd.locks.seconds_for_earlier_start", lambda lock: 0)
    with try_lock(lock, seconds=0) as held:
        assert held == takes_over


@pytest.mark.usefixtures("no_locks")
def test_a_requeued_job_waits_until_its_earlier_start_has_missed_them(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    markers.use_stale_after(3)  # heartbeats each 0.6 seconds
    start_job(monkeypatch, "1")
    leave_marker(lock, job=("lab 7", 0))
    with try_lock(lock, seconds=0.3) as held:  # another process would wait for 3 seconds
        assert held


def test_a_task_of_an_array_is_a_job_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert markers.this_job() == ("", 0)
    start_job(monkeypatch, "2", job="9")
    assert markers.this_job() == ("lab 9", 2)
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert markers.this_job() == ("lab 7_3", 2)
    monkeypatch.delenv("SLURM_RESTART_COUNT")
    assert markers.this_job() == ("lab 7_3", 0)


@pytest.mark.usefixtures("no_locks")
def test_markers_of_jobs_and_of_other_versions_are_read(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ["host", "boot", "pid", "started", "token", "by_system"]
    marker = lock.with_name(".lock.1")
    with try_lock(lock):
        assert list(json.loads(marker.read_bytes())) == before  # an earlier version reads it
    start_job(monkeypatch, "1")
    with try_lock(lock):
        values = json.loads(marker.read_bytes())
        assert list(values) == [*before, "job", "restarts"]
    marker.write_text(json.dumps({**values, "of_a_later_version": 1}))
    holder = markers.read_marker(marker)
    assert holder is not None
    assert (holder.pid, holder.job, holder.restarts) == (os.getpid(), "lab 7", 1)
