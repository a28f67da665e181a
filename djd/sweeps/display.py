"""The display of a sweep that trains: a table on a terminal, else a line for each cell."""

import csv
import time
from collections.abc import Sequence
from contextlib import suppress

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from djd.errors import DriveError, InputError
from djd.runs.folder import (
    LOG_NAME,
    METRICS_NAME,
    RESULT_NAME,
    failure_reason,
    record_loss,
    worker_in,
)
from djd.runs.result import RunResult
from djd.sweeps.cells import Job
from djd.sweeps.processes import Ending, Watcher
from djd.wording import in_words, number, share

SECONDS_BETWEEN_PICTURES = 1.0


class JobDisplay(Watcher):
    """Shows which jobs failed and why, and how long the others will take; a context.

    The reason of a job that was killed is left in the job's folder. With `fail_fast` the first
    failure ends all jobs.
    """

    def __init__(
        self, jobs: Sequence[Job], *, at_once: int, fail_fast: bool, console: Console
    ) -> None:
        self.jobs = jobs
        self.at_once = at_once
        self.fail_fast = fail_fast
        self.console = console
        self.finished = self.failed = self.elsewhere = 0
        self._running: dict[int, float] = {}
        self._expected_done = 0.0
        self._began = self._updated = time.monotonic()
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> "JobDisplay":
        """Open the table, on a terminal."""
        if self.console.is_terminal:
            self._live.start()
            self.look()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the table."""
        self._live.stop()

    def started(self, index: int) -> None:
        """A job has begun."""
        self._running[index] = time.monotonic()

    def ended(self, index: int, ending: Ending) -> bool:
        """A job has ended; whether to go on with the others."""
        job = self.jobs[index]
        seconds = time.monotonic() - self._running.pop(index)
        self._expected_done += job.seconds
        if ending.reason:
            record_loss(job.folder, ending.reason)
        failed, worker = False, worker_in(job.folder)  # it may have lost the job to another
        if (job.folder / RESULT_NAME).exists():
            self.finished += 1
            words = f"{_scores(job)} ({in_words(seconds)})"
        elif reason := failure_reason(job.folder) or (not worker and ending.reason):
            failed = True
            self.failed += 1
            words = f"FAILED: {reason} ({job.folder / LOG_NAME})"
        else:
            self.elsewhere += 1
            words = "in another process's hands" + (f" ({worker})" if worker else "")
        if failed or not self.console.is_terminal:
            line = f"[{self._ended} of {len(self.jobs)}] {job.name}: {words}"
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)
        return not (failed and self.fail_fast)

    def waits_again(self, index: int) -> None:
        """A job was interrupted: its machine was needed for another, or is gone."""
        self._running.pop(index, None)

    def look(self) -> None:
        """Update the table, once a second."""
        now = time.monotonic()
        if self._live.is_started and now - self._updated >= SECONDS_BETWEEN_PICTURES:
            self._updated = now
            self._live.update(self._picture(), refresh=True)

    @property
    def _ended(self) -> int:
        return self.finished + self.failed + self.elsewhere

    def _picture(self) -> RenderableType:
        columns = ("running", "epoch", "loss", "validation kappa")
        table = Table(*columns, box=None, padding=(0, 2, 0, 0))
        for index in self._running:
            table.add_row(*_running_row(self.jobs[index]))
        counts = [f"{self.finished} of {len(self.jobs)} done", f"{len(self._running)} running"]
        if self.failed:
            counts.append(f"{self.failed} failed")
        if self.elsewhere:
            counts.append(f"{self.elsewhere} in another process's hands")
        counts.append(f"about {in_words(self._seconds_left())} left")
        bar = ProgressBar(total=len(self.jobs), completed=self._ended, width=40)
        below = Table.grid(padding=(0, 2, 0, 0))
        below.add_row(bar, ", ".join(counts))
        return Group(table, below)

    def _seconds_left(self) -> float:
        """By the pace of the jobs that have ended; before any has, by the expected durations."""
        now = time.monotonic()
        done = self._expected_done
        for index, began in self._running.items():
            done += min(now - began, self.jobs[index].seconds)
        left = max(0.0, sum(job.seconds for job in self.jobs) - done)
        if self._expected_done:
            return left * (now - self._began) / done
        return left / min(self.at_once, len(self.jobs))


def _running_row(job: Job) -> tuple[str, str, str, str]:
    """Name, epoch, loss and validation kappa; each score is the last that a job's metrics hold."""
    rows, path = [], job.folder / METRICS_NAME
    with suppress(OSError), path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return job.name, f"0 of {job.epochs}", "", ""
    columns = ([row.get(key) for row in rows] for key in ("train_loss", "validation_kappa"))
    last = (next(filter(None, reversed(column)), None) for column in columns)
    loss, kappa = (number(float(text) if text else None) for text in last)
    return job.name, f"{rows[-1]['epoch']} of {job.epochs}", loss, kappa


def _scores(job: Job) -> str:
    try:
        result = RunResult.load(job.folder / RESULT_NAME)
    except (InputError, DriveError, OSError) as error:
        return str(error)
    refit = job.kind == "refit"
    part, scored = ("test", result.test) if refit else ("validation", result.validation)
    if not scored:
        return "finished, nothing held out"
    scores = scored[-1].scores
    return f"{part} kappa {number(scores['kappa'])}, accuracy {share(scores['accuracy'])}"
