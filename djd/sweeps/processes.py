"""Calls in processes of their own, a few at a time; a process that dies stops no other."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

from djd.machine import Stopped, die_with_parent, stop_on_signals

SECONDS_BETWEEN_LOOKS = 0.5  # between calls of a watcher while nothing ends
SECONDS_TO_STOP = 30  # for stopped work to write its last finished epoch


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
            return f"its process ended with status {self.exit_code}"
        name = signal.Signals(-self.exit_code).name
        hints = {
            "SIGKILL": "killed (SIGKILL), perhaps by the system for want of memory",
            "SIGSEGV": "its process crashed: segmentation fault (SIGSEGV)",
        }
        return hints.get(name, f"its process was ended by {name}")


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
class _Running:
    index: int
    slot: int
    process: BaseProcess
    receiver: Connection
    sent: tuple[Any, str | None] | None = None

    def listen(self) -> None:
        """Take the value or error of the call, if there is one; nothing where the process died."""
        try:
            if self.sent is None and self.receiver.poll():
                self.sent = self.receiver.recv()
        except (EOFError, OSError):
            self.sent = (None, None)

    def ending(self) -> Ending:
        self.process.join()
        self.listen()
        self.receiver.close()
        exit_code = self.process.exitcode
        self.process.close()
        return Ending(1 if exit_code is None else exit_code, *(self.sent or (None, None)))


def run_in_processes(
    work: Callable[..., Any],
    arguments: Sequence[tuple[Any, ...]],
    *,
    at_once: int,
    watcher: Watcher | None = None,
) -> list[Ending | None]:
    """Call `work` with each of the arguments, each call in a process of its own.

    However this function ends, no process stays behind: processes get SIGTERM, then SIGKILL.

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
    running: list[_Running] = []
    endings: list[Ending | None] = [None] * len(arguments)
    try:
        while waiting or running:
            while waiting and slots:
                index, call = waiting.popleft()
                running.append(_start(context, work, call, index=index, slot=slots.pop(0)))
                watcher.started(index)
            go_on = True
            for done in _wait(running):
                running.remove(done)
                slots.append(done.slot)
                endings[done.index] = ending = done.ending()
                go_on &= watcher.ended(done.index, ending)
            if not go_on:
                break
            watcher.look()
    finally:
        _stop(running)
    return endings


def _context() -> BaseContext:
    """A fork server on Linux; elsewhere forking beside threads of system libraries isn't safe."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["djd.sweeps.preload"])
    return context


def _start(
    context: BaseContext, work: Callable[..., Any], call: tuple[Any, ...], *, index: int, slot: int
) -> _Running:
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(  # type: ignore[attr-defined]
        target=_serve, args=(work, call, slot, sender), daemon=True
    )
    process.start()
    sender.close()
    return _Running(index, slot, process, receiver)


def _wait(running: Sequence[_Running]) -> list[_Running]:
    """Processes that have ended by now; values are received at once, so that no sender waits."""
    sentinels = {each.process.sentinel: each for each in running}
    silent = {each.receiver: each for each in running if each.sent is None}
    ready = multiprocessing.connection.wait([*sentinels, *silent], timeout=SECONDS_BETWEEN_LOOKS)
    for receiver in ready:
        if isinstance(receiver, Connection):
            silent[receiver].listen()
    return [each for sentinel, each in sentinels.items() if sentinel in ready]


def _stop(running: list[_Running]) -> None:
    """End the running processes; each may still write its last finished epoch."""
    for each in running:
        each.process.terminate()
    deadline = time.monotonic() + SECONDS_TO_STOP
    for each in running:
        each.process.join(max(0, deadline - time.monotonic()))
        if each.process.is_alive():
            each.process.kill()
            each.process.join()
        each.receiver.close()
    running.clear()


def _serve(work: Callable[..., Any], call: tuple[Any, ...], slot: int, sender: Connection) -> None:
    """In the new process: call, send the value or error, and exit."""
    die_with_parent()
    exit_code = 0
    try:
        with stop_on_signals():
            deal_gpu(slot)
            sender.send((work(*call), None))
    except Stopped as stop:
        exit_code = stop.exit_status
    except BaseException as error:
        exit_code = 1
        sender.send((None, f"{type(error).__name__}: {error}".splitlines()[0]))
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(exit_code)  # taking torch down would take another second


def deal_gpu(slot: int) -> None:
    """Leave this process one of several GPUs; `slot` counts the concurrent processes from 0."""
    import torch

    count = torch.cuda.device_count()
    if count > 1:
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        devices = seen.split(",") if seen else [str(device) for device in range(count)]
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[slot % count]
