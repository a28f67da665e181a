"""What a second core adds: work of one thread in two processes at once against one alone.

Two processes, one thread each, go through the same phases: the first works alone, the second works
alone, both work at once. A barrier stands before every phase, so that who has nothing to do sleeps
and both begin together.
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import TYPE_CHECKING, NamedTuple

from djd.sweeps.processes import Ending, Watcher, run_in_processes

if TYPE_CHECKING:
    from bench.limits import Work

DEPTHS = (1, 2, 3)
BATCH_SIZE = 32
WORKERS = 2
PHASES = ((0,), (1,), (0, 1))
"""Which of the workers work in each."""


class Gain(NamedTuple):
    """Amount a second of one worker alone (the mean of both), and of both at once together."""

    alone: float
    at_once: float

    @property
    def ratio(self) -> float:
        """What two do for what one does."""
        return self.at_once / self.alone


UNITS = {f"training, depth {depth}": "steps/s" for depth in DEPTHS} | {
    "copying memory": "GB/s",
    "matrix products": "GFLOP/s",
}


def measure(*, rounds: int, seconds: float) -> dict[str, Gain]:
    """Of each work the medians over rounds.

    Args:
        rounds: How often all works are gone through.
        seconds: Of one phase.
    """
    barrier = multiprocessing.get_context("spawn").Barrier(WORKERS)
    calls = [(worker, barrier, rounds, seconds) for worker in range(WORKERS)]
    endings = run_in_processes(_serve, calls, at_once=WORKERS, watcher=_UntilFailure())
    if failed := [ending.reason for ending in endings if ending and ending.reason]:
        raise SystemExit(f"work in two processes failed: {failed[0]}")
    rates: list[dict[str, list[Gain]]] = [ending.value for ending in endings if ending]
    return {name: _both(*(each[name] for each in rates)) for name in UNITS}


def told(gains: dict[str, Gain]) -> list[str]:
    """A line each."""
    lines = [f"{'one thread a process':34}{'one':>10}{'two':>8}{'':10}{'two/one':>8}"]
    for name, gain in gains.items():
        figures = f"{gain.alone:10.1f}{gain.at_once:8.1f} {UNITS[name]:9}{gain.ratio:8.2f}"
        lines.append(f"{name:34}{figures}")
    return lines


def _both(first: list[Gain], second: list[Gain]) -> Gain:
    """Of each worker's rates in each round; here `at_once` is its own part."""
    pairs = list(zip(first, second, strict=True))
    return Gain(
        statistics.median((a.alone + b.alone) / 2 for a, b in pairs),
        statistics.median(a.at_once + b.at_once for a, b in pairs),
    )


def _serve(worker: int, barrier: Barrier, rounds: int, seconds: float) -> dict[str, list[Gain]]:
    """In a process of its own: what this worker did in each round, alone and beside the other."""
    import torch

    from djd.machine import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(1)
    works = _works()
    gains: dict[str, list[Gain]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found = []
            for workers in PHASES:
                barrier.wait()
                if worker in workers:
                    found.append(_rate(work, seconds))
            gains[name].append(Gain(*found))
    return gains


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

    training = [Work(_training_step(depth), 1) for depth in DEPTHS]
    limits = [Work(call, amount / 1e9) for call, amount in (copying(), multiplying())]
    return dict(zip(UNITS, [*training, *limits], strict=True))


def _training_step(depth: int) -> Callable[[], object]:
    import torch

    from djd.data.crop import CROP_SIZE
    from djd.grades import GRADE_COUNT
    from djd.models.networks import KneeCNN

    network = KneeCNN(depth=depth)
    optimizer = torch.optim.Adam(network.parameters())
    crops = torch.rand(BATCH_SIZE, 1, CROP_SIZE, CROP_SIZE)
    grades = torch.arange(BATCH_SIZE) % GRADE_COUNT

    def step() -> None:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(crops), grades)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


class _UntilFailure(Watcher):
    """Ends all where one fails: the other would wait for it at the barrier."""

    def ended(self, index: int, ending: Ending) -> bool:
        """Go on where it worked."""
        return not ending.reason
