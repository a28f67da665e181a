"""Where compiled blocks are faster than plain layers, and where they aren't.

    python bench/blocks.py
    python bench/blocks.py --processors "AVX2 (8 lanes)" --threads 1 --rounds 15

Training steps (forward and backward, no optimizer) of single blocks and of whole networks, by plain
layers, with every block compiled, and with the blocks compiled that `fusing.pays` names; in turn,
in short rounds, of which medians count. A flag of the compiler and variables of oneDNN and PyTorch
stand for a smaller processor.

2026-11-28, two-core AMD EPYC, family 26 (AVX-512), batch 32, width 16, crops of 128; times as fast
as plain layers, a block compiled, a network by the rule. Seven rounds; other work ran beside: where
the rule takes plain layers, the two ways are the same and came out as 0.98 to 1.02:

                         16 lanes         8 lanes         4 lanes
    threads                 1      2        1      2        1      2
    block 1>16 at 128    3.15   3.27     2.97   3.66     4.38   4.21
    block 2>16 at 128    1.74   1.14     1.62   2.24     2.64   2.43
    block 16>32 at 64    1.24   1.29     1.05   1.15     1.28   1.25
    block 32>64 at 32    1.10   1.12     1.05   1.04     1.15   1.13
    block 64>128 at 16   1.06   1.03     1.01   0.98     1.07   1.07
    block 128>256 at 8   1.01   0.98     0.99   0.97     1.04   1.02

    depth 1, 1 views     3.67   4.17     3.10   3.96     4.90   4.67
    depth 2, 1 views     1.81   2.19     1.50   1.96     1.85   1.85
    depth 3, 1 views     1.58   1.70     1.30   1.50     1.46   1.45
    depth 4, 1 views     1.55   1.57     1.22   1.34     1.31   1.36
    depth 1, 2 views     1.77   1.74     1.65   2.09     2.87   2.65
    depth 2, 2 views     1.48   1.61     1.24   1.32     1.68   1.64
    depth 3, 2 views     1.33   1.52     1.16   1.36     1.42   1.38
    depth 4, 2 views     1.27   1.33     1.12   1.27     1.29   1.29

A processor without AVX-512 (AMD EPYC of the Zen 3 kind, two threads, 8 lanes) gave with every block
compiled, in two rounds: depth 1 in 30 and 27 ms (plain layers 76 and 74), depth 2 in 83 and 84 (125
and 167), depth 3 in 191 and 174 (144 and 218). Depth 3 adds the block of 32>64 channels, which
was slower there, though not above. Hence the rule: with 16 lanes up to 64 channels in, with fewer
lanes up to 16. With 4 lanes the rule gives away a gain that was measured (32>64, 64>128), since
oneDNN's old convolutions stand for those of processors that were never measured, such as ARM's.
The convolution of later blocks takes nearly the whole step, and is PyTorch's in either way.

Two views go through `FusedBlock`. Through the moments of their pixels, as one view goes, the block
was 0.93 and 1.08 times as fast as plain layers with 16 lanes, 0.60 and 0.77 with 8, 0.95 and 1.00
with 4 (a run just before, of five rounds).
"""

import argparse
import contextlib
import os
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
from torch import Tensor

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # bench is no part of the package

from bench.turns import Turns  # noqa: E402
from djd.environment import let_waiting_threads_sleep  # noqa: E402
from djd.machine import keep_freed_memory, usable_cores  # noqa: E402
from djd.models.fused import fusing, passes  # noqa: E402
from djd.models.networks import KneeBlock, KneeCNN  # noqa: E402

KNEES, WIDTH, SIZE = 32, 16, 128
ROUND_SECONDS = 0.12

PROCESSORS = {
    "this processor": {},
    "AVX2 (8 lanes)": {
        "CC": "cc -mno-avx512f",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
    },
    "SSE (4 lanes)": {
        "CC": "cc -mno-avx",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "ATEN_CPU_CAPABILITY": "default",
    },
}
"""Environments in which compiler, oneDNN and PyTorch take a processor for a smaller one."""


class Shape(NamedTuple):
    """Channels in and out of a block, and rows and columns of what goes in."""

    channels_in: int
    channels_out: int
    size: int


SHAPES = (
    Shape(1, WIDTH, SIZE),
    Shape(2, WIDTH, SIZE),
    *(Shape(WIDTH << at, WIDTH << at + 1, SIZE >> at + 1) for at in range(4)),
)
NETWORKS = tuple((depth, views) for views in (1, 2) for depth in (1, 2, 3, 4))

Ways = dict[str, Callable[[], None]]


def block_ways(shape: Shape) -> Ways:
    """One training step of a block, by plain layers and compiled."""
    block = KneeBlock(shape.channels_in, shape.channels_out)
    block.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = (KNEES, shape.channels_in, shape.size, shape.size)
    crops = torch.rand(size).contiguous(memory_format=torch.channels_last)
    crops.requires_grad_(shape.channels_in > 2)
    return _ways(lambda: block(crops))


def network_ways(depth: int, views: int) -> Ways:
    """One training step of a network without its optimizer."""
    network = KneeCNN(depth=depth, views=views)
    crops = torch.rand(KNEES, views, SIZE, SIZE)
    return _ways(lambda: network(crops))


def _ways(forward: Callable[[], Tensor]) -> Ways:
    def step() -> None:
        forward().square().mean().backward()  # type: ignore[no-untyped-call]

    def plain() -> None:
        with patch("djd.models.networks.fits", _never):
            step()

    def compiled() -> None:
        with patch.object(fusing, "pays", _always):
            step()

    return {"plain": plain, "compiled": compiled, "by the rule": step}


def _never(*_: object) -> bool:
    return False


def _always(*_: object, **__: object) -> bool:
    return True


def serve(threads: int, rounds: int, connection: Connection) -> None:
    """Answer with the lanes, and milliseconds of every block and network each way."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    connection.recv()
    blocks = [_medians(block_ways(shape), rounds) for shape in SHAPES]
    networks = [_medians(network_ways(*network), rounds) for network in NETWORKS]
    connection.send((passes.lanes(torch.float32), blocks, networks))
    connection.recv()


def _medians(ways: Ways, rounds: int) -> dict[str, float]:
    """Short rounds in turn; of each way the median of its rounds' means, in ms."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for at in range(rounds + 1):
        for name, way in ways.items():
            steps, started = 0, time.perf_counter()
            while time.perf_counter() - started < ROUND_SECONDS or not steps:
                way()
                steps += 1
            if at:  # the first warms up
                seconds[name].append((time.perf_counter() - started) / steps)
    return {name: 1e3 * statistics.median(each) for name, each in seconds.items()}


def report(name: str, threads: int, rounds: int) -> None:
    """Measure one processor with one number of threads, and print it."""
    with patch.dict(os.environ, PROCESSORS[name]):
        let_waiting_threads_sleep()
        turns = Turns(serve, threads, rounds)
    with closing(turns):
        lanes, blocks, networks = turns.ask()
    print(f"\n{name}: {lanes} lanes, {threads} threads, batch {KNEES}; ms, and times plain layers")
    labels = [
        *(f"block {each.channels_in}>{each.channels_out} at {each.size}" for each in SHAPES),
        *(f"depth {depth}, {views} views" for depth, views in NETWORKS),
    ]
    for label, times in zip(labels, [*blocks, *networks], strict=True):
        print(f"  {label:22}" + "".join(_cell(way, times) for way in times), flush=True)


def _cell(way: str, times: dict[str, float]) -> str:
    ratio = "" if way == "plain" else f" ({times['plain'] / times[way]:.2f})"
    return f"  {way} {times[way]:6.1f}{ratio}"


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
