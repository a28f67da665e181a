"""This process's own markers: claimed without a race, kept alive by heartbeats, lost by silence.

Whoever finds only void markers makes the one with the next number, which the file system gives to
one process alone, looks again, and withdraws where another living marker is there. Void markers are
removed by the holder of a newer one. The soft locks of filelock 4.2 take nothing over on file
systems that can't exchange two names, NFS for one.

A holder that was suspended, or cut off from the file system, for longer than `stale_after` looks
for a newer holder before it writes on, and stops where there is one. Between that look and the
write a process may be suspended again: only a file system could refuse the late write.
"""

import _thread
import logging
import os
import platform
import secrets
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

from djd.errors import DriveError
from djd.machine import process_start, this_boot
from djd.markers import (
    HELD,
    UNKNOWN,
    Holder,
    lives,
    markers,
    number_of,
    read_marker,
    seconds_between_beats,
    stale_after,
    this_job,
)

_guard = threading.Lock()
"""Keeps heartbeats from markers that come or go."""
_beating: list[threading.Thread] = []
_beaten: dict[Path, float] = {}
"""Time of the last heartbeat of each of this process's markers, see `_now`."""
_lost: set[Path] = set()
"""Locks that this process lost to another one."""


def claim(lock: Path, *, by_system: bool) -> Path | None:
    """Make this process's marker; None where another process holds the lock.

    `by_system` as for `lives`.

    Raises:
        OSError: The marker can't be written.
    """
    void = markers(lock)
    if any(lives(each, by_system=by_system) for each in void):
        return None
    marker = lock.with_name(f"{lock.name}.{max(map(number_of, void), default=0) + 1}")
    try:
        _make(marker, by_system=by_system)
    except FileExistsError:
        return None
    beside = [each for each in markers(lock) if each != marker]
    if any(lives(each, by_system=by_system) for each in beside):
        give_back(marker)
        return None
    for each in void:
        with suppress(OSError):
            each.unlink()
    _lost.discard(lock)
    if not (_beating and _beating[0].is_alive()):  # a forked process has no threads
        _beating[:] = [threading.Thread(target=_beat, name="djd-locks", daemon=True)]
        _beating[0].start()
    return marker


def _make(marker: Path, *, by_system: bool) -> None:
    pid, token = os.getpid(), secrets.token_hex(8)
    who = platform.node(), this_boot(), pid, process_start(pid), token
    mine = Holder(*who, by_system, *this_job())
    with _guard, marker.open("xb", buffering=0) as file:
        try:
            file.write(mine.as_bytes())
        except OSError:  # a full disk
            marker.unlink(missing_ok=True)
            raise
        HELD[marker], _beaten[marker] = mine, _now()


def give_back(marker: Path) -> None:
    """Remove a marker of this process, unless another process has taken over."""
    with _guard, suppress(OSError):
        if (mine := HELD.pop(marker, None)) and marker.read_bytes() == mine.as_bytes():
            marker.unlink()


def require_held() -> None:
    """Stop this process, as SIGTERM would, where another one took over while it was silent.

    For calls before something is written; without a silence it asks no file system.
    """
    for marker in list(HELD):
        if _is_late(marker):
            _renew(marker)


def was_lost() -> bool:
    """Whether this process lost a lock to another one; its folder is then the other's."""
    return bool(_lost)


def _beat() -> None:
    while True:
        time.sleep(seconds_between_beats())
        for marker in list(HELD):
            _renew(marker)


def _renew(marker: Path) -> None:
    """Renew a heartbeat, or stop where another process has taken over.

    A late holder writes before it looks, and `claim` does so, too: one of both sees the other.
    """
    with _guard, suppress(OSError, DriveError):  # the next beat may reach the drive
        if (mine := HELD.get(marker)) is None:
            return
        there = _write_again(marker, mine)
        newer = None if there and not _is_late(marker) else _other_holder(marker, mine)
        if not (there or newer):
            there = _make_again(marker, mine)
            newer = _other_holder(marker, mine)
        if newer or not (there or mine.by_system):
            if there:
                marker.unlink()
            del HELD[marker]
            _lost.add(marker.with_suffix(""))
            _stop(marker.parent, newer or UNKNOWN)
        _beaten[marker] = _now()


def _write_again(marker: Path, mine: Holder) -> bool:
    """Renew a marker's time, by writing: not every drive takes a time that is set.

    Returns whether the marker was there, and this process's.
    """
    with suppress(FileNotFoundError), marker.open("r+b") as file:
        if file.read() == mine.as_bytes():
            file.seek(0)
            file.write(mine.as_bytes())
            return True
    return False


def _make_again(marker: Path, mine: Holder) -> bool:
    """Make a marker again that a tidy person removed; whether there was none of another process."""
    with suppress(FileExistsError), marker.open("xb") as file:
        file.write(mine.as_bytes())
        return True
    return False


def _other_holder(marker: Path, mine: Holder) -> Holder | None:
    """Another process that holds the lock of this process's marker."""
    for each in markers(marker.with_suffix("")):
        # A system's lock may be lost in silence, too: NFS gives it away after a lease.
        if (holder := read_marker(each)) != mine and lives(each, by_system=False):
            return holder or UNKNOWN
    return None


def _stop(folder: Path, newer: Holder) -> None:
    """Stop this process's training: another process has taken over, and both would write."""
    logging.getLogger("djd").error(
        "%s: this process was silent for so long that %s took over; this process stops",
        folder,
        newer,
    )
    if hasattr(signal, "pthread_kill"):  # ends a sleep, too
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    else:
        _thread.interrupt_main(signal.SIGTERM)


def _now() -> float:
    """Seconds by a clock that nobody sets and that, on Linux, goes on while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _is_late(marker: Path) -> bool:
    return _now() - _beaten.get(marker, 0.0) >= stale_after()
