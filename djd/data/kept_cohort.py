"""A cohort kept in the cache, so that the second start reads no scan."""

import contextlib
import hashlib
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from djd.data.cohort import Cohort, patients_of, read_cohort
from djd.data.crop import Placement
from djd.data.formats import reader_of
from djd.data.scan import GradeNames
from djd.files import write_whole
from djd.grades import LabelsFrom

KEPT_VERSION = 2
"""Raised whenever what is read or kept of a scan changes."""

_ARRAYS = ("crops", "grades", "scan_index", "side_index")


def kept_cohort(
    cache: Path,
    paths: Sequence[Path],
    *,
    patients: Mapping[str, str] | None = None,
    placement: Placement,
    labels_from: LabelsFrom,
    grade_names: GradeNames | None = None,
    on_scan: Callable[[int], None] | None = None,
) -> Cohort:
    """A cohort as from `read_cohort`, out of the cache where every file is as it was.

    Files are told by name, size, and times of writing and of change. A cohort with an unreadable
    file is not kept: what hindered the reading may pass without a trace on the file.

    Args:
        cache: `paths.cache`; that it can't be written is no error, the scans are only read again.
        paths: See `read_cohort`, as all that follows.
        patients: See `read_cohort`.
        placement: See `read_cohort`.
        labels_from: See `read_cohort`.
        grade_names: See `read_cohort`.
        on_scan: See `read_cohort`.
    """
    readers = sorted({_reader_digest(path) for path in paths})
    choices = [KEPT_VERSION, readers, placement, labels_from, sorted((grade_names or {}).items())]
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
    # A file that changed while it was read is not what it was found to be.
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
    """Digest of the module that reads a file: a person may change a reader between two starts."""
    module = sys.modules.get(getattr(reader_of(path), "__module__", ""))
    try:
        return hashlib.sha256(
            Path(getattr(module, "__file__", None) or "").read_bytes()
        ).hexdigest()
    except OSError:
        return ""


def _save(place: Path, states: list[list[int]], cohort: Cohort) -> None:
    about = {
        "states": states,
        "unspecified": cohort.unspecified,
        "disagreements": cohort.disagreements,
        "named_knees": cohort.named_knees,
        "unknown_names": cohort.unknown_names,
        "pixel_digests": dict(cohort.pixel_digests),
        "phantom": cohort.phantom,
    }
    content = io.BytesIO()
    arrays: dict[str, Any] = {name: getattr(cohort, name) for name in _ARRAYS}
    np.savez(content, about=np.array(json.dumps(about)), **arrays)
    place.parent.mkdir(parents=True, exist_ok=True)
    write_whole(place, content.getbuffer())


def _load(
    place: Path, states: list[list[int]], paths: Sequence[Path], patients: Mapping[str, str]
) -> Cohort | None:
    """What is kept, or None where nothing is, a file has changed, or the kept file is damaged."""
    if not place.exists():
        return None
    try:
        # Given a path, numpy leaves a damaged file open.
        with place.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            about = json.loads(str(kept["about"]))
            if about["states"] != states:
                return None
            arrays = {name: kept[name] for name in _ARRAYS}
        return Cohort(
            root=paths[0].parent,
            scans=tuple(path.stem for path in paths),
            patients=patients_of(paths, patients),
            unspecified=about["unspecified"],
            unreadable={},
            disagreements=tuple((name, side) for name, side in about["disagreements"]),
            named_knees=about["named_knees"],
            unknown_names=about["unknown_names"],
            pixel_digests=about["pixel_digests"],
            phantom=about["phantom"],
            **arrays,
        )
    except Exception:  # damaged zip files raise many kinds; the scans are still there
        return None
