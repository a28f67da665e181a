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

AXES = ("model.depth=1", "data.fold=0,1,2", "trainer.max_epochs=60", "score_epochs=[20]")
ONE_AT_A_TIME = "hydra.launcher.n_jobs=1"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="knows processes by /proc"),
]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_a_killed_sweep_goes_on_and_waits_for_what_a_lost_machine_holds(
    phantom_folder: Path, tmp_path: Path, preloaded: dict[str, str], number: int
) -> None:
    cache = Path(tiny_values(phantom_folder, tmp_path)["paths"]["cache"])
    folder, log = tmp_path / "sweep", tmp_path / "log"
    environment = {**preloaded, "FLOCK_FAILS": str(number)}
    arguments = sweep_arguments(cache, folder, *AXES, "paths.stale_after=15", ONE_AT_A_TIME)
    process = start_train(log, *arguments, **environment)
    while not list(folder.glob("*/metrics.csv")):
        time.sleep(0.05)
    assert list(folder.glob("*/.lock.1"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    (folder / "fold=2").mkdir(exist_ok=True)
    marker = leave_marker(folder / "fold=2" / ".lock")
    assert start_train(log, *arguments, **environment).wait() == 0
    said = log.read_text(encoding="utf-8")
    assert "waiting for fold=2, held by process 4711 on node17 (no sign of life for" in said
    assert "1 in another process's hands" in said
    assert f"has no locks ({os.strerror(number)})" in said
    assert len(predictions(folder)) == 3
    assert (folder / "result.json").exists()
    assert not marker.exists()


def test_a_sweep_that_lacks_another_machines_cell_ends_with_a_status_of_its_own(
    phantom_folder: Path, tmp_path: Path, preloaded: dict[str, str]
) -> None:
    cache = Path(tiny_values(phantom_folder, tmp_path)["paths"]["cache"])
    folder, log = tmp_path / "sweep", tmp_path / "log"
    few = ("model.depth=1", "data.fold=0,1", "trainer.max_epochs=1", "score_epochs=[]")
    (folder / "fold=1").mkdir(parents=True)
    marker = leave_marker(folder / "fold=1" / ".lock")
    environment = {**preloaded, "FLOCK_FAILS": "37"}
    process = start_train(log, *sweep_arguments(cache, folder, *few), **environment)
    while process.poll() is None:
        os.utime(marker)  # the other machine lives
        time.sleep(1)
    said = log.read_text(encoding="utf-8")
    assert process.returncode == 3, said
    assert "will choose the winner (exit status 3): fold=1 (process 4711 on node17)" in said
    assert not (folder / "result.json").exists()
