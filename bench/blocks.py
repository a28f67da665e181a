"""How much faster compiled blocks are than plain layers.

    python bench/blocks.py
    python bench/blocks.py --processors avx2 --threads 1 --rounds 15

Training steps (forward and backward, no optimizer) of single blocks and of whole networks, by plain
layers and compiled, in turn, in short rounds, of which medians count. A flag of the compiler and
variables of oneDNN and PyTorch stand for a smaller processor.

2026-11-30, two-core x86-64, AVX-512, batch 32, width 16, seven rounds on one thread, of which only
its own time counts; times as fast as plain layers:

                             16 lanes   8 lanes   4 lanes
    block 1>16 at 32            4.19      3.22      6.13
    block 16>32 at 16           1.21      1.12      1.27
    block 32>64 at 8            1.07      1.04      1.15
    block 1>16 at 128           3.97      3.59      5.75
    block 2>16 at 128           1.73      1.64      2.67
    block 16>32 at 64           1.23      1.12      1.27
    block 32>64 at 32           1.05      1.05      1.16
    block 64>128 at 16          1.05      1.02      1.08
    block 128>256 at 8          1.04      1.00      1.04
    default recipe              1.67      1.41      1.57
    depth 1, 1 views            5.18      4.34      6.95
    depth 2, 1 views            2.10      1.71      1.98
    depth 3, 1 views            1.67      1.40      1.59
    depth 4, 1 views            1.59      1.29      1.45
    depth 1, 2 views            1.68      1.70      2.82
    depth 2, 2 views            1.49      1.30      1.71
    depth 3, 2 views            1.34      1.23      1.50
    depth 4, 2 views            1.27      1.16      1.38

No block is slower compiled, so all are that can be. The convolution is PyTorch's in either way, and
nearly the whole step of later blocks: with 8 lanes the default recipe could be 1.6 times as fast as
plain layers at most, by its convolutions alone.

Two views go through `FusedBlock`. Through the moments of their pixels, as one view goes, the block
was 0.93 and 1.08 times as fast as plain layers with 16 lanes, 0.60 and 0.77 with 8, 0.95 and 1.00
with 4 (one and two threads, 2026-11-28).
"""

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor, nn

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # bench is no part of the package

from bench.processors import PROCESSORS, taken_for  # noqa: E402
from bench.turns import Turns  # noqa: E402
from djd.environment import let_waiting_threads_sleep  # noqa: E402
from djd.machine import keep_freed_memory, usable_cores  # noqa: E402
from djd.models.fused import passes  # noqa: E402
from djd.models.networks import KneeBlock, KneeCNN  # noqa: E402
from djd.models.pooled import PooledCNN  # noqa: E402

KNEES, WIDTH, SIZE = 32, 16, 128
ROUND_SECONDS = 0.12


class Shape(NamedTuple):
    """Channels in and out of a block, and rows and columns of what goes in."""

    channels_in: int
    channels_out: int
    size: int


SHAPES = (
    Shape(1, WIDTH, 32),
    *(Shape(WIDTH << at, WIDTH << at + 1, 16 >> at) for at in range(2)),
    Shape(1, WIDTH, SIZE),
    Shape(2, WIDTH, SIZE),
    *(Shape(WIDTH << at, WIDTH << at + 1, SIZE >> at + 1) for at in range(4)),
)

Step = Callable[[], None]
Times = dict[str, float]


def cases() -> dict[str, Step]:
    """One training step (forward and backward) of each block and network."""
    return {
        **{
            f"block {each.channels_in}>{each.channels_out} at {each.size}": _block(each)
            for each in SHAPES
        },
        "default recipe": _step(PooledCNN(pixels=32), torch.rand(KNEES, 1, 32, 32)),
        **{
            f"depth {depth}, {views} views": _step(
                KneeCNN(depth=depth, views=views), torch.rand(KNEES, views, SIZE, SIZE)
            )
            for views in (1, 2)
            for depth in (1, 2, 3, 4)
        },
    }


def _block(shape: Shape) -> Step:
    block = KneeBlock(shape.channels_in, shape.channels_out)
    block.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    crops = torch.rand(KNEES, shape.channels_in, shape.size, shape.size)
    crops = crops.contiguous(memory_format=torch.channels_last)
    return _step(block, crops.requires_grad_(shape.channels_in > 2))


def _step(network: nn.Module, crops: Tensor) -> Step:
    def step() -> None:
        network(crops).square().mean().backward()

    return step


def serve(threads: int, rounds: int, connection: Connection) -> None:
    """Answer with the lanes, and milliseconds of every case by plain layers and compiled."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    connection.recv()
    # On one thread its own time: what other processes do in between does not count.
    clock = time.thread_time if threads == 1 else time.perf_counter
    times = {name: _medians(step, rounds, clock) for name, step in cases().items()}
    connection.send((passes.lanes(torch.float32), times))
    connection.recv()


def _medians(step: Step, rounds: int, clock: Callable[[], float]) -> Times:
    """Short rounds in turn; of each way the median of its rounds' means, in ms."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for at in range(rounds + 1):
        for compiled in seconds:
            with patch("djd.models.networks.FUSED", compiled):
                steps, started, until = 0, clock(), time.perf_counter() + ROUND_SECONDS
                while time.perf_counter() < until or not steps:
                    step()
                    steps += 1
            if at:  # the first warms up
                seconds[compiled].append((clock() - started) / steps)
    plain, compiled_blocks = (1e3 * statistics.median(each) for each in seconds.values())
    return {"plain": plain, "compiled": compiled_blocks}


def report(name: str, threads: int, rounds: int) -> None:
    """Measure one processor with one number of threads, and print it."""
    with taken_for(name):
        let_waiting_threads_sleep()
        turns = Turns(serve, threads, rounds)
    with closing(turns):
        lanes, cases_times = turns.ask()
    print(f"\n{name}: {lanes} lanes, {threads} threads, batch {KNEES}; ms, and times plain layers")
    for label, times in cases_times.items():
        ratio = times["plain"] / times["compiled"]
        line = f"  {label:22}  plain {times['plain']:6.2f}  compiled {times['compiled']:6.2f}"
        print(f"{line}  ({ratio:.2f})", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every processor."""
    parser = argparse.ArgumentParser(description="Compiled blocks against plain layers.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, usable_cores()}))
    parser.add_argument("--processors", choices=PROCESSORS, nargs="+", default=list(PROCESSORS))
    asked = parser.parse_args(arguments)
    for name in asked.processors:
        for threads in asked.threads:
            report(name, threads, asked.rounds)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
