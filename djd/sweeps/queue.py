"""The queue of a cluster: its engine, and which job has which cells of a sweep.

A sweep's `jobs/queue.jsonl` names the jobs, so that a command that comes back watches the jobs of
the one before, and two commands submit no cell twice.
"""

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from djd.errors import InputError
from djd.files import is_there, read_bytes
from djd.locks import wait_for_lock
from djd.sweeps.node import NodeJob
from djd.sweeps.processes import Ending

JOBS = "jobs"
"""Folder of a sweep's jobs on a cluster: the queue, and what the engine keeps there."""

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

    def submit(self, jobs: Sequence[NodeJob]) -> Iterable[list[str]]:
        """Queue jobs, maybe some at a time; their names in the engine, as soon as they are known.

        All jobs are queued once the caller has all names. Raises InputError where the engine
        refuses them.
        """

    def look(self, names: Collection[str]) -> Mapping[str, Look | Ended]:
        """The present state of jobs; jobs of which the engine says nothing now are left out."""

    def cancel(self, names: Collection[str]) -> None:
        """End jobs."""

    def how_to_end(self, names: Collection[str]) -> str:
        """What happens to jobs that nobody watches, and how a person ends them; one sentence."""


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
            for names in self.cluster.submit([make(batch) for batch in batches]) if batches else ():
                some, batches = dict(zip(names, batches, strict=False)), batches[len(names) :]
                self._write({name: [cells[each] for each in batch] for name, batch in some.items()})
                there |= some
        return there

    def _write(self, batches: Mapping[str, Sequence[str]]) -> None:
        with (self.folder / _QUEUE_NAME).open("a", encoding="utf-8") as file:
            for name, cells in batches.items():
                line = {"engine": self.cluster.name, "job": name, "cells": cells}
                # A process that died may have left half a line before.
                file.write("\n" + json.dumps(line, ensure_ascii=False))

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
