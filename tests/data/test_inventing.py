"""Cohorts that several processes invent, or ask for, are those that one process invents."""

import hashlib
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from djd.data.phantom import cohort
from djd.data.phantom.cohort import cached_phantom, make_cohort
from djd.errors import InputError
from djd.grades import PhantomFormat, PhantomStyle
from djd.machine import process_lives, process_start
from tests.data.test_phantom import contents


def unpacked(path: Path) -> bytes:
    """A file without compression, whose bytes differ between builds of zlib."""
    packed = path.read_bytes()
    if path.suffix != ".mat":
        return packed
    head, at = packed[:128], 128
    parts = [head]
    while at < len(packed):
        kind, size = struct.unpack("<II", packed[at : at + 8])
        assert kind == 15  # compressed
        parts.append(zlib.decompress(packed[at + 8 : at + 8 + size]))
        at += 8 + size
    return b"".join(parts)


@pytest.mark.parametrize(
    ("style", "file_format", "patients", "digest"),
    [
        ("plain", "mat", 2, "b41bc82f7402287c22b8c45f9358ec7c332ec53090fae73a76a254840247dffc"),
        ("soft", "mat", 2, "26c4b69a75c48ac74fa5f7d7f907dd26805f34504167952c53a422660bfd1a38"),
        ("odd", "mat", 4, "7fd9bea419dbcf037ecc37068f9f5753b01ed4e3f31bd21dbccfa3f2d9d118c4"),
        ("plain", "dicom", 2, "d84e5d19d3d6cb2c70cc27b782a12f7af1d95af4be7af07996412c72650e5030"),
    ],
)
def test_files_of_a_seed_stay_what_they_are(
    tmp_path: Path, style: PhantomStyle, file_format: PhantomFormat, patients: int, digest: str
) -> None:
    """As the version wrote them that invented one patient after the other, in one process."""
    if file_format == "dicom":
        pytest.importorskip("pydicom")
    make_cohort(tmp_path, patients=patients, seed=5, style=style, file_format=file_format)
    written = hashlib.sha256()
    for path in sorted(tmp_path.iterdir()):
        if path.name != "phantom.json":
            written.update(unpacked(path))
    assert written.hexdigest() == digest


@pytest.mark.slow  # starting processes takes seconds
@pytest.mark.parametrize("file_format", ["mat", "dicom"])
def test_processes_write_the_bytes_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_format: PhantomFormat
) -> None:
    if file_format == "dicom":
        pytest.importorskip("pydicom")
    for name, cores in (("one", 1), ("more", 2)):
        monkeypatch.setattr(cohort, "usable_cores", lambda cores=cores: cores)
        done: list[int] = []
        make_cohort(
            tmp_path / name,
            patients=24,
            seed=1,
            style="odd",
            file_format=file_format,
            on_scan=done.append,
        )
        assert done == list(range(1, 25))
    assert contents(tmp_path / "one") == contents(tmp_path / "more")


def test_no_process_is_started_on_one_core_and_for_a_few_scans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(cohort, "in_processes", start)
    monkeypatch.setattr(cohort, "invent_scan", lambda plan: (_ for _ in ()).throw(StopAsked))
    for cores, patients in ((1, 40), (8, 3)):
        monkeypatch.setattr(cohort, "usable_cores", lambda cores=cores: cores)
        with pytest.raises(StopAsked):
            make_cohort(tmp_path / str(cores), patients=patients, seed=0)


class StopAsked(BaseException):
    pass


@pytest.mark.slow  # starting processes takes seconds
def test_a_stop_leaves_neither_half_a_cohort_nor_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohort, "usable_cores", lambda: 2)
    before = children()

    def stop(done: int) -> None:
        assert len(children() - before) >= 2
        raise StopAsked

    with pytest.raises(StopAsked):
        cached_phantom(tmp_path, patients=40, seed=0, on_scan=stop)
    assert list(tmp_path.iterdir()) == []
    ended_by = time.monotonic() + 120
    while inventing(children() - before):
        assert time.monotonic() < ended_by
        time.sleep(0.1)


def children() -> set[int]:
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    if not listed.exists():
        pytest.skip("children are listed by Linux")
    tasks = Path("/proc/self/task").iterdir()
    return {int(each) for task in tasks for each in (task / "children").read_text().split()}


def inventing(processes: set[int]) -> set[int]:
    """Those that run joblib's work; a tracker of resources lives as long as this process."""
    living = set()
    for process in processes:
        try:
            command = Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            continue
        if b"popen_loky" in command:
            living.add(process)
    return living


TWO_AT_ONCE = """
import sys
from pathlib import Path
from djd.data.phantom.cohort import cached_phantom
made = []
folder = cached_phantom(Path(sys.argv[1]), patients=5, seed=0, on_scan=made.append)
print(len(made), (folder / "phantom.json").exists())
"""


def test_two_processes_at_once_make_a_cohort_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TWO_AT_ONCE, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate()[0].strip() for process in both)
    assert said == ["0 True", "5 True"]
    assert [path.name for path in tmp_path.iterdir()] == ["phantom-v1-patients=5-seed=0"]


INVENTING = """
import os, sys
from pathlib import Path
from djd.data.phantom import cohort
cohort.usable_cores = lambda: 2
def say(done):
    print(done, flush=True)
cohort.cached_phantom(Path(sys.argv[1]), patients=60, seed=0, on_scan=say)
"""


@pytest.mark.slow  # starting processes takes seconds
@pytest.mark.skipif(sys.platform != "linux", reason="children are listed by Linux")
def test_after_a_kill_no_process_is_left_and_the_next_try_cleans_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", INVENTING, str(tmp_path)]
    with subprocess.Popen(command, stdout=-1, stderr=subprocess.DEVNULL, text=True) as killed:
        assert killed.stdout
        assert killed.stdout.readline() == "1\n"
        listed = Path(f"/proc/{killed.pid}/task/{killed.pid}/children")
        left = {int(each): process_start(int(each)) for each in listed.read_text().split()}
        killed.send_signal(signal.SIGKILL)
    assert left
    ended_by = time.monotonic() + 120
    while any(process_lives(*each) for each in left.items()):
        assert time.monotonic() < ended_by
        time.sleep(0.1)
    name = "phantom-v1-patients=1-seed=0"
    (half,) = tmp_path.glob(".phantom-*.????????/")
    half.rename(tmp_path / f".{name}.0a1b2c3d")
    assert cached_phantom(tmp_path, patients=1, seed=0).name == name
    assert not list(tmp_path.glob(f".{name}*"))


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(InputError, match=r"cache.*: can't be written"):
        cached_phantom(tmp_path / "cache", patients=1, seed=0)
