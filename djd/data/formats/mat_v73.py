"""Variables of a MATLAB file of version 7.3, which is HDF5 with the axes reversed."""

import contextlib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from djd.data.formats.mat_values import without_last_ones
from djd.data.formats.mat_variables import (
    MOST_BYTES,
    MOST_TEXT,
    MatVariables,
    described_shape,
    find_image,
    require_image,
    shortened,
    wrong,
)

_MOST_LABELS = 64
"""Elements of a label field that are looked at; two are expected."""


def read_v73(path: Path) -> MatVariables:
    """Read what a scan needs.

    Raises:
        ScanError: A variable or field is missing or of another kind.
        Exception: Whatever h5py raises on a damaged file.
    """
    with h5py.File(path, "r") as file:
        present = [name for name in file if not name.startswith("#")]
        image_name = find_image(path, present)
        image = _image(path, file, image_name)
        diaginfo = _diaginfo(path, file)
        ids = _ids(path, diaginfo)
        if ids is None:
            raise wrong(
                path, "diaginfo.kneejointid", expected="two severity ids", received="no such field"
            )
        return MatVariables(image_name, image, _labels(path, ids), _names(path, file, diaginfo))


def _image(path: Path, file: h5py.File, name: str) -> NDArray[Any]:
    item = _own(path, file, name)
    if not isinstance(item, h5py.Dataset) or item.attrs.get("MATLAB_empty", 0):
        raise wrong(path, name, expected="an array of counts", received=_described(item))
    shape = _dimensions(item)
    # The type on disk says what a class attribute may leave out or misstate.
    kind = item.dtype.name.replace("float64", "double").replace("float32", "single")
    declared = _class_of(item)
    require_image(path, shape, name=name, kind=declared if declared == "logical" else kind)
    return np.asarray(item[()]).T.reshape(shape)


def _diaginfo(path: Path, file: h5py.File) -> h5py.Group:
    if "diaginfo" not in file:
        raise wrong(path, "diaginfo", expected="a 1x1 struct", received="no such variable")
    item = _own(path, file, "diaginfo")
    if not isinstance(item, h5py.Group) or _class_of(item) not in ("struct", "unknown"):
        raise wrong(path, "diaginfo", expected="a 1x1 struct", received=_described(item))
    return item


def _ids(path: Path, diaginfo: h5py.Group) -> h5py.Dataset | None:
    """The ids of a 1x1 struct; the fields of a larger one are references without a class."""
    if "kneejointid" not in diaginfo:
        return None
    item = _own(path, diaginfo, "kneejointid")
    if not isinstance(item, h5py.Dataset):
        raise wrong(path, "diaginfo.kneejointid", expected="two values", received=_class_of(item))
    if item.dtype == h5py.ref_dtype and _class_of(item) == "unknown":
        received = f"a {described_shape(_dimensions(item))} one"
        raise wrong(path, "diaginfo", expected="a 1x1 struct", received=received)
    return item


def _labels(path: Path, item: h5py.Dataset) -> NDArray[Any]:
    if item.attrs.get("MATLAB_empty", 0) or item.size > _MOST_LABELS:
        shape = described_shape(_dimensions(item))
        raise wrong(
            path,
            "diaginfo.kneejointid",
            expected="two severity ids",
            received=f"a {shape} array",
        )
    kind = _class_of(item)
    if item.dtype.kind not in "iuf" or kind in ("char", "logical"):
        received = kind if kind != "unknown" else f"{item.dtype} values"
        raise wrong(path, "diaginfo.kneejointid", expected="two severity ids", received=received)
    return np.asarray(item[()]).T


def _names(path: Path, file: h5py.File, diaginfo: h5py.Group) -> Sequence[str | None] | None:
    """Names out of a cell of texts or a text matrix; see `MatVariables.names`.

    MATLAB's newer string arrays are objects, with the attribute of their decoder.
    """
    if diaginfo.get("kneejointname", getlink=True) is None:
        return None
    names: list[str | None] = []
    with contextlib.suppress(Exception):  # names are a cross-check: damage there stops nothing
        item = _own(path, diaginfo, "kneejointname")
        if item.dtype == h5py.ref_dtype and item.size <= _MOST_LABELS:
            names.extend(_text(path, file, each) for each in np.asarray(item[()]).T.reshape(-1))
        else:
            names.extend(_rows(item))
    return names


def _text(path: Path, file: h5py.File, reference: h5py.Reference) -> str | None:
    with contextlib.suppress(Exception):
        item = file[reference]
        _require_inside(path, "kneejointname", item)
        return "".join(_rows(item))
    return None


def _rows(item: h5py.Dataset) -> list[str]:
    """Rows of a text matrix, stored as UTF-16 codes; an empty value is stored as its dimensions.

    Raises:
        Exception: The value is no text.
    """
    if item.attrs.get("MATLAB_empty", 0):
        return []
    if (
        _class_of(item) not in ("char", "unknown")
        or "MATLAB_object_decode" in item.attrs
        or item.dtype.kind != "u"
        or item.size > MOST_TEXT
    ):
        raise TypeError("no text")
    rows = ["".join(map(chr, row)) for row in np.atleast_2d(np.asarray(item[()]).T)]
    return [row.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for row in rows]


def _own(path: Path, group: h5py.Group, name: str) -> h5py.HLObject:
    """A member that lies in the file itself, not one that leads into another file."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise wrong(path, name, expected="a value in the file", received="a link out of it")
    item = group[name]
    _require_inside(path, name, item)
    return item


def _require_inside(path: Path, name: str, item: h5py.HLObject) -> None:
    if isinstance(item, h5py.Dataset) and (item.is_virtual or item.external):
        raise wrong(path, name, expected="a value in the file", received="one kept outside of it")
    # To read one value, HDF5 unpacks the whole chunk that holds it.
    if isinstance(item, h5py.Dataset) and item.chunks:
        size = prod(item.chunks) * item.dtype.itemsize
        if size > MOST_BYTES:
            raise wrong(path, name, expected=f"chunks of at most {MOST_BYTES} bytes", received=size)


def _class_of(item: h5py.HLObject) -> str:
    """MATLAB class as the file states it, or unknown."""
    stated = item.attrs.get("MATLAB_class", b"unknown")
    return shortened(
        stated.decode("ascii", "replace") if isinstance(stated, bytes) else str(stated)
    )


def _dimensions(item: h5py.Dataset) -> tuple[int, ...]:
    """Dimensions in MATLAB's order; an empty value is stored as its dimensions."""
    if item.attrs.get("MATLAB_empty", 0) and 0 < item.size <= _MOST_LABELS:
        return tuple(int(size) for size in np.asarray(item[()]).reshape(-1))
    return without_last_ones(tuple(reversed(item.shape or ())))


def _described(item: h5py.HLObject) -> str:
    if isinstance(item, h5py.Dataset):
        return f"{described_shape(_dimensions(item))} {_class_of(item)}"
    return f"a group of class {_class_of(item)}"
