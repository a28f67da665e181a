"""A folder of DICOM files, checked: nothing of a header is shown."""

import re
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason="pydicom isn't installed: pip install 'djd[dicom]'")

from tests.check.test_command import Check, check, kinds, pictures  # noqa: F401 (a fixture)
from tests.data.dicom_files import SECRETS, body, dataset, write

BOTH = ("anterior", "posterior")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five studies, the last of the first one's patient; one view alone; a CT; a broken file."""
    scans = tmp_path / "scans"
    for number in range(5):
        patient = f"PID-4711-X{number % 4}"
        write(scans / f"{number}.dcm", dataset(body(number), BOTH, PatientID=patient))
    write(scans / "one.dcm", dataset(body(9)[0], BOTH[:1], PatientID="PID-4711-X9"))
    write(scans / "ct.dcm", dataset(body(8), Modality="CT"))
    broken = write(scans / "broken.dcm", dataset(body(7), BOTH))
    broken.write_bytes(broken.read_bytes()[:-5000])
    (scans / "grades.csv").write_text("scan,right,left\n0,0,1\n1,1,2\n2,3,4\n3,0,0\n4,0,1\n")
    return scans


def test_a_dicom_folder_is_a_page_that_holds_nothing_of_a_header(
    check: Check,  # noqa: F811
    folder: Path,
) -> None:
    labels = ("--labels", folder / "grades.csv", "--labels-kind", "grades")
    said = check(folder, *labels, "--on-error", "skip")
    files = "".join(path.read_text("latin-1") for path in check.out.rglob("*") if path.is_file())
    for secret in SECRETS:
        assert secret not in said.shown
        assert secret not in files
    rows = {(row["kind"], row["scan"]): row for row in said.rows}
    assert rows["patient with several scans", "4"]["what"] == "patient P0001: 2 scans, 0, 4"
    assert ("no label", "one") in rows
    one = rows["posterior view missing", "one"]
    assert one["effect"] == "stops"
    assert said.status == 1
    assert re.search(r"To train: .* data\.views=anterior$", said.shown, re.MULTILINE)
    assert "left out" in kinds(said)
    assert "views swapped" not in kinds(said)
    assert rows["unreadable", "broken"]["file"] == "broken.dcm"
    assert len(pictures(said.page)) == 6
    assert "python train.py data=dicom" in said.shown
    assert "by DICOM headers (P0001 and so on): 7 scans; under their own name: 0" in said.shown
    alone = check(folder, *labels, "--on-error", "skip", "--views", "anterior")
    assert {row["effect"] for row in alone.rows if row["scan"] == "one"} == {"warns"}
    assert alone.shown.count("data.views=anterior") == 1


def test_scans_without_grades_are_called_so_and_all_else_is_said_of_them_too(
    check: Check,  # noqa: F811
    folder: Path,
) -> None:
    found = {(row["scan"], row["kind"]) for row in check(folder, "--on-error", "skip").rows}
    assert ("0", "no grades") in found
    assert ("0", "unreadable") not in found
    assert ("one", "posterior view missing") in found


def test_without_labels_dicom_scans_say_what_is_missing(
    check: Check,  # noqa: F811
    folder: Path,
) -> None:
    said = check(folder, "--on-error", "skip")
    assert said.status == 1
    assert "data.labels" in said.shown
    assert len(pictures(said.page)) == 6  # seen before anybody has graded them
