"""MATLAB files of scans, as MATLAB and other programs lay them out."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

MATLAB_73_HEADER = b"MATLAB 7.3 MAT-file, Platform: PCWIN64, HDF5 schema 1.00 .".ljust(116)


def counts_image(seed: int = 0) -> NDArray[np.uint16]:
    """Counts as MATLAB holds them, uint16 (row 1024, column 256, view 2)."""
    return np.random.default_rng(seed).poisson(15, (1024, 256, 2)).astype(np.uint16)


def cell(*rows: list[Any]) -> NDArray[Any]:
    """A MATLAB cell array."""
    cells = np.empty((len(rows), len(rows[0])), dtype=object)
    for index, row in enumerate(rows):
        for column, value in enumerate(row):
            cells[index, column] = value
    return cells


def diaginfo(ids: Any = ((6.0, 2.0),), names: Any = ("sevDJD", "normal")) -> dict[str, Any]:
    """The struct of a file; `names` None leaves the field out."""
    fields = {
        "comment": cell(["Kim, 000101-2000000"]),
        "roitable": cell(["roi", 1, 2, 3], ["roi", 4, 5, 6]),
        "kneejointid": np.array(ids),
    }
    if names is not None:
        fields["kneejointname"] = cell(list(names)) if isinstance(names, tuple) else names
    return fields


def write_v5(
    path: Path, variables: dict[str, Any] | None = None, *, compress: bool = False
) -> Path:
    """A file of version 7 (compressed) or 6."""
    content = {"Y": counts_image(), "diaginfo": diaginfo()} if variables is None else variables
    savemat(path, content, do_compression=compress)
    return path


class Mat73:
    """Writes a file of version 7.3 value by value, as MATLAB does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = h5py.File(path, "w", userblock_size=512)
        self.references = self.file.create_group("#refs#")

    def array(self, parent: h5py.Group, name: str, values: Any, kind: str) -> h5py.Dataset:
        """A numeric array; axes are reversed on disk."""
        item = parent.create_dataset(name, data=np.atleast_2d(values).T)
        item.attrs["MATLAB_class"] = np.bytes_(kind)
        return item

    def empty(self, parent: h5py.Group, name: str, kind: str) -> h5py.Dataset:
        """An empty value: its dimensions, marked."""
        item = parent.create_dataset(name, data=np.zeros(2, dtype=np.uint64))
        item.attrs["MATLAB_class"] = np.bytes_(kind)
        item.attrs["MATLAB_empty"] = np.uint8(1)
        return item

    def text(self, parent: h5py.Group, name: str, text: str) -> h5py.Dataset:
        """Text as its UTF-16 codes."""
        if not text:
            return self.empty(parent, name, "char")
        codes = np.frombuffer(text.encode("utf-16-le"), "<u2")
        item = self.array(parent, name, codes, "char")
        item.attrs["MATLAB_int_decode"] = np.int32(2)
        return item

    def cell(self, parent: h5py.Group, name: str, texts: list[str]) -> h5py.Dataset:
        """A row of texts, as references."""
        first = len(self.references)
        items = [
            self.text(self.references, f"r{first + index}", text)
            for index, text in enumerate(texts)
        ]
        references = np.array([[item.ref] for item in items], dtype=h5py.ref_dtype)
        item = parent.create_dataset(name, data=references, dtype=h5py.ref_dtype)
        item.attrs["MATLAB_class"] = np.bytes_("cell")
        return item

    def struct(self, name: str) -> h5py.Group:
        """A 1x1 struct without fields yet."""
        group = self.file.create_group(name)
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        return group

    def close(self) -> Path:
        """Finish the file with MATLAB's header."""
        self.file.close()
        with self.path.open("r+b") as file:
            file.write(MATLAB_73_HEADER + bytes(8) + b"\x00\x02IM")
        return self.path


def write_v73(
    path: Path,
    *,
    image: Any = None,
    image_name: str = "Y",
    ids: Any = ((6.0, 2.0),),
    names: tuple[str, ...] | None = ("sevDJD", "normal"),
) -> Path:
    """A whole file of version 7.3."""
    mat = Mat73(path)
    values = counts_image() if image is None else image
    mat.array(mat.file, image_name, values, values.dtype.name.replace("float64", "double"))
    fields = mat.struct("diaginfo")
    mat.cell(fields, "comment", ["Kim, 000101-2000000"])
    mat.array(fields, "kneejointid", np.array(ids), "double")
    if names is not None:
        mat.cell(fields, "kneejointname", list(names))
    table = mat.array(fields, "roitable", np.arange(6, dtype=np.uint32)[None], "table")
    table.attrs["MATLAB_object_decode"] = np.int32(3)
    return mat.close()


def _element(kind: int, data: bytes, order: str) -> bytes:
    return np.array([kind, len(data)], f"{order}u4").tobytes() + data + bytes(-len(data) % 8)


def value_by_hand(
    name: str, kind: int, dimensions: tuple[int, ...], data: bytes, order: str
) -> bytes:
    """A MATLAB value of version 5 as its bytes."""
    flags = _element(6, np.array([kind, 0], f"{order}u4").tobytes(), order)
    shape = _element(5, np.array(dimensions, f"{order}i4").tobytes(), order)
    return _element(14, flags + shape + _element(1, name.encode(), order) + data, order)


def file_by_hand(order: str, value: bytes, *, field: str = "roitable") -> bytes:
    """Written after MathWorks' description of the format; scipy writes its machine's own order."""
    pixels = _element(4, counts_image().astype(f"{order}u2").tobytes(order="F"), order)
    ids = _element(9, np.array([6, 2], f"{order}f8").tobytes(), order)
    fields = b"".join(name.ljust(16, b"\0") for name in (field.encode(), b"kneejointid"))
    width = _element(5, np.array([16], f"{order}i4").tobytes(), order)
    struct = width + _element(1, fields, order) + value + value_by_hand("", 6, (1, 2), ids, order)
    return (
        b"MATLAB 5.0 MAT-file".ljust(124)
        + (b"\x00\x01IM" if order == "<" else b"\x01\x00MI")
        + value_by_hand("Y", 11, (1024, 256, 2), pixels, order)
        + value_by_hand("diaginfo", 2, (1, 1), struct, order)
    )
