"""A simple roofline of a training step: its passes at the speed of memory and of matrix products.

No bound: what fits a processor's cache is faster than memory, a pass that does two things at once
saves one of them, and a convolution may need fewer operations than its plain sum. But it is the
same yardstick for all, on any machine.
"""

import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NamedTuple

import torch

BYTES = 4  # of a float32
COPIED_BYTES = 64 * 2**20


class Machine(NamedTuple):
    """bandwidth: Bytes read and written a second. throughput: Operations a second."""

    bandwidth: float
    throughput: float


class Work(NamedTuple):
    """Something to do again and again, and how much of it one call does."""

    call: Callable[[], object]
    amount: float


class Pass(NamedTuple):
    """One pass over memory: numbers read and written, and operations."""

    numbers: float
    operations: float


def serve_limits(threads: int, device: str, connection: Connection) -> None:
    """In a process of its own: measure the machine whenever asked to."""
    torch.set_num_threads(threads)
    while connection.recv():
        connection.send(measure(device))


def measure(device: str) -> Machine:
    """Best of five of `copying` and of `multiplying`."""
    return Machine(*(_best_rate(work, device) for work in (copying(device), multiplying(device))))


def copying(device: str = "cpu") -> Work:
    """Copy 64 MB; counted in bytes read and written."""
    source = torch.ones(COPIED_BYTES // BYTES, device=device)
    target = torch.empty_like(source)
    return Work(lambda: target.copy_(source), 2 * COPIED_BYTES)


def multiplying(device: str = "cpu") -> Work:
    """Multiply two square matrices; counted in operations."""
    side = 4096 if device == "cuda" else 1024
    matrix = torch.rand(side, side, device=device)
    product = torch.empty_like(matrix)
    return Work(lambda: torch.mm(matrix, matrix, out=product), 2 * side**3)


def _best_rate(work: Work, device: str) -> float:
    return max(work.amount / _seconds(work.call, device) for _ in range(5))


def _seconds(call: Callable[[], object], device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def least_seconds(machine: Machine, *, depth: int, samples: int, size: int) -> float:
    """Of a step, if each pass took only as long as its memory or its operations, whichever is more.

    A pass reads its inputs and writes its outputs once. Optimizer, augmentation and batch
    normalization's few numbers a channel are left out.

    Args:
        machine: What it can do.
        depth: Blocks of the network.
        samples: Crops a step.
        size: Rows and columns of a crop.
    """
    return sum(
        max(BYTES * each.numbers / machine.bandwidth, each.operations / machine.throughput)
        for each in passes(depth, samples, size)
    )


def passes(depth: int, samples: int, size: int, *, width: int = 16) -> list[Pass]:
    """Each block's convolution and pooling, there and back, and the last layer's three products."""
    found: list[Pass] = []
    channels_in, pixels = 1, float(size * size * samples)
    for block in range(depth):
        channels = width * 2**block
        inputs, raw, pooled = channels_in * pixels, channels * pixels, channels * pixels / 4
        convolution = 2 * 9 * channels_in * channels * pixels
        if block == 0:  # its convolution is cheap: it is computed where it is pooled
            found += [Pass(inputs + pooled, convolution), Pass(inputs + pooled, convolution)]
        else:
            found += [Pass(inputs + raw, convolution), Pass(raw + pooled, 0)]
            found += [Pass(2 * raw + pooled, 0)] + 2 * [Pass(inputs + raw, convolution)]
        channels_in, pixels = channels, pixels / 4
    features = channels_in * pixels
    return found + 3 * [Pass(features, 2 * 5 * features)]
