"""Calls on a cluster, watched from the machine that leads, which may leave and come back."""

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from djd.errors import InputError
from djd.files import is_there
from djd.machine import Stopped
from djd.runs.folder import ERROR_NAME, RESULT_NAME, is_locked, record_loss
from djd.runs.summary import say
from djd.sweeps.cells import Job
from djd.sweeps.node import NodeJob
from djd.sweeps.processes import Ending, Watcher
from djd.sweeps.queue import Cluster, Ended, Queue
from djd.wording import count_of

JOB_SECONDS = 600
"""Expected time of a job of several cells: each imports PyTorch, which takes seconds."""

CALLS = 3
"""How often a call by itself is made whose job is lost."""


def cells_in_a_job(jobs: Sequence[Job], *, at_once: int, max_jobs: int) -> int:
    """How many cells make a job of `JOB_SECONDS`, as long as that leaves a job for each place."""
    seconds = max(1.0, sum(job.seconds for job in jobs) / len(jobs))
    for_time = round(JOB_SECONDS / seconds) * at_once
    return max(at_once, min(for_time, -(-len(jobs) // max_jobs)))


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
    """Make one call on a cluster, again where its job is lost, and wait for its value.

    Raises:
        InputError: The call failed, or its job was lost each time.
    """
    reason = "it was lost"
    for _ in range(CALLS):
        (name,) = chain.from_iterable(cluster.submit([job]))
        ended = _wait_for(cluster, name)
        (ending,) = ended.endings or [None]
        if ending and not ending.reason:
            return ending.value
        reason = (ending and ending.reason) or ended.reason or reason
        if ending or ended.of != "none":
            break
    raise InputError(f"job {name} of {cluster.name}: {reason}")


def _wait_for(cluster: Cluster, name: str) -> Ended:
    try:
        while not isinstance(look := cluster.look([name]).get(name), Ended):
            time.sleep(cluster.seconds_between_looks)
    except Stopped:
        say(f"1 job of {cluster.name}: {cluster.how_to_end([name])}")
        raise
    return look


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

        Where none had begun it is laid to all. The job of an earlier command may have other cells
        beside those of the batch.
        """
        if len(ended.endings) == len(batch):
            for index, ending in zip(batch, ended.endings, strict=True):
                if ending:
                    self.end(index, ending)
        for index in self.left(batch):
            self._end_by_files(index)
        left = self.left(batch)
        if ended.reason:
            begun = [index for index in left if index in self.begun][: self.at_once]
            ran = begun or (left[: self.at_once] if ended.of == "ran" else left)
            for index in left if ended.of == "all" else ran:
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
