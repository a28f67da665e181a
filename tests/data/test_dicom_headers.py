from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pydicom", reason="pydicom isn't installed: pip install 'djd[dicom]'")

from pydicom.data import get_testdata_file
from pydicom.uid import (
    CTImageStorage,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from djd.data.formats.dicom import read_dicom
from djd.data.formats.dicom_file import MOST_INFLATED, is_dicom, read_whole
from djd.data.formats.dicom_headers import dicom_scans
from djd.data.scan import ScanError
from tests.data.dicom_files import SECRETS, body, dataset, write
from tests.data.mat_files import write_v5

BOTH = ("anterior", "posterior")
SMALL = body(shape=(2, 64, 16))


def test_other_images_are_left_out_and_counted(tmp_path: Path) -> None:
    kinds: dict[str, dict[str, Any]] = {
        "scan": {},
        "ct": {"Modality": "CT", "SOPClassUID": CTImageStorage},
        "tomo": {"ImageType": ["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"]},
        "static": {"ImageType": ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"]},
        "report": {"Modality": "SR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"},
        "fused": {"Modality": "Seckret", "SOPClassUID": "1.2.3"},
    }
    for name, elements in kinds.items():
        write(tmp_path / name, dataset(SMALL, BOTH, **elements))
    found = dicom_scans(tmp_path.iterdir())
    assert [study.paths for study in found.scans] == [(tmp_path / "scan",)]
    assert found.left_out == {"CT": 1, "NM TOMO": 1, "NM STATIC": 1, "SR": 1, "no modality": 1}


def capture(**elements: Any) -> Any:
    shown = {"SOPClassUID": SecondaryCaptureImageStorage, **elements}
    return dataset(SMALL[0], ImageType=["DERIVED", "SECONDARY"], **shown)


def test_a_capture_is_a_scan_where_it_is_long_or_says_so(tmp_path: Path) -> None:
    write(tmp_path / "long", capture())
    write(tmp_path / "screen", capture(Rows=32, Columns=32))
    write(tmp_path / "said", capture(Rows=32, Columns=32, BodyPartExamined="WHOLE BODY"))
    write(tmp_path / "of_ct", capture(Modality="CT"))
    found = dicom_scans(tmp_path.iterdir())
    assert [study.paths[0].name for study in found.scans] == ["long", "said"]
    assert found.left_out == {"CT": 1, "NM capture": 1}


def test_originals_are_preferred_to_what_is_derived_of_them(tmp_path: Path) -> None:
    derived = ["DERIVED", "PRIMARY", "WHOLE BODY", "EMISSION"]
    write(tmp_path / "a", dataset(SMALL, BOTH, StudyInstanceUID="1.2", ImageType=derived))
    write(tmp_path / "b", dataset(SMALL, BOTH, StudyInstanceUID="1.2"))
    (study,) = dicom_scans(tmp_path.iterdir()).scans
    assert study.paths == (tmp_path / "b",)
    assert study.problem is None
    write(tmp_path / "c", dataset(SMALL, BOTH, StudyInstanceUID="1.2"))
    (study,) = dicom_scans(tmp_path.iterdir()).scans
    assert study.paths == (tmp_path / "a", tmp_path / "b", tmp_path / "c")
    assert "6 (a, b, c)" in (study.problem or "")


def test_originals_that_lack_a_view_settle_nothing(tmp_path: Path) -> None:
    derived = ["DERIVED", "PRIMARY", "WHOLE BODY", "EMISSION"]
    write(tmp_path / "a", dataset(SMALL, BOTH, StudyInstanceUID="1.2", ImageType=derived))
    write(tmp_path / "b", dataset(SMALL[0], BOTH[:1], StudyInstanceUID="1.2"))
    (study,) = dicom_scans(tmp_path.iterdir()).scans
    assert "3 (a, b)" in (study.problem or "")


def test_copies_of_a_file_count_once(tmp_path: Path) -> None:
    ds = dataset(SMALL, BOTH)
    for name in ("a", "b/a", "c"):
        write(tmp_path / name, ds)
    found = dicom_scans(path for path in tmp_path.rglob("*") if path.is_file())
    assert [study.paths for study in found.scans] == [(tmp_path / "a",)]
    assert found.left_out == {"copies of a file": 2}


def test_two_views_with_one_number_are_no_copies(tmp_path: Path) -> None:
    shared: dict[str, Any] = {"StudyInstanceUID": "1.2", "SOPInstanceUID": "1.2.3"}
    for view in BOTH:
        write(tmp_path / view, dataset(SMALL[0], [view], **shared))
    (study,) = dicom_scans(tmp_path.iterdir()).scans
    assert len(study.paths) == 2


def test_scans_of_one_patient_have_one_key_and_others_none(tmp_path: Path) -> None:
    numbers = {"a": "PID-4711-X", "b": " PID-4711-X", "c": "PID-4711-Y", "d": "", "e": "ANONYMOUS"}
    for name, number in numbers.items():
        write(tmp_path / name, dataset(SMALL, BOTH, PatientID=number, IssuerOfPatientID="here"))
    write(tmp_path / "f", dataset(SMALL, BOTH, PatientID=None))
    write(tmp_path / "g", dataset(SMALL, BOTH, IssuerOfPatientID="elsewhere"))
    found = dicom_scans(tmp_path.iterdir())
    a, b, c, d, e, f, g = (study.patient_key for study in found.scans)
    assert a == b
    assert len({a, c, g}) == 3
    assert d is None
    assert e is None
    assert f is None
    shown = f"{found!r} {found.scans} {a} {g}"
    assert not [secret for secret in SECRETS if secret in shown]


@pytest.mark.parametrize(
    ("issuers", "patients"), [(("A", "B"), 2), (("A", None), 1), (("A", "B", None), 1)]
)
def test_a_number_without_its_issuer_is_the_patient_of_that_number(
    tmp_path: Path, issuers: tuple[str | None, ...], patients: int
) -> None:
    for number, issuer in enumerate(issuers):
        issued: dict[str, Any] = {"IssuerOfPatientID": issuer} if issuer else {}
        write(tmp_path / f"{number}", dataset(SMALL, BOTH, **issued))
    found = dicom_scans(tmp_path.iterdir()).scans
    assert len(found) == len(issuers)
    assert len({study.patient_key for study in found}) == patients


def test_a_study_of_several_patients_is_refused(tmp_path: Path) -> None:
    for view, number in zip(BOTH, ("one", "two"), strict=True):
        ds = dataset(SMALL[0], [view], StudyInstanceUID="1.2", PatientID=number)
        write(tmp_path / view, ds)
    (study,) = dicom_scans(tmp_path.iterdir()).scans
    assert "one patient a study" in (study.problem or "")


def test_files_without_the_number_of_a_study_are_a_scan_each(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / name, dataset(SMALL, BOTH, StudyInstanceUID=None))
    assert len(dicom_scans(tmp_path.iterdir()).scans) == 2


def test_a_damaged_header_keeps_its_place(tmp_path: Path) -> None:
    write(tmp_path / "a", dataset(SMALL, BOTH))
    whole = (tmp_path / "a").read_bytes()
    (tmp_path / "b").write_bytes(whole[:140])
    (tmp_path / "c").write_bytes(whole[:132] + b"\xff" * 200)
    before_its_kind = whole.index(b"ORIGINAL") - 8
    (tmp_path / "d").write_bytes(whole[:before_its_kind])
    found = dicom_scans(tmp_path.iterdir())
    assert [bool(study.problem) for study in found.scans] == [False, True, True, True]
    assert not found.left_out


def test_four_frames_of_two_energy_windows_are_asked_apart(tmp_path: Path) -> None:
    ds = dataset(np.repeat(SMALL, 2, axis=0), BOTH, DetectorVector=[1, 1, 2, 2])
    (study,) = dicom_scans([write(tmp_path / "a", ds)]).scans
    assert study.problem
    assert "received 4 (a); write the views of one energy window" in study.problem


def test_pixels_are_not_looked_at(tmp_path: Path) -> None:
    path = write(tmp_path / "a", dataset(SMALL, BOTH))
    path.write_bytes(path.read_bytes()[: -SMALL.nbytes // 2])
    (study,) = dicom_scans([path]).scans
    assert study.problem is None
    with pytest.raises(ScanError, match="cut off"):
        read_dicom(study.paths, None)


def test_files_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    counts = dataset(body(), BOTH, syntax=ImplicitVRLittleEndian)
    with_preamble = write(tmp_path / "IM0001", counts).read_bytes()
    group_2 = tmp_path / "without_preamble"
    group_2.write_bytes(with_preamble[132:])
    group_8 = tmp_path / "without_group_2"
    group_8.write_bytes(with_preamble[with_preamble.index(b"\x08\0\x08\0") :])
    assert is_dicom(tmp_path / "IM0001")
    assert is_dicom(group_2)
    assert is_dicom(group_8)
    for path in (group_2, group_8):
        (study,) = dicom_scans([path]).scans
        np.testing.assert_array_equal(
            read_dicom(study.paths, "anterior").counts, counts.pixel_array
        )


def test_other_files_are_not_taken_for_dicom(tmp_path: Path) -> None:
    others = {
        "empty": b"",
        "text": b"scan,right,left\n0000001,2,3\n" * 20,
        "zeros": bytes(300),
        "numbers": b"\x08\0\x10\0\xff\xff\xff\xff" * 40,
        "picture": b"\x89PNG\r\n\x1a\n" + bytes(300),
    }
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
    assert not [path.name for path in tmp_path.iterdir() if is_dicom(path)]
    write_v5(tmp_path / "scan.mat")
    assert not is_dicom(tmp_path / "scan.mat")
    assert not is_dicom(tmp_path / "nothing")


def test_a_file_of_endless_elements_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a", dataset(SMALL, BOTH))
    monkeypatch.setattr("djd.data.formats.dicom_file.MOST_READS", 20)
    with pytest.raises(ScanError, match="at most 10 elements"):
        read_whole(path)
    (study,) = dicom_scans([path]).scans
    assert "damaged" in (study.problem or "")


def test_a_deflated_file_is_not_inflated_beyond_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(str(get_testdata_file("image_dfl.dcm")))
    assert read_whole(path).Rows == 512
    monkeypatch.setattr("djd.data.formats.dicom_file.MOST_INFLATED", 1000)
    with pytest.raises(ScanError, match="inflated"):
        read_whole(path)
    assert MOST_INFLATED > 2**20
