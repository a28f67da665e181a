"""Calls in processes of their own, a few at a time; a process that dies stops no other."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

from djd.sweeps.worker import VISIBLE_DEVICES, serve
from djd.windows import EXIT_CODES

SECONDS_BETWEEN_LOOKS = 0.5  # between calls of a watcher while nothing ends
SECONDS_TO_STOP = 30  # for stopped work to write its last finished epoch

SIGTERM_ENDS_AT_ONCE = sys.platform == "win32"
"""There `Process.terminate` lets nothing be written."""


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
            return EXIT_CODES.get(status, f"its process ended with status {status}")
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

    def waits_again(self, index: int) -> None:
        """A call that had begun was interrupted, and will be begun once more."""

    def look(self) -> None:
        """Some time has passed."""


_Answer = tuple[Any, str | None, bool | None]
"""Value and error of a call, and whether the process waits for another; None: it died."""

_NO_ANSWER: _Answer = (None, None, None)


@dataclass
class _Worker:
    """A process that serves calls over a pipe; `index` is that of its present call.

    Attributes:
        asking: Its closing asks the worker to stop, where a signal would end it at once.
    """

    slot: int
    process: BaseProcess
    calling: Connection
    asking: Connection
    index: int = -1
    answer: _Answer | None = None

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
            self.answer = _NO_ANSWER

    @property
    def waits(self) -> bool:
        """Whether the process waits for another call."""
        return bool(self.answer and self.answer[2])

    def ending(self) -> Ending:
        if self.waits and self.answer:
            return Ending(0, self.answer[0])
        self.process.join()
        self.listen()
        exit_code = self.process.exitcode
        self.let_go()
        value, error, again = self.answer or _NO_ANSWER
        if again is None and not exit_code:
            error = "its process ended with status 0 before its work was done"
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
    deal_gpus: bool = True,
) -> list[Ending | None]:
    """Call `work` with each of the arguments, each call alone in a process.

    A process of a fork server serves one call. Without a fork server, processes are spawned, which
    takes seconds of imports; each serves one call after the other, until a call fails or imports
    modules of a person's own, whose state could reach the next call's numbers.

    However this function ends, no process stays behind: processes are asked to stop, then killed.

    Args:
        work: A function that a fresh process can import; values and arguments can be pickled.
        arguments: Of each call.
        at_once: Number of calls at a time.
        watcher: May stop all calls.
        deal_gpus: Whether each process sees one of several GPUs, or all of them.

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
            for dead in [each for each in idle if not each.process.is_alive()]:
                idle.remove(dead)
                slots.append(dead.slot)
                dead.let_go()
            while waiting and (idle or slots):
                worker = idle.pop() if idle else _start(context, slots.pop(0), deal_gpus)
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


def _start(context: BaseContext, slot: int, deal_gpus: bool) -> _Worker:
    calls, calling = context.Pipe()
    asked, asking = context.Pipe(duplex=False)
    keep = context.get_start_method() == "spawn"
    # A fork server has the environment of its start: Ray gives each task other devices.
    seen = {name: value for name, value in os.environ.items() if name.endswith(VISIBLE_DEVICES)}
    named = {"slot": slot if deal_gpus else None, "keep": keep, "seen": seen}
    process = context.Process(  # type: ignore[attr-defined]
        target=serve, args=(calling, asked), kwargs=named, daemon=True
    )
    with _without_ctrl_c():
        process.start()
    calling.close()
    asked.close()
    return _Worker(slot, process, calls, asking)


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
