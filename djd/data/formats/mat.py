"""A scan out of a MATLAB file of version 5 to 7.3.

Version 7.3 is HDF5 with the axes reversed and is read here; `mat_v5` reads the older versions.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from djd.data.scan import (
    SCAN_SHAPE,
    GradeNames,
    KneeGrades,
    Scan,
    ScanError,
    shortened,
    wrong,
)
from djd.files import drive_failure
from djd.grades import GRADE_OF_ID, GRADE_OF_NAME

MATLAB_SHAPE = (*SCAN_SHAPE[1:], SCAN_SHAPE[0])
NUMERIC_CLASSES = frozenset(
    ("double", "single", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
)
MOST_COUNTS = 65535
MOST_BYTES = 64 * 2**20
"""Of one unpacked value: a scan needs a megabyte."""
MOST_LABELS = 64
"""Elements of a label field that are read; two are expected."""
MOST_TEXT = 4096
"""Characters of a severity name that are read."""

ID_KEY = "diaginfo.kneejointid"


class MatVariables(NamedTuple):
    """The values of a MATLAB file that a scan is made of, not yet checked.

    Attributes:
        image_name: Y, or V in older files.
        image: (row 1024, column 256, view 2), of any numeric type.
        ids: `diaginfo.kneejointid`, of any type and shape, or the error that there are none.
        names: Texts of `diaginfo.kneejointname`, with None in place of a value that is no text;
            empty where the field is no list of texts; None where there is no such field.
    """

    image_name: str
    image: NDArray[Any]
    ids: NDArray[Any] | ScanError
    names: Sequence[str | None] | None


def read_mat(path: Path, grade_names: GradeNames) -> Scan:
    """Read one scan from a MATLAB file.

    Raises:
        ScanError: The file is not a whole-body scan.
        Exception: The file is damaged.
    """
    from djd.data.formats.mat_v5 import read_v5  # that module imports this one

    variables = _read_v73(path) if h5py.is_hdf5(path) else read_v5(path)
    named_grades, unknown_names = _named_grades(variables.names, grade_names)
    counts = _counts(variables)
    grades: KneeGrades = (None, None)
    no_labels = None
    try:
        grades = _grades(variables.ids)
    except ScanError as error:
        no_labels = str(error)
    return Scan(path.stem, counts, grades, named_grades, unknown_names, no_labels)


def find_image(present: Sequence[str]) -> str:
    """Name of the image among a file's variables.

    Raises:
        ScanError: No variable is an image.
    """
    for name in ("Y", "V"):
        if name in present:
            return name
    shown = ", ".join(shortened(name) for name in present[:5]) or "no variables"
    raise wrong("Y", expected="an image of that name (older files: V)", received=shown)


def require_image(name: str, shape: tuple[int, ...], kind: str) -> None:
    """Raise `ScanError` by declared shape and MATLAB class: 261 kB can unpack to 256 MiB."""
    if shape != MATLAB_SHAPE or kind not in NUMERIC_CLASSES:
        received = f"{described_shape(shape)} {kind}"
        raise wrong(name, expected=f"{described_shape(MATLAB_SHAPE)} counts", received=received)


def described_shape(shape: tuple[int, ...]) -> str:
    """A shape as MATLAB writes shapes, such as 1024x256x2."""
    return "x".join(map(str, shape)) or "1x1"


def without_last_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Dimensions as MATLAB has them: no 1 at the end beyond the second."""
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _counts(variables: MatVariables) -> NDArray[np.uint16]:
    """Counts with the views first, uint16 (view 2, row 1024, column 256)."""
    image = variables.image
    if image.shape != MATLAB_SHAPE:
        received = f"{described_shape(image.shape)} of them"
        expected = f"{described_shape(MATLAB_SHAPE)} counts"
        raise wrong(variables.image_name, expected=expected, received=received)
    if image.dtype.kind != "u" or image.dtype.itemsize > 2:
        with np.errstate(invalid="ignore"):  # comparisons are false where a value is not a number
            bad = ~((image >= 0) & (image <= MOST_COUNTS) & (image == np.floor(image)))
        if bad.any():
            expected = f"whole counts from 0 to {MOST_COUNTS}"
            received = f"{bad.sum()} other values, such as {float(image[bad][0]):g}"
            raise wrong(variables.image_name, expected=expected, received=received)
    return np.ascontiguousarray(np.moveaxis(image, -1, 0), dtype=np.uint16)


def _grades(ids: NDArray[Any] | ScanError) -> KneeGrades:
    """Through the fixed table: in files whole doubles are narrowed to uint8, where -1 wraps."""
    if isinstance(ids, ScanError):
        raise ids
    expected = f"two numbers of {', '.join(f'{known:g}' for known in GRADE_OF_ID)}"
    if ids.dtype.kind not in "iuf":
        raise wrong(ID_KEY, expected=expected, received=f"{ids.dtype} values")
    if sorted(ids.shape)[-1:] != [2] or ids.size != 2:
        raise wrong(ID_KEY, expected=expected, received=f"a {described_shape(ids.shape)} array")
    right, left = (float(value) for value in ids.reshape(-1))
    if right not in GRADE_OF_ID or left not in GRADE_OF_ID:
        raise wrong(ID_KEY, expected=expected, received=f"[{right:g}, {left:g}]")
    return GRADE_OF_ID[right], GRADE_OF_ID[left]


def _named_grades(
    names: Sequence[str | None] | None, grade_names: GradeNames
) -> tuple[KneeGrades | None, tuple[str | None, str | None]]:
    """Grades by name, and the texts of unknown names; see `Scan`."""
    if names is None:
        return None, (None, None)
    table = {**GRADE_OF_NAME, **grade_names}
    right, left = ((name or "").strip() for name in (names if len(names) == 2 else ("", "")))
    keys = right.casefold(), left.casefold()
    unknown = (None if keys[0] in table else right, None if keys[1] in table else left)
    if None not in unknown:
        return None, unknown
    return (table.get(keys[0]), table.get(keys[1])), unknown


def _read_v73(path: Path) -> MatVariables:
    # Nobody writes scans meanwhile, and file systems without locks would refuse HDF5's own.
    with h5py.File(path, "r", locking=False) as file:
        image_name = find_image([name for name in file if not name.startswith("#")])
        image = _image(file, image_name)
        try:
            diaginfo = _diaginfo(file)
            return MatVariables(image_name, image, _ids(diaginfo), _names(file, diaginfo))
        except ScanError as error:
            return MatVariables(image_name, image, error, None)


def _image(file: h5py.File, name: str) -> NDArray[Any]:
    item = _member(file, name)
    if not isinstance(item, h5py.Dataset) or item.attrs.get("MATLAB_empty", 0):
        raise wrong(name, expected="an array of counts", received=_described(item))
    shape = _dimensions(item)
    # The type on disk is right where a class attribute is missing or wrong.
    kind = item.dtype.name.replace("float64", "double").replace("float32", "single")
    declared = _class_of(item)
    require_image(name, shape, declared if declared == "logical" else kind)
    return np.asarray(item[()]).T.reshape(shape)


def _diaginfo(file: h5py.File) -> h5py.Group:
    if "diaginfo" not in file:
        raise wrong("diaginfo", expected="a 1x1 struct", received="no such variable")
    item = _member(file, "diaginfo")
    if not isinstance(item, h5py.Group) or _class_of(item) not in ("struct", "unknown"):
        raise wrong("diaginfo", expected="a 1x1 struct", received=_described(item))
    return item


def _ids(diaginfo: h5py.Group) -> NDArray[Any]:
    expected = "two severity ids"
    if "kneejointid" not in diaginfo:
        raise wrong(ID_KEY, expected=expected, received="no such field")
    item = _member(diaginfo, "kneejointid")
    kind = _class_of(item)
    if not isinstance(item, h5py.Dataset):
        raise wrong(ID_KEY, expected=expected, received=kind)
    shape = described_shape(_dimensions(item))
    if item.dtype == h5py.ref_dtype and kind == "unknown":  # as fields of a larger struct are
        raise wrong("diaginfo", expected="a 1x1 struct", received=f"a {shape} one")
    if item.attrs.get("MATLAB_empty", 0) or item.size > MOST_LABELS:
        raise wrong(ID_KEY, expected=expected, received=f"a {shape} array")
    if item.dtype.kind not in "iuf" or kind in ("char", "logical"):
        received = kind if kind != "unknown" else f"{item.dtype} values"
        raise wrong(ID_KEY, expected=expected, received=received)
    return np.asarray(item[()]).T


def _names(file: h5py.File, diaginfo: h5py.Group) -> Sequence[str | None] | None:
    """Names out of a cell of texts or a text matrix; see `MatVariables.names`."""
    if diaginfo.get("kneejointname", getlink=True) is None:
        return None
    names: list[str | None] = []
    with _without_damage():
        item = _member(diaginfo, "kneejointname")
        if item.dtype == h5py.ref_dtype and item.size <= MOST_LABELS:
            names.extend(_text(file, each) for each in np.asarray(item[()]).T.reshape(-1))
        else:
            names.extend(_rows(item))
    return names


@contextmanager
def _without_damage() -> Iterator[None]:
    """Pass over damage: names are a cross-check, which stops nothing. A drive's error stays one."""
    try:
        yield
    except Exception as error:
        if drive_failure(error):
            raise


def _text(file: h5py.File, reference: h5py.Reference) -> str | None:
    with _without_damage():
        item = file[reference]
        _require_inside("kneejointname", item)
        return "".join(_rows(item))
    return None


def _rows(item: h5py.Dataset) -> list[str]:
    """Rows of a text matrix in UTF-16 codes; MATLAB's newer strings are objects with a decoder."""
    if item.attrs.get("MATLAB_empty", 0):
        return []
    is_text = _class_of(item) in ("char", "unknown") and "MATLAB_object_decode" not in item.attrs
    if not is_text or item.dtype.kind != "u" or item.size > MOST_TEXT:
        raise TypeError("no text")
    rows = ["".join(map(chr, row)) for row in np.atleast_2d(np.asarray(item[()]).T)]
    return [row.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for row in rows]


def _member(group: h5py.Group, name: str) -> h5py.HLObject:
    """A member that lies in the file itself, not in another file."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise wrong(name, expected="a value in the file", received="a link out of it")
    item = group[name]
    _require_inside(name, item)
    return item


def _require_inside(name: str, item: h5py.HLObject) -> None:
    if not isinstance(item, h5py.Dataset):
        return
    if item.is_virtual or item.external:
        raise wrong(name, expected="a value in the file", received="one kept outside of it")
    # To read one value, HDF5 unpacks the whole chunk that holds the value.
    size = prod(item.chunks) * item.dtype.itemsize if item.chunks else 0
    if size > MOST_BYTES:
        raise wrong(name, expected=f"chunks of at most {MOST_BYTES} bytes", received=size)


def _class_of(item: h5py.HLObject) -> str:
    """MATLAB class that the file states, or unknown."""
    stated = item.attrs.get("MATLAB_class", b"unknown")
    text = stated.decode("ascii", "replace") if isinstance(stated, bytes) else str(stated)
    return shortened(text)


def _dimensions(item: h5py.Dataset) -> tuple[int, ...]:
    """Dimensions in MATLAB's order; an empty value is stored as its dimensions."""
    if item.attrs.get("MATLAB_empty", 0) and 0 < item.size <= MOST_LABELS:
        return tuple(int(size) for size in np.asarray(item[()]).reshape(-1))
    return without_last_ones(tuple(reversed(item.shape or ())))


def _described(item: h5py.HLObject) -> str:
    if isinstance(item, h5py.Dataset):
        return f"{described_shape(_dimensions(item))} {_class_of(item)}"
    return f"a group of class {_class_of(item)}"
