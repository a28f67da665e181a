"""What a comparison will take: hours and disk."""

import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

from djd.data.crop import CROP_SIZE, VIEW_INDICES
from djd.files import write_whole
from djd.runs.config import RunConfig
from djd.runs.duration import middle, training_seconds
from djd.sweeps.cells import Cell
from djd.sweeps.processes import Ending, run_in_processes

OVERHEAD_SECONDS = 0.8
"""Of a cell beyond its training: process, cohort, figures, files (bench/overhead.py)."""

OTHER_BYTES = 800_000
"""Of a cell beyond its weights: figures, dashboard, tables, log (bench/overhead.py)."""

MOST_TIMED_TOGETHER = 16
"""Processes that time steps beside each other, whose steps take longer the more there are."""

STEP_TIMES_NAME = "step_times.json"

BYTES_A_WEIGHT = 4


@dataclass(frozen=True)
class Forecast:
    """What unfinished cells, and refits, will take.

    Attributes:
        seconds: Of each cell by itself, by its overrides.
        refit_seconds: Of each refit by itself.
        at_once: Trainings at a time.
        bytes_running: Disk of the whole comparison, all score epochs' weights kept.
        bytes_after: The same once the weights that aren't kept are dropped.
    """

    seconds: Mapping[tuple[str, ...], float]
    refit_seconds: tuple[float, ...]
    at_once: int
    bytes_running: int
    bytes_after: int

    @property
    def total_seconds(self) -> float:
        """How long all of it takes."""
        return self._shared(list(self.seconds.values())) + self._shared(self.refit_seconds)

    def _shared(self, seconds: Sequence[float]) -> float:
        return sum(seconds) / max(1, min(self.at_once, len(seconds)))


def forecast(
    cells: Sequence[Cell],
    unfinished: Sequence[Cell],
    *,
    knees: Sequence[tuple[int, int]],
    refits: Sequence[Cell],
    refit_knees: int,
    at_once: int,
) -> Forecast:
    """What is still to do, from a timed step of each shape.

    Args:
        cells: All cells, one or more, which take disk.
        unfinished: Those that take time.
        knees: Training and validation knees of each of the unfinished.
        refits: A cell of each setting that could be refitted; for one winner the slowest counts.
        refit_knees: Knees of all development patients.
        at_once: Trainings at a time.
    """
    config = cells[0].config
    configs = [cell.config for cell in unfinished]
    steps = step_seconds(configs, at_once=at_once, cache=config.paths.cache)
    seconds = {
        cell.overrides: OVERHEAD_SECONDS
        + training_seconds(cell.config, step, train_knees=train, validation_knees=held_out)
        for cell, step, (train, held_out) in zip(unfinished, steps, knees, strict=True)
    }
    refitted = refit_seconds([cell.config for cell in refits], knees=refit_knees, at_once=at_once)
    return Forecast(
        seconds,
        tuple(refitted if config.test == "each" else sorted(refitted)[-1:]),
        at_once,
        sum(OTHER_BYTES + _weights_bytes(cell.config) for cell in cells),
        sum(_bytes_after(cell.config) for cell in cells),
    )


def refit_seconds(configs: Sequence[RunConfig], *, knees: int, at_once: int) -> list[float]:
    """Seconds of a refit of each configuration on so many knees."""
    if not configs:
        return []
    steps = step_seconds(configs, at_once=at_once, cache=configs[0].paths.cache)
    return [
        OVERHEAD_SECONDS + training_seconds(config, step, train_knees=knees, validation_knees=0)
        for config, step in zip(configs, steps, strict=True)
    ]


def step_seconds(configs: Sequence[RunConfig], *, at_once: int, cache: Path) -> list[float]:
    """Seconds of a training step of each configuration while others train beside it.

    Each shape is timed once on this machine, in processes like those that will train, and kept.

    Args:
        configs: What is trained.
        at_once: How many are timed beside each other.
        cache: Where the times are kept; that it can't be written is no error.
    """
    kept = _kept_times(cache)
    shapes = {_shape(config, at_once): config for config in configs}
    if missing := {shape: config for shape, config in shapes.items() if shape not in kept}:
        kept |= _time_shapes(missing, at_once)
        with suppress(OSError):
            cache.mkdir(parents=True, exist_ok=True)
            write_whole(cache / STEP_TIMES_NAME, json.dumps(kept, indent=1))
    return [kept.get(_shape(config, at_once), 0.0) for config in configs]


def _time_shapes(shapes: dict[str, RunConfig], at_once: int) -> dict[str, float]:
    together = min(at_once, MOST_TIMED_TOGETHER)
    endings = run_in_processes(
        _time_steps,
        [(list(shapes.values()),)] * together,
        at_once=together,
        watcher=_Nobody(),
    )
    columns = [ending.value for ending in endings if ending and ending.value]
    if not columns:  # the machine can't train any of them; cells will say why
        return {}
    return {
        shape: middle([column[index] for column in columns]) for index, shape in enumerate(shapes)
    }


def _time_steps(configs: Sequence[RunConfig]) -> list[float]:
    """In a process like those that train: seconds a step of each configuration."""
    from djd.machine import keep_freed_memory
    from djd.runs.duration import time_step
    from djd.runs.hardware import use_threads
    from djd.runs.prepare import THREADS_IN_SWEEP

    keep_freed_memory()
    use_threads(THREADS_IN_SWEEP)
    return [time_step(config) for config in configs]


class _Nobody:
    """Watches nothing."""

    def started(self, index: int) -> None:
        """Nothing to see."""

    def ended(self, index: int, ending: Ending) -> bool:
        """Go on."""
        return True

    def look(self) -> None:
        """Nothing to see."""


def _shape(config: RunConfig, at_once: int) -> str:
    """What the time of a step depends on."""
    data = config.data
    parts = (
        json.dumps([config.plain()[group] for group in ("model", "loss", "augment")]),
        f"views={data.views}",
        f"batch_size={data.batch_size}",
        f"accelerator={config.trainer.accelerator} at_once={min(at_once, MOST_TIMED_TOGETHER)}",
        f"precision={config.trainer.precision}",
        f"torch={version('torch')} {platform.node()}",
    )
    return " ".join(parts)


def _kept_times(cache: Path) -> dict[str, float]:
    try:
        kept = json.loads((cache / STEP_TIMES_NAME).read_text(encoding="utf-8"))
        return {str(shape): float(seconds) for shape, seconds in kept.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}  # none yet, or damaged; they are measured again


def _weights_bytes(config: RunConfig) -> int:
    """Weights at every score epoch, and the checkpoint to go on from: weights and two moments."""
    return parameters(config) * BYTES_A_WEIGHT * (len(config.epochs_to_score) + 3)


def _bytes_after(config: RunConfig) -> int:
    if config.keep == "all":
        weights = parameters(config) * BYTES_A_WEIGHT * len(config.epochs_to_score)
        return OTHER_BYTES + weights
    return OTHER_BYTES


def parameters(config: RunConfig) -> int:
    """Trained values of the network, running statistics of its normalization included."""
    values = config.by_key()
    depth, width = int(values.get("model.depth") or 3), int(values.get("model.width") or 16)
    channels = [len(VIEW_INDICES[config.data.views]), *(width * 2**block for block in range(depth))]
    convolutions = sum(9 * before * after + after for before, after in pairwise(channels))
    normalization = sum(4 * after for after in channels[1:])
    side = CROP_SIZE >> depth
    return int(convolutions + normalization + (side * side * channels[-1] + 1) * 5)
