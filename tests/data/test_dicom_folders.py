"""Cohorts of DICOM files, and of DICOM and MATLAB files together."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pydicom", reason="pydicom isn't installed: pip install 'djd[dicom]'")

from djd.data.cohort import Cohort, Labels, read_cohort
from djd.data.oddities import MISSING_POSTERIOR
from djd.data.phantom.cohort import is_phantom, make_cohort
from djd.data.problems import obstacles, warnings_of
from djd.data.scan import ScanError, ScanFiles, read_scan
from djd.data.scan_files import find_scans
from djd.errors import InputError
from tests.data.dicom_files import SECRETS, body, dataset, write
from tests.data.test_cohort import write_scan

BOTH = ("anterior", "posterior")


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One invented cohort as MATLAB files and as DICOM files."""
    root = tmp_path_factory.mktemp("phantoms")
    make_cohort(root / "mat", patients=3, seed=11)
    make_cohort(root / "dicom", patients=3, seed=11, file_format="dicom")
    return root / "mat", root / "dicom"


def labels_of(folder: Path) -> Labels:
    with (folder / "grades.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    return {
        (line["scan"], side): int(line[side]) if line[side] else None
        for line in lines
        for side in ("right", "left")
    }


def test_both_formats_of_phantoms_give_one_cohort(phantoms: tuple[Path, Path]) -> None:
    mat, dicom = phantoms
    one = read_cohort(find_scans(mat))
    other = read_cohort(find_scans(dicom), labels=labels_of(dicom))
    for name in ("crops", "grades", "scan_index", "side_index", "copies"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name in ("scans", "unspecified", "oddities", "pixel_digests", "phantom"):
        assert getattr(one, name) == getattr(other, name)
    assert other.phantom
    assert other.patients == ("P0001", "P0002", "P0003")


def test_equal_seeds_give_equal_dicom_files(phantoms: tuple[Path, Path], tmp_path: Path) -> None:
    make_cohort(tmp_path / "again", patients=3, seed=11, file_format="dicom")
    for path in phantoms[1].iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    make_cohort(tmp_path / "other", patients=1, seed=12, file_format="dicom")
    with pytest.raises(InputError, match=r"without \.dcm files"):
        make_cohort(tmp_path / "other", patients=1, seed=12)


def test_a_phantom_is_known_after_other_programs_wrote_it(
    phantoms: tuple[Path, Path], tmp_path: Path
) -> None:
    import pydicom

    path = min(phantoms[1].glob("*.dcm"))
    assert is_phantom(path)
    ds = pydicom.dcmread(path)
    assert ds.PatientName == "PHANTOM"
    ds.preamble = bytes(128)
    ds.save_as(tmp_path / "again.dcm")
    assert is_phantom(tmp_path / "again.dcm")
    assert not is_phantom(write(tmp_path / "real.dcm", dataset(body(), BOTH)))


def cohort_of(folder: Path, **options: Any) -> Cohort:
    found = find_scans(folder)
    graded: Labels = {(name, side): 1 for name in found.names for side in ("right", "left")}
    return read_cohort(found, labels=graded, **options)


def test_a_mixed_folder_is_one_cohort(tmp_path: Path) -> None:
    write_scan(tmp_path, "0000001")
    write(tmp_path / "IM2", dataset(body(2), BOTH))
    write(tmp_path / "deep/1.2.840.5", dataset(body(3), BOTH))
    write(tmp_path / "deep/CT1.dcm", dataset(body(4), BOTH, Modality="CT", SOPClassUID="1.2"))
    (tmp_path / "notes.txt").write_text("no scan")
    found = find_scans(tmp_path)
    assert found.names == ["0000001", "IM2", "deep/1.2.840.5"]
    assert found.left_out == {"CT": 1}
    cohort = cohort_of(tmp_path)
    assert not cohort.unreadable
    assert cohort.patients == ("0000001", "P0001", "P0001")
    assert find_scans(tmp_path, source="mat").names == ["0000001"]


def test_numbers_of_patients_follow_the_names_of_scans_and_collide_with_none(
    tmp_path: Path,
) -> None:
    for name, number in (("b", "Z"), ("a", "Y"), ("c", "Z"), ("d", ""), ("P0001", "X")):
        write(tmp_path / f"{name}.dcm", dataset(body(), BOTH, PatientID=number))
    found = find_scans(tmp_path)
    assert found.patients == {"P0001": "P0002", "a": "P0003", "b": "P0004", "c": "P0004"}
    assert cohort_of(tmp_path).patients == ("P0002", "P0003", "P0004", "P0004", "d")
    (tmp_path / "d.dcm").rename(tmp_path / "p-02.dcm")
    assert find_scans(tmp_path).patients["P0001"] == "P0003", "P0002 is nearly p-02"


def test_a_scan_in_two_files_is_named_by_the_first(tmp_path: Path) -> None:
    for name, page, view in (("x/1", 1, "posterior"), ("x/2", 0, "anterior")):
        write(tmp_path / name, dataset(body()[page], [view], StudyInstanceUID="1.2"))
    (files,) = find_scans(tmp_path)
    assert files.name == "x/1"
    assert len(files.paths) == 2
    np.testing.assert_array_equal(read_scan(files, needs_labels=False).counts, body())


def test_a_damaged_file_keeps_its_place(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm", dataset(body(), BOTH))
    (tmp_path / "b.dcm").write_bytes((tmp_path / "a.dcm").read_bytes()[:150])
    (tmp_path / "c.dcm").write_bytes(b"")
    (tmp_path / "d.dcm").write_bytes(b"no scan at all" * 100)
    (tmp_path / "e.dcm.part").write_bytes(b"x")
    cohort = cohort_of(tmp_path)
    assert cohort.scans == ("a", "b", "c", "d", "e")
    assert sorted(cohort.unreadable) == ["b", "c", "d", "e"]
    for sentence in cohort.unreadable.values():
        assert "\n" not in sentence
        assert str(tmp_path) in sentence


def test_two_copies_of_a_series_are_a_sentence_in_their_place(tmp_path: Path) -> None:
    for name in ("a.dcm", "b.dcm"):
        write(tmp_path / name, dataset(body(), BOTH, StudyInstanceUID="1.2"))
    cohort = cohort_of(tmp_path)
    assert cohort.scans == ("a",)
    assert "keep one series of the study" in cohort.unreadable["a"]


def test_the_order_of_views_reaches_the_files(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm", dataset(body()))
    assert "data.view_order" in cohort_of(tmp_path).unreadable["a"]
    assert not cohort_of(tmp_path, view_order="anterior").unreadable


def test_a_single_view_stops_a_training_that_needs_the_other(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm", dataset(body()[0], BOTH[:1]))
    write(tmp_path / "b.dcm", dataset(body(2), BOTH))
    cohort = cohort_of(tmp_path)
    assert cohort.oddities[MISSING_POSTERIOR] == ("a",)
    assert "posterior page empty" not in cohort.oddities
    assert not obstacles(cohort, labels_from="auto", on_error="stop", views="anterior")
    for views in ("posterior", "both", "each"):
        (sentence,) = obstacles(cohort, labels_from="auto", on_error="stop", views=views)
        assert "data.views=anterior" in sentence
    assert not [each for each in warnings_of(cohort, "anterior") if "missing" in each]


def test_without_a_table_of_grades_the_sentence_says_how_to_give_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", dataset(body(), BOTH))
    with pytest.raises(ScanError, match=r"data\.labels=grades\.csv"):
        read_scan(path)
    assert read_scan(path, needs_labels=False).name == "a"


def test_no_name_or_number_of_a_patient_leaves_the_headers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "a.dcm", dataset(body(), BOTH, StudyInstanceUID="Seckret, whispered"))
    caplog.clear()
    write(tmp_path / "b.dcm", dataset(body(), BOTH, Rows=0))
    write(
        tmp_path / "c.dcm", dataset(body(), BOTH, PatientID="PID-4711-X" * 3, StudyInstanceUID="1")
    )
    write(tmp_path / "d.dcm", dataset(body(), BOTH, PatientID="other", StudyInstanceUID="1"))
    found, cohort = find_scans(tmp_path), cohort_of(tmp_path)
    said = capfd.readouterr()
    shown = f"{found!r} {cohort!r} {found.patients} {cohort.patients} {cohort.unreadable}"
    shown += f"{caplog.text} {said.out} {said.err}"  # a warning of pydicom would be an error here
    assert len(cohort.unreadable) == 2
    assert not [secret for secret in SECRETS if secret in shown]


def test_a_folder_without_scans_says_what_it_has(tmp_path: Path) -> None:
    write(tmp_path / "a", dataset(body(), BOTH))
    with pytest.raises(InputError, match="say data=dicom"):
        find_scans(tmp_path, source="mat")
    write(tmp_path / "a", dataset(body(), BOTH, Modality="CT", SOPClassUID="1.2"))
    with pytest.raises(InputError, match=r"received others \(1 CT\)"):
        find_scans(tmp_path)


def test_without_pydicom_a_folder_of_dicom_files_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a", dataset(body(), BOTH))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install \"djd\[dicom\]\""):
        find_scans(tmp_path)


def test_a_file_that_is_given_by_itself_needs_no_suffix(tmp_path: Path) -> None:
    path = write(tmp_path / "IM0001", dataset(body(), BOTH))
    assert read_scan(ScanFiles.of(path), needs_labels=False).name == "IM0001"
    (tmp_path / "other").write_bytes(b"no scan")
    with pytest.raises(ScanError, match=r"expected a \.mat.* file, or DICOM"):
        read_scan(tmp_path / "other")
