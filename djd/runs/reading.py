"""The cohort of a configuration, and its patients on the two sides of the wall.

Nothing here imports torch: a sweep's own process does without.
"""

import sys
from collections.abc import Collection
from pathlib import Path

from rich.progress import Progress

from djd.data.cohort import Cohort, find_scans, require_trainable
from djd.data.cohort_flow import flow_of
from djd.data.formats import import_formats
from djd.data.kept_cohort import kept_cohort
from djd.data.phantom.kept import kept_phantom
from djd.data.second_reader import Readings, read_second_reader, write_second_reader
from djd.data.split import Parts, PatientSplit, split_knees, split_patients
from djd.data.tables import read_grade_names, read_groups, read_names
from djd.runs.config import DataConfig, RunConfig
from djd.runs.folder import SECOND_READER_NAME
from djd.runs.summary import log


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
        cohort = kept_cohort(
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
        return kept_phantom(
            config.paths.cache,
            patients=patients,
            seed=config.data.phantom_seed,
            on_scan=lambda done: bar.update(bar.task_ids[0], completed=done),
        )


def _bar(name: str, total: int) -> Progress:
    bar = Progress(transient=True, disable=not sys.stdout.isatty())
    bar.add_task(name, total=total)
    return bar


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
