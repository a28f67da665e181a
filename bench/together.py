"""What a second core adds: work of one thread in two processes at once against one alone.

Two processes of one thread each go through the same works: the first works alone, the second works
alone, both work at once.
"""

import contextlib
import statistics
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, NamedTuple

from bench.turns import Turns

if TYPE_CHECKING:
    from torch import nn

    from bench.limits import Work

DEPTHS = (1, 2, 3)
SAMPLES = 32
COARSE = 32
"""Pixels of a crop of the default recipe."""


class Gain(NamedTuple):
    """Amount a second of one worker alone (the mean of both), and of both at once together."""

    alone: float
    at_once: float

    @property
    def ratio(self) -> float:
        """What two do for what one does."""
        return self.at_once / self.alone


UNITS = {
    f"training, {name}": "steps/s" for name in ("default", *(f"depth {d}" for d in DEPTHS))
} | {
    "copying memory": "GB/s",
    "matrix products": "GFLOP/s",
}


def measure(*, rounds: int, seconds: float) -> dict[str, Gain]:
    """Of each work the medians over rounds.

    Args:
        rounds: How often all works are gone through.
        seconds: Of one phase.
    """
    with contextlib.ExitStack() as stack:
        one, other = (stack.enter_context(contextlib.closing(Turns(_serve))) for _ in range(2))
        found: dict[str, list[Gain]] = {name: [] for name in UNITS}
        for _ in range(rounds):
            for name, gains in found.items():
                alone = [each.ask((name, seconds)) for each in (one, other)]
                gains.append(Gain(sum(alone) / 2, sum(_at_once([one, other], name, seconds))))
    return {
        name: Gain(*map(statistics.median, zip(*gains, strict=True)))
        for name, gains in found.items()
    }


def _at_once(workers: Sequence[Turns], name: str, seconds: float) -> list[float]:
    for each in workers:
        each.begin((name, seconds))
    return [each.answer() for each in workers]


def told(gains: dict[str, Gain]) -> list[str]:
    """A line each."""
    lines = [f"{'one thread a process':34}{'one':>10}{'two':>8}{'':10}{'two/one':>8}"]
    for name, gain in gains.items():
        figures = f"{gain.alone:10.1f}{gain.at_once:8.1f} {UNITS[name]:9}{gain.ratio:8.2f}"
        lines.append(f"{name:34}{figures}")
    return lines


def _serve(connection: Connection) -> None:
    """In a process of its own: answer with the rate of a work over some seconds."""
    import torch

    from djd.machine import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(1)
    works = _works()
    while True:
        name, seconds = connection.recv()
        connection.send(_rate(works[name], seconds))


def _rate(work: "Work", seconds: float) -> float:
    """Amount a second, after one call that doesn't count."""
    work.call()
    calls, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        work.call()
        calls += 1
    return calls * work.amount / passed


def _works() -> dict[str, "Work"]:
    from bench.limits import Work, copying, multiplying
    from djd.data.crop import CROP_SIZE
    from djd.models.networks import KneeCNN
    from djd.models.pooled import PooledCNN

    networks: list[tuple[nn.Module, int]] = [
        (PooledCNN(pixels=COARSE), COARSE),
        *((KneeCNN(depth=depth), CROP_SIZE) for depth in DEPTHS),
    ]
    training = [Work(_training_step(*each), 1) for each in networks]
    limits = [Work(call, amount / 1e9) for call, amount in (copying(), multiplying())]
    return dict(zip(UNITS, [*training, *limits], strict=True))


def _training_step(network: "nn.Module", pixels: int) -> Callable[[], object]:
    import torch

    from djd.grades import GRADE_COUNT

    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    crops = torch.rand(SAMPLES, 1, pixels, pixels)
    grades = torch.arange(SAMPLES) % GRADE_COUNT

    def step() -> None:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(crops), grades)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step
