"""Calls in processes of their own, a few at a time; a process that dies stops no other."""

import contextlib
import gc
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import sysconfig
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from djd.machine import Stopped, die_with_parent, interrupt_after, stop_on_signals

SECONDS_BETWEEN_LOOKS = 0.5  # between calls of a watcher while nothing ends
SECONDS_TO_STOP = 30  # for stopped work to write its last finished epoch

SIGTERM_ENDS_AT_ONCE = sys.platform == "win32"
"""There `Process.terminate` lets nothing be written."""

_WINDOWS_CODES = {
    0xC0000005: "its process crashed: access violation (0xC0000005)",
    0xC0000017: "its process ended for want of memory (0xC0000017)",
    0xC000001D: "its process crashed: illegal instruction (0xC000001D)",
    0xC00000FD: "its process crashed: stack overflow (0xC00000FD)",
    0xC0000135: "its process couldn't start: a DLL is missing (0xC0000135)",
    0xC000013A: "its process was ended by Ctrl-C (0xC000013A)",
    0xC0000142: "its process couldn't start: a DLL failed (0xC0000142)",
    0xC0000374: "its process crashed: damaged memory (0xC0000374)",
    0xC0000409: "its process ended itself: a fault in its memory (0xC0000409)",
}
"""Exit codes of Windows (NTSTATUS)."""


@dataclass(frozen=True)
class Ending:
    """How a call ended.

    Attributes:
        exit_code: 0 where the process came to its end, minus the signal that killed it.
        value: The call's return value.
        error: Type and text of the call's exception, in one line.
    """

    exit_code: int
    value: Any = None
    error: str | None = None

    @property
    def reason(self) -> str | None:
        """Why the call failed, in one line; None where the call succeeded."""
        if self.error or not self.exit_code:
            return self.error
        if self.exit_code > 0:
            status = self.exit_code
            return _WINDOWS_CODES.get(status, f"its process ended with status {status}")
        name = _signal_name(-self.exit_code)
        hints = {
            "SIGKILL": "killed (SIGKILL), perhaps by the system for want of memory",
            "SIGSEGV": "its process crashed: segmentation fault (SIGSEGV)",
        }
        return hints.get(name, f"its process was ended by {name}")


def _signal_name(number: int) -> str:
    with contextlib.suppress(ValueError):  # a real-time signal has no name
        return signal.Signals(number).name
    return f"signal {number}"


class Watcher:
    """Is called at each start and end, and in between; this one does nothing."""

    def started(self, index: int) -> None:
        """A call has begun."""

    def ended(self, index: int, ending: Ending) -> bool:
        """A call has ended; returns whether to go on with the others."""
        return True

    def look(self) -> None:
        """Some time has passed."""


@dataclass
class _Worker:
    """A process that serves calls over a pipe; `index` is that of its present call.

    Attributes:
        asking: Its closing asks the worker to stop, where a signal would end it at once.
        answer: Value and error of the call, and whether the process waits for another call.
    """

    slot: int
    process: BaseProcess
    calling: Connection
    asking: Connection
    index: int = -1
    answer: tuple[Any, str | None, bool] | None = None

    def begin(self, index: int, work: Callable[..., Any], call: tuple[Any, ...]) -> None:
        self.index, self.answer = index, None
        with contextlib.suppress(OSError):  # the worker has just died, which `_wait` finds
            self.calling.send((work, call))

    def listen(self) -> None:
        """Take the value or error of the call, if there is one; nothing where the process died."""
        try:
            if self.answer is None and self.calling.poll():
                self.answer = self.calling.recv()
        except (EOFError, OSError):
            self.answer = (None, None, False)

    @property
    def waits(self) -> bool:
        """Whether the process waits for another call."""
        return self.answer is not None and self.answer[2]

    def ending(self) -> Ending:
        if self.waits and self.answer:
            return Ending(0, self.answer[0])
        self.process.join()
        self.listen()
        exit_code = self.process.exitcode
        self.let_go()
        value, error, _ = self.answer or (None, None, False)
        return Ending(1 if exit_code is None else exit_code, value, error)

    def ask_to_stop(self) -> None:
        if SIGTERM_ENDS_AT_ONCE:
            self.asking.close()
            self.calling.close()  # which an idle worker waits for
        else:
            self.process.terminate()

    def let_go(self) -> None:
        """Forget a process that has ended."""
        self.calling.close()
        self.asking.close()
        self.process.close()


def run_in_processes(
    work: Callable[..., Any],
    arguments: Sequence[tuple[Any, ...]],
    *,
    at_once: int,
    watcher: Watcher | None = None,
) -> list[Ending | None]:
    """Call `work` with each of the arguments, each call in a process that nobody shares with it.

    A process of a fork server serves one call. Without a fork server, processes are spawned, which
    takes seconds of imports; each serves one call after the other, until a call fails or imports
    modules of a person's own, whose state could reach the next call's numbers.

    However this function ends, no process stays behind: processes are asked to stop, then killed.

    Args:
        work: A function that a fresh process can import; values and arguments can be pickled.
        arguments: Of each call.
        at_once: Number of calls at a time.
        watcher: May stop all calls.

    Returns:
        The ending of each call; None for calls that were never started or were stopped.
    """
    context, watcher = _context(), watcher or Watcher()
    waiting = deque(enumerate(arguments))
    slots = list(range(at_once))
    idle: list[_Worker] = []
    running: list[_Worker] = []
    endings: list[Ending | None] = [None] * len(arguments)
    try:
        while waiting or running:
            while waiting and (idle or slots):
                worker = idle.pop() if idle else _start(context, slots.pop(0))
                running.append(worker)
                index, call = waiting.popleft()
                worker.begin(index, work, call)
                watcher.started(index)
            go_on = True
            for done in _wait(running):
                running.remove(done)
                endings[done.index] = ending = done.ending()
                if done.waits:
                    idle.append(done)
                else:
                    slots.append(done.slot)
                go_on &= watcher.ended(done.index, ending)
            if not go_on:
                break
            watcher.look()
    finally:
        _stop([*running, *idle])
    return endings


_LONGEST_SOCKET, _SOCKET_NAME = 107, "/pymp-12345678/listener-12345678"


def _context() -> BaseContext:
    """A fork server on Linux; elsewhere forking beside threads of system libraries isn't safe.

    The server listens at a socket in the temporary folder, whose path Linux limits.
    """
    socket = os.fsencode(tempfile.gettempdir() + _SOCKET_NAME)
    there = sys.platform == "linux" and "forkserver" in multiprocessing.get_all_start_methods()
    with contextlib.suppress(ValueError):  # no such method
        if there and len(socket) <= _LONGEST_SOCKET:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(["djd.sweeps.preload"])
            return context
    return multiprocessing.get_context("spawn")


def _start(context: BaseContext, slot: int) -> _Worker:
    ours, calling = context.Pipe()
    asked, asking = context.Pipe(duplex=False)
    keep = context.get_start_method() == "spawn"
    process = context.Process(  # type: ignore[attr-defined]
        target=_serve, args=(calling, asked), kwargs={"slot": slot, "keep": keep}, daemon=True
    )
    with _without_ctrl_c():
        process.start()
    calling.close()
    asked.close()
    return _Worker(slot, process, ours, asking)


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Start processes that ignore Ctrl-C while they import; Windows has no such mask."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(running: Sequence[_Worker]) -> list[_Worker]:
    """Workers whose call has ended by now; values are received at once: no sender waits."""
    sentinels = [each.process.sentinel for each in running]
    silent = [each.calling for each in running if each.answer is None]
    ready = multiprocessing.connection.wait([*sentinels, *silent], timeout=SECONDS_BETWEEN_LOOKS)
    for each in running:
        if each.calling in ready:
            each.listen()
    return [each for each in running if each.waits or each.process.sentinel in ready]


def _stop(workers: Sequence[_Worker]) -> None:
    """End the processes; each may still write its last finished epoch."""
    for each in workers:
        each.ask_to_stop()
    deadline = time.monotonic() + SECONDS_TO_STOP
    for each in workers:
        each.process.join(max(0, deadline - time.monotonic()))
        if each.process.is_alive():
            each.process.kill()
            each.process.join()
        each.let_go()


def _serve(calling: Connection, asked: Connection, *, slot: int, keep: bool) -> None:
    """In the new process: answer calls, then exit."""
    die_with_parent()
    interrupt_after(asked)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # between calls
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    exit_code, again = 0, True
    while again:
        try:
            with stop_on_signals():
                work, call = calling.recv()
                there_before = set(sys.modules)
                deal_gpu(slot)
                value = work(*call)
                again = keep and not _own_modules(set(sys.modules) - there_before)
                gc.collect()  # closes what the call has left open
                calling.send((value, None, again))
        except (Stopped, EOFError) as stop:
            exit_code, again = getattr(stop, "exit_status", 0), False
        except BaseException as error:
            exit_code, again = 1, False
            calling.send((None, f"{type(error).__name__}: {error}".splitlines()[0], False))
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # None without a console
            stream.flush()
    os._exit(exit_code)  # taking torch down would take another second


_OURS = ("djd", "hydra_plugins", "train")


def _own_modules(names: Iterable[str]) -> list[str]:
    """Modules that are neither this software's nor a library's."""
    others = [name for name in names if name.partition(".")[0] not in _OURS]
    files = {name: getattr(sys.modules[name], "__file__", None) or "" for name in others}
    # `torch.ops` claims a file `_ops.py` that doesn't exist.
    paths = {name: Path(file) for name, file in files.items() if file and Path(file).exists()}
    return [name for name, path in paths.items() if not _is_library(path)]


def _is_library(file: Path) -> bool:
    installed = {"site-packages", "dist-packages"} & {*file.parts}
    return bool(installed) or file.is_relative_to(sysconfig.get_path("stdlib"))


def deal_gpu(slot: int) -> None:
    """Leave this process one of several GPUs; `slot` counts the concurrent processes from 0."""
    import torch

    count = torch.cuda.device_count()
    if count > 1:
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        devices = seen.split(",") if seen else [str(device) for device in range(count)]
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[slot % count]
