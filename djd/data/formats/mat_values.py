"""The values in a MATLAB file of version 5, 6 or 7, from their bytes.

Every size is checked against the bytes that are there; contents are looked at only when asked for.
The format is MathWorks' "MAT-File Level 5 File Format".
"""

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
class MatValue:
    """One MATLAB value, its contents not yet unpacked.

    Attributes:
        kind: MATLAB class; `logical` and `complex` where flags say so.
        shape: Dimensions; empty for an opaque value.
        name: Empty inside cells and structs.
        elements: What follows the name: type and bytes of each element.
        order: `<` or `>`, of the bytes.
    """

    kind: str
    shape: tuple[int, ...]
    name: str
    elements: Iterator[tuple[int, memoryview]]
    order: str


def _elements(content: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and bytes of each element; small ones keep their bytes in the tag."""
    at = 0
    while at + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, at)
        first = at + 8
        if kind >> 16:
            kind, size, first = kind & 0xFFFF, kind >> 16, at + 4
        if first + size > len(content) or (first == at + 4 and size > 4):
            raise DamagedError("element longer than what holds it")
        yield kind, content[first : first + size]
        at = at + 8 if first == at + 4 else first + size + -size % 8


def read_value(content: memoryview, order: str) -> MatValue:
    """A value from the bytes of its element; no bytes are an empty double.

    Args:
        content: As many of its bytes as there are; what is missing shows when it is asked for.
        order: `<` or `>`.

    Raises:
        DamagedError: The bytes contradict themselves.
    """
    elements = _elements(content, order)
    if not len(content):
        return MatValue("double", (0, 0), "", elements, order)
    flags = next_element(elements)
    word = _word(flags, order)
    kind = _CLASSES.get(word & 0xFF, "unknown")
    if kind != "opaque":
        shape = tuple(int(size) for size in np.frombuffer(next_element(elements), f"{order}i4"))
    else:
        shape = ()
    if any(size < 0 for size in shape):
        raise DamagedError("negative dimensions")
    name = bytes(next_element(elements)).decode("latin-1")
    if word >> 8 & _COMPLEX:
        kind = "complex"
    elif word >> 8 & _LOGICAL:
        kind = "logical"
    return MatValue(kind, without_last_ones(shape), name, elements, order)


def _word(content: memoryview, order: str) -> int:
    return int.from_bytes(content[:4], "little" if order == "<" else "big")


def without_last_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Dimensions as MATLAB has them: none beyond the second is 1 at the end."""
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def next_element(elements: Iterator[tuple[int, memoryview]]) -> memoryview:
    """Bytes of the next element of a value.

    Raises:
        DamagedError: There is none.
    """
    for _, content in elements:
        return content
    raise DamagedError("value cut short")


def read_numbers(value: MatValue) -> NDArray[Any]:
    """A numeric array in the type it is stored in, which MATLAB chooses as small as it can."""
    for kind, content in value.elements:
        if kind not in _NUMBERS:
            raise DamagedError(f"numbers of unknown type {kind}")
        values = np.frombuffer(content, f"{value.order}{_NUMBERS[kind]}")
        if len(values) != prod(value.shape):
            raise DamagedError(f"{len(values)} numbers in dimensions {value.shape}")
        return values.reshape(value.shape, order="F")
    return np.zeros(value.shape if not prod(value.shape) else (0, 0))


def read_fields(value: MatValue, wanted: Collection[str]) -> dict[str, memoryview]:
    """The bytes of some fields of a 1x1 struct; the others are passed over unseen."""
    width = _word(next_element(value.elements), value.order)
    joined = bytes(next_element(value.elements))
    if not 0 < width <= len(joined) or len(joined) // width > _MOST_FIELDS:
        raise DamagedError("field names without a length")
    names = [
        joined[at : at + width].partition(b"\0")[0].decode("latin-1")
        for at in range(0, len(joined), width)
    ]
    found = {}
    for name in names:
        content = next_element(value.elements)
        if name in wanted:
            found[name] = content
    return found


def read_texts(value: MatValue) -> list[str]:
    """Rows of a text matrix, which is stored column by column."""
    for kind, content in value.elements:
        if kind not in _TEXTS:
            raise DamagedError(f"text of unknown type {kind}")
        encoding = _TEXTS[kind]
        if encoding in ("utf-16", "utf-32"):
            encoding += "-le" if value.order == "<" else "-be"
        text = bytes(content).decode(encoding, errors="replace")
        rows = value.shape[0]
        return [text[row::rows] for row in range(rows)] if rows <= len(text) else [text]
    return []
