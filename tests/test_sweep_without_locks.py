"""Sweeps on a file system that refuses locks: killed, gone on with, and left by a lost machine."""

import errno
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import tiny_values
from tests.sweeping import predictions, start_train, sweep_arguments
from tests.without_locks import leave_marker

CELLS = ("model.depth=1", "data.fold=0,1", "test=never")
LONG = ("trainer.max_epochs=40", "score_epochs=[20]", "hydra.launcher.n_jobs=1")
SHORT = ("trainer.max_epochs=1", "score_epochs=[]")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="knows processes by /proc"),
]


@pytest.fixture(scope="module")
def cache(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tiny_values(phantom_folder, tmp_path_factory.mktemp("locks"))["paths"]["cache"])


def test_a_killed_sweep_goes_on_and_takes_over_what_a_lost_machine_held(
    cache: Path, tmp_path: Path, preloaded: dict[str, str]
) -> None:
    folder, log = tmp_path / "sweep", tmp_path / "log"
    environment = {**preloaded, "FLOCK_FAILS": str(errno.ENOSYS)}
    arguments = sweep_arguments(cache, folder, *CELLS, *LONG, "paths.stale_after=5")
    process = start_train(log, *arguments, **environment)
    while not list(folder.glob("*/metrics.csv")):
        time.sleep(0.05)
    assert list(folder.glob("*/.lock.1"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    (folder / "fold=1").mkdir(exist_ok=True)
    marker = leave_marker(folder / "fold=1" / ".lock")
    assert start_train(log, *arguments, **environment).wait() == 0
    said = log.read_text(encoding="utf-8")
    assert "has no locks (Function not implemented)" in said
    assert {name.partition("/")[0] for name in predictions(folder)} >= {"fold=0", "fold=1"}
    assert (folder / "result.json").exists()
    assert not marker.exists()


def test_a_sweep_that_lacks_another_machines_cell_ends_with_a_status_of_its_own(
    cache: Path, tmp_path: Path, preloaded: dict[str, str]
) -> None:
    folder, log = tmp_path / "sweep", tmp_path / "log"
    (folder / "fold=1").mkdir(parents=True)
    marker = leave_marker(folder / "fold=1" / ".lock")
    environment = {**preloaded, "FLOCK_FAILS": str(errno.ENOLCK)}
    process = start_train(log, *sweep_arguments(cache, folder, *CELLS, *SHORT), **environment)
    while process.poll() is None:
        os.utime(marker)  # the other machine lives
        time.sleep(1)
    said = log.read_text(encoding="utf-8")
    assert process.returncode == 3, said
    assert "will choose the winner (exit status 3): fold=1 (process 4711 on node17)" in said
    assert not (folder / "result.json").exists()
