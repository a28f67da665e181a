"""The cohort of a configuration and its split. A sweep's process imports this without torch."""

import logging
from collections.abc import Callable, Collection
from pathlib import Path

from djd.data.cohort import Cohort
from djd.data.cohort_cache import cached_cohort
from djd.data.cohort_flow import flow_of
from djd.data.formats import import_formats
from djd.data.labels import given_labels
from djd.data.names import one_form, unknown_names
from djd.data.phantom.cohort import cached_phantom, phantom_folder
from djd.data.problems import require_trainable
from djd.data.scan_files import ScanFolder, find_scans
from djd.data.split import Parts, PatientSplit, split_knees, split_patients
from djd.data.tables import (
    Readings,
    read_grade_names,
    read_groups,
    read_names,
    read_second_reader,
    write_second_reader,
)
from djd.errors import InputError
from djd.progress import progress_bar
from djd.runs.config import DataConfig, RunConfig
from djd.runs.folder import SECOND_READER_NAME
from djd.runs.summary import say


def read_data(config: RunConfig) -> tuple[Cohort, PatientSplit]:
    """The cohort, and its development and test patients, split by file names alone.

    Raises InputError where the scans, or a file about them, are not as expected.
    """
    data = config.data
    folder = _folder(config)
    known = set(folder.names)
    patients = read_groups(data.groups, known=known) if data.groups else {}
    grade_names = read_grade_names(data.grade_names) if data.grade_names else {}
    kind = data.labels_kind
    labels = given_labels(data.labels, known=known, kind=kind, grade_names=grade_names)
    folder = folder.without(_excluded(data, folder.root, known))
    with progress_bar("reading scans", len(folder)) as on_scan:
        cohort = cached_cohort(
            config.paths.cache,
            folder,
            patients=patients,
            placement=data.crop,
            labels_from=data.labels_from,
            grade_names=grade_names,
            labels=labels,
            view_order=data.view_order,
            on_scan=on_scan,
        )
    require_trainable(
        cohort, labels_from=data.labels_from, on_error=data.on_error, views=data.views
    )
    named = None
    if data.test_list:
        named = read_names(
            data.test_list,
            key="data.test_list",
            known=set(cohort.patients),
            what="patient",
            columns=() if data.groups else ("scan",),
        )
    split = split_patients(cohort.patients, test_count=data.test_count, test_patients=named)
    return cohort, split


def read_readings(config: RunConfig) -> Readings | None:
    """A second reader's grades of scans of the folder, or None.

    Excluded and unreadable scans may be among them: no scan is read here. Raises InputError where
    the folder or the file is not as expected.
    """
    if not config.data.second_reader:
        return None
    known = set(_folder(config).names)
    return read_second_reader(config.data.second_reader, known=known)


def split_cell(
    config: RunConfig, cohort: Cohort, split: PatientSplit, *, fold: int | None
) -> Parts:
    """Knees of each part by `split_knees`, for one fold, or for a refit (None)."""
    data = config.data
    return split_knees(
        cohort,
        split,
        folds=data.folds,
        fold=fold,
        split_seed=data.split_seed,
        share=data.share,
        leak=data.leak,
    )


def _excluded(data: DataConfig, root: Path, known: Collection[str]) -> Collection[str]:
    """Excluded names; a typed name without a scan is a warning, in a file an error.

    `experiment=study` excludes four names of the study, which other cohorts lack.
    """
    if isinstance(data.exclude, Path):
        name = data.exclude.name
        if not data.exclude.exists() and (one_form(name) in known or not data.exclude.suffix):
            raise InputError(
                f"data.exclude: expected names in brackets ('data.exclude=[{name}]') or a file of "
                f"them, received {data.exclude} (no such file)"
            )
        return read_names(data.exclude, key="data.exclude", known=known, what="scan")
    if unknown := unknown_names(map(one_form, data.exclude), known):
        names = ", ".join(unknown)
        say(f"warning: data.exclude names no scan of {root}: {names}", logging.WARNING)
    return data.exclude


def _folder(config: RunConfig) -> ScanFolder:
    return find_scans(_root(config), source="dicom" if config.data.source == "dicom" else "mat")


def _root(config: RunConfig) -> Path:
    """Folder of the scans; formats of `data.format_module` are known from now on."""
    if config.data.format_module:
        import_formats(config.data.format_module)
    if config.data.root:
        return config.data.root
    if lacks_scans(config):
        invent_scans(config)
    return _phantom_folder(config)


def lacks_scans(config: RunConfig) -> bool:
    """Whether the scans of a configuration are still to be invented."""
    return config.data.root is None and not _phantom_folder(config).is_dir()


def invent_scans(config: RunConfig, on_scan: Callable[[int], None] = lambda _: None) -> None:
    """Invent the cohort of a configuration in the cache, with a bar; see `cached_phantom`.

    `on_scan` is called with the number of scans invented so far. Its exception stops the inventing.
    """
    data = config.data
    say(f"Inventing {data.phantom_patients} scans (PHANTOM), once: {_phantom_folder(config)}")
    with progress_bar("inventing scans", data.phantom_patients) as show:

        def look(done: int) -> None:
            show(done)
            on_scan(done)

        cached_phantom(
            config.paths.cache,
            patients=data.phantom_patients,
            seed=data.phantom_seed,
            style=data.phantom_style,
            on_scan=look,
        )


def _phantom_folder(config: RunConfig) -> Path:
    data = config.data
    return phantom_folder(
        config.paths.cache,
        patients=data.phantom_patients,
        seed=data.phantom_seed,
        style=data.phantom_style,
    )


def leave_for_report(
    folder: Path,
    cohort: Cohort,
    split: PatientSplit,
    readings: Readings | None,
    *,
    stamp: str | None,
) -> None:
    """Write the flow of scans and patients, and a second reader's grades.

    Grades of an earlier command stay where `readings` is None.
    """
    flow_of(cohort, split).save(folder)
    if readings is not None:
        write_second_reader(folder / SECOND_READER_NAME, readings, stamp=stamp)
