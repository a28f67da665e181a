import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from djd.runs.folder import ERROR_NAME, record_failure
from tests.conftest import TINY

ROOT = Path(__file__).parent.parent


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own with room for Hydra's files and little else."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    if os.name != "posix" or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk takes Linux and the rights of root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_nothing_is_left_behind(
    small_disk: Path, phantom_folder: Path, tmp_path: Path
) -> None:
    finished = subprocess.run(
        [
            sys.executable,
            str(ROOT / "train.py"),
            *TINY,
            "data=mat",
            f"data.root={phantom_folder}",
            f"paths.cache={tmp_path / 'cache'}",
            f"hydra.run.dir={small_disk / 'run'}",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert finished.returncode == 1
    printed = finished.stdout + finished.stderr
    assert "Traceback" not in printed
    assert printed.count("No space left on device") == 1
    assert {path.name for path in (small_disk / "run").iterdir()} == {".hydra", "run.log"}


def test_a_cell_on_a_full_disk_has_its_reason_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    record_failure(tmp_path, OSError(errno.ENOSPC, "No space left on device", str(path)))
    reason = f"{path}: can't be read or written (No space left on device)"
    assert (tmp_path / ERROR_NAME).read_text(encoding="utf-8") == f"{reason}\n"
