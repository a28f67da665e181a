"""Files that say who holds a lock, for file systems that have no locks.

A holder writes its marker again every few seconds, its heartbeat (`djd.heartbeats`). A marker whose
process is gone is void at once; one of another machine is void after `use_stale_after` seconds
without a heartbeat. No rule compares the clocks of two machines, and none takes a clock that was
set for silence: ages are told by the folder's own clock, and spans by this machine's monotonic one.
"""

import json
import os
import secrets
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from djd.files import read_bytes
from djd.machine import process_lives, this_boot

BEAT_SECONDS = 10.0
"""Between heartbeats; less where five of them take longer than markers need to be stale."""

_MISSED_BEATS = 3
"""Missed by a holder that counts as silent."""


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
        job: The process's job in Slurm; empty where it has none. Versions before this key can't
            read a marker that has it, so it is only written for a job.
        restarts: How often Slurm has started this job again.
    """

    host: str
    boot: str
    pid: int
    started: str
    token: str
    by_system: bool
    job: str = ""
    restarts: int = 0

    def __str__(self) -> str:
        """Process and machine, for a sentence."""
        return (
            f"process {self.pid} on {self.host or 'a machine without a name'}"
            if self.pid
            else "another process"
        )

    def as_bytes(self) -> bytes:
        """The content of the marker."""
        values = asdict(self)
        if not self.job:
            del values["job"], values["restarts"]
        return json.dumps(values).encode()


UNKNOWN = Holder("", "", 0, "", "", by_system=False)

HELD: dict[Path, Holder] = {}
"""Markers of this process."""

_stale_after = [600.0]
_seen: dict[Path, tuple[float, float]] = {}
"""Time of each foreign marker's last heartbeat, and since when this process has seen it."""
_ahead: dict[Path, float] = {}
"""Seconds by which a folder's clock is ahead of this machine's monotonic one."""


def use_stale_after(seconds: float) -> None:
    """Take, in all of this process, a marker without a heartbeat for void after so many seconds."""
    _stale_after[:] = [seconds]


def stale_after() -> float:
    """Seconds without a heartbeat after which a marker is void."""
    return _stale_after[0]


def this_job() -> tuple[str, int]:
    """The job in Slurm that this process belongs to, and how often Slurm has started it again.

    A job that is requeued keeps its name. Empty and 0 outside of Slurm.
    """
    given = os.environ.get
    job = given("SLURM_JOB_ID", "")
    if task := given("SLURM_ARRAY_TASK_ID"):
        job = f"{given('SLURM_ARRAY_JOB_ID', job)}_{task}"
    restarts = given("SLURM_RESTART_COUNT", "")
    name = f"{given('SLURM_CLUSTER_NAME', '')} {job}".strip() if job else ""
    return name, int(restarts) if name and restarts.isdecimal() else 0


def seconds_between_beats() -> float:
    """Seconds between two heartbeats of this process."""
    return min(BEAT_SECONDS, stale_after() / 5)


def markers(lock: Path) -> list[Path]:
    """The markers of a lock's file, the newest first: `.lock.2`, `.lock.1`."""
    try:
        beside = [each for each in lock.parent.iterdir() if each.stem == lock.name]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(filter(number_of, beside), key=number_of, reverse=True)


def number_of(marker: Path) -> int:
    """The number that a marker's name ends with; 0 for another file."""
    number = marker.suffix[1:]
    return int(number) if number.isdecimal() else 0


def lives(marker: Path, *, by_system: bool) -> bool:
    """Whether a marker's holder holds the lock.

    `by_system`: this process has the system's lock, so nobody else can have it.
    """
    written, holder = _written(marker), read_marker(marker)
    if written is None or (holder and holder.by_system and by_system):
        return False
    alive = _process_lives(holder)
    if alive is not None:
        return alive
    after = _seconds_to_be_silent() if _is_earlier_start(holder) else stale_after()
    return not _is_stale(marker, written, after)


def seconds_for_earlier_start(lock: Path) -> float:
    """Seconds until a marker of an earlier start of this process's job is void; 0 without one."""
    earlier = any(_is_earlier_start(read_marker(each)) for each in markers(lock))
    return _seconds_to_be_silent() if earlier else 0.0


def _is_earlier_start(holder: Holder | None) -> bool:
    """Whether a holder is of this process's job, before Slurm started the job again.

    Slurm ends a job before it starts the job again, unless the job's node doesn't answer: such a
    holder may live, so its heartbeats count.
    """
    job, restarts = this_job()
    return bool(holder and job and holder.job == job and holder.restarts < restarts)


def _seconds_to_be_silent() -> float:
    return min(_MISSED_BEATS * seconds_between_beats(), stale_after())


def silence(marker: Path) -> float:
    """Seconds for which a holder on another machine has missed its heartbeats, or 0.

    A heartbeat from the future is none: some machine's clock was wrong.
    """
    written = None if _process_lives(read_marker(marker)) else _written(marker)
    seconds = 0.0 if written is None else abs(_now_in(marker.parent) - written)
    return seconds if seconds > _seconds_to_be_silent() else 0.0


def read_marker(marker: Path) -> Holder | None:
    """A marker's holder; None where the marker is gone, or being written.

    Raises DriveError as `read_bytes`: nobody waits for a marker that the drive doesn't give.
    """
    try:
        values = json.loads(read_bytes(marker))
        known = {each.name for each in fields(Holder)}
        holder = Holder(**{key: value for key, value in values.items() if key in known})
        return holder if 0 < holder.pid < 2**31 else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None


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


def _is_stale(marker: Path, written: float, after: float) -> bool:
    """By the folder's clock; or, whatever clocks say, after so long a silence in this process."""
    now = time.monotonic()
    before = _seen.get(marker)
    if before is None or before[0] != written:
        before = _seen[marker] = (written, now)
    if now - before[1] >= after:
        return True
    # The folder's clock is measured anew: it may have been set since it was first measured.
    return all(_now_in(marker.parent, anew=anew) - written >= after for anew in (False, True))


def _now_in(folder: Path, *, anew: bool = False) -> float:
    """The time by the clock that a folder's files are dated with: two machines' clocks differ."""
    if anew or folder not in _ahead:
        _ahead[folder] = time.time() - time.monotonic()
        fresh = folder / f".clock.{secrets.token_hex(4)}"
        with suppress(OSError):  # a folder that only others may write to
            with fresh.open("xb") as file:
                _ahead[folder] = os.fstat(file.fileno()).st_mtime - time.monotonic()
            fresh.unlink()
    return time.monotonic() + _ahead[folder]


def _process_lives(holder: Holder | None) -> bool | None:
    """Whether a holder's process lives; None where this machine can't know."""
    if holder is None or holder.boot != this_boot():
        return None
    if holder.pid == os.getpid():
        return holder in HELD.values()
    return process_lives(holder.pid, holder.started)
