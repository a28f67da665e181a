"""What a scan needs of a MATLAB file of version 5, 6 or 7, and nothing else.

Read here, not by scipy's `loadmat`: one changed byte in an element's type, or cells nested a few
thousand deep, end its process with a segmentation fault, a flipped bit in a cell's dimensions makes
it take gigabytes, and it can't pass over MATLAB tables beside the scan (scipy 1.17). Here every
size is checked against what is there, nothing is unpacked but image and labels, and fields that may
identify a patient are never looked at. The tests hold it against `loadmat`.
"""

import contextlib
import struct
import zlib
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray

from djd.data.formats.mat_values import (
    DamagedError,
    MatValue,
    next_element,
    read_fields,
    read_numbers,
    read_texts,
    read_value,
)
from djd.data.formats.mat_variables import (
    MOST_BYTES,
    MOST_TEXT,
    NUMERIC_CLASSES,
    MatVariables,
    described_shape,
    find_image,
    require_image,
    wrong,
)

_HEADER_BYTES = 128
_BYTE_ORDERS = {b"IM": "<", b"MI": ">"}  # by the header's last two bytes
_PEEKED_BYTES = 4096  # hold any variable's class, dimensions and name
_MOST_NAMES = 64

_MATRIX, _COMPRESSED = 14, 15


def read_v5(path: Path) -> MatVariables:
    """Read what a scan needs.

    Raises:
        ScanError: A variable or field is missing or of another kind.
        Exception: The file is damaged.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
        order = _BYTE_ORDERS.get(header[-2:]) if len(header) == _HEADER_BYTES else None
        if order is None:
            raise wrong(
                path,
                "file",
                expected="a MATLAB file of version 5 to 7.3",
                received="an older version or another kind of file",
            )
        places = _find_variables(path, file, order)
        image_name = find_image(path, list(places))
        _require_declared(path, file, places, image_name, order)
        image = read_numbers(_unpack(path, file, places[image_name], image_name, order))
        diaginfo = _unpack(path, file, places["diaginfo"], "diaginfo", order)
    fields = read_fields(diaginfo, {"kneejointid", "kneejointname"})
    return MatVariables(
        image_name,
        image,
        _ids(path, fields.get("kneejointid"), order),
        _names(fields.get("kneejointname"), order),
    )


def _find_variables(path: Path, file: BinaryIO, order: str) -> dict[str, tuple[int, int, int]]:
    """Where each variable lies: type, first byte and length of its element."""
    places: dict[str, tuple[int, int, int]] = {}
    end = file.seek(0, 2)
    at = _HEADER_BYTES
    while at + 8 <= end:
        file.seek(at)
        kind, size = struct.unpack(f"{order}II", file.read(8))
        if at + 8 + size > end:
            expected = f"at least {at + 8 + size} bytes, as its variables say"
            raise wrong(path, "file", expected=expected, received=f"{end}, a damaged one")
        place = (kind, at + 8, size)
        name = read_value(_peek(file, place), order).name
        if name in places and name in {"Y", "V", "diaginfo"}:
            raise wrong(path, name, expected="one variable of that name", received="several")
        places[name] = place
        at += 8 + size
    return places


def _peek(file: BinaryIO, place: tuple[int, int, int]) -> memoryview:
    """The first bytes of a variable, unpacked, without the element's own tag."""
    kind, first, size = place
    file.seek(first)
    content = file.read(min(size, _PEEKED_BYTES))
    if kind == _COMPRESSED:
        return memoryview(zlib.decompressobj().decompress(content, _PEEKED_BYTES))[8:]
    if kind != _MATRIX:
        raise DamagedError(f"element of unknown type {kind}")
    return memoryview(content)


def _require_declared(
    path: Path, file: BinaryIO, places: dict[str, tuple[int, int, int]], image_name: str, order: str
) -> None:
    """Refuse by declared class and shape, before anything is unpacked."""
    image = read_value(_peek(file, places[image_name]), order)
    require_image(path, image.shape, name=image_name, kind=image.kind)
    received = "no such variable"
    if "diaginfo" in places:
        diaginfo = read_value(_peek(file, places["diaginfo"]), order)
        if diaginfo.kind == "struct" and diaginfo.shape == (1, 1):
            return
        received = f"{described_shape(diaginfo.shape)} {diaginfo.kind}"
    raise wrong(path, "diaginfo", expected="a 1x1 struct", received=received)


def _unpack(
    path: Path, file: BinaryIO, place: tuple[int, int, int], name: str, order: str
) -> MatValue:
    kind, first, size = place
    file.seek(first)
    if size > MOST_BYTES:
        raise wrong(path, name, expected=f"at most {MOST_BYTES} bytes", received=size)
    content = file.read(size)
    if kind == _COMPRESSED:
        inflating = zlib.decompressobj()
        content = inflating.decompress(content, MOST_BYTES)[8:]
        if inflating.unconsumed_tail:
            raise wrong(path, name, expected=f"at most {MOST_BYTES} bytes", received="more")
        if not inflating.eof:  # only at its end is the checksum compared
            raise DamagedError("compressed data cut short")
    return read_value(memoryview(content), order)


def _ids(path: Path, content: memoryview | None, order: str) -> NDArray[Any]:
    key, expected = "diaginfo.kneejointid", "two severity ids"
    if content is None:
        raise wrong(path, key, expected=expected, received="no such field")
    matrix = read_value(content, order)
    if matrix.kind not in NUMERIC_CLASSES:
        raise wrong(path, key, expected=expected, received=f"a {matrix.kind}")
    return read_numbers(matrix)


def _names(content: memoryview | None, order: str) -> list[str | None] | None:
    """Names out of a cell of texts or a text matrix; see `MatVariables.names`.

    MATLAB's newer strings are objects that only MATLAB can look into.
    """
    if content is None:
        return None
    names: list[str | None] = []
    with contextlib.suppress(Exception):  # names are a cross-check: damage there stops nothing
        value = read_value(content, order)
        if value.kind == "char":
            names.extend(_rows(value))
        elif value.kind == "cell" and prod(value.shape) <= _MOST_NAMES:
            contents = [next_element(value.elements) for _ in range(prod(value.shape))]
            names.extend(_text(each, order) for each in contents)
    return names


def _text(content: memoryview, order: str) -> str | None:
    with contextlib.suppress(Exception):
        value = read_value(content, order)
        return "".join(_rows(value)) if value.kind == "char" else None
    return None


def _rows(value: MatValue) -> list[str]:
    return read_texts(value) if prod(value.shape) <= MOST_TEXT else []
