"""Cohorts in the cache, so that the second start reads no scan."""

import contextlib
import hashlib
import io
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from djd.data.cohort import Cohort, Labels, examine_cohort, nothing, patients_of
from djd.data.crop import Placement
from djd.data.formats import Reader, reader_of
from djd.data.scan import GradeNames, ScanError, ViewOrder
from djd.data.scan_files import ScanFolder
from djd.data.scan_knees import ReadOptions, ScanKnees, read_folder
from djd.files import remove_half_written, write_whole
from djd.grades import LabelsFrom

CACHE_VERSION = 4
"""Raised whenever a scan is read, or a cohort is stored, in another way."""

_ARRAYS = ("crops", "grades", "scan_index", "side_index", "copies")
_VALUES = (
    "unspecified",
    "unreadable",
    "disagreements",
    "named_knees",
    "unknown_names",
    "pixel_digests",
    "oddities",
    "phantom",
    "relabelled",
    "unlabelled",
)


def cached_cohort(
    cache: Path,
    folder: ScanFolder,
    *,
    patients: Mapping[str, str] | None = None,
    placement: Placement,
    labels_from: LabelsFrom,
    grade_names: GradeNames | None = None,
    labels: Labels | None = None,
    view_order: ViewOrder | None = None,
    on_scan: Callable[[int], None] | None = None,
) -> Cohort:
    """A cohort as from `read_cohort`, out of the cache where no file has changed.

    A changed file shows by name, size, and times of writing and of change. A scan that couldn't be
    read is tried each time: the obstacle may pass without a trace on the file. A cache that can't
    be written is no error.
    """
    readers = sorted({_reader_digest(each) for each in {reader_of(files.path) for files in folder}})
    spellings = sorted((grade_names or {}).items())
    graded = None if labels is None else sorted((*knee, grade) for knee, grade in labels.items())
    choices = [CACHE_VERSION, readers, placement, labels_from, spellings, graded, view_order]
    names = [[files.name, *(str(path.resolve()) for path in files.paths)] for files in folder]
    digest = hashlib.sha256(json.dumps([choices, names]).encode()).hexdigest()[:24]
    place = cache / "cohorts" / f"{digest}.npz"
    states = _states(folder)
    cohort = _load(place, states, folder, patients or {})
    options = ReadOptions(placement, labels_from, grade_names or {}, view_order, labels is None)
    if cohort and _still_unreadable(cohort, folder, options):
        return cohort
    cohort, _ = examine_cohort(
        folder, options, nothing, patients=patients, labels=labels, on_scan=on_scan
    )
    # A file that changed during the reading is not cached under its state before.
    if states == _states(folder):
        with contextlib.suppress(OSError):
            _save(place, states, cohort)
    return cohort


def _states(folder: ScanFolder) -> list[list[int]]:
    return [_state(path) for files in folder for path in files.paths]


def _state(path: Path) -> list[int]:
    try:
        state = path.stat()
    except OSError:
        return []
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns]


def _still_unreadable(cohort: Cohort, folder: ScanFolder, options: ReadOptions) -> bool:
    """Whether each scan of the cached cohort that couldn't be read still fails as it did."""
    scans = tuple(files for files in folder if files.name in cohort.unreadable)
    again = read_folder(replace(folder, scans=scans), options, nothing)
    return all(
        str(_error_of(read)) == cohort.unreadable[files.name]
        for files, read in zip(scans, again, strict=True)
    )


def _error_of(read: tuple[ScanKnees, None] | ScanError) -> object:
    return read if isinstance(read, ScanError) else read[0].grades


def _reader_digest(reader: Reader | None) -> str:
    """Digest of the module of a reader: a person may change the module between two starts."""
    module = sys.modules.get(getattr(reader, "__module__", ""))
    try:
        source = Path(getattr(module, "__file__", None) or "").read_bytes()
    except OSError:
        return ""
    return hashlib.sha256(source).hexdigest()


def _save(place: Path, states: list[list[int]], cohort: Cohort) -> None:
    about = {"states": states} | {name: getattr(cohort, name) for name in _VALUES}
    content = io.BytesIO()
    arrays: dict[str, Any] = {name: getattr(cohort, name) for name in _ARRAYS}
    np.savez(content, about=np.array(json.dumps(about)), **arrays)
    place.parent.mkdir(parents=True, exist_ok=True)
    remove_half_written(place.parent)
    write_whole(place, content.getbuffer())


def _load(
    place: Path, states: list[list[int]], folder: ScanFolder, patients: Mapping[str, str]
) -> Cohort | None:
    """The cached cohort; None where there is none, a scan has changed, or the file is damaged."""
    if not place.exists():
        return None
    try:
        # Given a path, numpy leaves a damaged file open.
        with place.open("rb") as file, np.load(file, allow_pickle=False) as cached:
            about = json.loads(str(cached["about"]))
            if about.pop("states") != states:
                return None
            arrays = {name: cached[name] for name in _ARRAYS}
        for knees in ("disagreements", "relabelled"):
            about[knees] = tuple((name, side) for name, side in about[knees])
        about["unlabelled"] = tuple(about["unlabelled"])
        about["oddities"] = {what: tuple(names) for what, names in about["oddities"].items()}
        return Cohort(
            root=folder.root,
            scans=tuple(folder.names),
            patients=patients_of(folder, patients),
            excluded=folder.excluded,
            left_out=folder.left_out,
            **about,
            **arrays,
        )
    except Exception:  # damaged zip files raise many kinds; the scans are still there
        return None
