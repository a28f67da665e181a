"""Jobs on a cluster: submitted once, watched from the machine that leads, left and found again.

A sweep's `jobs/queue.jsonl` says which job of the cluster has which cells, so that a command that
comes back watches the jobs of the one before, and two commands submit no cell twice.
"""

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from djd.errors import InputError
from djd.files import is_there, read_bytes
from djd.locks import wait_for_lock
from djd.machine import Stopped
from djd.runs.folder import ERROR_NAME, RESULT_NAME, is_locked, record_loss
from djd.runs.summary import say
from djd.sweeps.cells import Job
from djd.sweeps.node import NodeJob
from djd.sweeps.processes import Ending, Watcher
from djd.wording import count_of

JOBS = "jobs"
"""Folder of a sweep's jobs on a cluster: the queue, and what the engine keeps there."""

JOB_SECONDS = 600
"""Expected time of a job of several cells: each imports PyTorch, which takes seconds."""

SECONDS_OF_SILENCE = 300.0
"""How long an engine is asked for the jobs that it has."""

_QUEUE_NAME = "queue.jsonl"


@dataclass(frozen=True)
class Look:
    """A job that the cluster still has."""

    runs: bool


@dataclass(frozen=True)
class Ended:
    """A job that has ended.

    Attributes:
        endings: Of each call; empty where the job was lost.
        reason: Why the job was lost, in one line; None for no fault of its cells, such as a lost
            node.
        of: The cells to which the reason applies: `none` are launched again, those that `ran` are
            at fault, or `all`, where a person has cancelled the job.
    """

    endings: Sequence[Ending | None] = ()
    reason: str | None = None
    of: Literal["none", "ran", "all"] = "none"


class Cluster(Protocol):
    """An engine with a queue of jobs.

    Attributes:
        name: As a person knows it.
        seconds_between_looks: The pause between questions to the engine.
    """

    name: str
    seconds_between_looks: float

    def submit(self, jobs: Sequence[NodeJob]) -> list[str]:
        """Queue jobs; the name of each in the engine. Raises InputError where it refuses them."""

    def look(self, names: Collection[str]) -> Mapping[str, Look | Ended]:
        """The present state of jobs; jobs of which the engine says nothing now are left out."""

    def cancel(self, names: Collection[str]) -> None:
        """End jobs."""

    def how_to_end(self, names: Collection[str]) -> str:
        """What happens to jobs that nobody watches, and how a person ends them; one sentence."""


def cells_in_a_job(jobs: Sequence[Job], *, at_once: int, max_jobs: int) -> int:
    """How many cells make a job of `JOB_SECONDS`, as long as that leaves a job for each place."""
    seconds = max(1.0, sum(job.seconds for job in jobs) / len(jobs))
    for_time = round(JOB_SECONDS / seconds) * at_once
    return max(at_once, min(for_time, -(-len(jobs) // max_jobs)), 1)


@dataclass(frozen=True)
class Queue:
    """The jobs of a sweep on a cluster, in its file.

    Attributes:
        folder: `jobs` of the sweep.
        suspects: Cells that ran when a job ended for an unclear reason; the second time they have
            failed.
    """

    cluster: Cluster
    folder: Path
    suspects: set[str] = field(default_factory=set)

    def submit(
        self, cells: Sequence[str], make: Callable[[Sequence[int]], NodeJob], *, cells_a_job: int
    ) -> dict[str, list[int]]:
        """Submit the cells that no job has, under a lock.

        Args:
            cells: Name of each cell.
            make: The job of cells by their indices.
            cells_a_job: Cells in a new job.

        Returns:
            The indices of cells that each job has, by the job's name in the engine.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with wait_for_lock(self.folder / ".lock"):
            there = self.found(cells)
            taken = {index for batch in there.values() for index in batch}
            left = [index for index in range(len(cells)) if index not in taken]
            batches = [left[at : at + cells_a_job] for at in range(0, len(left), cells_a_job)]
            names = self.cluster.submit([make(batch) for batch in batches]) if batches else []
            with (self.folder / _QUEUE_NAME).open("a", encoding="utf-8") as file:
                for name, batch in zip(names, batches, strict=True):
                    named = [cells[index] for index in batch]
                    line = {"engine": self.cluster.name, "job": name, "cells": named}
                    # A process that died may have left half a line before.
                    file.write("\n" + json.dumps(line, ensure_ascii=False))
        return {**there, **dict(zip(names, batches, strict=True))}

    def found(self, cells: Sequence[str]) -> dict[str, list[int]]:
        """Jobs that the engine still has, with the indices of those cells that they have."""
        index_of = {name: index for index, name in enumerate(cells)}
        batches = {}
        for line in self._lines():
            if line.get("engine") == self.cluster.name:
                batch = [index_of[cell] for cell in line["cells"] if cell in index_of]
                batches[str(line["job"])] = batch
        batches = {name: batch for name, batch in batches.items() if batch}
        looks = self._looks(batches)
        taken: set[int] = set()
        found = {}
        for name, look in looks.items():
            batch = [index for index in batches[name] if index not in taken]
            if isinstance(look, Look) and batch:
                found[name] = batch
                taken.update(batch)
        return found

    def _looks(self, names: Collection[str]) -> Mapping[str, Look | Ended]:
        """The state of each job; a job of which nothing is known would be submitted twice.

        Raises:
            InputError: The engine doesn't answer.
        """
        looks: dict[str, Look | Ended] = {}
        until = time.monotonic() + SECONDS_OF_SILENCE
        while silent := set(names) - looks.keys():
            looks |= self.cluster.look(silent)
            if silent - looks.keys():
                if time.monotonic() > until:
                    raise InputError(
                        f"{self.folder / _QUEUE_NAME}: expected {self.cluster.name} to say which "
                        f"of these jobs it still has, received no answer; give the command again"
                    )
                time.sleep(self.cluster.seconds_between_looks)
        return looks

    def _lines(self) -> Iterator[dict[str, Any]]:
        path = self.folder / _QUEUE_NAME
        if not is_there(path):
            return
        for line in read_bytes(path).decode(errors="replace").splitlines():
            with suppress(ValueError):  # the last line of a process that died
                read = json.loads(line)
                if isinstance(read, dict) and {"job", "cells"} <= read.keys():
                    yield read


def run_on_cluster(
    queue: Queue,
    jobs: Sequence[Job],
    job: NodeJob,
    *,
    cells_a_job: int,
    watcher: Watcher,
) -> list[Ending | None]:
    """Make calls on a cluster, as `run_in_processes` does on one machine.

    Where this process is stopped the jobs go on.

    Args:
        queue: Of the sweep.
        jobs: A cell or refit a call.
        job: With all calls; a job of the cluster has some of them.
        cells_a_job: See `cells_in_a_job`.
        watcher: May stop all calls.

    Returns:
        The ending of each call; None for calls that were stopped or lost.
    """

    def part(batch: Sequence[int]) -> NodeJob:
        calls, folders = [job.calls[each] for each in batch], [jobs[each].folder for each in batch]
        return replace(job, calls=calls, folders=[each.absolute() for each in folders])

    before = {index for index, each in enumerate(jobs) if is_there(each.folder / RESULT_NAME)}
    live = queue.submit([each.name for each in jobs], part, cells_a_job=cells_a_job)
    watch = _Watch(jobs, watcher, before, queue.suspects, at_once=job.at_once)
    return _watched(queue.cluster, live, watch)


def call_on_cluster(cluster: Cluster, job: NodeJob) -> Any:
    """Make one call on a cluster, and wait for its value.

    Raises:
        InputError: The call failed, or its job was lost.
    """
    (name,) = cluster.submit([job])
    while True:
        look = cluster.look([name]).get(name)
        if isinstance(look, Ended):
            break
        time.sleep(cluster.seconds_between_looks)
    (ending,) = look.endings or [None]
    if ending is None or ending.reason:
        reason = ending.reason if ending else look.reason or "it was lost"
        raise InputError(f"job {name} of {cluster.name}: {reason}")
    return ending.value


class _Watch:
    """What is known of calls: begun, ended, and how."""

    def __init__(
        self,
        jobs: Sequence[Job],
        watcher: Watcher,
        before: Collection[int],
        suspects: set[str],
        *,
        at_once: int,
    ) -> None:
        self.jobs, self.watcher, self.at_once, self.suspects = jobs, watcher, at_once, suspects
        self.endings: list[Ending | None] = [None] * len(jobs)
        self.before = set(before)  # results that these calls replace
        self.begun: set[int] = set()
        self.over: set[int] = set()
        self.go_on = True

    def begin(self, index: int) -> None:
        if index not in self.begun:
            self.begun.add(index)
            self.watcher.started(index)

    def end(self, index: int, ending: Ending) -> None:
        self.endings[index] = ending
        if index not in self.over:
            self.begin(index)
            self.over.add(index)
            self.go_on &= self.watcher.ended(index, ending)

    def left(self, batch: Iterable[int]) -> list[int]:
        return [index for index in batch if index not in self.over]

    def look_into(self, batch: Sequence[int]) -> None:
        """Look at the files of a running job's next cells."""
        for index in self.left(batch)[: self.at_once]:
            if not self._end_by_files(index) and is_locked(self.jobs[index].folder):
                self.begin(index)
                self.before.discard(index)

    def _end_by_files(self, index: int) -> bool:
        folder = self.jobs[index].folder
        finished = index not in self.before and is_there(folder / RESULT_NAME)
        if ended := finished or is_there(folder / ERROR_NAME):
            self.end(index, Ending(0))
        return ended

    def close(self, batch: Sequence[int], ended: Ended) -> None:
        """Take the endings of a job; its end is laid to the cells that it was training.

        The job of an earlier command may have other cells beside those of the batch.
        """
        if len(ended.endings) == len(batch):
            for index, ending in zip(batch, ended.endings, strict=True):
                if ending:
                    self.end(index, ending)
        for index in self.left(batch):
            self._end_by_files(index)
        left = self.left(batch)
        if ended.reason:
            for index in left if ended.of == "all" else left[: self.at_once]:
                name = self.jobs[index].name
                if ended.of != "none" or name in self.suspects:
                    record_loss(self.jobs[index].folder, ended.reason)
                    self.end(index, Ending(1, error=ended.reason))
                self.suspects.add(name)
        self.pause(batch)

    def pause(self, batch: Sequence[int]) -> None:
        """Take back what has begun and not ended: the job waits again, or its cells do."""
        for index in self.left(batch):
            if index in self.begun:
                self.begun.discard(index)
                self.watcher.waits_again(index)


def _watched(cluster: Cluster, live: dict[str, list[int]], watch: _Watch) -> list[Ending | None]:
    asked = 0.0
    try:
        while live:
            if time.monotonic() - asked >= cluster.seconds_between_looks:
                for name, look in cluster.look(live).items():
                    if isinstance(look, Ended):
                        watch.close(live.pop(name), look)
                    elif look.runs:
                        watch.look_into(live[name])
                    else:
                        watch.pause(live[name])
                asked = time.monotonic()
            if not watch.go_on:
                cluster.cancel(live)
                break
            watch.watcher.look()
            time.sleep(min(cluster.seconds_between_looks, 0.5) if live else 0)
    except Stopped:
        say(f"{count_of(len(live), 'job')} of {cluster.name}: {cluster.how_to_end(live)}")
        raise
    return watch.endings
