"""A cell belongs to one process at a time, and to nobody once that process is dead."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

CLAIM_NAME = ".claim"
"""The lock of a cell, in its folder while the cell isn't finished."""

SECONDS_TO_TRY = 0.5
"""Longer than anyone who only looks whether a cell is claimed holds its lock."""


@contextmanager
def claim(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder, if nobody else does.

    The system takes it back when its process ends, however it ends.

    Args:
        folder: Of the cell; it exists.

    Yields:
        Whether it is held.
    """
    lock = FileLock(folder / CLAIM_NAME)
    try:
        lock.acquire(timeout=SECONDS_TO_TRY, poll_interval=SECONDS_TO_TRY / 10)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def is_claimed(folder: Path) -> bool:
    """Whether some process works in the folder right now."""
    if not (folder / CLAIM_NAME).exists():
        return False
    lock = FileLock(folder / CLAIM_NAME)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    except OSError:  # where one may only read: whoever works there would have to be able to write
        return False
    lock.release()
    return False


def drop_claim(folder: Path) -> None:
    """Remove the lock of a finished cell; whoever still waits for it finds the result."""
    with suppress(OSError):  # Windows removes no file that another process has open
        (folder / CLAIM_NAME).unlink(missing_ok=True)
