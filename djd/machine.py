"""Cores, memory, signals, processes: the software's requests to its machine."""

import _thread
import contextlib
import ctypes
import hashlib
import itertools
import math
import multiprocessing
import multiprocessing.connection
import os
import platform
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def usable_cores() -> int:
    """Cores that this process may use, by affinity and quota; macOS and Windows have neither."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), _quota())
    return os.cpu_count() or 1


_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def _quota() -> int:
    """Cores in the quotas of this process's control groups, rounded up; many without a quota.

    Version 2 has one tree, version 1 one for processors: docs.kernel.org, cgroup-v2 and sched-bwc.
    """
    cores = [float(sys.maxsize)]
    with contextlib.suppress(OSError, ValueError):
        for line in _OWN_GROUPS.read_text(encoding="utf-8").splitlines():
            _, controllers, group = line.split(":", 2)
            tree = _GROUPS / "cpu" if controllers else _GROUPS
            if controllers and "cpu" not in controllers.split(","):
                continue
            # Of a tree from outside, a container sees its own top alone.
            inner = tree / group.strip("/")
            cores += [_quota_of(each) for each in (inner, *inner.parents)]
    return math.ceil(min(cores))


def _quota_of(group: Path) -> float:
    """Cores in the quota of one control group; infinite without a quota."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        with contextlib.suppress(OSError, ValueError):
            texts = (part for name in names for part in (group / name).read_text().split())
            quota, period = (float(text) for text in texts)  # "max" is no quota
            if quota > 0 < period:
                return quota / period
    return math.inf


@cache
def processor() -> str:
    """The processor's name with a digest of its instructions: in clouds, unlike ones have one name.

    As far as the system reports them.
    """
    said: dict[str, str] = {}
    with contextlib.suppress(OSError), Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        for line in itertools.takewhile(str.strip, lines):  # of the first core
            key, _, value = line.partition(":")
            said[key.strip()] = value.strip()
    instructions = said.get("flags") or said.get("Features") or ""
    name = said.get("model name") or platform.processor()
    return f"{name} {hashlib.sha256(instructions.encode()).hexdigest()[:8]}"


def on_all_cores(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The result of `work` for each item, a thread a core; for work outside the interpreter's lock.

    Linear algebra has one thread in each: further threads wait for each other longer than they
    work, on busy cores four times as long (two cores, 2026-11-25).
    """
    with one_blas_thread(), ThreadPoolExecutor(usable_cores()) as pool:
        return list(pool.map(work, items))


def one_blas_thread() -> AbstractContextManager[object]:
    """A context in which linear algebra has one thread, if all libraries' paths are UTF-8."""
    from threadpoolctl import threadpool_limits  # the import takes 30 ms

    limits: AbstractContextManager[object] = contextlib.nullcontext()
    with contextlib.suppress(UnicodeDecodeError):  # a library may lie below such a home folder
        limits = threadpool_limits(limits=1, user_api="blas")
    return limits


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_MOST = 2**30


def keep_freed_memory() -> bool:
    """Let glibc keep freed memory for the next step; whether the C library has that switch.

    By default each large activation is mapped anew and its pages fault in again, in every step. On
    two cores a step of 32 knees at depth 2 took 72 to 114 ms by the median, and 53 to 55 with
    memory kept; the numbers are the same to the last bit (2026-11-24, two-core x86-64). Other C
    libraries (musl, macOS, Windows) lack the switch.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _MOST) and mallopt(_M_TRIM_THRESHOLD, _MOST))


# Slurm's --signal announces the end of a job's time by SIGUSR; Windows sends SIGBREAK as a window
# is closed.
_NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGBREAK")
_SIGNALS = tuple(signal.Signals[name] for name in _NAMES if hasattr(signal, name))


class Stopped(BaseException):
    """The person, or the system, wants the process to end; no `Exception`, so no handler keeps it.

    Attributes:
        exit_status: 128 plus the signal's number, as in shells.
        folder_argument: Argument of the command line that goes on in the folder; None where
            unknown.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.exit_status = 128 + signal_number
        self.folder_argument: str | None = None


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Raise `Stopped` at the first Ctrl-C, SIGTERM or SIGUSR, and ignore further signals.

    Lightning turns KeyboardInterrupt into exit status 1 and SIGTERM into 0.
    """
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def stop(number: int, frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    for number in _SIGNALS:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_stops() -> None:
    """Ignore in this process, and in those that it starts, all signals of `stop_on_signals`."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def mind_stops() -> None:
    """Let signals of `stop_on_signals` end this process, whose parent ignored them; not Ctrl-C."""
    for number in set(_SIGNALS) - {signal.SIGINT}:
        signal.signal(number, signal.SIG_DFL)


_PR_SET_PDEATHSIG = 1  # of linux/prctl.h


def die_with_parent() -> None:
    """End this process at once when its parent ends, by any signal.

    Linux does so by itself. Elsewhere, and for a process of a fork server (Linux takes the server
    for the parent), a thread waits for the parent's end.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # not Linux
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_die_after, args=(parent.sentinel,), daemon=True).start()


def _die_after(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


@cache
def die_without_parent() -> None:
    """End this process within a second of its parent's end; nothing on Windows.

    For joblib's processes, which otherwise wait five minutes for work: they have no sentinel, and
    any thread may have started them, which Linux then takes for the parent.
    """
    if os.name == "posix":
        threading.Thread(target=_die_without, args=(os.getppid(),), daemon=True).start()


def _die_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt_after(asked: Connection) -> None:
    """Act as at SIGTERM once the other end of a pipe is closed; Windows sends no signals."""

    def wait() -> None:
        multiprocessing.connection.wait([asked])
        while True:  # nothing happens before and after `stop_on_signals`
            _thread.interrupt_main(signal.SIGTERM)
            time.sleep(0.1)

    threading.Thread(target=wait, daemon=True).start()


@cache
def this_boot() -> str:
    """The machine, its boot and the namespace of its processes, by name.

    A process's number means the same process only where all of them are the same.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{platform.node()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux
        return f"{platform.node()} {uuid.getnode()}"


def process_start(process: int) -> str:
    """When a process started, since numbers of processes come again; empty where unknown."""
    return (_state_of(process) or ("", ""))[1]


def process_lives(process: int, started: str) -> bool | None:
    """Whether a process of this boot that started then still lives; None where unknown."""
    if os.name != "posix":  # elsewhere the call below ends the process
        return None
    with contextlib.suppress(PermissionError):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    state = _state_of(process)
    if state is None or not started:
        return None
    return state[0] not in "ZX" and state[1] == started


def _state_of(process: int) -> tuple[str, str] | None:
    """State (Z and X are dead ones) and start of a process, see proc(5); None where unknown."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(errors="replace")
    except OSError:
        return None
    words = text.rpartition(")")[2].split()
    return words[0], words[19]
