"""An invented scan as a DICOM file: a whole-body image of two frames, and no patient's name."""

import io
import uuid
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from djd.data.formats.dicom_file import INSTALL, PREAMBLE, quiet, require_pydicom
from djd.data.formats.dicom_geometry import PIXEL_MM
from djd.data.scan import ScanError
from djd.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

STAMP = "PHANTOM: invented scan, not a patient"
"""Stands in the preamble, and in a comment on the image that other programs keep."""

_NAMESPACE = uuid.UUID("00b4c0de-0000-5000-8000-000000000000")
_WRITER = "2.25.54327862107346126104838194"
"""UID of this writer, so that a file doesn't change with pydicom's version."""
_VIEWS = (("399321004", "Anterior"), ("399001007", "Posterior"))


def require_writer() -> None:
    """Raise InputError where pydicom, which writes the files, isn't installed."""
    try:
        require_pydicom()
    except ScanError:
        raise InputError(f"format: expected pydicom to write DICOM with; say: {INSTALL}") from None


def dicom_bytes(counts: NDArray[np.uint16], name: str, cohort: str) -> bytes:
    """A scan as the bytes of a DICOM file, in explicit little endian.

    Args:
        counts: uint16 (view 2, row, column), anterior first.
        name: Of the scan; within the number of its patient.
        cohort: Text that differs between cohorts, from which UIDs are made.
    """
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, NuclearMedicineImageStorage

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = NuclearMedicineImageStorage
    meta.MediaStorageSOPInstanceUID = _uid(cohort, name, "image")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(_WRITER)
    meta.ImplementationVersionName = "PHANTOM"
    file = io.BytesIO()
    preamble = STAMP.encode().ljust(PREAMBLE, b"\0")
    header = FileDataset(file, {}, preamble=preamble, file_meta=meta)
    _describe(header, name, cohort)
    _describe_frames(header, counts)
    with quiet():
        header.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _describe(header: "Dataset", name: str, cohort: str) -> None:
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID
    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID
    header.StudyInstanceUID = _uid(cohort, name, "study")
    header.SeriesInstanceUID = _uid(cohort, name, "series")
    header.Modality = "NM"
    header.ImageType = ["ORIGINAL", "PRIMARY", "WHOLE BODY", "EMISSION"]
    header.StudyDate = header.StudyTime = header.AccessionNumber = header.StudyID = ""
    header.ReferringPhysicianName = header.PatientBirthDate = header.PatientSex = ""
    header.Manufacturer = header.PatientName = "PHANTOM"
    header.PatientID = f"PHANTOM {name}"
    header.SeriesNumber = header.InstanceNumber = 1
    header.ImageComments = STAMP


def _describe_frames(header: "Dataset", counts: NDArray[np.uint16]) -> None:
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.NumberOfFrames, header.Rows, header.Columns = counts.shape
    header.FrameIncrementPointer = [0x00540010, 0x00540020]  # energy windows, detectors
    header.PixelSpacing = [PIXEL_MM, PIXEL_MM]
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation = 15, 0
    header.EnergyWindowVector, header.NumberOfEnergyWindows = [1, 1], 1
    header.DetectorVector, header.NumberOfDetectors = [1, 2], 2
    header.DetectorInformationSequence = [_detector(*view) for view in _VIEWS]
    header.PixelData = counts.astype("<u2").tobytes()


def _detector(code: str, meaning: str) -> "Dataset":
    from pydicom import Dataset

    view, detector = Dataset(), Dataset()
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = code, "SCT", meaning
    detector.ViewCodeSequence = [view]
    return detector


def _uid(*parts: str) -> "UID":
    from pydicom.uid import UID

    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, ' '.join(parts)).int}")
