"""Cohorts in the cache, so that the second start reads no scan."""

import contextlib
import hashlib
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from djd.data.cohort import Cohort, read_cohort
from djd.data.crop import Placement
from djd.data.formats import reader_of
from djd.data.names import scan_name
from djd.data.scan import GradeNames
from djd.files import remove_half_written, write_whole
from djd.grades import LabelsFrom

CACHE_VERSION = 3
"""Raised whenever a scan is read, or a cohort is stored, in another way."""

_ARRAYS = ("crops", "grades", "scan_index", "side_index", "copies")
_VALUES = (
    "unspecified",
    "disagreements",
    "named_knees",
    "unknown_names",
    "pixel_digests",
    "oddities",
    "phantom",
)


def cached_cohort(
    cache: Path,
    paths: Sequence[Path],
    *,
    patients: Mapping[str, str] | None = None,
    placement: Placement,
    labels_from: LabelsFrom,
    grade_names: GradeNames | None = None,
    on_scan: Callable[[int], None] | None = None,
) -> Cohort:
    """A cohort as from `read_cohort`, out of the cache where no file has changed.

    A changed file shows by name, size, and times of writing and of change. A cohort with an
    unreadable file is not cached: the obstacle may pass without a trace on the file. A cache that
    can't be written is no error.
    """
    readers = sorted({_reader_digest(path) for path in paths})
    choices = [CACHE_VERSION, readers, placement, labels_from, sorted((grade_names or {}).items())]
    names = [str(path.resolve()) for path in paths]
    digest = hashlib.sha256(json.dumps([choices, names]).encode()).hexdigest()[:24]
    place = cache / "cohorts" / f"{digest}.npz"
    states = [_state(path) for path in paths]
    if cohort := _load(place, states, paths, patients or {}):
        return cohort
    cohort = read_cohort(
        paths,
        patients=patients,
        placement=placement,
        labels_from=labels_from,
        grade_names=grade_names,
        on_scan=on_scan,
    )
    # A file that changed during the reading is not cached under its state before.
    if not cohort.unreadable and states == [_state(path) for path in paths]:
        with contextlib.suppress(OSError):
            _save(place, states, cohort)
    return cohort


def _state(path: Path) -> list[int]:
    try:
        state = path.stat()
    except OSError:
        return []
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns]


def _reader_digest(path: Path) -> str:
    """Digest of the module that reads a file: a person may change the module between two starts."""
    module = sys.modules.get(getattr(reader_of(path), "__module__", ""))
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
    place: Path, states: list[list[int]], paths: Sequence[Path], patients: Mapping[str, str]
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
        about["disagreements"] = tuple((name, side) for name, side in about["disagreements"])
        scans = tuple(scan_name(path) for path in paths)
        about["oddities"] = {what: tuple(names) for what, names in about["oddities"].items()}
        return Cohort(
            root=paths[0].parent,
            scans=scans,
            patients=tuple(patients.get(name, name) for name in scans),
            unreadable={},
            **about,
            **arrays,
        )
    except Exception:  # damaged zip files raise many kinds; the scans are still there
        return None
