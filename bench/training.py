"""A training step: ours, a plain loop's, the usual Lightning way's, and its products alone.

    python bench/training.py                                       # both kinds of processor
    python bench/training.py --processors avx2 --recipes default --rounds 31
    python bench/training.py --device cpu      # where there is a GPU, that is measured otherwise

The recipes are the study's network at depth 1, 2 and 3 (the study's own loop is the plain one), and
`python train.py` without keys ("default"). Five loops go in turn, an epoch of 256 knees each, every
one in a process of its own: a plain PyTorch loop with plain layers and a DataLoader; the usual
Lightning way; ours on plain layers; ours, `fit_network` as `train.py` calls it; and convolutions
and matrix products of a step alone, forward and backward, which PyTorch gives to oneDNN. Same
knees, same first weights, same batches.

All loops have as many threads as `python train.py` gives a recipe: one for the default recipe.
A step is an epoch's time from its start to the end of its last step, divided by its steps: batch,
augmentation, optimizer and hooks count. A ratio is of two loops in the same round; the table has
the median and, in brackets, the least of all rounds. "avx2" takes this processor for one without
AVX-512, in all loops: see `bench/processors.py`. Roofline: see `bench/limits.py`. Peak memory is
the process's, libraries and knees included.

2026-11-30, two-core x86-64, quiet, medians of 8 epochs; "here" has AVX-512:

                                           depth 1   depth 2   depth 3   default
    here, times the plain loop                20.1       5.4       5.4       2.5
    here, times ours on plain layers           4.6       2.1       1.8       1.5
    here, over products alone                 0.76      1.00      1.04      1.71
    avx2, times the plain loop                16.1       5.3       3.9       2.1
    avx2, times ours on plain layers           3.6       2.0       1.7       1.3
    avx2, over products alone                 0.57      0.75      0.92      1.42
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # train.py and bench are no parts of the package

from bench.gates import Epoch, Footprint, Task  # noqa: E402
from bench.limits import Machine, least_seconds, serve_limits  # noqa: E402
from bench.loops import (  # noqa: E402
    LAYERS,
    LOOPS,
    OURS,
    PLAIN,
    PRODUCTS,
    USUAL,
    serve,
    serve_differences,
)
from bench.processors import HERE, PROCESSORS, taken_for  # noqa: E402
from bench.recipes import DEFAULT, RECIPES, TRAIN_KNEES, config_of, threads_of  # noqa: E402
from bench.turns import Turns  # noqa: E402
from djd.environment import let_waiting_threads_sleep  # noqa: E402

COMPARED_STEPS = 50
COMPARED_NUMBERS = ((torch.float64, 20), (torch.float32, 5))


class Measured(NamedTuple):
    """Epochs of one loop, but the first, which is slower.

    Attributes:
        losses: Of all steps.
    """

    epochs: list[Epoch]
    losses: list[float]
    footprint: Footprint

    @property
    def steps(self) -> list[float]:
        """Mean seconds of a step, epoch by epoch."""
        return [epoch.step for epoch in self.epochs]


class Result(NamedTuple):
    """Measurements of a task.

    Attributes:
        apart: Largest difference of our losses from the plain loop's, by a description of them.
    """

    task: Task
    loops: dict[str, Measured]
    machine: Machine
    apart: dict[str, float]

    def ratios(self, one: str, other: str) -> list[float]:
        """A step of one loop over a step of another, round by round."""
        pairs = zip(self.loops[one].steps, self.loops[other].steps, strict=True)
        return [first / second for first, second in pairs]


def measure(task: Task) -> Result:
    """Let all loops go in turn, and measure the machine in between."""
    with contextlib.ExitStack() as stack:
        loops = {name: stack.enter_context(closing(_turns(name, task))) for name in LOOPS}
        limits = stack.enter_context(closing(Turns(serve_limits, task.threads, task.device)))
        epochs: dict[str, list[Epoch]] = {name: [] for name in LOOPS}
        machines: list[Machine] = []
        for _ in range(task.rounds):
            for name, loop in loops.items():
                epochs[name].append(loop.ask())
            machines.append(limits.ask())
        measured = {
            name: Measured(
                epochs[name][1:],
                [loss for epoch in epochs[name] for loss in epoch.losses],
                loop.answer(),
            )
            for name, loop in loops.items()
        }
    machine = Machine(*(max(values) for values in zip(*machines, strict=True)))
    return Result(task, measured, machine, differences(task, measured))


def _turns(name: str, task: Task) -> Turns:
    """Ours, and the products that it is held against, have what `train.py` sets; others don't."""
    with patch.dict(os.environ):
        if name in (OURS, LAYERS, PRODUCTS):
            let_waiting_threads_sleep()
        return Turns(serve, name, task)


def differences(task: Task, measured: dict[str, Measured]) -> dict[str, float]:
    """How far our losses are from the plain loop's."""
    apart = {}
    with closing(Turns(serve_differences, task)) as turns:
        for dtype, steps in COMPARED_NUMBERS:
            name = str(dtype).removeprefix("torch.")
            apart[f"{steps} steps in {name}"] = turns.ask((dtype, steps))
    if task.recipe == DEFAULT:  # augmentation draws by the order in memory, which is not the same
        return apart
    theirs, ours = (measured[name].losses[:COMPARED_STEPS] for name in (PLAIN, OURS))
    pairs = zip(theirs, ours, strict=True)
    apart[f"{len(theirs)} steps of the loops"] = max(abs(one - other) for one, other in pairs)
    return apart


# ---- The tables ----

Cell = Callable[[Result], str]


def middle_and_least(values: Sequence[float], digits: int) -> str:
    """The median, and the least in brackets."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f})"


def milliseconds(name: str) -> Cell:
    """A step of a loop."""
    return lambda result: middle_and_least([1e3 * step for step in result.loops[name].steps], 1)


def times(name: str) -> Cell:
    """How many of our steps go into a step of another loop."""
    return lambda result: middle_and_least(result.ratios(name, OURS), 2)


def roofline(result: Result) -> str:
    """Share of our step that its passes would take at the machine's speed."""
    least = least_milliseconds(result)
    share = least / (1e3 * statistics.median(result.loops[OURS].steps))
    return f"{least:.1f} ms ({100 * share:.0f} %)"


def least_milliseconds(result: Result) -> float:
    """A step at the speed of copying memory and of a matrix product."""
    config = config_of(result.task, cache=tempfile.gettempdir())
    views = 2 if config.data.views == "each" else 1
    return 1e3 * least_seconds(
        result.machine,
        depth=config.model.arguments["depth"],
        samples=views * config.data.batch_size,
        size=config.data.pixels,
    )


def rest_of_epoch(result: Result) -> str:
    """Recording, logging, checkpoint, display: an epoch without its steps and its validation."""
    epochs = result.loops[OURS].epochs
    rest = [each.seconds - each.training - each.validation for each in epochs]
    share = statistics.median(rest) / statistics.median(each.seconds for each in epochs)
    return f"{1e3 * statistics.median(rest):.1f} ms ({100 * share:.0f} %)"


def memory(result: Result) -> str:
    """Peak of our process and of the plain loop's."""
    ours, plain = (result.loops[name].footprint.memory / 1e9 for name in (OURS, PLAIN))
    return f"{ours:.2f} of {plain:.2f} GB"


def largest_difference(result: Result) -> str:
    """Of our losses from the plain loop's, in double precision."""
    return f"{next(iter(result.apart.values())):.0e}"


ROWS: dict[str, Cell] = {
    "threads": lambda result: str(result.task.threads),
    "a plain PyTorch loop, ms a step": milliseconds(PLAIN),
    "the usual Lightning way": milliseconds(USUAL),
    "djd on plain layers": milliseconds(LAYERS),
    "**djd**": milliseconds(OURS),
    "convolutions and products alone": milliseconds(PRODUCTS),
    "**times the plain loop**": times(PLAIN),
    "times the usual Lightning way": times(USUAL),
    "times djd on plain layers": times(LAYERS),
    "**djd over convolutions and products alone**": lambda result: middle_and_least(
        result.ratios(OURS, PRODUCTS), 2
    ),
    "a simple roofline, and its share of djd's step": roofline,
    "recording, logging, checkpoint, display, of an epoch": rest_of_epoch,
    "peak memory of the process, against the plain loop's": memory,
    "losses apart from the plain loop's, float64": largest_difference,
    "blocks (`versions`)": lambda result: result.loops[OURS].footprint.blocks,
}


def table(processor: str, results: Sequence[Result]) -> Iterable[str]:
    """Lines of one processor's table, as docs/speed.md has it."""
    rounds = len(results[0].loops[OURS].epochs)
    head = f"{processor}: median (least) of {rounds} epochs"
    yield " | ".join([f"| {head}", *map(name_of, results)]) + " |"
    yield "| --- " * (1 + len(results)) + "|"
    for name, cell in ROWS.items():
        yield " | ".join([f"| {name}", *map(cell, results)]) + " |"


def name_of(result: Result) -> str:
    """Of a recipe, with its batch where that is not its own."""
    batch = result.task.batch_size
    return f"{result.task.recipe}, batch {batch}" if batch else result.task.recipe


def report(result: Result) -> None:
    """Print a line on a task, as soon as it is measured."""
    task, loops = result.task, result.loops
    knees = TRAIN_KNEES / statistics.median(epoch.training for epoch in loops[OURS].epochs)
    steps = ", ".join(
        f"{name} {1e3 * statistics.median(each.steps):.1f}" for name, each in loops.items()
    )
    apart = ", ".join(f"{most:.0e} over {name}" for name, most in result.apart.items())
    what = f"{name_of(result)}, {task.threads} threads, {task.device}"
    print(f"{what}: ms a step: {steps}; ours {knees:.0f} knees a second")
    print(
        f"  losses apart: {apart}; {result.machine.bandwidth / 1e9:.0f} GB/s, "
        f"{result.machine.throughput / 1e9:.0f} GFLOP/s",
        flush=True,
    )


def main() -> None:
    """Measure each processor, recipe and batch size."""
    parser = argparse.ArgumentParser(description="A training step, ours against plain ones.")
    parser.add_argument("--processors", choices=PROCESSORS, nargs="+", default=[HERE, "avx2"])
    parser.add_argument("--recipes", choices=RECIPES, nargs="+", default=list(RECIPES))
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[None])
    parser.add_argument("--threads", type=int, help="by default those of `python train.py`")
    parser.add_argument("--rounds", type=int, default=9, help="epochs; the first is dropped")
    there = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=["cpu", "cuda"], default=there)
    asked = parser.parse_args()
    for processor in asked.processors if asked.device == "cpu" else [HERE]:
        print(f"\n{processor}", flush=True)
        results = []
        with taken_for(processor):
            for recipe in asked.recipes:
                for batch_size in asked.batch_sizes:
                    threads = asked.threads or threads_of(recipe)
                    task = Task(recipe, batch_size, threads, asked.rounds, asked.device)
                    results.append(measure(task))
                    report(results[-1])
        print("", *table(processor, results), sep="\n", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
