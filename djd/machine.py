"""Cores, memory, signals, processes: the software's requests to its machine."""

import contextlib
import ctypes
import multiprocessing
import multiprocessing.connection
import os
import platform
import signal
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def let_waiting_threads_sleep() -> None:
    """Let idle threads of GNU's OpenMP look for work 1,000 times, then sleep; before PyTorch loads.

    By default the threads spin for milliseconds after each piece of work, on cores that others may
    need. Beside one other busy process on two cores a step of two threads took 174 and 19 ms at
    depth 1 in two runs, and 13 in both with this setting; at depth 2 250 and 64 ms, and 57. On
    quiet cores a step takes 7 and 29 ms either way (medians, two-core x86-64, 2026-11-25). A user's
    own setting stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def usable_cores() -> int:
    """Cores that this process may use; all cores on macOS and Windows, which don't say."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def on_all_cores(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The result of `work` for each item, a thread a core; for work outside the interpreter's lock.

    Linear algebra has one thread in each: further threads wait for each other longer than they
    work, on busy cores four times as long (two cores, 2026-11-25).
    """
    from threadpoolctl import threadpool_limits  # the import takes 30 ms

    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(usable_cores()) as pool:
        return list(pool.map(work, items))


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


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
    """Raise `Stopped` at the first Ctrl-C or SIGTERM, and ignore further signals.

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
