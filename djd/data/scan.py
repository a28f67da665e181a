"""One whole-body bone scan and its two graded knees, whatever file it came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from djd.errors import InputError
from djd.grades import Grade

SCAN_SHAPE = (2, 1024, 256)
"""Views (anterior, posterior), rows (head to foot), columns (left to right in the image)."""

KneeGrades = tuple[Grade | None, Grade | None]
"""Grades of the (right, left) knee; None where a knee was left unspecified."""

GradeNames = Mapping[str, Grade | None]
"""Grade of each spelling of a severity name, casefolded; None where it means unspecified."""


class ScanError(InputError):
    """A file is not a scan: one line that names file, key, expected and received."""


@dataclass(frozen=True, eq=False)
class Scan:
    """One patient's whole-body bone scan.

    Attributes:
        name: File stem, such as `0000058`.
        counts: uint16 (view 2, row 1024, column 256), counts a pixel, anterior view first; rows run
            head to foot. The patient's right is on the image's left in the anterior view and on
            its right in the posterior view.
        grades: Grades by severity id, (right, left).
        named_grades: Grades by severity name, (right, left), or None where no name is known.
        unknown_names: The text of each severity name whose grade is not known, (right, left): empty
            where no text stands for that knee; None where the name is known or the file has no
            names. The text may identify a patient, so it is never logged, kept or put in an error.
    """

    name: str
    counts: NDArray[np.uint16]
    grades: KneeGrades
    named_grades: KneeGrades | None
    unknown_names: tuple[str | None, str | None] = field(default=(None, None), repr=False)


def read_scan(path: Path | str, *, grade_names: GradeNames | None = None) -> Scan:
    """Read one scan of any format known.

    Args:
        path: The file.
        grade_names: Grades of further spellings of severity names.

    Raises:
        ScanError: The file is missing, damaged, or not a graded whole-body scan.
    """
    from djd.data.formats.mat import read_mat

    path = Path(path)
    if path.suffix.lower() == ".mat":
        return read_mat(path, grade_names)
    raise ScanError(f"{path}: expected a .mat file, received {path.suffix or 'no suffix'}")
