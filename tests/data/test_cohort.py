import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from djd.data.cohort import Cohort, read_cohort
from djd.data.crop import crop_knees
from djd.data.problems import obstacles, require_trainable
from djd.data.scan import read_scan
from djd.data.scan_files import find_scans
from djd.errors import InputError
from tests.data.mat_files import counts_image, diaginfo, write_v5
from tests.invented import cycling_grades, invented_cohort


def write_scan(
    folder: Path,
    name: str,
    ids: tuple[float, float] = (2, 3),
    names: Any = ("normal", "minimal"),
    seed: int | None = None,
) -> Path:
    image = counts_image(int(name) if seed is None else seed)
    return write_v5(folder / f"{name}.mat", {"Y": image, "diaginfo": diaginfo([ids], names)})


def cohort_of(folder: Path, **choices: Any) -> Cohort:
    return read_cohort(find_scans(folder), **choices)


def test_knees_come_by_file_name_and_right_before_left(tmp_path: Path) -> None:
    write_scan(tmp_path, "0000823", (6, 5), None)
    write_scan(tmp_path, "0000058", (2, 3), None)
    cohort = cohort_of(tmp_path)
    assert cohort.scans == ("0000058", "0000823")
    assert cohort.grades.tolist() == [0, 1, 4, 3]
    assert cohort.side_index.tolist() == [0, 1, 0, 1]
    assert cohort.knee_patients.tolist() == ["0000058", "0000058", "0000823", "0000823"]
    crops = crop_knees(read_scan(tmp_path / "0000823.mat"))
    np.testing.assert_array_equal(cohort.crops[2:], crops)


def test_an_unspecified_knee_is_left_out_and_the_other_kept(tmp_path: Path) -> None:
    write_scan(tmp_path, "0000001", (-1, 4), ("unspect", "mildDJD"))
    cohort = cohort_of(tmp_path)
    assert cohort.grades.tolist() == [2]
    assert cohort.side_index.tolist() == [1]
    assert cohort.unspecified == 1


def test_a_file_that_cannot_be_read_keeps_its_place(tmp_path: Path) -> None:
    for name in ("0000001", "0000003"):
        write_scan(tmp_path, name)
    (tmp_path / "0000002.mat").write_bytes(b"hello")
    cohort = cohort_of(tmp_path)
    assert cohort.scans == ("0000001", "0000002", "0000003")
    assert cohort.scan_index.tolist() == [0, 0, 2, 2]
    assert list(cohort.unreadable) == ["0000002"]
    with pytest.raises(InputError, match=r"1 of 3 scans .*data\.on_error=skip.*0000002\.mat"):
        require_trainable(cohort, labels_from="auto", on_error="stop")
    require_trainable(cohort, labels_from="auto", on_error="skip")


def test_all_bad_files_are_named_at_once(tmp_path: Path) -> None:
    write_scan(tmp_path, "0000001")
    for name in ("0000002", "0000003"):
        (tmp_path / f"{name}.mat").write_bytes(b"hello")
    (sentence,) = obstacles(cohort_of(tmp_path), labels_from="auto", on_error="stop")
    assert "0000002.mat" in sentence
    assert "0000003.mat" in sentence


def test_no_readable_scan_stops_even_where_bad_ones_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "0000001.mat").write_bytes(b"hello")
    with pytest.raises(InputError, match="expected readable scans, received none"):
        require_trainable(cohort_of(tmp_path), labels_from="auto", on_error="skip")


def test_only_unspecified_knees_stop_training(tmp_path: Path) -> None:
    write_scan(tmp_path, "0000001", (-1, -1), None)
    with pytest.raises(InputError, match="expected graded knees"):
        require_trainable(cohort_of(tmp_path), labels_from="auto", on_error="stop")


def test_labels_that_disagree_often_stop_training_and_name_the_ways_on(tmp_path: Path) -> None:
    """The study's own example has ids [2, 2], which its table calls normal, beside SevDJD."""
    write_scan(tmp_path, "0000001", (2, 2), ("SevDJD", "SevDJD"))
    cohort = cohort_of(tmp_path)
    assert cohort.disagreements == (("0000001", "right"), ("0000001", "left"))
    with pytest.raises(InputError, match=r"2 of 2 knees .*labels_from=ids .*labels_from=names"):
        require_trainable(cohort, labels_from="auto", on_error="stop")
    require_trainable(cohort, labels_from="ids", on_error="stop")
    require_trainable(cohort, labels_from="names", on_error="stop")
    assert cohort.grades.tolist() == [0, 0]
    assert cohort_of(tmp_path, labels_from="names").grades.tolist() == [4, 4]


def test_one_knee_in_ten_may_disagree(tmp_path: Path) -> None:
    write_scan(tmp_path, "0000001", (2, 2), ("normal", "SevDJD"))
    for number in range(2, 6):
        write_scan(tmp_path, f"{number:07d}")
    cohort = cohort_of(tmp_path)
    assert (len(cohort.disagreements), cohort.named_knees) == (1, 10)
    assert obstacles(cohort, labels_from="auto", on_error="stop") == []


def test_names_that_are_missing_are_an_error_where_they_count(tmp_path: Path) -> None:
    write_scan(tmp_path, "0000001", (2, 2), None)
    cohort = cohort_of(tmp_path, labels_from="names")
    assert "diaginfo.kneejointname: expected two severity names" in cohort.unreadable["0000001"]


def test_equal_pixels_are_found_whatever_the_file_is_called(tmp_path: Path) -> None:
    write_scan(tmp_path, "0000001", (2, -1), None)
    write_scan(tmp_path, "0000002")
    write_scan(tmp_path, "0000003", (-1, 6), None, seed=1)
    assert cohort_of(tmp_path).copies.tolist() == [[3, 0]]


def test_the_fingerprint_follows_pixels_grades_and_patients_not_files(tmp_path: Path) -> None:
    for name in ("one", "copy", "graded", "pixels"):
        (tmp_path / name).mkdir()
    write_scan(tmp_path / "one", "0000001")
    write_scan(tmp_path / "copy", "0000001", names=None)
    write_scan(tmp_path / "graded", "0000001", (2, 4), None)
    write_scan(tmp_path / "pixels", "0000001", seed=9)
    cohorts = {name: cohort_of(tmp_path / name) for name in ("one", "copy", "graded", "pixels")}
    prints = {name: cohort.fingerprint() for name, cohort in cohorts.items()}
    assert prints["one"] == prints["copy"]
    grouped = cohort_of(tmp_path / "one", patients={"0000001": "Q"}).fingerprint()
    assert len({grouped, *prints.values()}) == 4


def test_the_fingerprint_stays_what_it_was_and_copies_no_crop() -> None:
    cohort = invented_cohort(cycling_grades(10))
    counts = np.arange(cohort.crops.size, dtype=np.uint32).reshape(cohort.crops.shape) % 997
    cohort = replace(cohort, crops=counts.astype(np.uint16))
    tracemalloc.start()
    fingerprint = cohort.fingerprint()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < cohort.crops.nbytes / 10
    assert fingerprint == "55c13266033ed972"


def test_groups_say_which_scans_are_one_patient(tmp_path: Path) -> None:
    for name in ("0000001", "0000002"):
        write_scan(tmp_path, name)
    assert cohort_of(tmp_path, patients={"0000002": "0000001"}).patients == ("0000001", "0000001")


def test_only_mat_files_are_scans(tmp_path: Path) -> None:
    write_scan(tmp_path, "0000001")
    for name in ("manifest.csv", ".0000009.mat", "._0000001.mat"):
        (tmp_path / name).write_text("x")
    assert [scan.path.name for scan in find_scans(tmp_path)] == ["0000001.mat"]


def test_excluded_scans_are_left_out_by_name(tmp_path: Path) -> None:
    for name in ("0000001", "0000002"):
        write_scan(tmp_path, name)
    assert find_scans(tmp_path, ["0000001"]).names == ["0000002"]
    with pytest.raises(InputError, match="received 2 files, all excluded"):
        find_scans(tmp_path, ["0000001", "0000002"])


def test_two_files_of_one_stem_are_one_sentence(tmp_path: Path) -> None:
    write_scan(tmp_path, "0000001")
    (tmp_path / "0000001.MAT").write_bytes(b"x")
    with pytest.raises(InputError, match="one file a scan"):
        find_scans(tmp_path)


def test_progress_counts_every_file(tmp_path: Path) -> None:
    write_scan(tmp_path, "0000001")
    (tmp_path / "0000002.mat").write_bytes(b"hello")
    done: list[int] = []
    read_cohort(find_scans(tmp_path), on_scan=done.append)
    assert done == [1, 2]
