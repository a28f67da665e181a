"""What a training needs before its first step: hardware, cohort, split, first files."""

import sys
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from rich.progress import Progress

from djd.data.cohort import Cohort, find_scans, require_trainable
from djd.data.cohort_cache import cached_cohort
from djd.data.cohort_flow import flow_of
from djd.data.formats import import_formats
from djd.data.phantom.cohort import cached_phantom
from djd.data.split import (
    Parts,
    PatientSplit,
    grade_warnings,
    part_summaries,
    split_knees,
    split_patients,
)
from djd.data.tables import (
    Readings,
    read_grade_names,
    read_groups,
    read_names,
    read_second_reader,
    write_second_reader,
)
from djd.files import write_whole
from djd.machine import keep_freed_memory
from djd.models.fused.fitting import use_blocks
from djd.runs.config import DataConfig, RunConfig
from djd.runs.folder import (
    CONFIG_NAME,
    SECOND_READER_NAME,
    require_same_cohort,
    save_split,
    saved_fingerprint,
)
from djd.runs.hardware import (
    require_accelerator,
    require_precision,
    training_device,
    use_precision,
    use_threads,
)
from djd.runs.summary import log, say, say_cohort

THREADS_IN_SWEEP = 1
"""Of every training of a sweep: two of them on two cores do more than one on both, and the number
of threads changes results."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A training that could start now.

    Attributes:
        config: What to train.
        folder: Where its files go.
        cohort: The knees.
        fingerprint: Of the cohort.
        split: The wall between development and test patients.
        parts: Knees of each part.
        threads: CPU threads of a training step.
    """

    config: RunConfig
    folder: Path
    cohort: Cohort
    fingerprint: str
    split: PatientSplit
    parts: Parts
    threads: int

    @property
    def fold_name(self) -> str:
        """What is held out, as one says it."""
        data = self.config.data
        if data.fold is None:
            return "fit on all development patients"
        return f"fold {data.fold} of {data.folds}"

    @property
    def stamp(self) -> str | None:
        """What has to stand on everything that is made; see `RunConfig.stamp`."""
        return self.config.stamp(phantom=self.cohort.phantom)

    @property
    def top(self) -> Path:
        """The folder of the run or sweep that the training belongs to."""
        above = {"run": 0, "cell": 1, "refit": 2}[self.config.kind]
        return [self.folder, *self.folder.parents][above]

    def refit(self, folder: Path) -> "Prepared":
        """The same setting on all development patients, in another folder."""
        data = self.config.data.model_copy(update={"fold": None})
        return replace(
            self,
            config=self.config.model_copy(update={"data": data}),
            folder=folder,
            parts=split_cell(self.config, self.cohort, self.split, fold=None),
        )


def prepare(config: RunConfig, folder: Path) -> Prepared:
    """Read and split the cohort, and print what it is; nothing is written.

    Args:
        config: What to train.
        folder: Of the training; if a stopped one is there, the cohort has to be the same.

    Raises:
        InputError: Hardware, scans or split are not as expected.
    """
    require_accelerator(config.trainer.accelerator)
    require_precision(config.trainer.precision, training_device(config))
    use_precision(config.trainer.precision)
    keep_freed_memory()
    threads = use_threads(config.trainer.threads if config.kind == "run" else THREADS_IN_SWEEP)
    cohort, split = read_data(config)
    fingerprint = cohort.fingerprint()
    require_same_cohort(folder, before=saved_fingerprint(folder), now=fingerprint)
    parts = split_cell(config, cohort, split, fold=config.data.fold)
    prepared = Prepared(config, folder, cohort, fingerprint, split, parts, threads)
    if prepared.stamp:
        say(prepared.stamp)
    summaries = part_summaries(cohort, parts)
    say_cohort(cohort, summaries, grade_warnings(summaries))
    return prepared


def write_inputs(prepared: Prepared) -> None:
    """Leave the configuration and who is where, and decide on the blocks, before the first step."""
    use_blocks(prepared.top)
    write_whole(prepared.folder / CONFIG_NAME, prepared.config.as_yaml())
    save_split(
        prepared.folder,
        prepared.split,
        part_summaries(prepared.cohort, prepared.parts),
        fingerprint=prepared.fingerprint,
    )


def leave_for_report(
    folder: Path,
    cohort: Cohort,
    split: PatientSplit,
    readings: Readings | None,
    *,
    stamp: str | None,
) -> None:
    """Leave the flow of scans and patients, and a second reader's grades where there are any.

    Grades that an earlier command was given stay until others take their place.

    Args:
        folder: Of the run or comparison.
        cohort: The knees.
        split: The wall between development and test patients.
        readings: What the second reader's file says; None where there is none.
        stamp: What has to stand on everything; see `RunConfig.stamp`.

    Raises:
        InputError: The folder of scans is gone.
        OSError: A file can't be written.
    """
    flow_of(cohort, split, scans_found=scans_found(cohort)).save(folder)
    if readings is not None:
        write_second_reader(folder / SECOND_READER_NAME, readings, stamp=stamp)


def read_data(config: RunConfig) -> tuple[Cohort, PatientSplit]:
    """The cohort, and its patients on the two sides of the wall, which goes by file names alone.

    Raises:
        InputError: The scans, or a file that says something about them, are not as expected.
    """
    data = config.data
    root = _root(config)
    known = [path.stem for path in find_scans(root)]
    patients = read_groups(data.groups, known=known) if data.groups else {}
    paths = find_scans(root, exclude=_excluded(data, root, known))
    with _bar("reading scans", len(paths)) as bar:
        cohort = cached_cohort(
            config.paths.cache,
            paths,
            patients=patients,
            placement=data.crop,
            labels_from=data.labels_from,
            grade_names=read_grade_names(data.grade_names) if data.grade_names else {},
            on_scan=lambda done: bar.update(bar.task_ids[0], completed=done),
        )
    require_trainable(cohort, labels_from=data.labels_from, on_error=data.on_error)
    return cohort, _split(data, cohort)


def read_readings(config: RunConfig) -> Readings | None:
    """A second reader's grades, of whichever scans of the folder; None where none are given.

    Scans that are left out or can't be read may be among them: no scan is read here.

    Raises:
        InputError: The folder, or the file, is not as expected.
    """
    if not config.data.second_reader:
        return None
    known = {path.stem for path in find_scans(_root(config))}
    return read_second_reader(config.data.second_reader, known=known)


def scans_found(cohort: Cohort) -> int:
    """How many scans lie in a cohort's folder, those left out by name included.

    Raises:
        InputError: The folder is gone.
    """
    return len(find_scans(cohort.root))


def split_cell(
    config: RunConfig, cohort: Cohort, split: PatientSplit, *, fold: int | None
) -> Parts:
    """Knees of each part as the configuration has them, for one fold or for a refit.

    Raises:
        InputError: See `split_knees`.
    """
    return split_knees(
        cohort,
        split,
        folds=config.data.folds,
        fold=fold,
        split_seed=config.data.split_seed,
        leak=config.data.leak,
    )


def _split(data: DataConfig, cohort: Cohort) -> PatientSplit:
    named = None
    if data.test_list:
        known = set(cohort.patients)
        named = read_names(data.test_list, key="data.test_list", known=known, what="patient")
    return split_patients(cohort.patients, test_count=data.test_count, test_patients=named)


def _excluded(data: DataConfig, root: Path, known: Collection[str]) -> Collection[str]:
    """Names to leave out; a name typed that no scan has is a warning, one in a file an error.

    The study's four are left out of any cohort, whether it holds them or not.
    """
    if isinstance(data.exclude, Path):
        return read_names(data.exclude, key="data.exclude", known=known, what="scan")
    if unknown := sorted(set(data.exclude).difference(known)):
        log.warning("warning: data.exclude names no scan of %s: %s", root, ", ".join(unknown))
    return data.exclude


def _root(config: RunConfig) -> Path:
    """Folder of the scans; from here on, files of the person's own formats are scans, too."""
    if config.data.format_module:
        import_formats(config.data.format_module)
    return config.data.root or _phantom_root(config)


def _phantom_root(config: RunConfig) -> Path:
    patients = config.data.phantom_patients
    with _bar("inventing scans", patients) as bar:
        return cached_phantom(
            config.paths.cache,
            patients=patients,
            seed=config.data.phantom_seed,
            on_scan=lambda done: bar.update(bar.task_ids[0], completed=done),
        )


def _bar(name: str, total: int) -> Progress:
    bar = Progress(transient=True, disable=not sys.stdout.isatty())
    bar.add_task(name, total=total)
    return bar
