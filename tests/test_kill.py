import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import TINY
from tests.runs.test_resume import texts

ROOT = Path(__file__).parent.parent


def start(folder: Path, cache: Path, scans: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(ROOT / "train.py"), *TINY, "trainer.max_epochs=60"]
    places = ["data=mat", f"data.root={scans}", f"paths.cache={cache}", f"hydra.run.dir={folder}"]
    with (folder.parent / f"{folder.name}.log").open("ab") as log:
        return subprocess.Popen([*command, *places], stdout=log, stderr=log, cwd=folder.parent)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_a_run_killed_at_random_moments_ends_as_one_that_never_was(
    phantom_folder: Path, tmp_path: Path
) -> None:
    """Killed while importing, reading, training, writing, refitting: wherever it happens to be."""
    cache = tmp_path / "cache"
    whole, killed = tmp_path / "whole" / "run", tmp_path / "killed" / "run"
    for folder in (whole, killed):
        folder.parent.mkdir()
    assert start(whole, cache, phantom_folder).wait() == 0
    moments = random.Random(0)
    for _ in range(6):
        process = start(killed, cache, phantom_folder)
        time.sleep(moments.uniform(3, 9))
        process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break
    if not (killed / "result.json").exists():
        assert start(killed, cache, phantom_folder).wait() == 0
    if not (killed / "settings.csv").exists():  # killed while it worked out the answer
        report = [sys.executable, "-c", "from djd.cli import main; main()", "report", str(killed)]
        subprocess.run(report, check=True)
    assert texts(killed) == texts(whole)
    assert "Traceback" not in killed.with_suffix(".log").read_text()
