"""Time and disk of a sweep, and the sentences that are printed before the sweep starts."""

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from heapq import heapreplace
from importlib.metadata import version
from pathlib import Path

from djd.data.cohort import Cohort
from djd.data.split import PatientSplit, grade_warnings, side_summaries
from djd.errors import InputError
from djd.files import write_whole
from djd.machine import processor
from djd.runs.config import RunConfig
from djd.runs.duration import Pace, end_seconds, middle, training_seconds
from djd.runs.keys import as_typed, short_names
from djd.runs.pretrain import pretraining_seconds, weights_place
from djd.runs.result import RESULTS_VERSION
from djd.runs.summary import say, say_cohort
from djd.runs.together import networks_to_train
from djd.sweeps.cells import Cell, by_setting, refitted
from djd.sweeps.processes import run_in_processes
from djd.sweeps.sweep import Sweep, has_unusable_result
from djd.wording import count_of, in_bytes, in_words

# Of a cell, beyond its training and its weights (bench/overhead.py).
CELL_SECONDS = 0.3  # process, cohort
OTHER_BYTES = 800_000  # plots, dashboard, tables, log

MOST_TIMED_TOGETHER = 16  # processes that rehearse; the more there are, the longer a step takes
PACES_NAME = "paces.json"
BYTES_A_WEIGHT = 4

Knees = Callable[[RunConfig], tuple[int, int]]
"""Numbers of training and validation knees of a configuration."""

Measured = tuple[Pace, int]
"""The pace of a training, and the number of values in the network's state."""


@dataclass(frozen=True)
class Forecast:
    """Time and disk of a sweep.

    Attributes:
        seconds: Of each unfinished cell alone, by its folder.
        total_seconds: Of all unfinished cells and refits, a few at a time.
        bytes_running: Disk of the whole sweep with the weights of all score epochs.
        bytes_after: Disk without the weights that are dropped in the end.
        pretraining_seconds: The part of `total_seconds` in which cells wait for first weights.
    """

    seconds: Mapping[Path, float]
    total_seconds: float
    bytes_running: int
    bytes_after: int
    pretraining_seconds: float = 0.0


def forecast(
    sweep: Sweep, knees: Knees, *, at_once: int, timed_together: int | None = None
) -> Forecast:
    """Time and disk of a sweep, from a rehearsal of each shape; one refit counts as their mean.

    `at_once` cells train at a time, and so many, or `timed_together`, on one machine.

    Raises:
        InputError: A network can't be built, or the split of a cell is not as expected.
    """
    cells, config = sweep.unfinished, sweep.config
    if not cells:  # a finished sweep is reported even where a network can't be built any more
        return Forecast({}, 0.0, 0, 0)
    together = timed_together or at_once
    refits = []
    if config.test != "never":
        firsts = [group[0] for group in by_setting(sweep.cells)]
        most = [(cell, cell.config.trainer.max_epochs) for cell in firsts]
        refits = [refitted(cell, epochs=each, score_epochs=()).config for cell, each in most]
    seconds = training_estimates([cell.config for cell in cells], knees, at_once=together)
    of_refits = training_estimates(refits, knees, at_once=together)
    if config.test != "each":  # any of them may win
        of_refits = [sum(of_refits) / len(of_refits)] if of_refits else []
    all_configs = [cell.config for cell in sweep.trainings]
    running = after = OTHER_BYTES * len(all_configs)
    measured = measured_paces(all_configs, at_once=together)
    for each, (_, values) in zip(all_configs, measured, strict=True):
        epochs = len(each.epochs_to_score)
        # Beside the score epochs: the checkpoint to resume from, weights and two moments.
        running += values * BYTES_A_WEIGHT * (epochs + 3)
        after += values * BYTES_A_WEIGHT * epochs if config.keep == "all" else 0
    by_folder = {cell.folder: each for cell, each in zip(cells, seconds, strict=True)}
    before = _pretraining([*(cell.config for cell in cells), *refits], together)
    training = before + _shared(seconds, at_once) + _shared(of_refits, at_once)
    return Forecast(by_folder, training + end_seconds(config), running, after, before)


def timed_here(sweep: Sweep) -> Sweep:
    """A sweep for a forecast on this machine, which may lack the GPU on which cells will train."""
    failed = [(on_processor(cell), reason) for cell, reason in sweep.failed]
    cells, to_do, elsewhere = (
        tuple(map(on_processor, each)) for each in (sweep.cells, sweep.to_do, sweep.elsewhere)
    )
    return replace(sweep, cells=cells, to_do=to_do, elsewhere=elsewhere, failed=tuple(failed))


def on_processor(cell: Cell) -> Cell:
    """A cell that trains on the processor of this machine."""
    here = {"accelerator": "cpu", "precision": "float32"}
    trainer = cell.config.trainer.model_copy(update=here)
    return replace(cell, config=cell.config.model_copy(update={"trainer": trainer}))


def _pretraining(configs: Sequence[RunConfig], at_once: int) -> float:
    """Seconds of all first weights that the cache lacks, each trained once."""
    pretrained = [config for config in configs if config.pretrain.source != "none"]
    measured = measured_paces(pretrained, at_once=at_once)
    first = {
        weights_place(config): pretraining_seconds(config, pace)
        for config, (pace, _) in zip(pretrained, measured, strict=True)
    }
    return _shared([each for each in first.values() if each], at_once)


def _shared(seconds: Sequence[float], at_once: int) -> float:
    """Seconds until all jobs are done, each begun in its turn by the first that has ended."""
    ends = [0.0] * max(1, min(at_once, len(seconds)))
    for each in seconds:
        heapreplace(ends, ends[0] + each)
    return max(ends)


def training_estimates(configs: Sequence[RunConfig], knees: Knees, *, at_once: int) -> list[float]:
    """Seconds of each configuration's trainings, `CELL_SECONDS` included."""
    seconds = []
    for config, (pace, _) in zip(configs, measured_paces(configs, at_once=at_once), strict=True):
        train, held_out = knees(config)
        training = training_seconds(config, pace, train_knees=train, validation_knees=held_out)
        seconds.append(CELL_SECONDS + networks_to_train(config) * training)
    return seconds


def measured_paces(configs: Sequence[RunConfig], *, at_once: int) -> list[Measured]:
    """The pace of each configuration while `at_once` processes train.

    Each shape is rehearsed once on this machine, in processes like those of cells, and kept in the
    cache; a cache that can't be written is no error.

    Raises:
        InputError: A network can't be built.
    """
    if not configs:
        return []
    cache = configs[0].paths.cache
    kept = _kept_paces(cache)
    shapes = [_shape(config, at_once) for config in configs]
    by_shape = dict(zip(shapes, configs, strict=True))
    if missing := {shape: config for shape, config in by_shape.items() if shape not in kept}:
        measured = _measure_shapes(missing, at_once)
        kept |= _kept_paces(cache) | measured  # other commands have measured meanwhile
        with suppress(OSError):
            cache.mkdir(parents=True, exist_ok=True)
            write_whole(cache / PACES_NAME, json.dumps(kept, indent=1))
    return [kept.get(shape, (Pace(0.0, 0.0, 0.0), 0)) for shape in shapes]


def _measure_shapes(shapes: dict[str, RunConfig], at_once: int) -> dict[str, Measured]:
    together = min(at_once, MOST_TIMED_TOGETHER)
    calls = [(list(shapes.values()),)] * together
    endings = run_in_processes(_measure, calls, at_once=together)
    columns = [ending.value for ending in endings if ending and ending.value]
    if wrong := next((column for column in columns if isinstance(column, str)), None):
        raise InputError(wrong)
    measured = {}
    for shape, *found in zip(shapes, *columns, strict=bool(columns)):
        # A shape that can't be trained has no pace; its cells will say why.
        if there := [each for each in found if each]:
            paces, values = zip(*there, strict=True)
            measured[shape] = Pace(*map(middle, zip(*paces, strict=True))), values[0]
    return measured


def _measure(configs: Sequence[RunConfig]) -> list[Measured | None] | str:
    """In a process like those of cells: each configuration's pace, or the text of an InputError.

    Where a rehearsal fails with any other exception it is None.
    """
    from djd.machine import keep_freed_memory
    from djd.runs.duration import count_values
    from djd.runs.hardware import use_threads
    from djd.runs.rehearsal import rehearse

    keep_freed_memory()
    measured: list[Measured | None] = []
    for config in configs:
        try:
            values = count_values(config)
            use_threads(config)
            measured.append((rehearse(config), values))
        except InputError as error:
            return str(error)
        except Exception:
            measured.append(None)
    return measured


def _shape(config: RunConfig, at_once: int) -> str:
    """Everything that the pace of a training depends on, but for a millisecond of its optimizer."""
    data, trainer, plain = config.data, config.trainer, config.plain()
    groups = json.dumps([plain["model"], plain["loss"], plain["augment"]], sort_keys=True)
    return (
        f"{groups} views={data.views} pixels={data.pixels} batch_size={data.batch_size} "
        f"accelerator={trainer.accelerator} at_once={min(at_once, MOST_TIMED_TOGETHER)} "
        f"precision={trainer.precision} torch={_torch_version()} results={RESULTS_VERSION} "
        f"{platform.node()} {processor()}"
    )


@cache  # it takes a millisecond, and each cell of a sweep asks
def _torch_version() -> str:
    return version("torch")


def _kept_paces(cache: Path) -> dict[str, Measured]:
    try:
        kept = json.loads((cache / PACES_NAME).read_text(encoding="utf-8"))
        return {
            str(shape): (Pace(*map(float, pace)), int(values))
            for shape, (pace, values) in kept.items()
        }
    except (OSError, ValueError, AttributeError, TypeError, LookupError):
        return {}  # missing or damaged: all shapes are rehearsed again


def say_head(
    sweep: Sweep,
    cohort: Cohort,
    split: PatientSplit,
    expected: Forecast,
    *,
    at_once: int,
    notes: Sequence[str] = (),
) -> None:
    """Print the axes, the cohort, the expected time and disk, and notes on them."""
    config = sweep.config
    if stamp := config.stamp(phantom=cohort.phantom):
        say(stamp)
    summaries = side_summaries(cohort, split)
    say_cohort(cohort, summaries, grade_warnings(summaries), views=config.data.views)
    settings = sum(len(cells[0].config.epochs_to_score) for cells in by_setting(sweep.cells))
    counts = f"{count_of(settings, 'setting')} in {count_of(len(sweep.trainings), 'cell')}"
    say(f"{counts}: {_axes_in_words(sweep.cells)}")
    to_do = len(sweep.to_do) + len(sweep.failed)
    counts = f"{count_of(len(sweep.finished_trainings), 'cell')} done, {to_do} to do"
    if sweep.failed:
        counts += f" ({len(sweep.failed)} of them failed before and will be tried again)"
    if sweep.elsewhere:
        counts += f", {len(sweep.elsewhere)} in another process's hands"
    if expected.seconds:
        together = count_of(at_once, "cell")
        counts += f": about {in_words(expected.total_seconds)}, {together} at a time"
    if expected.pretraining_seconds:
        counts += f", with {in_words(expected.pretraining_seconds)} to pretrain, once for all"
    say(counts)
    if again := sum(has_unusable_result(cell) for cell in sweep.to_do):
        say(
            f"{count_of(again, 'cell')} of these have a result that lacks some of the epochs asked "
            "for (score_epochs), and will be trained anew"
        )
    if all(cell.config.data.fold is None for cell in sweep.cells):
        say("data.fold=null holds nothing out: there will be no ranking and no winner")
    if expected.seconds:
        say(
            f"Disk: about {in_bytes(expected.bytes_running)} while it trains, "
            f"{in_bytes(expected.bytes_after)} afterwards (keep={config.keep})"
        )
    for note in notes:
        say(note)
    if config.dry_run:
        say("dry_run=true: nothing was trained")


def _axes_in_words(cells: Sequence[Cell]) -> str:
    """Each axis with its values, epochs among them."""
    values = {
        name: dict.fromkeys(as_typed(cell.axes[key]) for cell in cells)
        for key, name in short_names(cells[0].axes).items()
    }
    epochs = sorted({epoch for cell in cells for epoch in cell.config.epochs_to_score})
    values["epochs"] = dict.fromkeys(map(str, epochs))
    return "; ".join(f"{name} {', '.join(each)}" for name, each in values.items())
