"""How time and memory grow with patients, pixels, depth and batch size.

    python bench/scaling.py
    python bench/scaling.py --save scaling.json --figure docs/scaling.png
    python bench/scaling.py --load scaling.json --figure docs/scaling.png

Along each axis the other three stay at the base setting. Each point is trained in a process of its
own, on all cores that it may use: a simulated cohort with two knees a patient, of which 40 patients
are for the test and a fifth of the others validates, as in a training's first fold; then steps as
Lightning makes them (batch, loss, gradients, Adam), with memory kept between steps, for so many
seconds. A step's time is the median of full batches; knees a second are those of all timed steps,
and an epoch is the training knees at that rate, whether all of them were seen (100 %) or a part.

Peak memory is the most that was resident at a time, less what was at the process's start, with
everything imported and a step of a tiny network behind it. "crops" is the part of it that the crops
must take: both views as read and what the network sees of training and validation knees. Here they
are no map out of the cache, as a training has them; see `bench/patients.py`. Since 2026-11-30 the
batches of 20,000 patients are made one by one, and what the network sees is not held.

2026-11-25, Linux x86-64, 2 cores, 2 threads, PyTorch 2.13.0:

patients  pixels   depth   batch  batches s  ms a step  knees/s  epoch s   timed  peak MB  crops MB
     205     128       2      32       0.06       30.2    1,027     0.26   100 %      152        48
   2,000     128       2      32       0.63       29.4    1,071     2.93   100 %      683       519
  20,000     128       2      32       6.27       29.9    1,059    30.16    27 %    5,454     5,238
     205      64       2      32       0.01        8.8    3,328     0.08   100 %       41        12
     205     256       2      32       0.25      109.0      284     0.93   100 %      595       194
     205     128       1      32       0.01        7.6    4,023     0.07   100 %      106        48
     205     128       3      32       0.04       47.8      663     0.40   100 %      171        48
     205     128       4      32       0.01       66.5      479     0.55   100 %      172        48
     205     128       5      32       0.01       82.1      386     0.68   100 %      178        48
     205     128       2       8       0.01        9.7      784     0.34   100 %       94        48
     205     128       2      16       0.01       16.2      966     0.27   100 %      111        48
     205     128       2      64       0.01       56.9    1,099     0.24   100 %      228        48
     205     128       2     128       0.01      109.4    1,150     0.23   100 %      388        48

peak MB: beyond the 421 MB of a process at its start
"""

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.plugins import Precision
from numpy.typing import NDArray

from djd.data.cohort import Cohort
from djd.data.datamodule import Batches, KneeDataModule
from djd.data.split import Parts
from djd.environment import let_waiting_threads_sleep
from djd.machine import keep_freed_memory, usable_cores
from djd.models.classifier import GradeClassifier
from djd.runs.rehearsal import simulated_cohort
from djd.sweeps.processes import Ending, Watcher, run_in_processes

sys.path.insert(0, str(Path(__file__).parents[1]))  # bench is no part of the package


SECONDS = 8.0
"""Of timed steps a point."""

WARM_STEPS = 2
LEAST_STEPS = 5
TEST_PATIENTS, FOLDS = 40, 5
FLOAT32_BYTES = 4
DIFFERENT_KNEES = 64
"""Simulated ones; a cohort repeats them."""


@dataclass(frozen=True)
class Point:
    """What is trained; as it stands, the base setting."""

    patients: int = 205
    pixels: int = 128
    depth: int = 2
    batch_size: int = 32


BASE = Point()
AXES = {
    "patients": [replace(BASE, patients=patients) for patients in (205, 2_000, 20_000)],
    "pixels": [replace(BASE, pixels=size) for size in (64, 128, 256)],
    "depth": [replace(BASE, depth=depth) for depth in (1, 2, 3, 4, 5)],
    "batch_size": [replace(BASE, batch_size=knees) for knees in (8, 16, 32, 64, 128)],
}


@dataclass(frozen=True)
class Cost:
    """What training at a point costs.

    Attributes:
        batches_seconds: From the cohort to the batches of training and validation.
        step_ms: A training step of a full batch, median.
        knees_per_second: Of all timed steps.
        epoch_seconds: All training knees at that rate.
        epoch_share: How much of an epoch was timed, 0 to 1.
        peak_mb: Most resident memory beyond that at the process's start.
        crops_mb: What the crops must take of it.
        start_mb: Resident at the process's start.
    """

    batches_seconds: float
    step_ms: float
    knees_per_second: float
    epoch_seconds: float
    epoch_share: float
    peak_mb: float
    crops_mb: float
    start_mb: float


@dataclass(frozen=True)
class Machine:
    """Where and when was measured."""

    kind: str
    cores: int
    threads: int
    torch: str
    date: str

    @classmethod
    def here(cls) -> "Machine":
        """This one, today; a measuring process takes a thread a core."""
        import torch

        return cls(
            kind=f"{platform.system()} {platform.machine().replace('_', '-')}",
            cores=os.cpu_count() or 1,
            threads=usable_cores(),
            torch=torch.__version__.split("+")[0],
            date=datetime.now(UTC).date().isoformat(),
        )

    def __str__(self) -> str:
        return (
            f"{self.date}, {self.kind}, {self.cores} cores, {self.threads} threads, "
            f"PyTorch {self.torch}"
        )


def measure(point: Point, seconds: float) -> Cost:
    """In a process of its own: make a cohort and its batches, and train for so many seconds."""
    keep_freed_memory()
    torch.set_num_threads(usable_cores())
    _train_tiny_network()
    start_mb = _peak_mb()
    datamodule = _datamodule(point)
    began = time.perf_counter()
    train, _validation = datamodule.train_batches(), datamodule.val_dataloader()
    batches_seconds = time.perf_counter() - began
    steps = time_steps(_classifier(point), train, seconds)
    knees, trained = len(datamodule.parts.train), sum(size for size, _ in steps)
    rate = trained / sum(taken for _, taken in steps)
    full = [taken for size, taken in steps if size == point.batch_size]
    return Cost(
        batches_seconds=batches_seconds,
        step_ms=1e3 * statistics.median(full),
        knees_per_second=rate,
        epoch_seconds=knees / rate,
        epoch_share=min(1.0, trained / knees),
        peak_mb=_peak_mb() - start_mb,
        crops_mb=_crops_mb(datamodule),
        start_mb=start_mb,
    )


def time_steps(
    classifier: GradeClassifier, batches: Batches, seconds: float
) -> list[tuple[int, float]]:
    """Knees and seconds of each training step, for so many seconds after the first few steps."""
    optimizer = classifier.configure_optimizers()
    steps: list[tuple[int, float]] = []
    epoch = 0
    while True:
        batches.set_epoch(epoch)
        began = time.perf_counter()
        for batch in batches:
            classifier.train_on(batch, optimizer, Precision())
            now = time.perf_counter()
            steps.append((len(batch["grade"]), now - began))
            began = now
            timed = steps[WARM_STEPS:]
            if len(timed) >= LEAST_STEPS and sum(taken for _, taken in timed) >= seconds:
                return timed
        classifier.finish_train_pass()
        epoch += 1


def noise_of(patients: int, pixels: int) -> Cohort:
    """Knees of noise, two a patient."""
    knees = np.arange(2 * patients)
    shape = (DIFFERENT_KNEES, 2, pixels, pixels)
    counts = np.random.default_rng(0).integers(0, 40, shape, dtype=np.uint16)
    return simulated_cohort(counts[knees % DIFFERENT_KNEES], knees % 5)


def first_fold(patients: int) -> Parts:
    """The last patients are for the test, every fifth of the others validates."""
    knees = np.arange(2 * patients)
    development, test = knees[: -2 * TEST_PATIENTS], knees[-2 * TEST_PATIENTS :]
    validates = development // 2 % FOLDS == 0
    return Parts(train=development[~validates], validation=development[validates], test=test)


def _datamodule(point: Point) -> KneeDataModule:
    return KneeDataModule(
        noise_of(point.patients, point.pixels),
        first_fold(point.patients),
        views="anterior",
        scaling="standard",
        mirror_left=False,
        batch_size=point.batch_size,
        seed=0,
    )


def _classifier(point: Point) -> GradeClassifier:
    return GradeClassifier(
        network={"_target_": "djd.models.networks.KneeCNN", "depth": point.depth},
        loss={"_target_": "djd.models.losses.CrossEntropy"},
        optimizer={"_target_": "torch.optim.Adam"},
        learning_rate=0.001,
        schedule="constant",
        epochs=1,
        views=1,
        pixels=point.pixels,
    )


def _train_tiny_network() -> None:
    """So that what libraries load with their first step isn't taken for what knees need."""
    tiny = Point(patients=TEST_PATIENTS + 10, pixels=32, batch_size=2)
    time_steps(_classifier(tiny), _datamodule(tiny).train_batches(), 0)


def _crops_mb(datamodule: KneeDataModule) -> float:
    """Of all knees as read, and, where they are held, of those that the network sees."""
    counts, parts = datamodule.cohort.crops, datamodule.parts
    if datamodule.makes_images_anew:
        return float(counts.nbytes) / 1e6
    pixels = (len(parts.train) + len(parts.validation)) * counts[0, 0].size
    return float(counts.nbytes + pixels * FLOAT32_BYTES) / 1e6


def _peak_mb() -> float:
    """Most memory that this process has had resident."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


HEADS = (
    *("patients", "pixels", "depth", "batch"),
    *("batches s", "ms a step", "knees/s", "epoch s", "timed", "peak MB", "crops MB"),
)


def row(point: Point, cost: Cost) -> str:
    """A line of the table."""
    values = (
        *(f"{point.patients:,}", f"{point.pixels}", f"{point.depth}", f"{point.batch_size}"),
        *(f"{cost.batches_seconds:.2f}", f"{cost.step_ms:.1f}", f"{cost.knees_per_second:,.0f}"),
        *(f"{cost.epoch_seconds:.2f}", f"{100 * cost.epoch_share:.0f} %"),
        *(f"{cost.peak_mb:,.0f}", f"{cost.crops_mb:,.0f}"),
    )
    return in_columns(values)


def in_columns(values: Sequence[str]) -> str:
    """Values under their heads."""
    pairs = zip(values, HEADS, strict=True)
    return "    " + "  ".join(value.rjust(max(len(head), 6)) for value, head in pairs)


class Printer(Watcher):
    """Prints each point as it is measured."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = points

    def ended(self, index: int, ending: Ending) -> bool:
        """Print a row; stop where there is none."""
        if not ending.reason:
            print(row(self._points[index], ending.value), flush=True)
        return not ending.reason


def measure_all(seconds: float) -> dict[Point, Cost]:
    """Every point of every axis, one after another."""
    points = list(dict.fromkeys(point for axis in AXES.values() for point in axis))
    calls = [(point, seconds) for point in points]
    endings = run_in_processes(measure, calls, at_once=1, watcher=Printer(points))
    for point, ending in zip(points, endings, strict=True):
        if ending and ending.reason:
            raise SystemExit(f"{point}: {ending.reason}")
    return {point: end.value for point, end in zip(points, endings, strict=True) if end}


def save(path: Path, machine: Machine, costs: dict[Point, Cost]) -> None:
    """Write what was measured."""
    points = [asdict(point) | asdict(cost) for point, cost in costs.items()]
    content = {"machine": asdict(machine), "points": points}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> tuple[Machine, dict[Point, Cost]]:
    """Read back what `save` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    costs = {_taken(Point, values): _taken(Cost, values) for values in content["points"]}
    return Machine(**content["machine"]), costs


def _taken(kind: type, values: dict[str, Any]) -> Any:
    return kind(**{field.name: values[field.name] for field in fields(kind)})


def draw(path: Path, machine: Machine, costs: dict[Point, Cost]) -> None:
    """Write the figure."""
    from bench.scaling_figure import Column, scaling_figure
    from djd.plots.style import save_figure

    def column(axis: str, label: str, work: NDArray[np.float64] | None) -> Column:
        points = AXES[axis]
        along = [costs[point] for point in points]
        by_epoch = axis == "patients"
        return Column(
            label=label,
            levels=[getattr(point, axis) for point in points],
            base=points.index(BASE),
            time=[cost.epoch_seconds if by_epoch else cost.step_ms for cost in along],
            time_label="seconds an epoch" if by_epoch else "ms a step",
            memory=[cost.peak_mb for cost in along],
            crops=[cost.crops_mb for cost in along],
            work=work,
        )

    figure = scaling_figure(
        [
            column("patients", "patients (two knees each)", _along("patients")),
            column("pixels", "crop size, pixels a side", _along("pixels") ** 2),
            column("depth", "depth, blocks", None),
            column("batch_size", "batch size, knees", _along("batch_size")),
        ],
        base=f"{BASE.patients} patients, {BASE.pixels} pixels, depth {BASE.depth}, "
        f"batches of {BASE.batch_size}",
        caption=f"{machine}. {_share_sentence(costs)}",
    )
    save_figure(figure, path)


def _along(axis: str) -> NDArray[np.float64]:
    return np.array([getattr(point, axis) for point in AXES[axis]], dtype=np.float64)


def _share_sentence(costs: dict[Point, Cost]) -> str:
    shares = [(p.patients, 100 * costs[p].epoch_share) for p in AXES["patients"]]
    parts = [f"{share:.0f} % ({patients:,} patients)" for patients, share in shares if share < 100]
    return f"Of an epoch was timed: {', '.join(parts)}." if parts else "Whole epochs were timed."


def main() -> None:
    """Print a table; keep and draw what it shows where asked to."""
    let_waiting_threads_sleep()  # as train.py does; the measuring processes inherit it
    parser = argparse.ArgumentParser(description="How time and memory of training grow.")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of timed steps a point")
    parser.add_argument("--save", type=Path, help="JSON to keep what was measured in")
    parser.add_argument("--load", type=Path, help="such a file, in place of measuring")
    parser.add_argument("--figure", type=Path, help="PNG to draw")
    arguments = parser.parse_args()
    machine, costs = load(arguments.load) if arguments.load else (Machine.here(), {})
    print(f"{machine}:\n\n{in_columns(HEADS)}", flush=True)
    for point, cost in costs.items():
        print(row(point, cost))
    costs = costs or measure_all(arguments.seconds)
    print(f"\n    peak MB: beyond the {costs[BASE].start_mb:,.0f} MB of a process at its start")
    if arguments.save:
        save(arguments.save, machine, costs)
    if arguments.figure:
        draw(arguments.figure, machine, costs)


if __name__ == "__main__":
    main()
