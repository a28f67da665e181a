"""DICOM files as other programs may write them, for the tests of their reading."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    NuclearMedicineImageStorage,
    generate_uid,
)

from djd.data.formats.dicom_file import quiet
from djd.data.scan import SCAN_SHAPE

SCT = {"anterior": ("399321004", "SCT"), "posterior": ("399001007", "SCT")}
SRT = {"anterior": ("G-5215", "SRT"), "posterior": ("G-5216", "SRT")}

SECRETS = ("Seckret", "PID-4711-X", "19330501", "whispered")
"""Name, number and birth date of the patient, and comments, that no output may hold."""


@cache
def body(seed: int = 0, shape: tuple[int, ...] = SCAN_SHAPE) -> NDArray[np.uint16]:
    """Counts that thin out from head to foot and differ between right and left, uint16."""
    rng = np.random.default_rng(seed)
    rows = np.linspace(12, 4, shape[-2])[:, np.newaxis]
    columns = np.linspace(0.5, 1.5, shape[-1])
    counts = rng.poisson(rows * columns, size=shape).astype(np.uint16)
    counts.flags.writeable = False
    return counts


def coded(view: str, coding: dict[str, tuple[str, str]] = SCT) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = coding[view]
    return code


def detector(view: str, coding: dict[str, tuple[str, str]] = SCT) -> Dataset:
    item = Dataset()
    item.ViewCodeSequence = [coded(view, coding)]
    return item


def dataset(
    frames: NDArray[Any],
    views: Sequence[str] = (),
    *,
    syntax: UID = ExplicitVRLittleEndian,
    coding: dict[str, tuple[str, str]] = SCT,
    **elements: Any,
) -> FileDataset:
    """A whole-body image. An element of None is left out."""
    with quiet():  # of values that the standard forbids
        return _dataset(frames.reshape(-1, *frames.shape[-2:]), views, syntax, coding, elements)


def _dataset(
    frames: NDArray[Any],
    views: Sequence[str],
    syntax: UID,
    coding: dict[str, tuple[str, str]],
    elements: dict[str, Any],
) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = NuclearMedicineImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = syntax
    plain = {"is_implicit_VR": syntax.is_implicit_VR, "is_little_endian": syntax.is_little_endian}
    ds = FileDataset("", {}, preamble=b"\0" * 128, file_meta=meta, **plain)
    ds.SOPClassUID, ds.SOPInstanceUID = NuclearMedicineImageStorage, meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.Modality, ds.ImageType = "NM", ["ORIGINAL", "PRIMARY", "WHOLE BODY", "EMISSION"]
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Seckret^Name", "PID-4711-X", "19330501"
    ds.PatientComments = ds.ImageComments = "whispered"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.NumberOfFrames, ds.Rows, ds.Columns = frames.shape
    ds.BitsAllocated = ds.BitsStored = 8 * frames.itemsize
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(frames.dtype.kind == "i")
    ds.PixelSpacing = [2.26, 2.26]
    if views:
        ds.DetectorVector = list(range(1, len(frames) + 1))
        ds.DetectorInformationSequence = [detector(view, coding) for view in views]
    kind = frames.dtype.newbyteorder("<" if syntax.is_little_endian else ">")
    ds.PixelData = frames.astype(kind).tobytes()
    ds["PixelData"].VR = "OW" if frames.itemsize > 1 else "OB"
    for keyword, value in elements.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def write(path: Path, ds: FileDataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with quiet():
        ds.save_as(path, enforce_file_format=True)
    return path
