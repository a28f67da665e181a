"""A scan out of a MATLAB file of version 5 to 7.3: which kind it is, and whether it is a scan."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from djd.data.formats.mat_v5 import read_v5
from djd.data.formats.mat_v73 import read_v73
from djd.data.formats.mat_variables import (
    MATLAB_SHAPE,
    MatVariables,
    described_shape,
    shortened,
    wrong,
)
from djd.data.scan import GradeNames, KneeGrades, Scan, ScanError
from djd.grades import Grade

GRADE_OF_ID: Mapping[float, Grade | None] = {-1: None, 2: 0, 3: 1, 4: 2, 5: 3, 6: 4}
GRADE_OF_NAME: GradeNames = {
    "unspect": None,
    "normal": 0,
    "minimal": 1,
    "milddjd": 2,
    "moddjd": 3,
    "sevdjd": 4,
}
"""By name in lower case, since files write sevDJD and SevDJD; hospitals have other names, too."""

MOST_COUNTS = 65535


def read_mat(path: Path, grade_names: GradeNames | None = None) -> Scan:
    """Read one scan from a MATLAB file.

    Args:
        path: The file.
        grade_names: Grades of further spellings of severity names.

    Raises:
        ScanError: The file is missing, damaged, or not a graded whole-body scan.
    """
    _require_file(path)
    try:
        variables = read_v73(path) if h5py.is_hdf5(path) else read_v5(path)
    except ScanError:
        raise
    except Exception as error:  # damaged files raise at least eight types, zlib.error among them
        raise _damaged(path, error) from error
    named_grades, unknown_names = _named_grades(variables.names, grade_names)
    return Scan(
        name=path.stem,
        counts=_counts(path, variables),
        grades=_grades(path, variables.ids),
        named_grades=named_grades,
        unknown_names=unknown_names,
    )


def _require_file(path: Path) -> None:
    try:
        if not path.is_file():
            received = "a folder" if path.is_dir() else "nothing there"
            raise wrong(path, "file", expected="a MATLAB file", received=received)
        with path.open("rb") as file:
            if not file.read(1):
                raise wrong(path, "file", expected="a MATLAB file", received="0 bytes")
    except OSError as error:
        raise wrong(
            path, "file", expected="a file that can be read", received=error.strerror or error
        ) from error


def _damaged(path: Path, error: Exception) -> ScanError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return wrong(
        path,
        "file",
        expected="a MATLAB file of version 5 to 7.3",
        received=f"a damaged one or another kind ({shortened(reason)})",
    )


def _counts(path: Path, variables: MatVariables) -> NDArray[np.uint16]:
    """Counts with the views first, uint16 (view 2, row 1024, column 256)."""
    image = variables.image
    if image.shape != MATLAB_SHAPE:
        raise wrong(
            path,
            variables.image_name,
            expected=f"{described_shape(MATLAB_SHAPE)} counts",
            received=f"{described_shape(image.shape)} of them",
        )
    if not _are_counts(image):
        raise wrong(
            path,
            variables.image_name,
            expected=f"whole counts from 0 to {MOST_COUNTS}",
            received=_outliers(image),
        )
    return np.ascontiguousarray(np.moveaxis(image, -1, 0), dtype=np.uint16)


def _are_counts(image: NDArray[Any]) -> bool:
    if image.dtype.kind == "u" and image.dtype.itemsize <= 2:
        return True
    with np.errstate(invalid="ignore"):
        inside = (image >= 0) & (image <= MOST_COUNTS)  # false where a value is not a number
        return bool(inside.all() and (image == np.floor(image)).all())


def _outliers(image: NDArray[Any]) -> str:
    with np.errstate(invalid="ignore"):
        values = image.astype(np.float64)
        bad = ~((values >= 0) & (values <= MOST_COUNTS) & (values == np.floor(values)))
    return f"{bad.sum()} other values, such as {values[bad][0]:g}"


def _grades(path: Path, ids: NDArray[Any]) -> KneeGrades:
    """Through the fixed table: in files whole doubles are narrowed to uint8, where -1 wraps."""
    key, table = "diaginfo.kneejointid", ", ".join(f"{known:g}" for known in GRADE_OF_ID)
    expected = f"two numbers of {table}"
    if ids.dtype.kind not in "iuf":
        raise wrong(path, key, expected=expected, received=f"{ids.dtype} values")
    if sorted(ids.shape)[-1:] != [2] or ids.size != 2:
        raise wrong(path, key, expected=expected, received=f"a {described_shape(ids.shape)} array")
    right, left = (float(value) for value in ids.reshape(-1))
    if right not in GRADE_OF_ID or left not in GRADE_OF_ID:
        raise wrong(path, key, expected=expected, received=f"[{right:g}, {left:g}]")
    return GRADE_OF_ID[right], GRADE_OF_ID[left]


def _named_grades(
    names: Sequence[str | None] | None, grade_names: GradeNames | None
) -> tuple[KneeGrades | None, tuple[str | None, str | None]]:
    """Grades by name, and the texts of unknown names; see `Scan`."""
    if names is None:
        return None, (None, None)
    table = {**GRADE_OF_NAME, **(grade_names or {})}
    right, left = ((name or "").strip() for name in (names if len(names) == 2 else ("", "")))
    keys = right.casefold(), left.casefold()
    unknown = (None if keys[0] in table else right, None if keys[1] in table else left)
    if None not in unknown:
        return None, unknown
    return (table.get(keys[0]), table.get(keys[1])), unknown
