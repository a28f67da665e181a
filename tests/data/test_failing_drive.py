"""A drive that fails in mid-read: the drive's error by name, never damage of a file."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from djd import files
from djd.data.cohort import read_cohort
from djd.data.phantom.cohort import is_phantom
from djd.data.scan import Scan, read_scan
from djd.data.scan_files import find_scans
from djd.errors import DriveError
from djd.files import drive_failure, read_bytes
from djd.runs.config import read_config
from djd.runs.folder import finished_result, saved_config
from tests.conftest import compose_values
from tests.data.mat_files import write_v5, write_v73

READ_FROM_EACH_BYTE_ON = """
import os, sys
from djd import files, read_scan
from djd.errors import DriveError
files.PAUSES = ()
whole = read_scan(sys.argv[1])
for first in range(0, os.path.getsize(sys.argv[1]) + 1, int(sys.argv[2])):
    os.environ |= {"READ_FAILS_IN": sys.argv[1], "READ_FAILS_AFTER": str(first)}
    try:
        scan = read_scan(sys.argv[1])
    except DriveError as error:
        assert "(Transport endpoint is not connected)" in str(error), error
        print("drive")
    else:  # the bytes from there on aren't needed
        assert scan.grades == whole.grades and scan.named_grades == whole.named_grades
        assert (scan.counts == whole.counts).all()
        print("whole")
"""


@pytest.fixture(params=["v5", "v7.3"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return (write_v5 if request.param == "v5" else write_v73)(tmp_path / "0000058.mat")


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PAUSES", (0, 0))


def fail(monkeypatch: pytest.MonkeyPatch, name: str, number: int, *, times: int = 1000) -> None:
    """Files of a name can't be opened so many times."""
    left, opened = [times], Path.open

    def failing(self: Path, *arguments: str, **named: str) -> object:
        if self.name == name and left[0]:
            left[0] -= 1
            raise OSError(number, os.strerror(number), str(self))
        return opened(self, *arguments, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", failing)


def test_a_scan_cut_anywhere_by_its_drive_is_no_damaged_scan(
    path: Path, preloaded: dict[str, str]
) -> None:
    step = str(max(1, path.stat().st_size // 25))
    done = subprocess.run(
        [sys.executable, "-c", READ_FROM_EACH_BYTE_ON, str(path), step],
        env={**os.environ, **preloaded, "READ_FAILS": "107"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("drive") > 5


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(("times", "found"), [(1, True), (1000, False)])
def test_a_folder_is_listed_again_where_the_drive_failed(
    path: Path, monkeypatch: pytest.MonkeyPatch, times: int, found: bool
) -> None:
    left, listed = [times], os.scandir

    def failing(folder: Path) -> object:
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(folder))
        return listed(folder)

    monkeypatch.setattr(os, "scandir", failing)
    if found:
        assert find_scans(path.parent).names == [path.stem]
    else:
        with pytest.raises(DriveError, match="Input/output error"):
            find_scans(path.parent)


def test_a_v73_file_is_read_where_the_file_system_refuses_locks(
    tmp_path: Path, preloaded: dict[str, str]
) -> None:
    command = "import sys; from djd import read_scan; print(read_scan(sys.argv[1]).grades)"
    scan = write_v73(tmp_path / "0000058.mat")
    for number in (errno.ENOLCK, errno.ENOSYS):
        done = subprocess.run(
            [sys.executable, "-c", command, str(scan)],
            env={**os.environ, **preloaded, "FLOCK_FAILS": str(number)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == f"{read_scan(scan).grades}\n", done.stderr


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN])
def test_a_drive_that_comes_back_costs_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fail(monkeypatch, path.name, number, times=2)
    assert isinstance(read_scan(path), Scan)


@pytest.mark.usefixtures("no_pauses")
def test_a_lost_scan_stops_a_cohort_whatever_happens_to_damaged_ones(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path.parent / "0000059.mat").write_bytes(b"damaged")
    folder = find_scans(path.parent)
    assert list(read_cohort(folder).unreadable) == ["0000059"]
    fail(monkeypatch, path.name, errno.EIO)
    with pytest.raises(DriveError, match=r"0000058.mat: the drive failed .*Input/output error"):
        read_cohort(folder)
    with pytest.raises(DriveError):
        is_phantom(path)


@pytest.mark.usefixtures("no_pauses")
def test_a_result_that_the_drive_withholds_is_not_trained_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = read_config(compose_values())
    assert finished_result(tmp_path, config) is None
    for name in ("result.json", "config.yaml"):
        fail(monkeypatch, name, errno.EIO)
    with pytest.raises(DriveError, match=r"result\.json: the drive failed"):
        finished_result(tmp_path, config)
    with pytest.raises(DriveError, match=r"config\.yaml: the drive failed"):
        saved_config(tmp_path)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.EISDIR])
def test_what_a_file_lacks_is_no_drives_error(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fail(monkeypatch, path.name, number)
    with pytest.raises(OSError, match=os.strerror(number)):
        read_bytes(path)
    assert drive_failure(OSError(number, os.strerror(number))) is None
