"""Files of other writers: pydicom's own test files, of which none may end in a traceback."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason="pydicom isn't installed: pip install 'djd[dicom]'")

import pydicom.data

from djd.data.formats.dicom_file import is_dicom
from djd.data.formats.dicom_headers import dicom_scans
from djd.data.scan import ScanError, ScanFiles, ViewOrder, read_scan
from djd.data.scan_files import find_scans

FILES = sorted(
    path
    for path in (Path(pydicom.data.__file__).parent / "test_files").rglob("*")
    if path.is_file() and is_dicom(path)
)
WHOLE_BODY = {
    "JPEG-lossy.dcm",
    "JPEG2000.dcm",
    "JPEG2000-embedded-sequence-delimiter.dcm",
    "JPGExtended.dcm",
}


def test_each_file_is_a_scan_left_out_or_one_sentence() -> None:
    whole_body = set()
    for path in FILES:
        found = dicom_scans([path])
        assert len(found.scans) + found.left_out.total() == 1
        for study in found.scans:
            if not study.problem:
                whole_body.add(path.name)
            files = ScanFiles(path.name, study.paths, problem=study.problem)
            for sentence in sentences_of(files):
                assert sentence.startswith(f"{path}: ")
                assert "\n" not in sentence
                assert not [each for each in ("CompressedSamples", "8NM1") if each in sentence]
    assert whole_body == WHOLE_BODY


def sentences_of(files: ScanFiles) -> list[str]:
    sentences = []
    orders: tuple[ViewOrder | None, ...] = (None, "anterior", "posterior")
    for order in orders:
        try:
            read_scan(files, needs_labels=False, view_order=order)
        except ScanError as error:
            sentences.append(str(error))
    return sentences


def test_one_scan_compressed_in_several_ways_is_one_scan(tmp_path: Path) -> None:
    for path in FILES:
        if path.name in WHOLE_BODY or path.name.startswith("CT"):
            shutil.copy(path, tmp_path)
    found = find_scans(tmp_path)
    assert found.names == ["JPEG-lossy"]
    assert found.left_out["copies of a file"] == len(WHOLE_BODY) - 1
    assert found.left_out["CT"] > 0
