"""One whole-body bone scan and its two graded knees, out of a file of any format."""

import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from djd.data.names import one_form
from djd.errors import InputError
from djd.files import tried_again
from djd.grades import Grade
from djd.wording import printable

SCAN_SHAPE = (2, 1024, 256)
"""Views (anterior, posterior), rows (head to foot), columns (left to right in the image)."""

KneeGrades = tuple[Grade | None, Grade | None]
"""Grades of the (right, left) knee; None where a knee was left unspecified."""

GradeNames = Mapping[str, Grade | None]
"""Grade of each spelling of a severity name, casefolded; None where the name means unspecified."""

ViewOrder = Literal["anterior", "posterior"]
"""The view that comes first where a file doesn't say which its views are."""

MOST_CHARACTERS = 40
"""Characters of a text out of a file that a sentence repeats."""


class ScanError(InputError):
    """A file is not a scan: key, expected and received; `read_scan` puts the file in front."""


def wrong(key: str, *, expected: str, received: object) -> ScanError:
    """The error that a key of a file is not as expected."""
    return ScanError(f"{key}: expected {expected}, received {received}")


def shortened(text: str) -> str:
    """Text out of a file, short enough for a sentence."""
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "..."


@dataclass(frozen=True)
class ScanFiles:
    """The files of one scan.

    Attributes:
        name: Path of the first file below the folder of scans, in one form, without its suffix:
            `0000058`, or `B/0000058` in the subfolder `B`.
        paths: One file, or more where a format has a file a view.
        patient: Where the files say which scans are one patient's, a name made here, such as
            `P0001`; never a name or number out of a file.
        problem: Why the files are no scan, as key, expected and received, where that is known
            before they are read.
    """

    name: str
    paths: tuple[Path, ...]
    patient: str | None = field(default=None, repr=False)
    problem: str | None = None

    @classmethod
    def of(cls, path: Path | str) -> "ScanFiles":
        """The scan in one file that is given by itself, under the file's own name."""
        path = Path(path)
        return cls(name_below(Path(path.name)), (path,))

    @property
    def path(self) -> Path:
        """The file that names the scan."""
        return self.paths[0]


def name_below(shown: Path) -> str:
    """Name of the scan with this path below the folder; a suffix of no format is a part of it."""
    from djd.data.formats import stem_of

    return "/".join(one_form(part) or part for part in (*shown.parts[:-1], stem_of(shown)))


@dataclass(frozen=True, eq=False)
class Scan:
    """One patient's whole-body bone scan.

    Attributes:
        name: As of `ScanFiles`, such as `0000058`.
        counts: uint16 (view 2, row 1024, column 256), counts a pixel, anterior view first; rows run
            head to foot. The patient's right is on the image's left in the anterior view and on
            the image's right in the posterior view.
        grades: Grades by severity id, (right, left).
        named_grades: Grades by severity name, (right, left), or None where no name is known.
        unknown_names: Each severity name whose grade is not known, (right, left): empty where the
            knee has no text; None where the name is known or the file has no names. A name may
            identify a patient, so the name is never logged, kept or put in an error.
        no_labels: Why a file has no severity ids that can be read, as key, expected and received;
            None where it has them. `grades` are None then.
        missing_views: Views that the files don't have; their pages are zeros.
    """

    name: str
    counts: NDArray[np.uint16]
    grades: KneeGrades
    named_grades: KneeGrades | None
    unknown_names: tuple[str | None, str | None] = field(default=(None, None), repr=False)
    no_labels: str | None = None
    missing_views: tuple[str, ...] = ()


def read_scan(
    source: ScanFiles | Path | str,
    *,
    grade_names: GradeNames | None = None,
    needs_labels: bool = True,
    view_order: ViewOrder | None = None,
) -> Scan:
    """Read one scan of a registered format (`djd.data.formats`).

    Without `needs_labels` a scan may have no severity ids, or ids that can't be read. `view_order`
    says which view comes first where the files don't.

    Raises:
        ScanError: A file is missing, damaged, or not a (graded) whole-body scan.
        DriveError: The drive failed, whatever the file is.
    """
    files = source if isinstance(source, ScanFiles) else ScanFiles.of(source)
    scan = tried_again(lambda: _read_once(files, grade_names or {}, view_order), files.path)
    if needs_labels and (error := labels_error(files, scan)):
        raise error
    return scan


def labels_error(files: ScanFiles, scan: Scan) -> ScanError | None:
    """Why a scan has no severity ids that can be read; None where it has them."""
    return _error(files.path, scan.no_labels) if scan.no_labels else None


def _read_once(files: ScanFiles, grade_names: GradeNames, view_order: ViewOrder | None) -> Scan:
    from djd.data.formats import reader_of

    path = files.path
    try:
        reader = reader_of(path)
        if not reader:
            _require_dicom(path)
        for each in files.paths:
            _require_file(each)
        if files.problem:
            raise ScanError(files.problem)
        scan = reader(path, grade_names) if reader else _read_dicom(files, view_order)
        return replace(require_image(scan), name=files.name)
    except Exception as error:  # damaged files raise at least eight types, zlib.error among them
        raise _error(path, _reason(path, error)) from error


def _require_dicom(path: Path) -> None:
    """Raise `ScanError` for a file that no registered format has, and that isn't DICOM either."""
    from djd.data.formats import DICOM_SUFFIXES, known_suffixes
    from djd.data.formats.dicom_file import is_dicom

    if path.suffix.lower() not in DICOM_SUFFIXES and not is_dicom(path):
        expected = f"a {known_suffixes()} file, or DICOM"
        raise wrong("file", expected=expected, received=path.suffix or "no suffix")


def _read_dicom(files: ScanFiles, view_order: ViewOrder | None) -> Scan:
    from djd.data.formats.dicom import read_dicom

    return read_dicom(files.paths, view_order)


def _error(path: Path, reason: str) -> ScanError:
    return ScanError(printable(f"{path}: {reason}"))


def _reason(path: Path, error: Exception) -> str:
    """Why a file isn't a scan: its content isn't there yet, a value is wrong, or it is damaged."""
    from djd.data.placeholders import not_downloaded

    wrong_value = isinstance(error, ScanError) and not str(error).startswith("file:")
    if not wrong_value and (received := not_downloaded(path)):
        return f"file: expected a scan, received {received}"
    if isinstance(error, ScanError):
        return str(error)
    reason = shortened(" ".join(str(error).split()) or type(error).__name__)
    return f"file: expected a {path.suffix} scan, received a damaged one or another kind ({reason})"


def _require_file(path: Path) -> None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            received = "a folder" if path.is_dir() else "a pipe or a device"
            raise wrong("file", expected="a scan", received=received)
        with path.open("rb") as file:
            if not file.read(1):
                raise wrong("file", expected="a scan", received="0 bytes")
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        received = "nothing there" if missing else error.strerror or str(error)
        raise wrong("file", expected="a file that can be read", received=received) from error


def require_image(scan: Scan) -> Scan:
    """The scan; raises `ScanError` where its counts are no image of a whole-body scan."""
    if scan.counts.shape != SCAN_SHAPE or scan.counts.dtype != np.uint16:
        expected = f"uint16 of the shape {SCAN_SHAPE}"
        received = f"{scan.counts.dtype} of {scan.counts.shape}"
        raise wrong("counts", expected=expected, received=received)
    if scan.counts.min() == scan.counts.max():
        received = f"{scan.counts.min()} in every pixel"
        raise wrong("counts", expected="an image", received=received)
    return scan
