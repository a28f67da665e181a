"""The scans of a folder of folders, and the same cohort whether one process reads or several."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from djd.data import scan_knees
from djd.data.cohort import examine_cohort, read_cohort
from djd.data.formats import READERS, register
from djd.data.scan import GradeNames, Scan, ScanError, ScanFiles, read_scan
from djd.data.scan_files import find_scans
from djd.data.scan_knees import ReadOptions
from djd.errors import InputError
from tests.data.test_cohort import write_scan
from tests.data.test_cohort_cache import require_equal


def test_scans_of_subfolders_are_named_by_their_path(tmp_path: Path) -> None:
    for folder in ("B/deeper", "A", ".hidden", "__MACOSX"):
        (tmp_path / folder).mkdir(parents=True)
        write_scan(tmp_path / folder, "0000002")
    write_scan(tmp_path, "0000003")
    found = find_scans(tmp_path)
    assert found.names == ["0000003", "A/0000002", "B/deeper/0000002"]
    assert read_scan(found.scans[2]).name == "B/deeper/0000002"
    assert find_scans(tmp_path, ["A/0000002"]).names == ["0000003", "B/deeper/0000002"]
    assert find_scans(tmp_path, ["A/0000002"]).excluded == 1


def test_a_scan_in_a_subfolder_may_have_the_name_of_another(tmp_path: Path) -> None:
    (tmp_path / "A").mkdir()
    write_scan(tmp_path, "0000001", seed=1)
    write_scan(tmp_path / "A", "0000001", seed=2)
    assert read_cohort(find_scans(tmp_path)).patients == ("0000001", "A/0000001")
    (tmp_path / "A" / "0000001.MAT").write_bytes(b"x")
    with pytest.raises(InputError, match=r"one file a scan, received A/0000001\.MAT, A/0000001"):
        find_scans(tmp_path)


def test_linked_folders_are_looked_at_once_and_a_loop_ends(tmp_path: Path) -> None:
    scans, elsewhere = tmp_path / "scans", tmp_path / "elsewhere"
    (scans / "sub").mkdir(parents=True)
    elsewhere.mkdir()
    write_scan(scans / "sub", "0000001")
    write_scan(elsewhere, "0000002")
    (scans / "a link to sub").symlink_to(scans / "sub")
    (scans / "sub" / "loop").symlink_to(scans)
    (scans / "sub" / "itself").symlink_to("itself")
    (scans / "one").symlink_to(elsewhere)
    (scans / "two").symlink_to(elsewhere)
    assert find_scans(scans).names == ["one/0000002", "sub/0000001"]


def test_a_folder_that_is_itself_a_link_is_read(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    write_scan(tmp_path / "scans", "0000001")
    (tmp_path / "link").symlink_to(tmp_path / "scans")
    assert find_scans(tmp_path / "link").names == ["0000001"]


def brightest(files: ScanFiles, scan: Scan) -> tuple[str, int]:
    return files.name, int(scan.counts.max())


def test_each_scan_is_examined_as_it_is_read(tmp_path: Path) -> None:
    for name in ("0000001", "0000003"):
        write_scan(tmp_path, name)
    (tmp_path / "0000002.mat").write_bytes(b"hello")
    folder = find_scans(tmp_path)
    _, examined = examine_cohort(folder, ReadOptions(), brightest)
    assert isinstance(examined[1], ScanError)
    for place in (0, 2):
        counts = read_scan(folder.scans[place]).counts
        assert examined[place] == (folder.names[place], counts.max())


def read_reversed(path: Path, _: GradeNames) -> Scan:
    counts = np.load(path)[..., ::-1]
    return Scan(path.stem, np.ascontiguousarray(counts), (0, 1), None)


@pytest.mark.slow  # starting processes takes three seconds
def test_processes_read_what_one_process_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 20):
        write_scan(tmp_path, f"{number:07d}")
    np.save(tmp_path / "0000020.npy", read_scan(tmp_path / "0000001.mat").counts)
    (tmp_path / "0000007.mat").write_bytes(b"hello")
    register(".npy", read_reversed)
    try:
        folder = find_scans(tmp_path)
        done: list[int] = []
        alone, expected = examine_cohort(folder, ReadOptions(), brightest)
        monkeypatch.setattr(scan_knees, "SCANS_FOR_PROCESSES", 2)
        monkeypatch.setattr(scan_knees, "usable_cores", lambda: 2)
        together, examined = examine_cohort(folder, ReadOptions(), brightest, on_scan=done.append)
    finally:
        del READERS[".npy"]
    require_equal(together, alone)
    assert together.unreadable == alone.unreadable
    assert list(map(str, examined)) == list(map(str, expected))
    assert done == list(range(1, 21))


def end_this_process(files: ScanFiles, scan: Scan) -> None:
    os._exit(137)


@pytest.mark.slow  # starting processes takes three seconds
def test_a_killed_process_gives_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 20):
        write_scan(tmp_path, f"{number:07d}")
    monkeypatch.setattr(scan_knees, "SCANS_FOR_PROCESSES", 2)
    monkeypatch.setattr(scan_knees, "usable_cores", lambda: 2)
    with pytest.raises(InputError, match="ended from outside"):
        examine_cohort(find_scans(tmp_path), ReadOptions(), end_this_process)


def test_labels_replace_the_grades_of_files_and_a_knee_without_one_is_left_out(
    tmp_path: Path,
) -> None:
    write_scan(tmp_path, "0000001", (2, 3))
    write_scan(tmp_path, "0000002", (7, 9))  # no ids
    labels: dict[Any, Any] = {("0000001", "right"): 4, ("0000002", "left"): 1}
    cohort = read_cohort(find_scans(tmp_path), labels=labels)
    assert cohort.grades.tolist() == [4, 1]
    assert [cohort.knee_name(knee) for knee in range(2)] == ["0000001 right", "0000002 left"]
    assert (cohort.unspecified, cohort.unreadable) == (2, {})
