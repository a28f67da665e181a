import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pydicom", reason="pydicom isn't installed: pip install 'djd[dicom]'")

from pydicom.data import get_testdata_file
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from djd.data.formats.dicom import read_dicom
from djd.data.formats.dicom_file import is_dicom
from djd.data.formats.dicom_headers import dicom_scans
from djd.data.formats.dicom_views import View
from djd.data.scan import Scan, ScanError, ViewOrder
from tests.data.dicom_files import SCT, SECRETS, SRT, body, coded, dataset, write

BOTH: tuple[View, View] = ("anterior", "posterior")


def read(path: Path, view_order: ViewOrder | None = None) -> Scan:
    (study,) = dicom_scans([path]).scans
    assert study.problem is None
    return read_dicom(study.paths, view_order)


def refused(path: Path, view_order: ViewOrder | None = None) -> str:
    with pytest.raises(ScanError) as error:
        read_dicom((path,), view_order)
    sentence = str(error.value)
    assert not [secret for secret in SECRETS if secret in sentence]
    return sentence


@pytest.mark.parametrize("coding", [SCT, SRT])
@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_two_coded_frames_are_read_in_every_plain_encoding(
    tmp_path: Path, coding: dict[str, tuple[str, str]], syntax: Any
) -> None:
    counts = body()
    path = write(tmp_path / "scan", dataset(counts, BOTH, coding=coding, syntax=syntax))
    scan = read(path)
    np.testing.assert_array_equal(scan.counts, counts)
    assert scan.counts.dtype == np.uint16
    assert scan.missing_views == ()
    assert scan.grades == (None, None)
    assert "data.labels" in (scan.no_labels or "")


@pytest.mark.parametrize(
    ("syntax", "module"), [(JPEG2000Lossless, "openjpeg"), (RLELossless, "pydicom")]
)
def test_compressed_frames_are_read(tmp_path: Path, syntax: Any, module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module}, which encodes the frames, isn't installed")
    counts = body()
    ds = dataset(counts, BOTH)
    ds.compress(syntax, generate_instance_uid=False)
    np.testing.assert_array_equal(read(write(tmp_path / "a.dcm", ds)).counts, counts)


def test_the_vector_and_not_the_order_says_which_frame_is_which(tmp_path: Path) -> None:
    counts = body()
    swapped = dataset(counts[::-1], BOTH[::-1])
    by_vector = dataset(counts[::-1], BOTH, DetectorVector=[2, 1])
    for name, ds in (("swapped", swapped), ("vector", by_vector)):
        np.testing.assert_array_equal(read(write(tmp_path / name, ds)).counts, counts)


@pytest.mark.parametrize(
    "elements",
    [
        {"DetectorVector": None},
        {"DetectorVector": [1, 2, 1]},
        {"DetectorInformationSequence": None},
        {"DetectorInformationSequence": []},
    ],
)
def test_frames_that_nothing_names_need_the_order_of_the_views(
    tmp_path: Path, elements: dict[str, Any]
) -> None:
    counts = body()
    path = write(tmp_path / "scan.dcm", dataset(counts, BOTH, **elements))
    assert "data.view_order" in refused(path)
    np.testing.assert_array_equal(read(path, "anterior").counts, counts)
    np.testing.assert_array_equal(read(path, "posterior").counts, counts[::-1])


def test_one_unnamed_frame_of_two_is_the_other_view(tmp_path: Path) -> None:
    path = write(tmp_path / "scan.dcm", dataset(body(), BOTH, DetectorVector=[1, 3]))
    assert "data.view_order" in refused(path)
    for order in BOTH:
        np.testing.assert_array_equal(read(path, order).counts, body())


def test_a_view_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "scan.dcm", dataset(body(), BOTH, DetectorVector=[1, 1]))
    assert "twice" in refused(path, "anterior")


def test_a_coded_view_is_not_overruled_by_the_order_of_the_views(tmp_path: Path) -> None:
    path = write(tmp_path / "scan.dcm", dataset(body()[::-1], BOTH[::-1]))
    np.testing.assert_array_equal(read(path, "anterior").counts, body())


def test_two_files_with_a_view_each_are_one_scan(tmp_path: Path) -> None:
    counts = body()
    for name, page, view in (("1", counts[1], "posterior"), ("2", counts[0], "anterior")):
        ds = dataset(page, [view], StudyInstanceUID="1.2.3")
        write(tmp_path / name, ds)
    (study,) = dicom_scans([tmp_path / "2", tmp_path / "1"]).scans
    assert study.paths == (tmp_path / "1", tmp_path / "2")
    scan = read_dicom(study.paths, None)
    np.testing.assert_array_equal(scan.counts, counts)
    assert scan.name == "1"


@pytest.mark.parametrize(
    ("anterior", "other", "is_a_pair"),
    [
        ("WB BONE ANT", "WB BONE POST", True),
        ("wb_ant", "WB_POS", True),
        ("WB ANT", "WB POST INJECTION", False),
        ("WB ANT", "WB", False),
        ("WB ANT POST INJECTION", "WB POST POST INJECTION", False),
    ],
)
def test_post_is_the_posterior_view_beside_the_same_description_of_the_anterior_one(
    tmp_path: Path, anterior: str, other: str, *, is_a_pair: bool
) -> None:
    for name, page, text in (("1", 1, other), ("2", 0, anterior)):
        write(
            tmp_path / name, dataset(body()[page], StudyInstanceUID="1.2", SeriesDescription=text)
        )
    paths = (tmp_path / "1", tmp_path / "2")
    if is_a_pair:
        np.testing.assert_array_equal(read_dicom(paths, None).counts, body())
    else:
        with pytest.raises(ScanError, match=r"data\.view_order"):
            read_dicom(paths, None)


@pytest.mark.parametrize(
    ("elements", "view"),
    [
        ({"ViewCodeSequence": [coded("anterior")]}, "anterior"),
        ({"ViewPosition": "ANT"}, "anterior"),
        ({"ImageID": "WB_ANT"}, "anterior"),
        ({"SeriesDescription": "Whole body anterior"}, "anterior"),
        ({"SeriesDescription": "WB ANT POST"}, None),
        ({"SeriesDescription": "BONE POST INJECTION"}, None),
        ({"SeriesDescription": "ANT 3 H POST INJECTION"}, None),
        ({"ImageID": "POST"}, "posterior"),
        ({"SeriesDescription": "WHOLE BODY POSTERIOR"}, "posterior"),
    ],
)
def test_names_say_the_view_of_one_frame_where_they_are_clear(
    tmp_path: Path, elements: dict[str, Any], view: str | None
) -> None:
    path = write(tmp_path / "scan.dcm", dataset(body()[0], **elements))
    if view == "anterior":
        assert read(path).missing_views == ("posterior",)
    else:
        assert ("posterior view alone" if view else "data.view_order") in refused(path)


def test_the_private_name_of_a_picture_says_its_view(tmp_path: Path) -> None:
    ds = dataset(body()[0])
    block = ds.private_block(0x0011, "GEMS_GENIE_1", create=True)
    block.add_new(0x12, "LO", "ANTERIOR_E")
    assert read(write(tmp_path / "scan.dcm", ds)).missing_views == ("posterior",)


def test_a_missing_posterior_view_is_a_page_of_zeros(tmp_path: Path) -> None:
    scan = read(write(tmp_path / "scan.dcm", dataset(body()[0], ["anterior"])))
    np.testing.assert_array_equal(scan.counts[0], body()[0])
    assert not scan.counts[1].any()
    assert scan.missing_views == ("posterior",)


def test_an_oblique_or_lateral_view_is_refused(tmp_path: Path) -> None:
    lateral = {"anterior": ("399067008", "SCT"), "posterior": ("399001007", "SCT")}
    path = write(tmp_path / "scan.dcm", dataset(body(), BOTH, coding=lateral))
    assert "another view" in refused(path, "anterior")


def with_cosines(counts: Any, anterior: list[int], posterior: list[int]) -> Any:
    ds = dataset(counts, BOTH)
    for item, cosines in zip(ds.DetectorInformationSequence, (anterior, posterior), strict=True):
        item.ImageOrientationPatient = cosines
    return ds


def test_frames_are_turned_as_their_detectors_say(tmp_path: Path) -> None:
    counts = body()
    upright = with_cosines(counts, [1, 0, 0, 0, 0, -1], [-1, 0, 0, 0, 0, -1])
    feet_up = with_cosines(counts[:, ::-1, ::-1], [-1, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 1])
    mirrored = np.stack([counts[0], counts[1, :, ::-1]])
    like_anterior = with_cosines(mirrored, [1, 0, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1])
    axial = with_cosines(counts, [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 1, 0])
    for index, ds in enumerate((upright, feet_up, like_anterior, axial)):
        np.testing.assert_array_equal(read(write(tmp_path / str(index), ds)).counts, counts)


@pytest.mark.parametrize(
    ("letters", "turn"),
    [
        (["L", "F"], np.s_[:, :]),
        (["R", "F"], np.s_[:, ::-1]),
        (["L", "H"], np.s_[::-1, :]),
        (["R", "H"], np.s_[::-1, ::-1]),
    ],
)
def test_one_frame_is_turned_as_the_patient_lies_in_it(
    tmp_path: Path, letters: list[str], turn: Any
) -> None:
    page = body()[0]
    ds = dataset(page[turn], ["anterior"], PatientOrientation=letters)
    np.testing.assert_array_equal(read(write(tmp_path / "a.dcm", ds)).counts[0], page)


def test_a_body_that_lies_along_the_columns_is_stood_up(tmp_path: Path) -> None:
    page = body()[0]
    ds = dataset(page.T, ["anterior"], PatientOrientation=["F", "L"])
    np.testing.assert_array_equal(read(write(tmp_path / "a.dcm", ds)).counts[0], page)


def test_one_orientation_for_two_frames_says_up_and_down_alone(tmp_path: Path) -> None:
    ds = dataset(body()[:, ::-1], BOTH, PatientOrientation=["L", "H"])
    np.testing.assert_array_equal(read(write(tmp_path / "a.dcm", ds)).counts, body())


@pytest.mark.parametrize(
    "elements",
    [
        {"PatientOrientation": ["P", "F"]},
        {"PatientOrientation": ["L", "A"]},
        {"ImageOrientationPatient": [0.7, 0, 0.7, 0.7, 0, -0.7]},
        {"PatientOrientation": ["L", "H"], "ImageOrientationPatient": [1, 0, 0, 0, 0, -1]},
    ],
)
def test_orientations_that_are_no_view_of_a_body_are_refused(
    tmp_path: Path, elements: dict[str, Any]
) -> None:
    path = write(tmp_path / "scan.dcm", dataset(body()[0], ["anterior"], **elements))
    assert "PatientOrientation" in refused(path)


def test_feet_first_alone_says_nothing_of_the_image(tmp_path: Path) -> None:
    ds = dataset(body(), BOTH, PatientPosition="FFS")
    np.testing.assert_array_equal(read(write(tmp_path / "down.dcm", ds)).counts, body())
    ds = dataset(body()[:, ::-1, ::-1], BOTH, PatientPosition="FFS")
    path = write(tmp_path / "up.dcm", ds)
    assert "feet first" in refused(path)
    ds.PatientOrientation = ["R", "H"]
    for item, across in zip(ds.DetectorInformationSequence, (-1, 1), strict=True):
        item.ImageOrientationPatient = [across, 0, 0, 0, 0, 1]
    np.testing.assert_array_equal(read(write(tmp_path / "up.dcm", ds)).counts, body())


def test_signed_pixels_and_slopes_become_counts(tmp_path: Path) -> None:
    counts = body()
    signed = dataset((counts.astype(np.int16) - 5), BOTH, RescaleIntercept=5, RescaleSlope=1)
    doubled = dataset(counts, BOTH, RescaleIntercept=0, RescaleSlope=2)
    np.testing.assert_array_equal(read(write(tmp_path / "a", signed)).counts, counts)
    np.testing.assert_array_equal(read(write(tmp_path / "b", doubled)).counts, 2 * counts)
    third = dataset(counts, BOTH, RescaleIntercept=0, RescaleSlope="0.3333")
    read_back = read(write(tmp_path / "c", third)).counts
    assert read_back.sum() == pytest.approx(counts.sum() * 0.3333, rel=1e-5)
    assert np.abs(read_back - counts * 0.3333).max() < 1


def test_bits_that_are_not_stored_are_left_out(tmp_path: Path) -> None:
    counts = body()
    overlay = counts | (np.uint16(1) << 12)
    twelve = dataset(overlay, BOTH, BitsStored=12, HighBit=11)
    high = dataset(counts << 4, BOTH, BitsStored=12, HighBit=15)
    for name, ds in (("overlay", twelve), ("high", high)):
        np.testing.assert_array_equal(read(write(tmp_path / name, ds)).counts, counts)


@pytest.mark.parametrize("kind", [np.uint8, np.uint32])
def test_words_of_other_sizes_are_read(tmp_path: Path, kind: Any) -> None:
    ds = dataset(body().astype(kind), BOTH)
    np.testing.assert_array_equal(read(write(tmp_path / "a.dcm", ds)).counts, body())


def test_views_of_other_matrix_sizes_are_brought_to_the_study(tmp_path: Path) -> None:
    coarse = 4 * body(3, shape=(2, 512, 128))
    spread = np.repeat(np.repeat(coarse // 4, 2, axis=1), 2, axis=2)
    ds = dataset(coarse, BOTH, PixelSpacing=[4.52, 4.52])
    np.testing.assert_array_equal(read(write(tmp_path / "both", ds)).counts, spread)
    shared: dict[str, Any] = {"StudyInstanceUID": "1.2"}
    write(tmp_path / "1", dataset(coarse[0], BOTH[:1], PixelSpacing=[4.52, 4.52], **shared))
    write(tmp_path / "2", dataset(body()[1], BOTH[1:], **shared))
    scan = read_dicom((tmp_path / "1", tmp_path / "2"), None)
    np.testing.assert_array_equal(scan.counts, np.stack([spread[0], body()[1]]))


def test_a_number_with_a_comma_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", dataset(body(), BOTH))
    path.write_bytes(path.read_bytes().replace(b"2.26\\2.26", b"2,26\\2,26"))
    assert "PixelSpacing: " in refused(path)


def test_the_pixel_of_the_detector_stands_in_for_a_missing_one(tmp_path: Path) -> None:
    coarse = 4 * body(3, shape=(2, 512, 128))
    pixel: dict[str, Any] = {"PixelSpacing": [4.52, 4.52]}
    expected = read(write(tmp_path / "a", dataset(coarse, BOTH, **pixel))).counts
    detector: dict[str, Any] = {"PixelSpacing": None, "ImagerPixelSpacing": [4.52, 4.52]}
    found = read(write(tmp_path / "b", dataset(coarse, BOTH, **detector))).counts
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"PhotometricInterpretation": "MONOCHROME1"}, "MONOCHROME1 with 1 value a pixel"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "MONOCHROME2"),
        ({"PhotometricInterpretation": "Seckret"}, "MONOCHROME2"),
        ({"RescaleSlope": -1, "RescaleIntercept": 0}, "slope"),
        ({"RescaleSlope": 1, "RescaleIntercept": -100}, "none below 0"),
        ({"RescaleSlope": 10000, "RescaleIntercept": 0}, "at most 65535"),
        ({"Rows": 65535, "Columns": 65535}, "Rows"),
        ({"Rows": 0}, "Rows"),
        ({"Rows": 32768, "Columns": 16}, "Rows"),
        ({"Modality": "CT"}, "nuclear medicine, received CT"),
        ({"BitsStored": 17}, "BitsStored"),
        ({"PixelSpacing": [0, 0]}, "PixelSpacing"),
        ({"PixelData": b"\0\0" * 1024}, "cut off"),
        ({"PixelData": None}, "PixelData"),
    ],
)
def test_pixels_that_are_no_counts_are_refused_in_one_sentence(
    tmp_path: Path, elements: dict[str, Any], expected: str
) -> None:
    sentence = refused(write(tmp_path / "a.dcm", dataset(body(), BOTH, **elements)))
    assert expected in sentence
    assert "\n" not in sentence


def test_a_compressed_frame_of_another_size_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openjpeg", reason="openjpeg, which encodes the frames, isn't installed")
    ds = dataset(body(), BOTH)
    ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    pixels = bytearray(ds.PixelData)
    size = pixels.index(b"\xff\x4f\xff\x51") + 8
    pixels[size : size + 4] = (60000).to_bytes(4, "big")
    ds.PixelData = bytes(pixels)
    monkeypatch.setattr("pydicom.pixels.decoders.base.Decoder.as_array", None)
    assert "60000" in refused(write(tmp_path / "a.dcm", ds))


def test_the_file_of_a_real_scan_needs_its_view(tmp_path: Path) -> None:
    path = Path(str(get_testdata_file("JPGExtended.dcm")))
    assert is_dicom(path)
    if importlib.util.find_spec("libjpeg") is None:
        assert "djd[dicom-jpeg]" in refused(path, "anterior")
        pytest.skip("pylibjpeg-libjpeg, which decodes the scan, isn't installed")
    assert "data.view_order" in refused(path)
    scan = read(path, "anterior")
    assert scan.counts[0].sum() == 3770427  # of pydicom's own pixel_array
    assert scan.missing_views == ("posterior",)


def test_negative_counts_of_a_compression_with_loss_become_zeros() -> None:
    pytest.importorskip("openjpeg", reason="openjpeg, which decodes the scan, isn't installed")
    path = Path(str(get_testdata_file("JPEG2000.dcm")))
    assert read(path, "anterior").counts.sum() == 3629901  # 3596452 are in its header


def test_without_a_decoder_the_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec

    def without(name: str, *others: Any) -> Any:
        return None if name in hidden else find_spec(name, *others)

    hidden = {"libjpeg"}
    monkeypatch.setattr(importlib.util, "find_spec", without)
    path = Path(str(get_testdata_file("JPGExtended.dcm")))
    assert 'pip install "djd[dicom-jpeg]"' in refused(path, "anterior")
    hidden = {"pydicom"}
    assert 'pip install "djd[dicom]"' in refused(path, "anterior")
