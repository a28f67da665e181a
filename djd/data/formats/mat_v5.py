"""The values of a MATLAB file of version 5, 6 or 7 that a scan needs, and no others.

`loadmat` of scipy 1.17 won't do: one changed byte in an element's type, or cells nested a few
thousand deep, end the process with a segmentation fault; a flipped bit in a cell's dimensions takes
gigabytes; MATLAB tables beside the scan stop `loadmat`. Here every size is checked against the
bytes in the file, only image and labels are unpacked, and fields that may identify a patient are
never read. The tests compare with `loadmat`. The format is MathWorks' "MAT-File Level 5 File
Format".
"""

import contextlib
import struct
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from djd.data.formats.mat import (
    ID_KEY,
    MOST_BYTES,
    MOST_LABELS,
    MOST_TEXT,
    NUMERIC_CLASSES,
    MatVariables,
    described_shape,
    find_image,
    require_image,
    without_last_ones,
)
from djd.data.scan import ScanError, wrong

_HEADER_BYTES = 128
_BYTE_ORDERS = {b"IM": "<", b"MI": ">"}  # by the header's last two bytes
_PEEKED_BYTES = 4096  # hold any variable's class, dimensions and name

_MATRIX, _COMPRESSED = 14, 15  # types of a variable's element
_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CLASSES = {
    1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single",
    8: "int8", 9: "uint8", 10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64",
    15: "uint64", 16: "function", 17: "opaque",
}  # fmt: skip
_COMPLEX, _LOGICAL = 0x08, 0x02
_MOST_FIELDS = 1000


class DamagedError(Exception):
    """The bytes contradict themselves; the sentence says how."""


@dataclass(frozen=True)
class _Value:
    """One MATLAB value, its contents not yet unpacked."""

    kind: str  # MATLAB class; `logical` and `complex` where flags say so
    shape: tuple[int, ...]  # empty for an opaque value
    name: str  # empty inside cells and structs
    elements: Iterator[tuple[int, memoryview]]  # type and bytes of each element after the name
    order: str  # of the bytes, `<` or `>`


@dataclass(frozen=True)
class _Place:
    """The place of a variable in a file: type, first byte and length of the variable's element."""

    file: BinaryIO
    order: str
    kind: int
    first: int
    size: int

    def peek(self) -> _Value:
        """The variable's class, shape and name, from the first bytes."""
        self.file.seek(self.first)
        content = self.file.read(min(self.size, _PEEKED_BYTES))
        if self.kind == _COMPRESSED:  # without the element's own tag
            content = zlib.decompressobj().decompress(content, _PEEKED_BYTES)[8:]
        elif self.kind != _MATRIX:
            raise DamagedError(f"element of unknown type {self.kind}")
        return _value(memoryview(content), self.order)

    def unpack(self, name: str) -> _Value:
        """The whole variable."""
        expected = f"at most {MOST_BYTES} bytes"
        if self.size > MOST_BYTES:
            raise wrong(name, expected=expected, received=self.size)
        self.file.seek(self.first)
        content = self.file.read(self.size)
        if self.kind == _COMPRESSED:
            inflating = zlib.decompressobj()
            content = inflating.decompress(content, MOST_BYTES)[8:]
            if inflating.unconsumed_tail:
                raise wrong(name, expected=expected, received="more")
            if not inflating.eof:  # zlib compares the checksum at the end only
                raise DamagedError("compressed data cut short")
        return _value(memoryview(content), self.order)


def read_v5(path: Path) -> MatVariables:
    """Read the variables and fields of a scan.

    Raises:
        ScanError: A variable or field is missing or of another kind.
        Exception: The file is damaged.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
        order = _BYTE_ORDERS.get(header[-2:]) if len(header) == _HEADER_BYTES else None
        if order is None:
            expected = "a MATLAB file of version 5 to 7.3"
            received = "an older version or another kind of file"
            raise wrong("file", expected=expected, received=received)
        places = _find_variables(file, order)
        image_name = find_image(list(places))
        declared = places[image_name].peek()
        require_image(image_name, declared.shape, declared.kind)
        image = _numbers(places[image_name].unpack(image_name))
        try:
            return MatVariables(image_name, image, *_labels(places.get("diaginfo"), order))
        except ScanError as error:
            return MatVariables(image_name, image, error, None)


def _find_variables(file: BinaryIO, order: str) -> dict[str, _Place]:
    places: dict[str, _Place] = {}
    end = file.seek(0, 2)
    at = _HEADER_BYTES
    while at + 8 <= end:
        file.seek(at)
        kind, size = struct.unpack(f"{order}II", file.read(8))
        if at + 8 + size > end:
            expected = f"at least {at + 8 + size} bytes, as its variables say"
            raise wrong("file", expected=expected, received=f"{end}, a damaged one")
        place = _Place(file, order, kind, at + 8, size)
        name = place.peek().name
        if name in places and name in {"Y", "V", "diaginfo"}:
            raise wrong(name, expected="one variable of that name", received="several")
        places[name] = place
        at += 8 + size
    return places


def _labels(place: _Place | None, order: str) -> tuple[NDArray[Any], Sequence[str | None] | None]:
    """Ids and names; see `MatVariables`."""
    fields = _fields(_struct(place).unpack("diaginfo"), {"kneejointid", "kneejointname"})
    ids, names = (fields.get(name) for name in ("kneejointid", "kneejointname"))
    return _ids(ids, order), _names(names, order)


def _struct(place: _Place | None) -> _Place:
    received = "no such variable"
    if place:
        declared = place.peek()
        if declared.kind == "struct" and declared.shape == (1, 1):
            return place
        received = f"{described_shape(declared.shape)} {declared.kind}"
    raise wrong("diaginfo", expected="a 1x1 struct", received=received)


def _ids(content: memoryview | None, order: str) -> NDArray[Any]:
    expected = "two severity ids"
    if content is None:
        raise wrong(ID_KEY, expected=expected, received="no such field")
    value = _value(content, order)
    if value.kind not in NUMERIC_CLASSES:
        raise wrong(ID_KEY, expected=expected, received=f"a {value.kind}")
    return _numbers(value)


def _names(content: memoryview | None, order: str) -> list[str | None] | None:
    """Names out of a cell of texts or a text matrix; only MATLAB can read newer MATLAB strings."""
    if content is None:
        return None
    names: list[str | None] = []
    with contextlib.suppress(Exception):  # names are a cross-check: damage there stops nothing
        value = _value(content, order)
        if value.kind == "char":
            names.extend(_rows(value))
        elif value.kind == "cell" and prod(value.shape) <= MOST_LABELS:
            contents = [_next(value.elements) for _ in range(prod(value.shape))]
            names.extend(_text(each, order) for each in contents)
    return names


def _text(content: memoryview, order: str) -> str | None:
    with contextlib.suppress(Exception):
        value = _value(content, order)
        return "".join(_rows(value)) if value.kind == "char" else None
    return None


def _elements(content: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and bytes of each element; small ones keep their bytes in the tag."""
    at = 0
    while at + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, at)
        first = at + 8
        if kind >> 16:
            kind, size, first = kind & 0xFFFF, kind >> 16, at + 4
        if first + size > len(content) or (first == at + 4 and size > 4):
            raise DamagedError("element longer than the value that holds the element")
        yield kind, content[first : first + size]
        at = at + 8 if first == at + 4 else first + size + -size % 8


def _value(content: memoryview, order: str) -> _Value:
    """A value from the first bytes of its element, or all; no bytes are an empty double."""
    elements = _elements(content, order)
    if not len(content):
        return _Value("double", (0, 0), "", elements, order)
    word = _word(_next(elements), order)
    kind = _CLASSES.get(word & 0xFF, "unknown")
    shape: tuple[int, ...] = ()
    if kind != "opaque":
        shape = tuple(int(size) for size in np.frombuffer(_next(elements), f"{order}i4"))
    if any(size < 0 for size in shape):
        raise DamagedError("negative dimensions")
    name = bytes(_next(elements)).decode("latin-1")
    if word >> 8 & _COMPLEX:
        kind = "complex"
    elif word >> 8 & _LOGICAL:
        kind = "logical"
    return _Value(kind, without_last_ones(shape), name, elements, order)


def _word(content: memoryview, order: str) -> int:
    return int.from_bytes(content[:4], "little" if order == "<" else "big")


def _next(elements: Iterator[tuple[int, memoryview]]) -> memoryview:
    for _, content in elements:
        return content
    raise DamagedError("value cut short")


def _numbers(value: _Value) -> NDArray[Any]:
    """A numeric array in the file's type, which is the smallest type that holds the numbers."""
    for kind, content in value.elements:
        if kind not in _NUMBERS:
            raise DamagedError(f"numbers of unknown type {kind}")
        values = np.frombuffer(content, f"{value.order}{_NUMBERS[kind]}")
        if len(values) != prod(value.shape):
            raise DamagedError(f"{len(values)} numbers in dimensions {value.shape}")
        return values.reshape(value.shape, order="F")
    return np.zeros(value.shape if not prod(value.shape) else (0, 0))


def _fields(value: _Value, wanted: Collection[str]) -> dict[str, memoryview]:
    """The bytes of the wanted fields of a 1x1 struct; other fields are passed over."""
    width = _word(_next(value.elements), value.order)
    joined = bytes(_next(value.elements))
    if not 0 < width <= len(joined) or len(joined) // width > _MOST_FIELDS:
        raise DamagedError("field names without a length")
    found = {}
    for at in range(0, len(joined), width):
        name = joined[at : at + width].partition(b"\0")[0].decode("latin-1")
        content = _next(value.elements)
        if name in wanted:
            found[name] = content
    return found


def _rows(value: _Value) -> list[str]:
    """Rows of a text matrix, which is stored column by column."""
    for kind, content in value.elements if prod(value.shape) <= MOST_TEXT else ():
        if kind not in _TEXTS:
            raise DamagedError(f"text of unknown type {kind}")
        encoding = _TEXTS[kind]
        if encoding in ("utf-16", "utf-32"):
            encoding += "-le" if value.order == "<" else "-be"
        text = bytes(content).decode(encoding, errors="replace")
        rows = value.shape[0]
        return [text[row::rows] for row in range(rows)] if rows <= len(text) else [text]
    return []
