"""DICOM files: which files are some, and their elements, read without trust in any size.

pydicom allocates what an element's length says, and inflates a deflated file whole. Here no read
goes beyond the file's end, and inflating stops at `MOST_INFLATED`. pydicom's warnings and log hold
values of elements, which may name a patient, so both are silent while it reads.
"""

import contextlib
import importlib.util
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from djd.data.scan import ScanError, wrong
from djd.files import tried_again

if TYPE_CHECKING:
    from pydicom import Dataset

PREAMBLE = 128
"""Bytes before the mark DICM."""
MOST_INFLATED = 128 * 2**20
"""Bytes of a deflated file; a scan has two megabytes."""
MOST_BYTES = 256 * 2**20
"""Bytes of a file whose pixels are read."""

MOST_READS = 1_000_000
"""Two an element, a microsecond each; headers have a few thousand elements."""

INSTALL = 'pip install "djd[dicom]"'

_DEFLATED = "1.2.840.10008.1.2.1.99"
_FIRST_GROUPS = (0x0002, 0x0008)
"""The groups that a file without a preamble begins with."""
_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"))
_SHORT_VRS = frozenset(
    (
        *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT"),
        *(b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
    )
)
_MOST_FIRST = 4096
"""Bytes of the first element's value, in a file without a preamble."""


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its first bytes, whatever its suffix.

    A file without a preamble is DICOM where two elements in ascending order are at its start.
    False for a file that can't be opened.

    Raises:
        DriveError: The drive failed.
    """
    try:
        start = tried_again(lambda: _start(path), path)
    except OSError:
        return False
    return start[PREAMBLE : PREAMBLE + 4] == b"DICM" or _begins_with_elements(start)


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(PREAMBLE + 4 + _MOST_FIRST)


def _begins_with_elements(start: bytes) -> bool:
    """Two elements of groups 2 or 8, in ascending order, in any of three encodings."""
    for order in "<>":
        if (first := _element(start, 0, order)) is None:
            continue
        tag, end = first
        second = _element(start, end, order)
        if second and second[0] > tag:
            return True
    return False


def _element(start: bytes, at: int, order: str) -> tuple[tuple[int, int], int] | None:
    """Tag and end of an element at a place; None where no such element is there."""
    if len(start) < at + 8:
        return None
    group, element = struct.unpack_from(f"{order}HH", start, at)
    if group not in _FIRST_GROUPS:
        return None
    vr, body = start[at + 4 : at + 6], at + 8
    if vr in _SHORT_VRS:
        (size,) = struct.unpack_from(f"{order}H", start, at + 6)
    elif vr in _LONG_VRS and len(start) >= at + 12:
        (size,) = struct.unpack_from(f"{order}I", start, at + 8)
        body = at + 12
    else:
        (size,) = struct.unpack_from(f"{order}I", start, at + 4)
    return ((group, element), body + size) if size <= _MOST_FIRST else None


def read_header(path: Path, tags: tuple[str | int, ...]) -> "Dataset":
    """The elements of some keywords or tags, without pixels.

    Raises:
        ScanError: pydicom isn't installed, or the file inflates beyond `MOST_INFLATED`.
        Exception: The file is damaged.
    """
    return _read(path, tags)


def read_whole(path: Path) -> "Dataset":
    """All elements, pixels too; errors as of `read_header`, and ScanError for a huge file."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise wrong("file", expected=f"at most {MOST_BYTES} bytes", received=size)
    return _read(path, None)


def _read(path: Path, tags: tuple[str | int, ...] | None) -> "Dataset":
    require_pydicom()
    import pydicom
    from pydicom.tag import Tag

    with path.open("rb") as opened, quiet():
        file = cast(BinaryIO, _WithinFile(opened, path.stat().st_size))
        only = None if tags is None else [Tag(each) for each in tags]
        return pydicom.dcmread(
            file, force=True, stop_before_pixels=tags is not None, specific_tags=only
        )


def require_pydicom() -> None:
    """Raise ScanError, with the command that installs it, where pydicom isn't there."""
    if importlib.util.find_spec("pydicom") is None:
        raise ScanError(f"file: expected pydicom to read DICOM with, received none; say: {INSTALL}")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Neither warnings nor log lines of pydicom and its plugins."""
    log = logging.getLogger("pydicom")
    disabled, log.disabled = log.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = disabled


class _WithinFile:
    """A file whose reads ask for no more than the file has.

    Python allocates what a read asks for, up to the 4 GB that an element's length may say.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size, self._reads = file, size, 0
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, size: int | None = None) -> bytes:
        self._reads += 1
        if self._reads > MOST_READS:
            raise wrong("file", expected=f"at most {MOST_READS // 2} elements", received="more")
        left = max(0, self._size - self._file.tell())
        if size is not None and size >= 0:
            return self._file.read(min(size, left))
        rest = self._file.read(left)
        _require_little(rest)  # pydicom reads the rest of a file only to inflate it
        return rest


def _require_little(deflated: bytes) -> None:
    """Raise ScanError where deflated bytes become more than `MOST_INFLATED`."""
    inflating, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while deflated and not inflating.eof:
        size += len(inflating.decompress(deflated, 2**20))
        if size > MOST_INFLATED:
            raise wrong("file", expected=f"at most {MOST_INFLATED} bytes inflated", received="more")
        deflated = inflating.unconsumed_tail
