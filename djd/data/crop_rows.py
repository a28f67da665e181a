"""Crops of knees on their way into a cohort: in memory, or in a file that is then mapped.

A mapped file takes no memory of a process: its pages belong to the system, which gives them back
where others need memory, and keeps one copy for all processes that map the file.
"""

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from djd.data.crop import CROP_SIZE
from djd.files import to_the_disk

KNEE_SHAPE = (2, CROP_SIZE, CROP_SIZE)
"""View, row, column."""

_DTYPE = np.dtype("<u2")


class CropRows(Protocol):
    """Crops of knees, added one by one: uint16 (view 2, row 128, column 128), counts a pixel."""

    def add(self, crop: NDArray[np.uint16]) -> None:
        """Add the next knee."""

    def all(self) -> NDArray[np.uint16]:
        """The crops of all knees, uint16 (knee, view 2, row 128, column 128); none follows."""


class CropsInMemory:
    """Crops in memory.

    Args:
        room: The most knees. Untouched room takes no memory.
    """

    def __init__(self, room: int) -> None:
        self._crops = np.empty((room, *KNEE_SHAPE), dtype=np.uint16)
        self._knees = 0

    def add(self, crop: NDArray[np.uint16]) -> None:
        """Add the next knee."""
        self._crops[self._knees] = crop
        self._knees += 1

    def all(self) -> NDArray[np.uint16]:
        """See `CropRows`."""
        return self._crops[: self._knees]


class UnwritableError(Exception):
    """A file of crops can't be written: a full disk, or a folder of others."""


class CropsInFile:
    """Crops in a new `.npy` file, written as they come and mapped at the end.

    The context's end closes the file, and removes it after an exception.

    Args:
        path: The file, which does not exist yet.
        kept: Whether the file stays when all is well.

    Raises:
        UnwritableError: The file can't be written, now or later.
    """

    def __init__(self, path: Path, *, kept: bool = True) -> None:
        self._path, self._kept = path, kept
        self._knees = 0
        try:
            self._file = path.open("xb", buffering=0)
            self._write_header()
        except OSError as error:
            raise UnwritableError from error

    def add(self, crop: NDArray[np.uint16]) -> None:
        """Add the next knee."""
        try:
            self._write(crop.astype(_DTYPE, order="C", copy=False).tobytes())
        except OSError as error:
            raise UnwritableError from error
        self._knees += 1

    def all(self) -> NDArray[np.uint16]:
        """See `CropRows`; the array is read-only."""
        try:
            self._file.seek(0)
            self._write_header()
            to_the_disk(self._file.fileno())
            self._file.close()
            return mapped_crops(self._path)
        except OSError as error:
            raise UnwritableError from error

    def _write_header(self) -> None:
        # numpy leaves room in the header for any number of knees.
        about = {"descr": _DTYPE.str, "fortran_order": False, "shape": (self._knees, *KNEE_SHAPE)}
        npy.write_array_header_1_0(self._file, about)

    def _write(self, data: bytes) -> None:
        if self._file.write(data) != len(data):  # the last bytes that a full disk takes
            raise OSError

    def __enter__(self) -> "CropsInFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file, and remove it unless it is kept."""
        with suppress(OSError):  # Windows removes no file that is still mapped
            self._file.close()
            if error or not self._kept:
                self._path.unlink(missing_ok=True)


def mapped_crops(path: Path) -> NDArray[np.uint16]:
    """The crops in a `.npy` file, mapped read-only; the map ends with the last array of it.

    In memory where the file system has no maps.

    Raises:
        OSError, ValueError: The file is missing, cut short, or of something else.
    """
    crops: NDArray[np.uint16]
    try:
        crops = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError:
        crops = np.load(path, allow_pickle=False)
    if crops.dtype != np.uint16 or crops.shape[1:] != KNEE_SHAPE:
        raise ValueError(f"{crops.dtype} {crops.shape}")
    return np.asarray(crops)  # an array like all others, and no `numpy.memmap`
