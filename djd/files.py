"""Writing files so that no file is ever half written, reading from drives that fail, and paths."""

import errno
import json
import os
import re
import secrets
import time
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_cache_path

from djd.errors import DriveError, InputError

Result = TypeVar("Result")

SECONDS_TO_TRY = 5.0
"""Longer than a virus scanner holds a new file; a person's program holds it longer."""

PAUSES = (0.2, 1.0, 3.0)
"""Seconds before another try to read from a drive that failed."""

_DRIVE = ("EIO", "ENXIO", "ENODEV", "ENOTCONN", "ESHUTDOWN", "ESTALE", "ETIMEDOUT", "EREMOTEIO")
_NETWORK = ("ECOMM", "ENOLINK", "ENETDOWN", "ENETUNREACH", "ECONNABORTED", "ECONNRESET")
_HOSTS = ("EHOSTDOWN", "EHOSTUNREACH", "ECONNREFUSED", "ENETRESET")
DRIVE_ERRORS = {getattr(errno, each, None) for each in (*_DRIVE, *_NETWORK, *_HOSTS)} - {None}
"""Numbers of errors that come from a drive or the way to it, not from a file."""

_WINDOWS_DRIVE_ERRORS = {21, 23, 53, 55, 59, 64, 121, 1117, 1167, 1231}  # of winerror.h
_NO_FSYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}

_WRITING = ".writing"


def cache_folder() -> Path:
    """The user's folder for what can be made again.

    Raises:
        InputError: The user has no home, as in some containers.
    """
    try:
        return user_cache_path("djd")
    except RuntimeError as error:
        raise InputError(
            "paths.cache: expected a folder, received none, and this user has no home; say "
            "paths.cache=FOLDER"
        ) from error


def write_whole(path: Path, content: str | bytes | memoryview) -> None:
    """Write a file in one step: beside it, to the disk, then renamed over it.

    Raises:
        OSError: The file can't be written; names `path`, and the earlier file is still whole.
            Other programs that hold the earlier file open on Windows get `SECONDS_TO_TRY`.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    beside = half_written(path)
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            to_the_disk(file.fileno())
        patiently(lambda: beside.replace(path), path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):  # a read-only disk would name the file beside, which nobody knows
            beside.unlink(missing_ok=True)


def half_written(path: Path) -> Path:
    """A new name beside a file, under which it is written; see `remove_half_written`."""
    # Two machines that share a folder may have processes of one number.
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{_WRITING}")


def to_the_disk(file: int) -> None:
    """Wait until an open file is on the disk, where its file system can say so."""
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in _NO_FSYNC:  # some drives in user space have none
            raise


def remove_half_written(folder: Path, *, seconds: float = 3600) -> None:
    """Remove what killed processes left under names of `half_written` so many seconds ago."""
    for path in folder.glob(f".*{_WRITING}"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime >= seconds:
                path.unlink()


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Append one JSON line; lines of several processes don't mix (one write, opened to append)."""
    line = json.dumps(record, ensure_ascii=False) + "\n"
    append_bytes(path, line.encode(errors="backslashreplace"))


def append_bytes(path: Path, data: bytes) -> None:
    """Append to a file in one write."""
    with patiently(lambda: path.open("ab", buffering=0), path) as file:
        file.write(data)


def remove(path: Path) -> None:
    """Remove a file, if it is there; other programs get time to close it, as in `write_whole`."""
    patiently(lambda: path.unlink(missing_ok=True), path)


def move(folder: Path, place: Path) -> None:
    """Rename a folder; other programs get time to close its files, as in `write_whole`."""
    patiently(lambda: folder.rename(place), folder)


def patiently(act: Callable[[], Result], path: Path) -> Result:
    """Do what Windows refuses while another program has a file open, again and again if need be.

    Raises:
        PermissionError: At once where the folder can't be written, else after `SECONDS_TO_TRY`;
            names `path`.
    """
    deadline = time.monotonic() + SECONDS_TO_TRY
    while True:
        try:
            return act()
        except PermissionError as error:
            if not os.access(path.parent, os.W_OK) or _is_read_only(path):
                raise
            if time.monotonic() > deadline:
                reason = "is it open in another program? close it there, and give the command again"
                raise PermissionError(error.errno, reason, str(path)) from error
        time.sleep(0.1)


def _is_read_only(path: Path) -> bool:
    return path.exists() and not os.access(path, os.W_OK)


def read_bytes(path: Path) -> bytes:
    """The content of a file; raises as `tried_again`."""
    return tried_again(path.read_bytes, path)


def is_there(path: Path) -> bool:
    """Whether a file or folder exists; raises as `tried_again` where the drive doesn't say.

    `Path.exists` says False then, from Python 3.14 on.
    """
    try:
        tried_again(path.stat, path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


Written = tuple[int, int, int]
"""Time, length and number of a file, of which one changes with its content."""


def written_when(path: Path) -> Written | None:
    """Whether a file is still what it was; None for a file that isn't there or can't be seen."""
    try:
        there = path.stat()
    except OSError:
        return None
    return there.st_mtime_ns, there.st_size, there.st_ino


def tried_again(read: Callable[[], Result], path: Path) -> Result:
    """The value of `read`, which is called again a few times where the drive fails.

    Raises:
        DriveError: The drive failed each time.
    """
    for pause in (*PAUSES, None):
        try:
            return read()
        except Exception as error:
            reason = drive_failure(error)
            if reason is None:
                raise
            if pause is None:
                raise DriveError(
                    f"{path}: the drive failed while reading ({reason}), which says nothing about "
                    "the file; try again when the drive is back"
                ) from error
            time.sleep(pause)
    raise AssertionError  # the last pause is None


def drive_failure(error: BaseException | None) -> str | None:
    """The reason of an error that is a drive's, not a file's; None for other errors."""
    while error:
        number = error.errno if isinstance(error, OSError) else None
        if found := re.search(r"errno = (\d+)", str(error)):  # HDF5's, under errors of many types
            number = int(found[1])
        if number in DRIVE_ERRORS or getattr(error, "winerror", None) in _WINDOWS_DRIVE_ERRORS:
            return os.strerror(number) if number else str(error)
        error = error.__cause__ or error.__context__
    return None


def as_stored(path: Path) -> Path:
    """A path as far as it is stored, where names differ from those typed in Unicode's form alone.

    macOS stores letters such as those of Korean taken apart (NFD), and keyboards write them whole.
    """
    if str(path).isascii() or os.path.exists(path):  # noqa: PTH110 (of a name too long, no error)
        return path
    stored = Path(path.anchor)
    for name in path.parts[1 if path.anchor else 0 :]:
        stored /= name if os.path.lexists(stored / name) else _stored_name(stored, name)
    return stored


def _stored_name(folder: Path, name: str) -> str:
    typed = unicodedata.normalize("NFC", name)
    with suppress(OSError):
        there = [each.name for each in folder.iterdir()]
        same = [each for each in there if unicodedata.normalize("NFC", each) == typed]
        if len(same) == 1:
            return same[0]
    return name
