"""Comparisons whose processes are killed, together and apart, and those that share a folder."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import tiny_values
from tests.made_once import MakeOnce
from tests.sweeping import predictions, start_train, sweep_arguments

AXES = ("model.depth=1,2", "data.fold=0,1,2", "trainer.max_epochs=40", "score_epochs=[20]")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
]

Kill = Callable[[subprocess.Popen[bytes]], None]


@pytest.fixture(scope="module")
def cache(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tiny_values(phantom_folder, tmp_path_factory.mktemp("killed"))["paths"]["cache"])


@pytest.fixture(scope="module")
def whole(phantom_folder: Path, make_once: MakeOnce) -> dict[str, str]:
    """Predictions of a comparison that nobody disturbs."""

    def make(root: Path) -> dict[str, str]:
        cache = Path(tiny_values(phantom_folder, root)["paths"]["cache"])
        arguments = sweep_arguments(cache, root / "whole", *AXES)
        assert start_train(root / "log", *arguments).wait() == 0
        return predictions(root / "whole")

    return make_once("whole", make)


def descendants(process: int) -> list[int]:
    """Processes that a process has started, and those that these have."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == process:
            found += [int(path.parent.name), *descendants(int(path.parent.name))]
    return found


def kill_sweep(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)


def kill_all(process: subprocess.Popen[bytes]) -> None:
    for each in [process.pid, *descendants(process.pid)]:
        os.kill(each, signal.SIGKILL)


def kill_one_below(process: subprocess.Popen[bytes]) -> None:
    if below := descendants(process.pid):
        os.kill(random.Random(0).choice(below), signal.SIGKILL)


def interrupt(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)


@pytest.mark.parametrize("kill", [kill_sweep, kill_all, kill_one_below, interrupt])
def test_a_comparison_killed_at_random_moments_ends_as_one_that_never_was(
    cache: Path, tmp_path: Path, whole: dict[str, str], kill: Kill
) -> None:
    arguments = sweep_arguments(cache, tmp_path / "sweep", *AXES)
    moments = random.Random(kill.__name__)
    for _ in range(3):
        process = start_train(tmp_path / "log", *arguments)
        time.sleep(moments.uniform(3, 10))
        below = descendants(process.pid)
        if process.poll() is None:
            kill(process)
        if kill is not kill_one_below:
            process.wait()
            deadline = time.monotonic() + 60
            while any(Path(f"/proc/{each}").exists() for each in below):
                assert time.monotonic() < deadline, "orphans"
                time.sleep(0.1)
        if process.wait() == 0:
            break
    assert start_train(tmp_path / "log", *arguments).wait() == 0
    assert predictions(tmp_path / "sweep") == whole
    assert not list((tmp_path / "sweep").rglob("error.txt"))


def test_two_sweeps_of_one_comparison_share_its_cells(
    cache: Path, tmp_path: Path, whole: dict[str, str]
) -> None:
    arguments = sweep_arguments(cache, tmp_path / "sweep", *AXES)
    both = [start_train(tmp_path / f"log{index}", *arguments) for index in (1, 2)]
    # The one that ends first, while the other trains the rest, has a status of its own.
    assert sorted(process.wait() for process in both) in ([0, 0], [0, 3])
    logs = [(tmp_path / f"log{index}").read_text() for index in (1, 2)]
    assert predictions(tmp_path / "sweep") == whole
    for cell in (tmp_path / "sweep").glob("depth=*"):
        said = (cell / "run.log").read_text(encoding="utf-8").splitlines()
        assert sum(line.startswith(f"{cell.name}: validation") for line in said) == 1, (
            "trained once"
        )
    assert min(log.count(": validation kappa") for log in logs) > 0
    assert len((tmp_path / "sweep" / "test_openings.jsonl").read_text().splitlines()) == 1
    assert sum("Winner: " in log for log in logs) >= 1


def test_a_cell_whose_owner_dies_is_taken_over_by_the_sweep_beside(
    cache: Path, tmp_path: Path, whole: dict[str, str]
) -> None:
    arguments = sweep_arguments(cache, tmp_path / "sweep", *AXES)
    first = start_train(tmp_path / "log1", *arguments)
    while not list((tmp_path / "sweep").glob("*/metrics.csv")):
        time.sleep(0.05)
    second = start_train(tmp_path / "log2", *arguments)
    time.sleep(4)
    kill_all(first)
    first.wait()
    assert second.wait() == 0
    assert predictions(tmp_path / "sweep") == whole
