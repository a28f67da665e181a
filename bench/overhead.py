"""What a cell of a comparison costs beyond its training: time and disk.

    python bench/overhead.py

Cells of the base setting on the default phantom, one at a time out of the fork server, each
composed by Hydra as a launcher does; short and long ones in turn. Of each: the wall time from
before its process is started until after it has ended, less its training and validation steps, less
its figures. The first cell, which waits for the fork server, doesn't count.

2026-11-25, two-core x86-64, depth 2, batch 32, one thread:

    2 epochs: wall 1.79 s, steps 1.03 s, figures 0.44 s, 0.18 MB beside weights
    12 epochs: wall 6.90 s, steps 5.95 s, figures 0.53 s, 0.23 MB beside weights
    beyond steps and figures: 0.30 s a cell and 10 ms an epoch

Without `gc.freeze()` in the fork server (`djd.sweeps.preload`) a collection in the middle of a
cell took another 0.3 s.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # train.py and bench are no parts of the package

from bench.cells import bytes_beside_weights, train_cell  # noqa: E402
from djd.sweeps.processes import Ending, Watcher, run_in_processes  # noqa: E402

PICTURES = ("training_sheet", "confusion_figure", "reliability_figure", "mistakes_sheet")

SHORT, LONG = 2, 12
"""Epochs of the cells that are compared: what doesn't grow with them is the cell's own cost."""


class Cost(NamedTuple):
    """Of one cell: seconds from end to end, of its steps and of its figures; bytes, but weights."""

    wall: float
    steps: float
    figures: float
    size: int

    @property
    def beyond(self) -> float:
        """Seconds beyond steps and figures."""
        return self.wall - self.steps - self.figures


class Stopwatch:
    """Sums how long some calls take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed."""

        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - began

        return timed


def time_cell(folder: Path, overrides: list[str]) -> tuple[float, float]:
    """In a process of its own: train one cell, and say what its steps and figures took."""
    from lightning.pytorch.loops.evaluation_loop import _EvaluationLoop
    from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop

    import djd.runs.callbacks.pictures as pictures
    import djd.runs.train as training

    steps, figures = Stopwatch(), Stopwatch()
    _TrainingEpochLoop.advance = steps.around(_TrainingEpochLoop.advance)  # type: ignore[method-assign]
    _EvaluationLoop._evaluation_step = steps.around(_EvaluationLoop._evaluation_step)  # type: ignore[method-assign]
    for name in (*PICTURES, "add_picture"):
        setattr(pictures, name, figures.around(getattr(pictures, name)))
    vars(training)["_plot_curves"] = figures.around(training._plot_curves)
    train_cell(folder, overrides)
    return steps.seconds, figures.seconds


class Clock(Watcher):
    """Notes the wall time of each piece of work."""

    def __init__(self) -> None:
        self.began: dict[int, float] = {}
        self.wall: dict[int, float] = {}
        self._last_end = time.perf_counter()

    def started(self, index: int) -> None:
        """Count from the end of the one before, so that starting a process counts."""
        self.began[index] = self._last_end

    def ended(self, index: int, ending: Ending) -> bool:
        """Note the time."""
        self._last_end = time.perf_counter()
        self.wall[index] = self._last_end - self.began[index]
        return not ending.reason


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="What a cell costs beyond its training.")
    parser.add_argument("--cells", type=int, default=8, help="of each length")
    print(*told(measure(parser.parse_args().cells)), sep="\n")


def measure(cells: int, settings: Sequence[str] = ()) -> dict[int, list[Cost]]:
    """What cells cost, by their epochs.

    Args:
        cells: Of each length.
        settings: What differs from the base setting.
    """
    epochs = [SHORT, *(LONG, SHORT) * cells]  # the first one waits for the fork server
    clock = Clock()
    with tempfile.TemporaryDirectory() as place:
        calls = [
            (Path(place) / str(seed), [*settings, *_fixed(count), f"seed={seed}"])
            for seed, count in enumerate(epochs)
        ]
        endings = run_in_processes(time_cell, calls, at_once=1, watcher=clock)
        if failed := [ending.reason for ending in endings if ending and ending.reason]:
            raise SystemExit(f"a cell failed: {failed[0]}")
        sizes = [bytes_beside_weights(folder) for folder, _ in calls]
    spent: list[tuple[float, float]] = [ending.value for ending in endings if ending]
    costs = [
        Cost(clock.wall[index], steps, figures, sizes[index])
        for index, (steps, figures) in enumerate(spent)
    ]
    return {SHORT: costs[2::2], LONG: costs[1::2]}


def told(costs: dict[int, list[Cost]]) -> list[str]:
    """The table's lines."""
    beyond = {
        epochs: statistics.median(cost.beyond for cost in each) for epochs, each in costs.items()
    }
    an_epoch = (beyond[LONG] - beyond[SHORT]) / (LONG - SHORT)
    a_cell = beyond[SHORT] - SHORT * an_epoch
    return [
        *(_line(epochs, each) for epochs, each in costs.items()),
        f"beyond steps and figures: {a_cell:.2f} s a cell and {1000 * an_epoch:.0f} ms an epoch",
    ]


def _fixed(epochs: int) -> tuple[str, ...]:
    return (f"trainer.max_epochs={epochs}", "score_epochs=[1,2]")


def _line(epochs: int, costs: Sequence[Cost]) -> str:
    wall, steps, figures, size = map(statistics.median, zip(*costs, strict=True))
    return (
        f"{epochs} epochs: wall {wall:.2f} s, steps {steps:.2f} s, figures {figures:.2f} s, "
        f"{size / 1e6:.2f} MB beside weights"
    )


if __name__ == "__main__":
    main()
