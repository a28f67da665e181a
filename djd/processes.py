"""Work in joblib's processes, which end with this process."""

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from djd.errors import InputError
from djd.machine import die_without_parent, keep_freed_memory

Item = TypeVar("Item")
Result = TypeVar("Result")


class LostProcessError(InputError):
    """A process was ended from outside."""


def in_processes(
    work: Callable[[Item], Result], items: Iterable[Item], *, processes: int
) -> Iterator[Result]:
    """The result of `work`, which must pickle, for each item, in order.

    A cell of a sweep, which may start no process, works by itself. No process outlives the last
    result, an error, or the closing of this iterator.

    Raises:
        LostProcessError: A process was ended from outside.
    """
    if multiprocessing.current_process().daemon:
        yield from map(work, items)
        return
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    parallel = Parallel(processes, return_as="generator", batch_size=1, pre_dispatch=2 * processes)
    results: Generator[Result, None, None] | None = None
    try:
        _start_trackers()
        with _deaf_children(), _late_signals():
            results = parallel(map(delayed(partial(_in_process, work)), items))
        for result in results:  # noqa: UP028 - which would close it with a warning
            yield result
    except TerminatedWorkerError:
        raise LostProcessError(
            f"expected {processes} processes to live to the end, received one that was ended from "
            "outside, often for want of memory; give the command again"
        ) from None
    finally:  # also where the command was stopped
        if results:
            _close(results)
        get_reusable_executor().shutdown(wait=True, kill_workers=True)


def _close(results: Generator[Result, None, None]) -> None:
    with warnings.catch_warnings():
        # Of results that nobody took, as after an error of the caller.
        warnings.filterwarnings("ignore", ".*adjusting the input task iterator")
        results.close()


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes started within ignore Ctrl-C, which a terminal sends to all processes of a command.

    Nothing on Windows.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _late_signals() -> Iterator[None]:
    """Signals that stop this process act at the end: during a start they would lose processes."""
    late: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, lambda each, _: late.append(each))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for each in late[:1]:
            signal.raise_signal(each)


def _start_trackers() -> None:
    """Start the trackers, which tidy up after processes: their start unblocks Ctrl-C again."""
    if os.name == "posix":
        from multiprocessing import resource_tracker

        from joblib.externals.loky.backend import resource_tracker as of_joblib

        resource_tracker.ensure_running()
        of_joblib.ensure_running()


def _in_process(work: Callable[[Item], Result], item: Item) -> Result:
    die_without_parent()
    keep_freed_memory()  # an image mapped anew for each scan took 1 of 5 ms of reading
    return work(item)
