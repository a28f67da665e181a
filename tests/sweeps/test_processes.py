import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from djd.sweeps.processes import Ending, Watcher, deal_gpu, run_in_processes

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


class Watched(Watcher):
    """Notes what it is told; ends it all after so many endings."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.now: set[int] = set()
        self.most = 0
        self.ended_ones: list[int] = []

    def started(self, index: int) -> None:
        self.now.add(index)
        self.most = max(self.most, len(self.now))

    def ended(self, index: int, ending: Ending) -> bool:
        self.now.remove(index)
        self.ended_ones.append(index)
        return len(self.ended_ones) != self.stop_after


def double(number: int) -> int:
    return 2 * number


def many_bytes(count: int) -> bytes:
    return bytes(count)


def note_time(folder: Path, name: str) -> str:
    began = time.monotonic()
    time.sleep(0.3)
    (folder / name).write_text(f"{began} {time.monotonic()}")
    return name


class LocalUnpicklableError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one}\n{two}")


def end_somehow(how: str) -> str:
    if how == "raise":
        raise LocalUnpicklableError(1, 2)
    if how == "exit":
        sys.exit(7)
    if how == "os._exit":
        os._exit(7)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    return how


def wait_for_ever(folder: Path) -> None:
    (folder / str(os.getpid())).write_text("")
    time.sleep(600)


def stop_slowly(folder: Path) -> None:
    try:
        wait_for_ever(folder)
    finally:
        time.sleep(0.5)
        (folder / f"{os.getpid()}.stopped").write_text("")


def test_values_come_back_in_order() -> None:
    endings = run_in_processes(double, [(1,), (2,), (3,)], at_once=2)
    assert [ending and ending.value for ending in endings] == [2, 4, 6]


def test_as_many_run_at_a_time_as_asked_for(tmp_path: Path) -> None:
    watched = Watched()
    calls = [(tmp_path, str(index)) for index in range(5)]
    run_in_processes(note_time, calls, at_once=2, watcher=watched)
    assert watched.most == 2
    began, ended = np.array([path.read_text().split() for path in tmp_path.iterdir()], float).T
    beside = (began[:, None] < ended) & (began < ended[:, None])
    assert beside.sum(axis=0).max() > 1, "some ran side by side"


def test_each_way_to_end_badly_is_told_and_costs_nobody_else() -> None:
    ways = ("raise", "fine", "exit", "os._exit", "kill", "segfault", "fine too")
    endings = run_in_processes(end_somehow, [(way,) for way in ways], at_once=3)
    reasons = [ending.reason if ending else "never ran" for ending in endings]
    assert reasons == [
        "LocalUnpicklableError: 1",
        None,
        "SystemExit: 7",
        "its process ended with status 7",
        "killed (SIGKILL), perhaps by the system for want of memory",
        "its process crashed: segmentation fault (SIGSEGV)",
        None,
    ]


def test_a_watcher_can_end_it_all(tmp_path: Path) -> None:
    watched = Watched(stop_after=1)
    calls = [(tmp_path, str(index)) for index in range(6)]
    endings = run_in_processes(note_time, calls, at_once=1, watcher=watched)
    assert [ending is not None for ending in endings] == [True] + [False] * 5
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


def test_work_that_ends_at_the_same_time_as_what_ends_it_all_is_told(tmp_path: Path) -> None:
    class Slow(Watched):
        def look(self) -> None:
            time.sleep(1)  # both have ended by the next look

    watched = Slow(stop_after=1)
    endings = run_in_processes(double, [(1,), (2,), (3,)], at_once=2, watcher=watched)
    assert [ending and ending.value for ending in endings[:2]] == [2, 4]
    assert endings[2] is None


def test_large_values_come_back(tmp_path: Path) -> None:
    (ending,) = run_in_processes(many_bytes, [(10**6,)], at_once=1)
    assert ending is not None
    assert len(ending.value) == 10**6


def test_stopped_work_may_finish_its_writing(tmp_path: Path) -> None:
    class Impatient(Watched):
        def look(self) -> None:
            if len(list(tmp_path.iterdir())) == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_in_processes(stop_slowly, [(tmp_path,)] * 4, at_once=2, watcher=Impatient())
    pids = [path.name for path in tmp_path.iterdir() if path.suffix != ".stopped"]
    assert len(pids) == 2
    assert all((tmp_path / f"{pid}.stopped").exists() for pid in pids)


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs two pieces of endless work."""
    code = (
        "import sys; from pathlib import Path; from djd.sweeps.processes import *; "
        "from tests.sweeps.test_processes import *; "
        f"run_in_processes(wait_for_ever, [(Path({str(tmp_path)!r}),)] * 2, at_once=2, "
        "watcher=Watched())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[2]
    )
    deadline = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield process
    process.kill()
    process.wait()


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_the_parent(
    parent: subprocess.Popen[bytes], tmp_path: Path, number: signal.Signals
) -> None:
    parent.send_signal(number)
    parent.wait()
    deadline = time.monotonic() + 10
    alive = [int(path.name) for path in tmp_path.iterdir()]
    while alive := [pid for pid in alive if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("count", "seen", "slots", "dealt"),
    [
        (0, None, [0, 1], [None, None]),
        (1, None, [0, 1], [None, None]),
        (2, None, [0, 1, 2, 3], ["0", "1", "0", "1"]),
        (2, "5,7", [0, 1, 2], ["5", "7", "5"]),
    ],
)
def test_gpus_are_dealt_in_turn(
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    seen: str | None,
    slots: list[int],
    dealt: list[str | None],
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    received = []
    for slot in slots:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if seen:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
        deal_gpu(slot)
        received.append(os.environ.get("CUDA_VISIBLE_DEVICES"))
    assert received == dealt
