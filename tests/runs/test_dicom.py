"""DICOM in trainings and commands: one answer for both formats, and what a single view allows."""

import csv
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom", reason="pydicom isn't installed: pip install 'djd[dicom]'")

import pydicom

from djd import load_model
from djd.data.formats.dicom import read_dicom
from djd.data.phantom.cohort import make_cohort
from djd.data.phantom.dicom import dicom_bytes
from djd.data.scan import read_scan
from djd.errors import InputError
from djd.runs.config import read_config
from djd.runs.keys import COHORT_KEYS, differences, flat
from djd.runs.reading import read_data
from tests.conftest import compose_values
from tests.finished_run import FinishedRun
from tests.sweeping import rows_of
from tests.test_cli import run_djd


def as_dicom(path: Path, folder: Path) -> Path:
    """The counts of a MATLAB file as a DICOM file without a suffix."""
    folder.mkdir(exist_ok=True)
    written = folder / path.stem
    written.write_bytes(dicom_bytes(read_scan(path).counts, path.stem, "test"))
    return written


@pytest.fixture(scope="module")
def dicom_folder(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The invented cohort as DICOM files, with a table of its grades."""
    folder = tmp_path_factory.mktemp("dicom")
    lines = []
    for path in sorted(phantom_folder.glob("*.mat"))[:12]:
        as_dicom(path, folder)
        lines.append(
            (path.stem, *("" if each is None else each for each in read_scan(path).grades))
        )
    with (folder / "grades.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("scan", "right", "left"), *lines])
    return folder


def test_a_training_reads_one_cohort_from_either_format(
    dicom_folder: Path, phantom_folder: Path, tmp_path: Path
) -> None:
    cache = f"paths.cache='{tmp_path / 'cache'}'"
    labels = (f"data.labels='{dicom_folder / 'grades.csv'}'", "data.labels_kind=grades")
    common = (cache, "data.test_count=3", "data.folds=2")
    other_names = [path.stem for path in sorted(phantom_folder.glob("*.mat"))[12:]]
    mat = ("data=mat", f"data.root='{phantom_folder}'", f"data.exclude=[{','.join(other_names)}]")
    dicom = ("data=dicom", f"data.root='{dicom_folder}'", *labels)
    one, split = read_data(read_config(compose_values(*mat, *common)))
    for _ in range(2):  # the second time out of the cache
        other, other_split = read_data(read_config(compose_values(*dicom, *common)))
        np.testing.assert_array_equal(one.crops, other.crops)
        np.testing.assert_array_equal(one.grades, other.grades)
        assert one.scans == other.scans
        assert one.phantom
        assert other.phantom
        tested = [one.patients.index(patient) for patient in split.test]
        assert [other.patients[place] for place in tested] == list(other_split.test)


def test_the_order_of_views_is_no_setting_and_may_be_missing_from_older_folders() -> None:
    before, now = (
        read_config(compose_values(f"data.view_order={value}")) for value in ("null", "posterior")
    )
    assert now.setting_name == before.setting_name
    assert "data.view_order" in COHORT_KEYS
    older = read_config(compose_values()).plain()
    assert older["data"].pop("view_order") is None
    assert differences(flat(older), flat(read_config(older).plain()), free=()) is None
    with pytest.raises(InputError, match=r"data\.view_order: expected 'anterior' or 'posterior'"):
        read_config(compose_values("data.view_order=first"))


def test_a_single_view_stops_a_training_on_both_with_one_sentence(
    dicom_folder: Path, phantom_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "scans"
    for path in sorted(phantom_folder.glob("*.mat"))[:4]:
        as_dicom(path, folder)
    first = min(folder.iterdir())
    keep_anterior(first)
    paths = (f"data.root='{folder}'", f"paths.cache='{tmp_path / 'cache'}'", "data.test_count=1")
    table = tmp_path / "grades.csv"
    table.write_text(
        "scan,right,left\n" + "".join(f"{each.name},mild,severe\n" for each in folder.iterdir())
    )
    options = ("data=dicom", *paths, f"data.labels='{table}'")
    with pytest.raises(InputError, match=rf"1 without a posterior one \({first.name}\); say data"):
        read_data(read_config(compose_values(*options, "data.views=both")))
    assert len(read_data(read_config(compose_values(*options, "data.views=anterior")))[0]) == 8


def keep_anterior(path: Path) -> None:
    ds = pydicom.dcmread(path)
    ds.PixelData, ds.NumberOfFrames = ds.PixelData[: len(ds.PixelData) // 2], 1
    ds.DetectorVector = 1
    ds.save_as(path)


def without_codes(path: Path) -> None:
    ds = pydicom.dcmread(path)
    del ds.DetectorInformationSequence
    ds.save_as(path)


def test_predict_grades_dicom_files_as_the_matlab_files_of_the_same_scans(
    monkeypatch: pytest.MonkeyPatch, finished: FinishedRun, phantom_folder: Path, tmp_path: Path
) -> None:
    mat = sorted(phantom_folder.glob("*.mat"))[:2]
    folder = tmp_path / "scans"
    for path in mat:
        as_dicom(path, folder)
    without_codes(max(folder.iterdir()))
    predict = ("predict", "--no-pictures", finished.folder)
    assert run_djd(monkeypatch, *predict, *mat, "--out", tmp_path / "mat") == 0
    assert run_djd(monkeypatch, *predict, folder, "--out", tmp_path / "some") == 1
    order = ("--view-order", "anterior")
    assert run_djd(monkeypatch, *predict, folder, "--out", tmp_path / "all", *order) == 0
    one, other = (rows_of(tmp_path / name / "predictions.csv") for name in ("mat", "all"))
    for name in ("scan", "side", "predicted", "p0", "p4"):
        assert [row[name] for row in one] == [row[name] for row in other]


def test_a_model_of_one_view_grades_a_single_view_and_one_of_both_refuses_it(
    monkeypatch: pytest.MonkeyPatch, finished: FinishedRun, phantom_folder: Path, tmp_path: Path
) -> None:
    path = as_dicom(min(phantom_folder.glob("*.mat")), tmp_path / "scans")
    keep_anterior(path)
    assert read_dicom((path,), None).missing_views == ("posterior",)
    grader = load_model(finished.folder)
    assert grader.views == "anterior"
    assert len(grader.grade(path)) == 2
    monkeypatch.setattr(type(grader), "views", "both")
    with pytest.raises(InputError, match=r"expected both views .*received none that is posterior"):
        grader.grade(path)


def test_the_phantom_command_writes_dicom(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert not run_djd(monkeypatch, "phantom", out, "--patients", "1", "--format", "dicom")
    make_cohort(tmp_path / "same", patients=1, seed=0, file_format="dicom")
    (path,) = out.glob("*.dcm")
    assert path.read_bytes() == (tmp_path / "same" / path.name).read_bytes()
    assert (out / "grades.csv").read_text().startswith("scan,right,left\n")
