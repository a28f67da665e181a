import importlib.util
import multiprocessing
import multiprocessing.context
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from djd.sweeps import processes
from djd.sweeps.processes import Ending, Watcher, _context, run_in_processes
from djd.sweeps.worker import _own_modules, deal_gpu
from tests.ordinary_user import posix
from tests.sweeping import HIDE_FORK_SERVER

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


def double_while_looked_at(folder: Path, number: int) -> int:
    while not (folder / "looking").exists():
        time.sleep(0.02)
    (folder / str(number)).touch()
    return double(number)


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
    if how == "os._exit(0)":
        os._exit(0)
    if how == "end of file":
        raise EOFError("early")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    return how


def module_at(name: str, file: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    return importlib.util.module_from_spec(spec)


def own_process(how: str) -> int:
    """The number of this process, which may end badly or import a module of a person's own."""
    if how == "imports":
        sys.modules["own"] = module_at("own", __file__)
    end_somehow(how)
    return os.getpid()


def wait_in_steps(folder: Path) -> None:
    try:
        (folder / "begun").write_text("")
        while True:
            time.sleep(0.02)
    finally:
        (folder / "stopped").write_text("")


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


@pytest.mark.slow
def test_as_many_run_at_a_time_as_asked_for(tmp_path: Path) -> None:
    watched = Watched()
    calls = [(tmp_path, str(index)) for index in range(5)]
    run_in_processes(note_time, calls, at_once=2, watcher=watched)
    assert watched.most == 2
    began, ended = np.array([path.read_text().split() for path in tmp_path.iterdir()], float).T
    beside = (began[:, None] < ended) & (began < ended[:, None])
    assert beside.sum(axis=0).max() > 1, "some ran side by side"


@pytest.mark.slow
@posix
def test_each_way_to_end_badly_is_told_and_costs_nobody_else() -> None:
    ways = "raise, fine, exit, os._exit, os._exit(0), end of file, kill, segfault, fine too"
    endings = run_in_processes(end_somehow, [(way,) for way in ways.split(", ")], at_once=3)
    reasons = [ending.reason if ending else "never ran" for ending in endings]
    assert reasons == [
        "LocalUnpicklableError: 1",
        None,
        "SystemExit: 7",
        "its process ended with status 7",
        "its process ended with status 0 before its work was done",
        "EOFError: early",
        "killed (SIGKILL), perhaps by the system for want of memory",
        "its process crashed: segmentation fault (SIGSEGV)",
        None,
    ]


def test_a_process_sees_the_gpus_that_this_one_sees_by_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for devices in ("3", "5"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", devices)
        endings = run_in_processes(os.getenv, [("CUDA_VISIBLE_DEVICES",)], at_once=1)
        assert endings == [Ending(0, devices)]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    (ending,) = run_in_processes(os.getenv, [("CUDA_VISIBLE_DEVICES",)], at_once=1)
    assert ending == Ending(0, None)


def test_a_watcher_can_end_it_all(tmp_path: Path) -> None:
    watched = Watched(stop_after=1)
    calls = [(tmp_path, str(index)) for index in range(6)]
    endings = run_in_processes(note_time, calls, at_once=1, watcher=watched)
    assert [ending is not None for ending in endings] == [True] + [False] * 5
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


def test_work_that_ends_at_the_same_time_as_what_ends_it_all_is_told(tmp_path: Path) -> None:
    class Slow(Watched):
        def look(self) -> None:
            (tmp_path / "looking").touch()
            while len(list(tmp_path.iterdir())) < 3:
                time.sleep(0.02)
            time.sleep(0.5)  # both have ended by the next look

    watched = Slow(stop_after=1)
    calls = [(tmp_path, number) for number in (1, 2, 3)]
    endings = run_in_processes(double_while_looked_at, calls, at_once=2, watcher=watched)
    assert [ending and ending.value for ending in endings] == [2, 4, None]


def test_large_values_come_back(tmp_path: Path) -> None:
    (ending,) = run_in_processes(many_bytes, [(10**6,)], at_once=1)
    assert ending is not None
    assert len(ending.value) == 10**6


@posix
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


def test_work_is_asked_to_stop_where_a_signal_would_end_it_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Impatient(Watched):
        def look(self) -> None:
            if (tmp_path / "begun").exists():
                raise KeyboardInterrupt

    monkeypatch.setattr(processes, "SIGTERM_ENDS_AT_ONCE", True)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_in_processes(wait_in_steps, [(tmp_path,)], at_once=1, watcher=Impatient())
    assert (tmp_path / "stopped").exists()
    assert time.monotonic() - began < processes.SECONDS_TO_STOP


@pytest.mark.slow
@posix
def test_without_a_fork_server_a_process_serves_call_after_call_until_one_could_reach_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(multiprocessing.context._concrete_contexts, "forkserver", raising=False)  # type: ignore[attr-defined]

    class KillsAnIdleOne(Watched):
        def ended(self, index: int, ending: Ending) -> bool:
            if index == 5:
                os.kill(ending.value, signal.SIGKILL)
                time.sleep(0.2)
            return super().ended(index, ending)

    ways = ("fine", "fine", "kill", "fine", "imports", "fine", "fine after a death")
    calls = [(way,) for way in ways]
    endings = run_in_processes(own_process, calls, at_once=1, watcher=KillsAnIdleOne())
    numbers = [ending.value if ending else None for ending in endings]
    assert [ending.reason if ending else "" for ending in endings] == [
        *[None, None, "killed (SIGKILL), perhaps by the system for want of memory"],
        *[None, None, None, None],
    ]
    assert numbers[0] == numbers[1]
    assert numbers[3] == numbers[4]
    assert len({numbers[0], numbers[3], numbers[5], numbers[6]}) == 4
    for number in filter(None, numbers):
        assert not Path(f"/proc/{number}").exists(), "ended with the calls"


def test_work_that_is_only_on_its_way_is_asked_to_stop_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Hasty(Watched):
        def started(self, index: int) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(processes, "SIGTERM_ENDS_AT_ONCE", True)
    monkeypatch.setattr(processes, "SECONDS_TO_STOP", 20)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_in_processes(wait_in_steps, [(tmp_path,)], at_once=1, watcher=Hasty())
    assert time.monotonic() - began < processes.SECONDS_TO_STOP


@pytest.mark.parametrize(
    ("name", "file", "own"),
    [
        ("mine", "/home/me/mine.py", True),
        ("mine", "/home/me/mine.zip/mine.py", True),
        ("hydra_plugins.mine", "/home/me/hydra_plugins/mine.py", True),
        ("hydra_plugins.djd.this", "/home/me/djd/hydra_plugins/djd/this.py", False),
        ("djd.this", "/home/me/djd/djd/this.py", False),
        ("torchvision", "/venv/lib/python3.11/site-packages/torchvision/__init__.py", False),
        ("_asyncio", "C:/Python311/DLLs/_asyncio.pyd", False),
    ],
)
def test_modules_of_a_persons_own_are_told_from_libraries(
    monkeypatch: pytest.MonkeyPatch, name: str, file: str, own: bool
) -> None:
    module = ModuleType(name)
    module.__spec__ = importlib.util.spec_from_file_location(
        name, file, loader=SourceFileLoader(name, file)
    )
    monkeypatch.setitem(sys.modules, name, module)
    assert _own_modules([name]) == [name] * own


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0xC0000005, "its process crashed: access violation (0xC0000005)"),
        (0xC0000017, "its process ended for want of memory (0xC0000017)"),
        (3, "its process ended with status 3"),
        (-250, "its process was ended by signal 250"),
    ],
)
def test_exit_codes_of_any_system_are_told_in_words(code: int, reason: str) -> None:
    assert Ending(code).reason == reason


@pytest.fixture(params=["", pytest.param(HIDE_FORK_SERVER, marks=pytest.mark.slow)])
def parent(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs two pieces of endless work, with and without a fork server."""
    code = (
        f"{request.param}import sys; from pathlib import Path; from djd.sweeps.processes import *; "
        "from tests.sweeps.test_processes import *; "
        f"run_in_processes(wait_for_ever, [(Path({str(tmp_path)!r}),)] * 2, at_once=2, "
        "watcher=Watched())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[2]
    )
    deadline = time.monotonic() + 300
    try:
        while len(list(tmp_path.iterdir())) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@linux
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_nothing_outlives_the_parent(
    parent: subprocess.Popen[bytes], tmp_path: Path, name: str
) -> None:
    parent.send_signal(signal.Signals[name])
    parent.wait()
    deadline = time.monotonic() + 60
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
        (2, "5, 7", [1], ["7"]),
        (2, None, [None], [None]),
        (2, "5,7", [None], ["5,7"]),
    ],
)
def test_gpus_are_dealt_in_turn(
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    seen: str | None,
    slots: list[int | None],
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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gets a fork server")
def test_a_temporary_folder_too_long_for_a_socket_gets_no_fork_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for characters, method in ((107 - 32, "forkserver"), (108 - 32, "spawn"), (200, "spawn")):
        monkeypatch.setattr(tempfile, "tempdir", "/".ljust(characters, "t"))
        assert _context().get_start_method() == method
