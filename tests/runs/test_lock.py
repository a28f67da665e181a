import subprocess
import sys
from pathlib import Path

from djd.runs.folder import drop_lock, is_locked, lock

HOLD = """
import sys, time
from pathlib import Path
from djd.runs.folder import lock
with lock(Path(sys.argv[1])) as held:
    print(held, flush=True)
    time.sleep(60)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


def test_a_claim_is_held_by_one_process_and_lost_when_that_is_killed(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with lock(tmp_path) as held:
            assert not held
        assert is_locked(tmp_path)
        process.kill()
        process.wait()
    assert not is_locked(tmp_path)
    with lock(tmp_path) as held:
        assert held


def test_a_claim_ends_with_its_block_even_where_that_fails(tmp_path: Path) -> None:
    try:
        with lock(tmp_path) as held:
            assert held
            raise RuntimeError
    except RuntimeError:
        pass
    assert not is_locked(tmp_path)


def test_looking_leaves_no_file_and_a_dropped_claim_neither(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with lock(tmp_path):
        drop_lock(tmp_path)
    assert list(tmp_path.iterdir()) == []
