"""Locks that their holder loses when it dies, on file systems without locks, too.

The system's own lock ends with its process. A marker beside it (`djd.markers`) names the holder,
and stands in where the file system refuses locks: Lustre without flock, NFS without lockd, drives
such as Colab's.
"""

import errno
import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from djd.errors import InputError
from djd.heartbeats import claim, give_back
from djd.markers import (
    UNKNOWN,
    Holder,
    lives,
    markers,
    read_marker,
    seconds_for_earlier_start,
    stale_after,
)
from djd.wording import in_words

SECONDS_TO_TRY = 0.5
"""Longer than `holder_of` holds a lock."""

_SECONDS_BETWEEN_TRIES = 0.05
_SECONDS_WITHOUT_A_LINE = 2.0
_PATIENCE = 120.0  # with a living holder, beyond the time after which a dead one's marker is void

_REFUSED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}

_said_of: set[int] = set()
"""File systems of which a line has said that they refuse locks."""

_log = logging.getLogger("djd")


@dataclass(frozen=True)
class _Held:
    system: BaseFileLock | None
    marker: Path | None

    def release(self) -> None:
        if self.marker:
            give_back(self.marker)
        if self.system:
            self.system.release()


@contextmanager
def try_lock(path: Path, *, seconds: float = SECONDS_TO_TRY) -> Iterator[bool]:
    """Try to hold the lock of a file in an existing folder; yields whether it is held.

    A marker of an earlier start of this process's job is waited for until it is void.
    """
    deadline = time.monotonic() + seconds + seconds_for_earlier_start(path)
    while not (held := _take(path)) and time.monotonic() < deadline:
        _pause()
    try:
        yield held is not None
    finally:
        if held:
            held.release()


@contextmanager
def wait_for_lock(path: Path, *, patience: float | None = None) -> Iterator[None]:
    """Hold the lock of a file; a longer wait prints the holder's name.

    Raises:
        InputError: Another living process keeps the lock for `patience` seconds, by default two
            minutes, beyond `stale_after`.
    """
    began, said = time.monotonic(), False
    patience = _PATIENCE if patience is None else patience
    while not (held := _take(path)):
        waited = time.monotonic() - began
        if waited > _SECONDS_WITHOUT_A_LINE and not said:
            _log.warning("waiting for %s, which %s holds", path, holder_of(path) or UNKNOWN)
            said = True
        if waited > stale_after() + patience:
            raise InputError(
                f"{path}: expected a lock that comes free, received one that "
                f"{holder_of(path) or UNKNOWN} has held for {in_words(waited)}; end that process"
            )
        _pause()
    try:
        yield
    finally:
        held.release()


def holder_of(path: Path) -> Holder | None:
    """Who holds the lock of a file now, or None."""
    beside = markers(path)
    if not beside and not path.exists():
        return None
    by_system = False
    try:
        if path.exists() and (system := _take_system_lock(path)):
            system.release()
            by_system = True
    except Timeout:
        return next(filter(None, map(read_marker, beside)), UNKNOWN)
    except OSError:  # a folder that only others may write to
        pass
    living = (each for each in beside if lives(each, by_system=by_system))
    return next((read_marker(each) or UNKNOWN for each in living), None)


def remove_lock(path: Path) -> None:
    """Remove a lock that nobody needs any more; a marker that is still there is its holder's."""
    with suppress(OSError):  # Windows removes no file that another process has open
        path.unlink(missing_ok=True)


def _take(path: Path) -> _Held | None:
    """The lock, held; None where another process holds it."""
    try:
        system = _take_system_lock(path)
    except Timeout:
        return None
    try:
        marker = claim(path, by_system=system is not None)
    except OSError:
        if system is None:
            raise
        return _Held(system, None)  # a full disk: the marker would only name the holder
    if marker is None and system:
        system.release()
    return _Held(system, marker) if marker else None


def _take_system_lock(path: Path) -> BaseFileLock | None:
    """The system's lock, held; None where the file system refuses locks.

    Raises:
        Timeout: Another process holds it.
    """
    lock = FileLock(path, timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except OSError as error:
        if isinstance(error, Timeout) or error.errno not in _REFUSED:
            raise
        _say_refused(path.parent, error)
        return None
    return lock


def _say_refused(folder: Path, error: OSError) -> None:
    """Warn once for each file system."""
    if (device := folder.stat().st_dev) not in _said_of:
        _said_of.add(device)
        _log.warning(
            "warning: the file system of %s has no locks (%s): marker files stand in, and those of "
            "a lost machine are void after %s (paths.stale_after)",
            folder,
            error.strerror,
            in_words(stale_after()),
        )


def _pause() -> None:
    time.sleep(_SECONDS_BETWEEN_TRIES * (0.5 + random.random()))  # two don't go on in step
