import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from djd.data import scan_knees as scan_knees_module
from djd.data.cohort import Cohort, read_cohort
from djd.data.cohort_cache import cached_cohort
from djd.data.scan import Scan, ScanError, ScanFiles, read_scan
from djd.data.scan_files import find_scans
from tests.data.test_cohort import write_scan


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    write_scan(folder, "0000001", (2, -1), ("normal", "unspect"))
    write_scan(folder, "0000002", (2, 6), ("normal", "normal"))
    return folder


def cached(scans: Path, cache: Path, **choices: Any) -> Cohort:
    return cached_cohort(
        cache, find_scans(scans), **{"placement": "study", "labels_from": "auto"} | choices
    )


def require_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        scan_knees_module, "read_scan", lambda files, **_: pytest.fail(f"read {files.path}")
    )


def require_equal(one: Cohort, other: Cohort) -> None:
    for name in ("crops", "grades", "scan_index", "side_index", "copies"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert getattr(one, name).dtype == getattr(other, name).dtype
    for name in ("root", "scans", "patients", "unspecified", "disagreements", "oddities"):
        assert getattr(one, name) == getattr(other, name)
    assert (one.named_knees, one.unknown_names) == (other.named_knees, other.unknown_names)
    assert one.pixel_digests == other.pixel_digests
    assert one.phantom == other.phantom
    assert one.fingerprint() == other.fingerprint()


def test_the_second_start_reads_no_scan_and_gets_the_same(
    monkeypatch: pytest.MonkeyPatch, scans: Path, tmp_path: Path
) -> None:
    first = cached(scans, tmp_path / "cache")
    require_equal(first, read_cohort(find_scans(scans)))
    require_no_reading(monkeypatch)
    require_equal(cached(scans, tmp_path / "cache"), first)


def test_groups_may_change_without_reading(
    monkeypatch: pytest.MonkeyPatch, scans: Path, tmp_path: Path
) -> None:
    cached(scans, tmp_path / "cache")
    require_no_reading(monkeypatch)
    grouped = cached(scans, tmp_path / "cache", patients={"0000002": "0000001"})
    assert grouped.patients == ("0000001", "0000001")


def test_a_changed_file_is_read_even_where_its_times_are_set_back(
    scans: Path, tmp_path: Path
) -> None:
    before = cached(scans, tmp_path / "cache")
    path = scans / "0000001.mat"
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[5000:5004] = b"abcd"  # among the counts
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert cached(scans, tmp_path / "cache").pixel_digests != before.pixel_digests


def test_added_files_and_other_choices_are_other_cohorts(scans: Path, tmp_path: Path) -> None:
    cached(scans, tmp_path / "cache")
    by_name = cached(scans, tmp_path / "cache", labels_from="names")
    assert by_name.grades.tolist() == [0, 0, 0]
    renamed = cached(scans, tmp_path / "cache", labels_from="names", grade_names={"normal": 1})
    assert renamed.grades.tolist() == [1, 1, 1]
    write_scan(scans, "0000003")
    assert len(cached(scans, tmp_path / "cache").scans) == 3


def test_unknown_names_are_counted_and_their_texts_not_stored(
    monkeypatch: pytest.MonkeyPatch, scans: Path, tmp_path: Path
) -> None:
    write_scan(scans, "0000003", (2, 2), ("Kim, 000101", "normal"))
    grade_names = {"lee, 000101": 2}
    assert cached(scans, tmp_path / "cache", grade_names=grade_names).unknown_names == 1
    (stored,) = (tmp_path / "cache" / "cohorts").iterdir()
    content = stored.read_bytes()
    assert not any(
        name.encode(encoding) in content
        for name in ("Kim", "lee")
        for encoding in ("utf-8", "utf-16-le", "utf-32-le")
    )
    require_no_reading(monkeypatch)
    assert cached(scans, tmp_path / "cache", grade_names=grade_names).unknown_names == 1


def test_a_damaged_or_lost_cache_is_only_slower(scans: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = cached(scans, cache)
    (stored,) = (cache / "cohorts").iterdir()
    for damage in (stored.read_bytes()[:900], b"", b"hello"):
        stored.write_bytes(damage)
        require_equal(cached(scans, cache), first)
    (tmp_path / "file").write_text("in the way")
    require_equal(cached(scans, tmp_path / "file" / "cache"), first)


def test_unreadable_scans_alone_are_tried_again(
    monkeypatch: pytest.MonkeyPatch, scans: Path, tmp_path: Path
) -> None:
    (scans / "0000003.mat").write_bytes(b"hello")
    first = cached(scans, tmp_path / "cache")
    assert list(first.unreadable) == ["0000003"]
    read: list[str] = []

    def seen(files: ScanFiles, **choices: Any) -> Scan:
        read.append(files.name)
        return read_scan(files, **choices)

    monkeypatch.setattr(scan_knees_module, "read_scan", seen)
    again = cached(scans, tmp_path / "cache")
    require_equal(again, first)
    assert (again.unreadable, read) == (first.unreadable, ["0000003"])


def test_a_scan_that_can_be_read_now_is_read_though_no_file_changed(
    monkeypatch: pytest.MonkeyPatch, scans: Path, tmp_path: Path
) -> None:
    def denied(files: ScanFiles, **choices: Any) -> Scan:
        if files.name == "0000002":
            raise ScanError(f"{files.path}: file: expected a file that can be read")
        return read_scan(files, **choices)

    with monkeypatch.context() as patched:
        patched.setattr(scan_knees_module, "read_scan", denied)
        assert list(cached(scans, tmp_path / "cache").unreadable) == ["0000002"]
    assert not cached(scans, tmp_path / "cache").unreadable


def test_nothing_is_written_beside_the_scans(scans: Path, tmp_path: Path) -> None:
    before = sorted(scans.iterdir())
    cached(scans, tmp_path / "cache")
    assert sorted(scans.iterdir()) == before


def _cached_apart(scans: Path, cache: Path) -> str:
    return cached(scans, cache).fingerprint()


def test_several_processes_may_cache_at_once(scans: Path, tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        prints = pool.starmap(_cached_apart, [(scans, tmp_path / "cache")] * 4)
    assert set(prints) == {cached(scans, tmp_path / "cache").fingerprint()}
    assert len(list((tmp_path / "cache" / "cohorts").iterdir())) == 1
