"""The owner of a sweep's tasks in a Ray cluster, and what a task does on its node.

Ray gets all of this by value: a node finds the software by the folders that a job names. So nothing
here may need another module of the software before those folders are known.
"""

import asyncio
import os
import pickle
import sys
import time
import zlib
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import (
    OutOfMemoryError,
    RayError,
    RayTaskError,
    TaskCancelledError,
    TaskUnschedulableError,
    WorkerCrashedError,
)

SECONDS_TO_LEAVE = 30
"""How long a desk without work waits for questions."""

State = tuple[str, Any]
"""`waits`, `runs`, `cancelled`, `ended` with pickled endings; `crashed`, where the job itself took
its process down again and again, or else `lost`, both with a reason if there is one."""


class Desk:
    """An actor that submits the jobs of a sweep, so that they outlive the command.

    Ray ends a task with its owner. This one ends itself once its jobs have ended and nobody asks.
    """

    def __init__(self) -> None:
        self._states: dict[str, State] = {}
        self._jobs: dict[str, tuple[bytes, Sequence[str]]] = {}
        self._waiting: deque[str] = deque()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tasks: dict[str, Any] = {}
        self._asked = time.monotonic()
        self._most, self._retries = 1, 0
        self._options: dict[str, Any] = {}
        self._leaving: asyncio.Task[None] | None = None
        self._work = ray.remote(carry_out)

    async def submit(
        self,
        jobs: Mapping[str, bytes],
        path: Sequence[str],
        *,
        most: int | None,
        retries: int,
        options: Mapping[str, Any],
    ) -> None:
        """Take jobs.

        Args:
            jobs: Each pickled and compressed, by name: 50 kB of Hydra's state come to a fifth.
            path: Folders of modules, which a node needs to read a job.
            most: Jobs at a time; None for as many as Ray has room for.
            retries: How often a job is launched again whose worker process was lost.
            options: Of a task, such as `num_cpus`.
        """
        self._most, self._retries, self._options = most or sys.maxsize, retries, dict(options)
        for name, job in jobs.items():
            self._jobs[name], self._states[name] = (job, path), ("waits", None)
            self._waiting.append(name)
        self._fill()
        self._asked = time.monotonic()
        self._leaving = self._leaving or asyncio.create_task(self._leave())

    async def look(self, names: Collection[str]) -> dict[str, State]:
        """The state of each of the jobs that this desk knows."""
        self._asked = time.monotonic()
        return {name: self._states[name] for name in names if name in self._states}

    async def begin(self, name: str) -> None:
        """A node has begun with a job."""
        if self._states[name][0] == "waits":
            self._states[name] = ("runs", None)

    async def cancel(self, names: Collection[str] | None = None) -> list[str]:
        """End jobs, or all: their names. Cells keep their last epochs, which takes a while."""
        names = list(self._states if names is None else names)
        for name in names:
            if name in self._waiting:
                self._waiting.remove(name)
                self._states[name] = ("cancelled", None)
            elif task := self._tasks.get(name):
                ray.cancel(task, force=False)
        return names

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._most:
            name = self._waiting.popleft()
            self._running[name] = asyncio.create_task(self._see_through(name))

    async def _see_through(self, name: str) -> None:
        for _ in range(self._retries + 1):
            self._states[name] = ("waits", None)
            state, again = await self._carry_out(name)
            if not again:
                break
        self._states[name] = state
        del self._running[name], self._jobs[name]
        self._tasks.pop(name, None)
        self._fill()

    async def _carry_out(self, name: str) -> tuple[State, bool]:
        """How a task ends, and whether its process was lost, which may be anyone's fault."""
        here = ray.get_runtime_context().current_actor
        try:
            task = self._work.options(max_retries=0, name="djd", **self._options)
            self._tasks[name] = called = task.remote(here, name, *self._jobs[name])
            return ("ended", await called), False
        except TaskCancelledError:
            return ("cancelled", None), False
        except OutOfMemoryError:
            return ("lost", "its node ran out of memory; say hydra.launcher.memory_gb"), False
        except RayTaskError as error:
            cause = error.cause
            return ("lost", f"its job failed on a node: {type(cause).__name__}: {cause}"), False
        except TaskUnschedulableError as error:
            return ("lost", str(error)), False
        except WorkerCrashedError:
            times = self._retries + 1
            return ("crashed", f"the process of Ray that ran it was lost {times} times"), True
        except RayError:  # a lost node, for one
            return ("lost", None), False
        except Exception as error:  # of Ray's own code; the job would wait for ever
            return ("lost", f"{type(error).__name__}: {error}"), False

    async def _leave(self) -> None:
        while self._running or time.monotonic() - self._asked < SECONDS_TO_LEAVE:
            await asyncio.sleep(1)
        ray.kill(ray.get_runtime_context().current_actor)


def carry_out(desk: Any, name: str, job: bytes, path: Sequence[str]) -> bytes:
    """On a node: make the calls of a job; their pickled endings."""
    desk.begin.remote(name)
    sys.path += [each for each in path if each not in sys.path]
    if not ray.get_gpu_ids():  # Ray leaves all GPUs visible to a task that asked for none
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    with _without_main():
        return pickle.dumps(pickle.loads(zlib.decompress(job)).run())


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide Ray's main module: processes of Python's would import it again, which takes seconds."""
    main = sys.modules["__main__"]
    file = main.__dict__.pop("__file__", None)
    try:
        yield
    finally:
        if file is not None:
            main.__dict__["__file__"] = file
