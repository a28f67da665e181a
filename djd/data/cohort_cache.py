"""Cohorts in the cache, so that the second start reads no scan.

A cohort is two files: `NAME-TOKEN.npy` has the crops, and `NAME.npz` has the rest and the token.
The crops are written under a new token each time and never changed, so that no process sees crops
and grades of two cohorts. They are mapped, not read: all processes of a machine share one copy.
Four cells at a time on 2,000 patients (262 MB of crops) took 1.5 GB of their own and mapped the
crops once (two-core x86-64, AVX-512, 2026-11-30); see `bench/patients.py`.
"""

import contextlib
import hashlib
import io
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from djd.data.cohort import Cohort, Labels, examine_cohort, nothing, patients_of
from djd.data.crop import Placement
from djd.data.crop_rows import CropsInFile, UnwritableError, mapped_crops
from djd.data.formats import Reader, reader_of
from djd.data.scan import GradeNames, ScanError, ViewOrder
from djd.data.scan_files import ScanFolder
from djd.data.scan_knees import ReadOptions, ScanKnees, read_folder
from djd.files import half_written, remove_half_written, write_whole
from djd.grades import LabelsFrom

CACHE_VERSION = 5
"""Raised whenever a scan is read, or a cohort is stored, in another way."""

SECONDS_WITHOUT_USE = 24 * 3600.0
"""Crops of files that have changed since stay as long: another machine may have them mapped."""

_ARRAYS = ("grades", "scan_index", "side_index", "copies")
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
    read = partial(
        examine_cohort, folder, options, nothing, patients=patients, labels=labels, on_scan=on_scan
    )
    try:
        return _read_into(place, folder, states, read)
    except UnwritableError:
        return read()[0]


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


def _read_into(
    place: Path,
    folder: ScanFolder,
    states: list[list[int]],
    read: Callable[..., tuple[Cohort, Any]],
) -> Cohort:
    """The cohort that `read` gives, with its crops in a file, and kept where no scan has changed.

    Crops are written scan by scan, so that memory holds none. The windows, in which copies are
    searched, are in a file meanwhile.

    Raises:
        UnwritableError: The cache can't be written.
    """
    token = secrets.token_hex(4)
    crops_place = _crops_place(place, token)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        remove_half_written(place.parent)
    except OSError as error:
        raise UnwritableError from error
    with (
        CropsInFile(crops_place) as crops,
        CropsInFile(half_written(place), kept=False) as windows,
    ):
        cohort, _ = read(rows=(crops, windows))
    with contextlib.suppress(OSError):
        # A file that changed during the reading is not cached under its state before.
        if states == _states(folder):
            _save(place, states, cohort, token)
            _remove_others(place, token)
        else:
            crops_place.unlink()  # stays mapped until the cohort ends
    return cohort


def _crops_place(place: Path, token: str) -> Path:
    return place.with_name(f"{place.stem}-{token}.npy")


def _save(place: Path, states: list[list[int]], cohort: Cohort, token: str) -> None:
    about: dict[str, Any] = {name: getattr(cohort, name) for name in _VALUES}
    about |= {"states": states, "token": token}
    about |= {"digest_of": cohort.patients, "digest": cohort.fingerprint()}
    text = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    arrays: dict[str, Any] = {name: getattr(cohort, name) for name in _ARRAYS}
    content = io.BytesIO()
    np.savez(content, about=text, **arrays)
    write_whole(place, content.getbuffer())


def _remove_others(place: Path, token: str) -> None:
    """Remove crops of killed processes and of scans before they changed."""
    for path in place.parent.glob(_crops_place(place, "*").name):
        with contextlib.suppress(OSError):  # Windows removes no mapped file
            unused = time.time() - path.stat().st_mtime
            if path != _crops_place(place, token) and unused >= SECONDS_WITHOUT_USE:
                path.unlink()


def _load(
    place: Path, states: list[list[int]], folder: ScanFolder, patients: Mapping[str, str]
) -> Cohort | None:
    """The cached cohort; None where there is none, a scan has changed, or a file is damaged."""
    if not place.exists():
        return None
    try:
        # Given a path, numpy leaves a damaged file open.
        with place.open("rb") as file, np.load(file, allow_pickle=False) as cached:
            about = json.loads(cached["about"].tobytes())
            arrays = {name: cached[name] for name in _ARRAYS}
        token, digest, digest_of = (about.pop(name) for name in ("token", "digest", "digest_of"))
        if about.pop("states") != states:
            os.utime(_crops_place(place, token))  # in use until now
            return None
        for knees in ("disagreements", "relabelled"):
            about[knees] = tuple((name, side) for name, side in about[knees])
        about["unlabelled"] = tuple(about["unlabelled"])
        about["oddities"] = {what: tuple(names) for what, names in about["oddities"].items()}
        cohort = Cohort(
            root=folder.root,
            scans=tuple(folder.names),
            patients=tuple(digest_of),
            crops=mapped_crops(_crops_place(place, token)),
            excluded=folder.excluded,
            left_out=folder.left_out,
            **about,
            **arrays,
        )
        if cohort.fingerprint() != digest:
            return None
    except Exception:  # damaged files raise many kinds; the scans are still there
        return None
    _remove_others(place, token)
    now = patients_of(folder, patients)
    return cohort if now == cohort.patients else replace(cohort, patients=now)
