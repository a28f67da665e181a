"""Files that say who holds a lock, for file systems that have no locks.

A holder writes its marker again every few seconds, its heartbeat. A marker whose process is gone is
void at once; one of another machine is void after `use_stale_after` seconds without a heartbeat.

Markers are taken over without a race: whoever finds only void ones makes the one with the next
number, which the file system gives to one process alone, looks again, and withdraws where another
living marker is there. Void markers are removed by the holder of a newer one. The soft locks of
filelock 4.2 take nothing over on file systems that can't exchange two names, NFS for one.
"""

import _thread
import json
import logging
import os
import platform
import secrets
import signal
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from djd.errors import DriveError
from djd.files import read_bytes
from djd.machine import process_lives, process_start, this_boot

BEAT_SECONDS = 10.0
"""Between heartbeats; less where five of them take longer than markers need to be stale."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    Attributes:
        host: The machine's name; empty where it has none.
        boot: The machine's boot and the process's namespace: numbers of processes count there only.
        pid: The process's number; 0 where the holder is unknown.
        started: When the process started, since numbers come again; empty where unknown.
        token: Of this one marker.
        by_system: Whether the holder has the system's lock, too.
    """

    host: str
    boot: str
    pid: int
    started: str
    token: str
    by_system: bool

    def __str__(self) -> str:
        """Process and machine, for a sentence."""
        return (
            f"process {self.pid} on {self.host or 'a machine without a name'}"
            if self.pid
            else "another process"
        )


UNKNOWN = Holder("", "", 0, "", "", by_system=False)

_stale_after = [600.0]
_held: dict[Path, Holder] = {}
"""Markers of this process."""
_guard = threading.Lock()
"""Keeps heartbeats from markers that come or go."""
_beating: list[threading.Thread] = []
_seen: dict[Path, tuple[float, float]] = {}
"""Time of each foreign marker's last heartbeat, and since when this process has seen it."""
_ahead: dict[Path, float] = {}
"""Seconds by which a folder's clock is ahead of this machine's."""


def use_stale_after(seconds: float) -> None:
    """Take, in all of this process, a marker without a heartbeat for void after so many seconds."""
    _stale_after[:] = [seconds]


def stale_after() -> float:
    """Seconds without a heartbeat after which a marker is void."""
    return _stale_after[0]


def markers(lock: Path) -> list[Path]:
    """The markers of a lock's file, the newest first: `.lock.2`, `.lock.1`."""
    try:
        beside = [each for each in lock.parent.iterdir() if each.stem == lock.name]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(filter(_number, beside), key=_number, reverse=True)


def _number(marker: Path) -> int:
    number = marker.suffix[1:]
    return int(number) if number.isdecimal() else 0


def claim(lock: Path, *, by_system: bool) -> Path | None:
    """Make this process's marker; None where another process holds the lock.

    `by_system`: this process has the system's lock, so nobody else can have it.

    Raises:
        OSError: The marker can't be written.
    """
    void = markers(lock)
    if any(lives(each, by_system=by_system) for each in void):
        return None
    marker = lock.with_name(f"{lock.name}.{max(map(_number, void), default=0) + 1}")
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
    if not (_beating and _beating[0].is_alive()):  # a forked process has no threads
        _beating[:] = [threading.Thread(target=_beat, name="djd-locks", daemon=True)]
        _beating[0].start()
    return marker


def _make(marker: Path, *, by_system: bool) -> None:
    pid, token = os.getpid(), secrets.token_hex(8)
    mine = Holder(platform.node(), this_boot(), pid, process_start(pid), token, by_system)
    with _guard, marker.open("xb", buffering=0) as file:
        try:
            file.write(_as_bytes(mine))
        except OSError:  # a full disk
            marker.unlink(missing_ok=True)
            raise
        _held[marker] = mine


def give_back(marker: Path) -> None:
    """Remove a marker of this process, unless another process has taken over."""
    with _guard, suppress(OSError):
        if (mine := _held.pop(marker, None)) and marker.read_bytes() == _as_bytes(mine):
            marker.unlink()


def lives(marker: Path, *, by_system: bool) -> bool:
    """Whether a marker's holder holds the lock; `by_system` as for `claim`."""
    written, holder = _written(marker), read_marker(marker)
    if written is None or (holder and holder.by_system and by_system):
        return False
    alive = _process_lives(holder)
    return alive if alive is not None else not _is_stale(marker, written)


def silence(marker: Path) -> float:
    """Seconds for which a holder on another machine has missed its heartbeats, or 0.

    A heartbeat from the future is none: some machine's clock was wrong.
    """
    written = None if _process_lives(read_marker(marker)) else _written(marker)
    seconds = 0.0 if written is None else abs(_now_in(marker.parent) - written)
    return seconds if seconds > 3 * _seconds_between_beats() else 0.0


def read_marker(marker: Path) -> Holder | None:
    """A marker's holder; None where the marker is gone, or being written.

    Raises DriveError as `read_bytes`: nobody waits for a marker that the drive doesn't give.
    """
    try:
        holder = Holder(**json.loads(read_bytes(marker)))
        return holder if 0 < holder.pid < 2**31 else None
    except (OSError, ValueError, TypeError):
        return None


def _as_bytes(holder: Holder) -> bytes:
    return json.dumps(asdict(holder)).encode()


def _written(marker: Path) -> float | None:
    """Time of the last heartbeat by the folder's clock; None where no marker is there any more."""
    try:
        # NFS asks the server when a file is opened, and remembers a bare stat for up to a minute.
        with marker.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime
    except (FileNotFoundError, IsADirectoryError):
        return None
    except PermissionError:  # another user's
        return marker.stat().st_mtime


def _is_stale(marker: Path, written: float) -> bool:
    """By the folder's clock; or, whatever clocks say, after so long a silence in this process."""
    now = time.monotonic()
    before = _seen.get(marker)
    if before is None or before[0] != written:
        before = _seen[marker] = (written, now)
    return max(_now_in(marker.parent) - written, now - before[1]) >= _stale_after[0]


def _now_in(folder: Path) -> float:
    """The time by the clock that a folder's files are dated with: two machines' clocks differ."""
    if folder not in _ahead:
        _ahead[folder] = 0.0
        fresh = folder / f".clock.{secrets.token_hex(4)}"
        with suppress(OSError):  # a folder that only others may write to
            fresh.touch()
            _ahead[folder] = fresh.stat().st_mtime - time.time()
            fresh.unlink()
    return time.time() + _ahead[folder]


def _process_lives(holder: Holder | None) -> bool | None:
    """Whether a holder's process lives; None where this machine can't know."""
    if holder is None or holder.boot != this_boot():
        return None
    if holder.pid == os.getpid():
        return holder in _held.values()
    return process_lives(holder.pid, holder.started)


def _seconds_between_beats() -> float:
    return min(BEAT_SECONDS, _stale_after[0] / 5)


def _beat() -> None:
    while True:
        time.sleep(_seconds_between_beats())
        for marker in list(_held):
            with _guard, suppress(OSError, DriveError):  # the next beat may reach the drive
                if (mine := _held.get(marker)) and not _write_again(marker, mine):
                    _stop(marker)
                    del _held[marker]


def _write_again(marker: Path, mine: Holder) -> bool:
    """Renew a marker's time, by writing: not every drive takes a time that is set.

    Returns whether the lock is still this process's.
    """
    try:
        with marker.open("r+b") as file:
            if file.read() == _as_bytes(mine):
                file.seek(0)
                file.write(_as_bytes(mine))
                return True
    except FileNotFoundError:
        with suppress(FileExistsError), marker.open("xb") as file:
            file.write(_as_bytes(mine))
            return True
    return mine.by_system


def _stop(marker: Path) -> None:
    """Stop this process's training: another process has taken over, and both would write."""
    logging.getLogger("djd").error(
        "%s: this process was silent for so long that %s took over; this process stops",
        marker.parent,
        read_marker(marker) or UNKNOWN,
    )
    if hasattr(signal, "pthread_kill"):  # ends a sleep, too
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    else:
        _thread.interrupt_main(signal.SIGTERM)


def _forget() -> None:
    """In a forked process: the parent's locks are not the child's."""
    global _guard
    _guard = threading.Lock()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
