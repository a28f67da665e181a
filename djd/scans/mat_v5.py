"""Variables of a MATLAB file of version 5, 6 or 7, by scipy."""

import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat, whosmat
from scipy.io.matlab import MatlabFunction, MatlabObject, MatlabOpaque, MatReadWarning

from djd.scans.mat import (
    IMAGE_NAMES,
    MatVariables,
    described_shape,
    find_image,
    require_image,
    wrong,
)

_HEADER_BYTES = 128
_BYTE_ORDERS = {b"IM": "<", b"MI": ">"}  # by the header's last two bytes
_COMPRESSED = 15  # type of an element that holds one compressed variable
_MOST_BYTES = 64 * 2**20
"""Of one unpacked variable: a scan needs a megabyte, a table of regions some more."""


def read_v5(path: Path) -> MatVariables:
    """Read what a scan needs.

    Raises:
        ScanError: A variable or field is missing or of another kind.
        Exception: Whatever scipy raises on a damaged file.
    """
    content = path.read_bytes()
    if content[_HEADER_BYTES - 2 : _HEADER_BYTES] not in _BYTE_ORDERS:
        raise wrong(
            path,
            "file",
            expected="a MATLAB file of version 5 to 7.3",
            received="an older version or another kind of file",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", MatReadWarning)  # two variables of one name
        # loadmat verifies checksums; here they would mean to unpack everything.
        listed = whosmat(path, verify_compressed_data_integrity=False)
        sizes = _require_whole(path, content)
        declared = _by_name(path, listed)
        image_name = find_image(path, list(declared))
        shape, kind = declared[image_name]
        require_image(path, tuple(shape), name=image_name, kind=kind)
        _require_struct(path, declared.get("diaginfo"))
        _require_bounded(path, listed, sizes)
        variables = loadmat(path, variable_names=[image_name, "diaginfo"])
    image, diaginfo = variables[image_name], variables["diaginfo"][0, 0]
    if image.dtype.kind == "c":
        raise wrong(path, image_name, expected="counts", received="complex numbers")
    fields = diaginfo.dtype.names or ()
    if "kneejointid" not in fields:
        raise wrong(
            path, "diaginfo.kneejointid", expected="two severity ids", received="no such field"
        )
    names = diaginfo["kneejointname"] if "kneejointname" in fields else None
    return MatVariables(image_name, image, np.asarray(diaginfo["kneejointid"]), _texts(path, names))


def _require_struct(path: Path, declared: tuple[tuple[int, ...], str] | None) -> None:
    if declared is None:
        received = "no such variable"
    elif declared[1] != "struct" or declared[0] != (1, 1):
        received = f"{described_shape(declared[0])} {declared[1]}"
    else:
        return
    raise wrong(path, "diaginfo", expected="a 1x1 struct", received=received)


def _by_name(
    path: Path, listed: Sequence[tuple[str, tuple[int, ...], str]]
) -> dict[str, tuple[tuple[int, ...], str]]:
    names = [name for name, _, _ in listed]
    for name in {*IMAGE_NAMES, "diaginfo"}.intersection(names):
        if names.count(name) > 1:
            received = f"{names.count(name)} of them"
            raise wrong(path, name, expected="one variable of that name", received=received)
    return {name: (shape, kind) for name, shape, kind in listed}


def _require_whole(path: Path, content: bytes) -> list[int]:
    """Bytes that each variable declares when unpacked, of a file that wasn't cut short."""
    sizes = []
    for size, end in _elements(content):
        if end > len(content):
            raise wrong(
                path,
                "file",
                expected=f"at least {end} bytes, as its variables say",
                received=f"{len(content)}, a damaged one",
            )
        sizes.append(size)
    return sizes


def _require_bounded(
    path: Path, listed: Sequence[tuple[str, tuple[int, ...], str]], sizes: Sequence[int]
) -> None:
    for (name, _, _), size in zip(listed, sizes, strict=True):
        if name == "diaginfo" and size > _MOST_BYTES:
            raise wrong(path, name, expected=f"at most {_MOST_BYTES} bytes", received=size)


def _elements(content: bytes) -> Iterator[tuple[int, int]]:
    """Each variable's bytes when unpacked, and where it ends, from the tags of a v5 file."""
    order = _BYTE_ORDERS[content[_HEADER_BYTES - 2 : _HEADER_BYTES]]
    at = _HEADER_BYTES
    while at + 8 <= len(content):
        kind, size = (int(word) for word in np.frombuffer(content, f"{order}u4", 2, at))
        at += 8
        if kind == _COMPRESSED:
            inner = zlib.decompressobj().decompress(content[at : at + size], 8)
            unpacked = int(np.frombuffer(inner, f"{order}u4", 2)[1])
        else:
            unpacked = size
        at += size
        yield unpacked, at


def _texts(path: Path, names: NDArray[Any] | None) -> Sequence[str] | None:
    """Names out of a cell of texts or a text matrix; None where there are none.

    MATLAB's newer string arrays are objects that scipy can't look into.
    """
    if names is None or isinstance(names, MatlabOpaque | MatlabFunction | MatlabObject):
        return None
    if not names.size:
        return None
    cells = list(names.reshape(-1))
    if names.dtype.kind == "U":
        return [str(cell) for cell in cells]
    if names.dtype == object and all(_is_text(cell) for cell in cells):
        return ["".join(cell.reshape(-1)) if cell.size else "" for cell in cells]
    raise wrong(
        path,
        "diaginfo.kneejointname",
        expected="a cell of two texts",
        received=f"{described_shape(names.shape)} {names.dtype}",
    )


def _is_text(cell: object) -> bool:
    return isinstance(cell, np.ndarray) and (cell.dtype.kind == "U" or not cell.size)
