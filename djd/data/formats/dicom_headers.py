"""Which DICOM files of a folder are whole-body bone scans, and which belong together.

A scan is a study. Headers alone are read: 10,000 files take 8 s of one core (2026-11-29).
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from djd.data.formats.dicom_file import quiet, read_header, require_pydicom
from djd.data.formats.dicom_kinds import CAPTURES, KIND_TAGS, other_kind, values_of
from djd.data.formats.dicom_views import VIEW_TAGS, View, frame_count, frame_views
from djd.data.scan import ScanError
from djd.errors import DriveError
from djd.files import tried_again
from djd.wording import first_of

if TYPE_CHECKING:
    from pydicom import Dataset

_NOBODY = frozenset(("0", "na", "none", "null", "unknown", "anon", "anonymous", "anonymized"))
"""Patient ids that stand in for a removed one, in lower case: they don't name a patient."""

_BETWEEN = "/"
"""Between the digests of a patient's number and of its issuer."""

_UNCOMPRESSED_PREDECESSOR = "121320"
"""PS3.16, context group 7202."""

_TAGS: tuple[str | int, ...] = (
    *("SOPInstanceUID", "StudyInstanceUID", "PatientID", "IssuerOfPatientID"),
    "SourceImageSequence",
    *KIND_TAGS,
    *VIEW_TAGS,
)


@dataclass(frozen=True)
class DicomStudy:
    """A scan: the whole-body images of a study.

    Attributes:
        paths: One file, or a file a view, in order of path.
        patient_key: Equal for studies of one patient, and only of use for that: a digest, to be
            kept in memory alone. None where the header names no patient.
        problem: Why the files are no scan, as key, expected and received.
    """

    paths: tuple[Path, ...]
    patient_key: str | None = field(default=None, repr=False)
    problem: str | None = None


@dataclass(frozen=True)
class DicomFolder:
    """The scans among DICOM files.

    Attributes:
        scans: In order of their first paths; a file whose header is damaged is one by itself.
        left_out: How many files show something else, by kind, such as `CT` or `NM STATIC`.
    """

    scans: list[DicomStudy]
    left_out: Counter[str]


@dataclass(frozen=True)
class _Image:
    """A whole-body image by its header. `rank` is 0 for an original; captures come last."""

    path: Path
    study: str = field(repr=False)
    instance: str = field(repr=False)
    patient: str | None = field(repr=False)
    rank: int
    frames: int
    views: tuple[View | None, ...]
    problem: str | None


def dicom_scans(paths: Iterable[Path]) -> DicomFolder:
    """The whole-body scans among DICOM files, by their headers. Files they refer to stay closed.

    Raises:
        ScanError: pydicom isn't installed.
        DriveError: The drive failed.
    """
    require_pydicom()
    scans: list[DicomStudy] = []
    left_out: Counter[str] = Counter()
    studies: dict[str, list[_Image]] = defaultdict(list)
    for path in sorted(paths):
        image = _image(path)
        if isinstance(image, str):
            left_out[image] += 1
        elif image is None:
            problem = "file: expected a DICOM scan, received a damaged header"
            scans.append(DicomStudy((path,), problem=problem))
        else:
            studies[image.study or f"file {path}"].append(image)
    patients = {each.patient for images in studies.values() for each in images}
    for images in studies.values():
        scan, copies = _study([_of_one_issuer(each, patients) for each in images])
        scans.append(scan)
        if copies:
            left_out["copies of a file"] += copies
    return DicomFolder(sorted(scans, key=lambda scan: scan.paths[0]), left_out)


def _image(path: Path) -> _Image | str | None:
    """A whole-body image, or what a file shows in place of one; None for a damaged header."""
    try:
        header = tried_again(lambda: read_header(path, _TAGS), path)
        with quiet():
            return other_kind(header) or _of_header(path, header)
    except DriveError:
        raise
    except Exception:  # pydicom raises many types on damaged files
        return None


def _of_header(path: Path, header: "Dataset") -> _Image:
    problem, frames = None, 1
    views: tuple[View | None, ...] = ()
    try:
        frames = frame_count(header)
        views = frame_views(header)
    except ScanError as error:
        problem = str(error)
    is_capture = str(header.get("SOPClassUID") or "").startswith(CAPTURES)
    is_derived = "DERIVED" in values_of(header.get("ImageType"))
    return _Image(
        path=path,
        study=str(header.get("StudyInstanceUID") or "").strip(),
        instance=_instance(header),
        patient=_patient_key(header),
        rank=2 * is_capture + is_derived,
        frames=frames,
        views=views,
        problem=problem,
    )


def _instance(header: "Dataset") -> str:
    """UID of the image; of the image before compression, where a file is a compressed copy."""
    for source in header.get("SourceImageSequence") or ():
        purposes = source.get("PurposeOfReferenceCodeSequence") or ()
        if any(each.get("CodeValue") == _UNCOMPRESSED_PREDECESSOR for each in purposes):
            return str(source.get("ReferencedSOPInstanceUID") or "").strip()
    return str(header.get("SOPInstanceUID") or "").strip()


def _patient_key(header: "Dataset") -> str | None:
    number = str(header.get("PatientID") or "").strip()
    if not number.strip("0") or number.casefold() in _NOBODY:
        return None
    issuer = str(header.get("IssuerOfPatientID") or "").strip()
    return f"{_digest(number)}{_BETWEEN}{_digest(issuer) if issuer else ''}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


def _of_one_issuer(image: _Image, patients: Collection[str | None]) -> _Image:
    """The image with the patient of the same number that has no issuer, where there is one.

    Some programs drop the issuer. A patient on two sides of a split is worse than two as one.
    """
    if not image.patient:
        return image
    unissued = image.patient.partition(_BETWEEN)[0] + _BETWEEN
    return replace(image, patient=unissued) if unissued in patients else image


def _study(images: Sequence[_Image]) -> tuple[DicomStudy, int]:
    """The scan of a study, and the number of files that are copies of another."""
    # Some writers give both views one number.
    first = {(image.instance or str(image.path), image.views): image for image in images[::-1]}
    once = sorted(first.values(), key=lambda image: image.path)
    patients = sorted({image.patient for image in once if image.patient})
    chosen = _chosen(once)
    problem = next((image.problem for image in chosen if image.problem), None)
    if len(patients) > 1:
        received = f"several patients ({_names(once)})"
        problem = f"StudyInstanceUID: expected one patient a study, received {received}"
    elif not problem and not _fits(chosen):
        received = f"{sum(image.frames for image in chosen)} ({_names(chosen)})"
        one_file = "write the views of one energy window and phase to a file of their own"
        say = "keep one series of the study in the folder" if len(chosen) > 1 else one_file
        problem = (
            "images: expected one anterior and one posterior whole-body image a study, "
            f"received {received}; {say}"
        )
    paths = tuple(image.path for image in chosen)
    return DicomStudy(paths, patients[0] if patients else None, problem), len(images) - len(once)


def _chosen(images: list[_Image]) -> list[_Image]:
    """All images, or the originals among them where that leaves each view once, and no fewer."""
    if _fits(images):
        return images
    best = min(image.rank for image in images)
    originals = [image for image in images if image.rank == best]
    everything = {view for image in images for view in image.views if view}
    is_whole = everything <= {view for image in originals for view in image.views}
    return originals if _fits(originals) and is_whole else images


def _fits(images: Sequence[_Image]) -> bool:
    """Whether the images are one or two frames of different views."""
    known = [view for image in images for view in image.views if view]
    return sum(image.frames for image in images) <= 2 and len(set(known)) == len(known)


def _names(images: Sequence[_Image]) -> str:
    return first_of([image.path.name for image in images])
