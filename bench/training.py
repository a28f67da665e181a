"""A training step, ours against the study's loop and against the usual Lightning way.

    python bench/training.py
    python bench/training.py --depths 2 --batch-sizes 16 32 64 --threads 1
    python bench/training.py --device cpu      # where there is a GPU, that is measured otherwise

Four loops go in turn, an epoch of 256 knees each, every one in a process of its own: (a) the
study's plain PyTorch loop with PyTorch's default settings; (b) the usual Lightning way; (c) ours,
`fit_network` as `train.py` calls it; (d) our network and batches in a plain loop, with the
validation that (c) has, so that (c) less (d) is what Lightning, logging, checkpoints and display
take. Same knees, same first weights, same batches. A step is timed from its batch to the next
one's. Roofline: see `bench/limits.py`. Peak memory is the process's, libraries and knees included.

2026-11-25, two-core x86-64 (AVX-512), two threads, batch 32; median and minimum of 80 steps in ms:

                   depth 1        depth 2        depth 3
    (a)            123    83      132    95      233   166
    (b)            131   121      192   144      222   174
    (c)            9.1   7.8       32    30       56    51
    (a) / (c)     13.5  10.6      4.2   3.2      4.1   3.3
    roofline       1.9 (21 %)    20.3 (64 %)    39.8 (71 %)
    (c) - (d)     15.6 (18 %)     3.3 (1 %)      7.4 (2 %)   of an epoch of 8 steps, by the median

An hour before, (a) / (c) by the median was 14.2, 4.6 and 4.1, and (c) - (d) 12.3, 10.9 and 17.8 ms.
Losses are (a)'s to 2e-14 over 20 steps in float64 and to 2e-6 over 50 in float32. Peak memory is
594 to 685 MB against 715 to 858.

Ideas: what a step was hoped to take and took at depths 1, 2 and 3 (ms, minima, two threads); before
them it took 24, 48 and 65.

    the first block as an autograd Function of PyTorch's operators, a few knees at a time,
        its statistics from the moments of 3x3 patches
            hoped 13, 33, 50; took 17, 38, 58; gave way to the next
    all blocks in C, one or two passes where layers make ten
            hoped 6, 28, 48; took 6.5, 28, 46; kept
    the last layer's weights brought into the order in which its features lie
            hoped for 2 less at depth 1; took 1.6 less there, 0.4 at depth 3; kept
    torch.compile of the plain layers
            hoped for no more than the first idea; took 48, 71, 96 after 6 to 17 s; not kept
    bfloat16 autocast of the plain layers, which changes numbers
            hoped for a third less; took 20, 33, 44; an option, `trainer.precision=bf16`
    OpenMP's threads sleep while they wait
            hoped for nothing on quiet cores and half beside a busy process; so it was; kept
    an epoch's scalars as one event, the last epoch kept as tensors, kappa logged only where a
        checkpoint goes by it
            hoped for 5 ms an epoch less; 15.9 ms became 13.1 with a network of nothing; kept
"""

import argparse
import contextlib
import os
import statistics
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # train.py and bench are no parts of the package

from bench.limits import Machine, least_seconds, serve_limits  # noqa: E402
from bench.loops import LOOPS, Epoch, Task, serve, serve_differences  # noqa: E402
from bench.turns import Turns  # noqa: E402
from djd.environment import let_waiting_threads_sleep  # noqa: E402
from djd.machine import usable_cores  # noqa: E402

STUDY, USUAL, OURS, BARE = LOOPS
COMPARED_STEPS = 50
COMPARED_NUMBERS = ((torch.float64, 20), (torch.float32, 5))


class Measured(NamedTuple):
    """What one loop took.

    epochs: All but the first, which is slower.
    losses: Of all steps.
    memory: Bytes of its process at most, or on the GPU.
    """

    epochs: list[Epoch]
    losses: list[float]
    memory: int

    @property
    def steps(self) -> list[float]:
        """Seconds of all steps."""
        return [seconds for epoch in self.epochs for seconds in epoch.steps]


def measure(task: Task) -> tuple[dict[str, Measured], Machine]:
    """Let all loops go in turn, and measure the machine in between."""
    with contextlib.ExitStack() as stack:
        loops = {name: stack.enter_context(closing(_turns(name, task))) for name in LOOPS}
        limits = stack.enter_context(closing(Turns(serve_limits, task.threads, task.device)))
        epochs: dict[str, list[Epoch]] = {name: [] for name in LOOPS}
        machines: list[Machine] = []
        for _ in range(task.epochs):
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
    return measured, Machine(*(max(values) for values in zip(*machines, strict=True)))


def _turns(name: str, task: Task) -> Turns:
    """Ours has what `train.py` sets; the others have the environment as it comes."""
    with patch.dict(os.environ):
        if name in (OURS, BARE):
            let_waiting_threads_sleep()
        return Turns(serve, name, task)


def report(task: Task, measured: dict[str, Measured], machine: Machine) -> None:
    """Print what was measured."""
    steps = len(measured[OURS].steps)
    print(
        f"\ndepth {task.depth}, batch {task.batch_size}, {task.threads} threads, {task.device}, "
        f"float32: {steps} steps of each, in turn"
    )
    print(f"{'':24}{'ms a step':>16}{'knees':>10}{'peak':>8}{'times the study':>20}")
    print(f"{'':24}{'min':>8}{'median':>8}{'a second':>10}{'MB':>8}{'min':>10}{'median':>10}")
    study = measured[STUDY].steps
    for name, each in measured.items():
        least, middle = min(each.steps), statistics.median(each.steps)
        print(
            f"{name:24}{1e3 * least:8.1f}{1e3 * middle:8.1f}{task.batch_size / middle:10.0f}"
            f"{each.memory / 1e6:8.0f}{min(study) / least:10.1f}"
            f"{statistics.median(study) / middle:10.1f}"
        )
    _report_roofline(task, measured, machine)
    _report_losses(measured)
    _report_lightning(measured[OURS].epochs, measured[BARE].epochs)


def _report_roofline(task: Task, measured: dict[str, Measured], machine: Machine) -> None:
    least = least_seconds(machine, depth=task.depth, knees=task.batch_size)
    shares = [
        f"{name}, {100 * least / statistics.median(measured[name].steps):.0f} %"
        for name in (STUDY, OURS)
    ]
    print(
        f"  roofline: its passes at {machine.bandwidth / 1e9:.0f} GB/s and "
        f"{machine.throughput / 1e9:.0f} GFLOP/s take {1e3 * least:.1f} ms; share of a step: "
        f"{'; '.join(shares)}"
    )


def _report_losses(measured: dict[str, Measured]) -> None:
    reference = measured[STUDY].losses[:COMPARED_STEPS]
    for name in (USUAL, OURS):
        losses = measured[name].losses[:COMPARED_STEPS]
        apart = max(abs(one - other) for one, other in zip(reference, losses, strict=True))
        print(f"  losses of {len(losses)} steps, {name}: at most {apart:.1e} from the study's")


def _report_lightning(whole: list[Epoch], bare: list[Epoch]) -> None:
    """What ours takes beyond the same steps and the same validation in a plain loop."""
    shares = []
    for middle in (statistics.median, statistics.mean):
        ours, plain = (middle(epoch.seconds for epoch in epochs) for epochs in (whole, bare))
        shares.append(f"{1e3 * (ours - plain):.1f} ms, {100 * (ours - plain) / ours:.1f} %")
    print(
        f"  Lightning, logging, checkpoints, display: {shares[0]} of an epoch of "
        f"{len(whole[0].steps)} steps by the median ({shares[1]} by the mean)"
    )


def report_numbers(task: Task) -> None:
    """Whether the losses are the study's."""
    with closing(Turns(serve_differences, task)) as turns:
        for dtype, steps in COMPARED_NUMBERS:
            name = str(dtype).removeprefix("torch.")
            apart = turns.ask((dtype, steps))
            print(f"  losses of {steps} steps in {name}: at most {apart:.1e} from the study's")


def main() -> None:
    """Measure each depth and batch size."""
    parser = argparse.ArgumentParser(description="A training step, ours against the study's.")
    parser.add_argument("--depths", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[32])
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--epochs", type=int, default=11, help="of 256 knees; the first is dropped")
    there = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=["cpu", "cuda"], default=there)
    asked = parser.parse_args()
    for depth in asked.depths:
        for batch_size in asked.batch_sizes:
            task = Task(depth, batch_size, asked.threads, asked.epochs, asked.device)
            report(task, *measure(task))
            report_numbers(task)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
