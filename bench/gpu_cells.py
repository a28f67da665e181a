"""Cells of the matrix on one GPU, several at a time: cells an hour, memory, the whole matrix."""

import statistics
import time
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from bench.cells import train_cell
from bench.gpu_machine import Machine, epoch_clock
from djd.machine import usable_cores
from djd.sweeps.gpus import cells_at_once
from djd.sweeps.processes import Ending, Watcher, run_in_processes
from djd.wording import listed

MATRIX = {
    "model.depth": ("1", "2", "3"),
    "optim": ("sgd", "momentum", "adagrad", "adam"),
    "optim.lr_times": ("0.1", "1", "10"),
    "data.batch_size": ("16", "32", "64"),
}
"""The axes of `experiment=matrix`, folds and epochs apart."""

AT_A_TIME = {1: 9, 4: 18, 16: 36}
"""Cells of the sample by their number at a time; nine have each depth and batch size once."""

SAMPLE_EPOCHS = 30
"""Of a cell of the sample. Ten of these are validated, as of 100; most are not, and their median is
the time of a further epoch."""

FOLD_CELLS = int(np.prod([len(values) for values in MATRIX.values()]))
FOLDS = 5
LENGTHS = (25, 50, 100)
"""Epochs of the matrix's trainings: an axis, since the default rate follows a schedule."""

LONGEST = 100
SHARE_OF_BEST = 0.95
"""Fewer cells at a time are taken where they bring this share of the best cells an hour."""

GOALS = {FOLD_CELLS: 120, FOLD_CELLS * FOLDS: 600}
"""Seconds of a fold and of all folds, at 100 epochs a cell."""


def sample_of_matrix(count: int) -> list[tuple[str, ...]]:
    """So many cells of one fold, of all shapes alike: depths and batch sizes in turn."""
    shapes = product(MATRIX["model.depth"], MATRIX["data.batch_size"])
    shaped = [(f"model.depth={depth}", f"data.batch_size={size}") for depth, size in shapes]
    fitted = [
        (f"optim={optim}", f"optim.lr_times={times}")
        for optim, times in product(MATRIX["optim"], MATRIX["optim.lr_times"])
    ]
    return [(*shaped[i % len(shaped)], *fitted[i % len(fitted)]) for i in range(count)]


class Found(NamedTuple):
    """What was found with so many cells at a time.

    Attributes:
        cell_seconds: Of a cell of `epochs`, from before its process is started to its end.
        epoch_seconds: Of one more epoch, the median.
        memory: Bytes that a cell took of the GPU at most, its process included; 0 without a GPU.
        tensors: Bytes that PyTorch held for a cell at most.
    """

    at_once: int
    cells: int
    epochs: int
    cell_seconds: float
    epoch_seconds: float
    memory: int
    tensors: int

    def seconds_of(self, epochs: int) -> float:
        """Of a cell of other epochs."""
        return self.cell_seconds + (epochs - self.epochs) * self.epoch_seconds

    def cells_an_hour(self, epochs: int = LONGEST) -> float:
        """While so many run all the time."""
        return 3600 * self.at_once / self.seconds_of(epochs)

    def line(self) -> str:
        """All of it."""
        memory = f"{self.memory / 1e9:.2f} GB of the GPU a cell" if self.memory else "no GPU"
        return (
            f"- {self.at_once} at a time: {self.cells_an_hour():,.0f} cells of {LONGEST} epochs an "
            f"hour, extrapolated from {self.cells} cells of {self.epochs} epochs: "
            f"{self.cell_seconds:.2f} s a cell, {1e3 * self.epoch_seconds:.1f} ms a further epoch; "
            f"{memory}, {self.tensors / 1e9:.2f} GB of it tensors"
        )


def cells(machine: Machine) -> None:
    """Print what was found at each number of cells at a time, and what follows for the matrix."""
    counts = {1: 2, 2: 2} if machine.rehearses else AT_A_TIME
    run_in_processes(abs, [(0,)], at_once=1)  # the first process waits for the fork server
    found: dict[int, Found] = {}
    for at_once, count in counts.items():
        measured = measure(machine, at_once, count)
        if isinstance(measured, str):
            print(measured, flush=True)
            continue
        found[at_once] = measured
        print(measured.line(), flush=True)
        if measured == max(found.values(), key=Found.cells_an_hour):
            print(*predictions(measured), sep="\n", flush=True)
    if found and not machine.rehearses:
        print(recommended(found, free=torch.cuda.mem_get_info()[0]), flush=True)


def predictions(best: Found) -> list[str]:
    """Times of the matrix by extrapolation."""
    lines = []
    for count, goal in GOALS.items():
        seconds = 3600 * count / best.cells_an_hour()
        lines.append(
            f"  - {count} cells of {LONGEST} epochs, {best.at_once} at a time: {seconds:,.0f} s, "
            f"extrapolated (goal: {goal} s)"
        )
    whole = sum(best.seconds_of(epochs) for epochs in LENGTHS) * FOLD_CELLS * FOLDS / best.at_once
    trainings = f"{FOLD_CELLS * FOLDS * len(LENGTHS):,} cells of {listed(list(map(str, LENGTHS)))}"
    return [*lines, f"  - `experiment=matrix`, {trainings} epochs: {whole:,.0f} s, extrapolated"]


def recommended(found: Mapping[int, Found], *, free: int) -> str:
    """The fewest cells at a time that fit and are nearly as fast as the fastest that fit."""
    need = max(1, *(each.memory for each in found.values()))
    most = cells_at_once([free], need, cores=usable_cores())
    speeds = {count: each.cells_an_hour() for count, each in found.items() if count <= most}
    enough = SHARE_OF_BEST * max(speeds.values(), default=0)
    count = min((count for count, speed in speeds.items() if speed >= enough), default=most)
    return f"- by these figures: `hydra.launcher.n_jobs={count}` ({free / 1e9:.0f} GB free)"


def measure(machine: Machine, at_once: int, count: int) -> Found | str:
    """Train so many cells, so many at a time; a sentence where one fails."""
    epochs = machine.few(many=SAMPLE_EPOCHS, few=3)
    fixed = (f"trainer.max_epochs={epochs}", "score_epochs=[]")
    calls = [
        (machine.new_folder(), machine.overrides(*cell, *fixed)) for cell in sample_of_matrix(count)
    ]
    watch = Watch(machine.device)
    endings = run_in_processes(train_timed, calls, at_once=at_once, watcher=watch)
    if failed := [each.reason for each in endings if each and each.reason]:
        return f"- {at_once} at a time: a cell failed: {failed[0]}"
    answers: list[tuple[list[float], int]] = [each.value for each in endings if each]
    return Found(
        at_once,
        count,
        epochs,
        statistics.mean(watch.seconds),
        statistics.median(seconds for each, _ in answers for seconds in each),
        watch.most_held // at_once,
        max(tensors for _, tensors in answers),
    )


def train_timed(folder: Path, overrides: Sequence[str]) -> tuple[list[float], int]:
    """In a process of its own: seconds of each epoch after the first, and bytes that torch held."""
    with epoch_clock() as starts:
        train_cell(folder, overrides)
    held = torch.cuda.max_memory_reserved() if torch.cuda.is_available() else 0
    return [float(each) for each in np.diff(starts)[1:]], held


class Watch(Watcher):
    """Seconds of each cell, and the GPU's memory while they run; ends all where one fails."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.seconds: list[float] = []
        self._began: dict[int, float] = {}
        self._free = self._free_now()
        self.most_held = 0

    def _free_now(self) -> int:
        return torch.cuda.mem_get_info()[0] if self.device == "cuda" else 0

    def started(self, index: int) -> None:
        """Note the time."""
        self._began[index] = time.perf_counter()

    def ended(self, index: int, ending: Ending) -> bool:
        """Note the seconds."""
        self.seconds.append(time.perf_counter() - self._began[index])
        return not ending.reason

    def look(self) -> None:
        """Note the memory that all processes hold."""
        self.most_held = max(self.most_held, self._free - self._free_now())
