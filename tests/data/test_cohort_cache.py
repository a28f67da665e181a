import errno
import multiprocessing
import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from djd.data import cohort_cache as cohort_cache_module
from djd.data import scan_knees as scan_knees_module
from djd.data.cohort import Cohort, read_cohort
from djd.data.cohort_cache import cached_cohort
from djd.data.crop_rows import CropsInFile
from djd.data.scan import Scan, ScanError, ScanFiles, read_scan
from djd.data.scan_files import find_scans
from tests.data.test_cohort import write_scan
from tests.ordinary_user import as_ordinary_user, open_to_all, posix


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
    content = b"".join(path.read_bytes() for path in (tmp_path / "cache" / "cohorts").iterdir())
    assert not any(
        name.encode(encoding) in content
        for name in ("Kim", "lee")
        for encoding in ("utf-8", "utf-16-le", "utf-32-le")
    )
    require_no_reading(monkeypatch)
    assert cached(scans, tmp_path / "cache", grade_names=grade_names).unknown_names == 1


def files_of(cache: Path) -> tuple[Path, Path]:
    """The file of the crops, and that of the rest."""
    (crops,) = (cache / "cohorts").glob("*.npy")
    (rest,) = (cache / "cohorts").glob("*.npz")
    return crops, rest


def is_mapped(cohort: Cohort) -> bool:
    return isinstance(cohort.crops.base, np.memmap) and not cohort.crops.flags.writeable


def test_crops_are_mapped_at_the_first_start_and_at_the_second(scans: Path, tmp_path: Path) -> None:
    """So that the processes of a machine share them, and no process has a copy."""
    assert is_mapped(cached(scans, tmp_path / "cache"))
    assert is_mapped(cached(scans, tmp_path / "cache"))


def test_the_map_ends_with_the_cohort(scans: Path, tmp_path: Path) -> None:
    """Windows neither removes nor replaces a file that is mapped."""
    cached(scans, tmp_path / "cache")
    cohort = cached(scans, tmp_path / "cache")
    part = cohort.crops[1:]
    mapped = weakref.ref(part.base)
    del cohort
    assert mapped() is not None
    del part
    assert mapped() is None


@pytest.mark.parametrize("file", [0, 1], ids=["crops", "rest"])
@pytest.mark.parametrize("damage", ["cut", "short", "empty", "other", "bit", "none"])
def test_a_damaged_file_is_only_slower(scans: Path, tmp_path: Path, file: int, damage: str) -> None:
    cache = tmp_path / "cache"
    first = read_cohort(find_scans(scans))
    cached(scans, cache)
    stored = files_of(cache)[file]
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = {
        "cut": stored.read_bytes()[:900],
        "short": stored.read_bytes()[:-1],
        "empty": b"",
        "other": b"hello",
        "bit": bytes(content),
    }
    if damage == "none":
        stored.unlink()
    else:
        stored.write_bytes(damaged[damage])
    again = cached(scans, cache)
    require_equal(again, first)
    assert is_mapped(again)
    require_equal(cached(scans, cache), first)


def test_crops_of_another_cohort_under_the_name_are_not_taken(scans: Path, tmp_path: Path) -> None:
    first = read_cohort(find_scans(scans))
    cached(scans, tmp_path / "cache")
    crops, _ = files_of(tmp_path / "cache")
    np.save(crops, first.crops[::-1])
    require_equal(cached(scans, tmp_path / "cache"), first)


def test_a_cache_of_another_version_is_not_read(
    monkeypatch: pytest.MonkeyPatch, scans: Path, tmp_path: Path
) -> None:
    first = read_cohort(find_scans(scans))
    cached(scans, tmp_path / "cache")
    for path in files_of(tmp_path / "cache"):
        path.write_bytes(b"of another version")
    monkeypatch.setattr(cohort_cache_module, "CACHE_VERSION", 999)
    require_equal(cached(scans, tmp_path / "cache"), first)
    assert len(list((tmp_path / "cache" / "cohorts").iterdir())) == 4


def test_a_cache_that_cannot_be_made_is_only_slower(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = cached(scans, tmp_path / "file" / "cache")
    require_equal(found, read_cohort(find_scans(scans)))


@pytest.mark.parametrize("knees", [0, 1, 2])
def test_a_full_disk_is_only_slower_and_leaves_no_file(
    monkeypatch: pytest.MonkeyPatch, scans: Path, tmp_path: Path, knees: int
) -> None:
    def refuse(file: CropsInFile, data: bytes) -> None:
        if file._knees >= knees:
            raise OSError(errno.ENOSPC, "no space left on device")
        file._file.write(data)

    monkeypatch.setattr(CropsInFile, "_write", refuse)
    require_equal(cached(scans, tmp_path / "cache"), read_cohort(find_scans(scans)))
    assert list((tmp_path / "cache" / "cohorts").iterdir()) == []


def test_a_file_system_without_maps_is_read_into_memory(
    monkeypatch: pytest.MonkeyPatch, scans: Path, tmp_path: Path
) -> None:
    load = np.load

    def refuse(*arguments: Any, mmap_mode: str | None = None, **options: Any) -> Any:
        if mmap_mode:
            raise OSError(errno.ENODEV, "no such device")
        return load(*arguments, **options)

    monkeypatch.setattr(np, "load", refuse)
    first = cached(scans, tmp_path / "cache")
    require_no_reading(monkeypatch)
    again = cached(scans, tmp_path / "cache")
    require_equal(again, first)
    assert not is_mapped(again)


@posix
def test_a_cache_of_another_user_is_read_and_not_written(scans: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    open_to_all(scans)
    first = cached(scans, cache)
    open_to_all(cache / "cohorts")
    times = [path.stat().st_mtime_ns for path in files_of(cache)]

    def read() -> str:
        cohort = cached(scans, cache)
        return f"{cohort.fingerprint()} {is_mapped(cohort)}"

    assert as_ordinary_user(read) == f"{first.fingerprint()} True"
    assert [path.stat().st_mtime_ns for path in files_of(cache)] == times


def test_crops_of_changed_scans_stay_for_a_day_and_no_longer(scans: Path, tmp_path: Path) -> None:
    """Another machine may have them mapped: a file that is removed there ends its training."""
    cache = tmp_path / "cache"
    cached(scans, cache)
    old, _ = files_of(cache)
    os.utime(old, (0, 0))  # written long ago
    write_scan(scans, "0000002", (6, 6), ("sevDJD", "sevDJD"))
    cached(scans, cache)
    assert old.exists()
    os.utime(old, (0, 0))
    cached(scans, cache)
    assert not old.exists()
    files_of(cache)


def test_crops_in_use_stay_however_old(scans: Path, tmp_path: Path) -> None:
    cached(scans, tmp_path / "cache")
    crops, _ = files_of(tmp_path / "cache")
    os.utime(crops, (0, 0))
    assert is_mapped(cached(scans, tmp_path / "cache"))
    assert crops.exists()


def test_a_scan_that_changes_while_it_is_read_leaves_no_file(scans: Path, tmp_path: Path) -> None:
    def change(done: int) -> None:
        if done == 2:
            os.utime(scans / "0000001.mat")

    found = cached(scans, tmp_path / "cache", on_scan=change)
    require_equal(found, read_cohort(find_scans(scans)))
    assert list((tmp_path / "cache" / "cohorts").iterdir()) == []


def test_scans_without_graded_knees_are_kept_too(scans: Path, tmp_path: Path) -> None:
    for name in ("0000001", "0000002"):
        write_scan(scans, name, (-1, -1), ("unspect", "unspect"))
    first = cached(scans, tmp_path / "cache")
    assert first.crops.shape == (0, 2, 128, 128)
    require_equal(cached(scans, tmp_path / "cache"), first)


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
    names = [path.suffix for path in (tmp_path / "cache" / "cohorts").iterdir()]
    assert names.count(".npz") == 1
    assert set(names) == {".npz", ".npy"}, "windows are gone"


def test_makers_that_take_turns_in_any_order_never_mix_their_files(
    monkeypatch: pytest.MonkeyPatch, scans: Path, tmp_path: Path
) -> None:
    """One starts, another makes and keeps the cohort of changed scans meanwhile, the first ends."""
    cache, before = tmp_path / "cache", read_cohort(find_scans(scans))
    save = cohort_cache_module._save

    def interrupted(*arguments: Any) -> None:
        monkeypatch.setattr(cohort_cache_module, "_save", save)
        write_scan(scans, "0000002", (6, 6), ("sevDJD", "sevDJD"))
        cached(scans, cache)
        save(*arguments)

    monkeypatch.setattr(cohort_cache_module, "_save", interrupted)
    require_equal(cached(scans, cache), before)
    after = read_cohort(find_scans(scans))
    assert after.fingerprint() != before.fingerprint()
    require_equal(cached(scans, cache), after)
    require_equal(cached(scans, cache), after)
