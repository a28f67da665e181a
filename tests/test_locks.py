"""Locks with the system's help and without it: who holds them, who loses them, who waits."""

import errno
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from djd import files, heartbeats, locks, markers
from djd.errors import DriveError, InputError
from djd.locks import holder_of, remove_lock, try_lock, wait_for_lock
from djd.machine import process_start, this_boot
from djd.runs.folder import wait_for_silent
from tests.without_locks import leave_marker

REFUSE = """
import errno, fcntl, os, random, sys, time
from pathlib import Path
def refuse(file, operation):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = refuse
from djd.locks import try_lock, wait_for_lock
from djd.machine import stop_on_signals
from djd.markers import use_stale_after
sys.path.insert(0, {root!r})
lock = Path(sys.argv[1])
"""

HOLD = """
use_stale_after(float(sys.argv[2]))
with stop_on_signals(), try_lock(lock) as held:
    print(held, flush=True)
    time.sleep(600)
"""

CONTEND = """
from djd import locks
from tests.without_locks import leave_marker
locks._SECONDS_BETWEEN_TRIES = 0.001
inside, ended = lock.parent / "inside", time.monotonic() + 1
times = 0
while time.monotonic() < ended or not times:  # on a busy machine a second may give no turn
    with try_lock(lock, seconds=0.2) as held:
        if not held:
            continue
        os.close(os.open(inside, os.O_CREAT | os.O_EXCL))  # fails where another process is inside
        time.sleep(random.random() / 500)
        inside.unlink()
        times += 1
        if random.random() < 0.3:  # dies, and another machine's marker stays
            leave_marker(lock, silent=10_000)
print(times)
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    root = str(Path(__file__).parent.parent)
    program = [sys.executable, "-c", REFUSE.format(root=root) + script, *arguments]
    environment = {**os.environ, "PYTHONPATH": root}
    return subprocess.Popen(
        program,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / ".lock"


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    locks._said_of.clear()
    yield
    markers.use_stale_after(600)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_marker_stands_in_and_one_line_says_so(
    lock: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        with try_lock(lock) as held, try_lock(lock, seconds=0) as again:
            assert (held, again) == (True, False)
            assert holder_of(lock) is not None
            assert str(holder_of(lock)).startswith(f"process {os.getpid()} on ")
        assert holder_of(lock) is None
    assert len(caplog.records) == 1
    assert f"the file system of {lock.parent} has no locks" in caplog.text
    remove_lock(lock)
    assert list(lock.parent.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS])
def test_other_errors_of_a_lock_are_errors(
    lock: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def fail(file: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match=os.strerror(number)), try_lock(lock):
        pass


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize(("silent", "free"), [(0, False), (500, False), (700, True)])
def test_another_machine_loses_a_lock_after_ten_minutes_of_silence(
    lock: Path, silent: float, free: bool
) -> None:
    marker = leave_marker(lock, silent=silent)
    assert (holder_of(lock) is None) == free
    with try_lock(lock, seconds=0) as held:
        assert held == free
    assert marker.exists() != free


@pytest.mark.usefixtures("no_locks")
def test_silence_is_told_by_the_folders_clock(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_marker(lock)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 5000)  # this machine's clock is ahead
    assert holder_of(lock) is not None


@pytest.mark.usefixtures("no_locks")
def test_a_heartbeat_from_the_future_counts_once(lock: Path) -> None:
    markers.use_stale_after(0.2)
    leave_marker(lock, silent=-100_000)
    assert holder_of(lock) is not None
    time.sleep(0.3)
    assert holder_of(lock) is None


@pytest.mark.usefixtures("no_locks")
def test_a_run_waits_for_a_heartbeat_from_the_future(lock: Path) -> None:
    markers.use_stale_after(1)
    leave_marker(lock, silent=-100_000)
    assert wait_for_silent([lock.parent])
    assert holder_of(lock) is None


@pytest.mark.usefixtures("no_locks")
@pytest.mark.skipif(sys.platform != "linux", reason="knows processes by /proc")
def test_a_dead_process_of_this_machine_loses_its_lock_at_once(lock: Path) -> None:
    with start(HOLD, str(lock), "600") as process:
        assert process.stdout
        assert process.stdout.readline() == "True\n"
        assert str(holder_of(lock)).startswith(f"process {process.pid} on ")
        process.send_signal(signal.SIGSTOP)  # silent, but alive: see /proc
        assert holder_of(lock) is not None
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie is dead, too
        with try_lock(lock, seconds=0) as held:
            assert held


@pytest.mark.usefixtures("no_locks")
@pytest.mark.skipif(sys.platform != "linux", reason="knows processes by /proc")
def test_a_process_with_a_dead_ones_number_holds_nothing(lock: Path) -> None:
    parent = os.getppid()
    marker = leave_marker(lock, boot=this_boot())
    content = marker.read_text().replace("4711", str(parent))
    for started, holds in (("1", False), (process_start(parent), True)):
        marker.write_text(content.replace('"12345"', f'"{started}"'))
        assert (holder_of(lock) is not None) == holds


def test_a_marker_brought_to_a_system_with_locks(lock: Path) -> None:
    leave_marker(lock, by_system=True)  # its holder has no lock here, so it is gone
    with try_lock(lock, seconds=0) as held:
        assert held
    marker = leave_marker(lock)  # its holder may work from a machine without locks
    with try_lock(lock, seconds=0) as held:
        assert not held
    os.utime(marker, (0, 0))
    with try_lock(lock, seconds=0) as held:
        assert held


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"host": 1}', b"\xff\xfe"])
def test_a_marker_that_says_nothing_counts_until_it_is_old(lock: Path, content: bytes) -> None:
    marker = lock.with_name(".lock.3")
    marker.write_bytes(content)
    assert str(holder_of(lock)) == "another process"
    os.utime(marker, (0, 0))
    with try_lock(lock) as held:
        assert held
    assert not marker.exists()


def test_a_marker_that_the_drive_does_not_give_is_no_wait(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(files, "PAUSES", (0.01,))
    with monkeypatch.context() as failing:
        failing.setattr(Path, "read_bytes", fail)
        with wait_for_lock(lock):
            pass
        with pytest.raises(DriveError, match=r"\.lock\.1: the drive failed"), wait_for_lock(lock):
            pass
    with try_lock(lock, seconds=0) as held:
        assert held


@pytest.mark.usefixtures("no_locks")
def test_a_folder_in_the_place_of_a_marker_holds_nothing(lock: Path) -> None:
    lock.with_name(".lock.1").mkdir()
    assert holder_of(lock) is None
    for _ in range(2):
        with try_lock(lock, seconds=0) as held:
            assert held
    assert wait_for_silent([lock.parent]) is False


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the scripts refuse locks by fcntl")
def test_no_two_processes_are_inside_at_once_whoever_dies(lock: Path) -> None:
    several = [start(CONTEND, str(lock)) for _ in range(4)]
    for process in several:
        out, err = process.communicate(timeout=60)
        assert err.count("Error") == 0, err
        assert int(out) > 0


@pytest.mark.usefixtures("no_locks")
def test_who_takes_over_too_late_withdraws(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_marker(lock, silent=10_000)
    make = heartbeats._make

    def make_late(marker: Path, *, by_system: bool) -> None:
        leave_marker(lock)  # meanwhile others took over, ended, and a new one began
        make(marker, by_system=by_system)

    monkeypatch.setattr(heartbeats, "_make", make_late)
    with try_lock(lock, seconds=0) as held:
        assert not held
    assert [each.name for each in markers.markers(lock)] == [".lock.1"]


def wait_for_beat(marker: Path, *, after: float) -> float:
    """The time of the marker once it is there with another time."""
    deadline = time.monotonic() + 60
    while not marker.exists() or marker.stat().st_mtime == after:
        assert time.monotonic() < deadline, "no heartbeat"
        time.sleep(0.05)
    return marker.stat().st_mtime


@pytest.mark.skipif(sys.platform != "linux", reason="knows processes by /proc")
def test_who_was_silent_and_lost_the_lock_stops(lock: Path) -> None:
    with start(HOLD, str(lock), "1") as process:
        assert process.stdout
        assert process.stdout.readline() == "True\n"
        marker = lock.with_name(".lock.1")
        beat = wait_for_beat(marker, after=marker.stat().st_mtime)
        marker.unlink()  # a tidy person is no new holder
        wait_for_beat(marker, after=wait_for_beat(marker, after=beat))
        leave_marker(lock)
        _, err = process.communicate(timeout=60)
        assert "process 4711 on node17 took over" in err
        assert "Stopped: stopped by SIGTERM" in err
    assert marker.exists()


@pytest.mark.usefixtures("no_locks")
def test_a_wait_says_whom_it_is_for_and_ends(
    lock: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_SECONDS_WITHOUT_A_LINE", 0.1)
    monkeypatch.setattr(locks, "_PATIENCE", -599.5)
    leave_marker(lock)
    with (
        pytest.raises(InputError, match="that process 4711 on node17 has held"),
        wait_for_lock(lock),
    ):
        pass
    waiting = [each.getMessage() for each in caplog.records if "waiting" in each.getMessage()]
    assert waiting == [f"waiting for {lock}, which process 4711 on node17 holds"]


@pytest.mark.usefixtures("no_locks")
def test_a_wait_ends_once_a_lost_machine_is_stale(
    lock: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    markers.use_stale_after(0.5)
    leave_marker(lock)
    with wait_for_lock(lock):
        assert str(holder_of(lock)).startswith(f"process {os.getpid()} on ")
