"""Invented cohorts ("phantoms") in the real file formats: no patient is behind any of the scans.

Each `.mat` file is a compressed MATLAB v5 file with the variables of a real one; only `roitable`, a
MATLAB table in real files, is a 2x4 cell array as a placeholder. The first line of each file says
PHANTOM. DICOM files hold the same counts, and `grades.csv` beside them the same grades.

The best possible reader, who knows each knee's severity, reaches accuracy 0.64 and quadratic kappa
0.87. On the scans of three seeds a multinomial logistic model, cross-validated by patient, reached
kappa 0.48 to 0.57 from mean uptake relative to the shin, 0.66 to 0.72 with the peak added, 0.76 to
0.78 with features of shape. Writing 205 patients takes 22 s on one core and 12.6 s on two
(2026-11-30). All this is of the style `plain`; `soft` takes 1.1 times as long, for the rest see
`docs/data-format.md`.
"""

import csv
import json
import math
import secrets
import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import numpy as np

from djd.data.phantom.dicom import STAMP, require_writer
from djd.data.phantom.knee import ideal_ceiling, null_ceiling
from djd.data.phantom.mat import MARK
from djd.data.phantom.patient import columns_of
from djd.data.phantom.scan import InventedScan, ScanPlan, invent_scan
from djd.data.phantom.style import STYLES
from djd.data.scan import KneeGrades
from djd.errors import InputError
from djd.files import move, remove, tried_again, write_whole
from djd.grades import PHANTOM_STAMP, PhantomFormat, PhantomStyle
from djd.locks import remove_lock, wait_for_lock
from djd.machine import usable_cores
from djd.processes import in_processes

PHANTOM_VERSION = 1
"""Raised whenever pixels or grades of a seed change."""

_DICOM_HEAD_BYTES = 2**16
"""Within which the comment on a DICOM image lies, whatever program wrote the file."""

_EXCLUDED_NUMBERS = (1, 58, 615, 823)  # the four files that the study leaves out
_SUFFIXES = (".mat", ".dcm")
_SCANS_A_PROCESS = 8  # at least; a process takes half a second to start, a scan a tenth
_FULL_COHORT = 40  # patients from which these four are among the numbers


def make_cohort(
    folder: Path,
    *,
    patients: int,
    seed: int,
    null: bool = False,
    style: PhantomStyle = "plain",
    file_format: PhantomFormat = "mat",
    on_scan: Callable[[int], None] | None = None,
) -> None:
    """Write an invented cohort: a `.mat` file a patient, `manifest.csv` and `phantom.json`.

    With `dicom` it is a `.dcm` file a patient and `grades.csv` (columns scan, right and left,
    grades 0 to 4), since DICOM holds no grades.

    The manifest has a line a knee: true centre in the anterior view (the first page), grade and
    severity; all empty where there is no knee. An implant has a centre and no grade.
    `phantom.json` holds the best possible reader's scores, and is written last: a folder without
    this file is an unfinished cohort. Equal arguments give equal bytes. `null` draws grades
    independently of the image; the pixels stay those of the same seed. `on_scan` is called with the
    number of scans written.

    Raises:
        InputError: The folder holds scans, can't be written, or an argument is out of range.
    """
    for name, value, least in (("patients", patients, 1), ("seed", seed, 0)):
        if value < least:
            raise InputError(f"{name}: expected a whole number from {least}, received {value}")
    if style not in STYLES:
        raise InputError(f"style: expected {', '.join(STYLES)}, received {style!r}")
    if file_format == "dicom":
        require_writer()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
        if present:
            kind = present[0].suffix.lower()
            raise InputError(
                f"{folder}: expected a folder without {kind} files, received {len(present)} of "
                f"them ({present[0].name} first)"
            )
        there_before = frozenset(folder.iterdir())
        try:
            _write_cohort(
                folder,
                patients,
                seed,
                null=null,
                style=style,
                file_format=file_format,
                on_scan=on_scan,
            )
        except BaseException:  # a half cohort would be in the way of the next try
            for path in set(folder.iterdir()).difference(there_before):
                remove(path)
            raise
    except OSError as error:
        raise _unwritable(folder, error) from error


def cached_phantom(
    cache: Path,
    *,
    patients: int,
    seed: int,
    style: PhantomStyle = "plain",
    on_scan: Callable[[int], None] | None = None,
) -> Path:
    """Folder of the invented cohort of `data=phantom`, made on first use.

    The cohort is made beside its place and renamed when whole: a stopped process leaves no half
    cohort. Of two processes at once, one waits for the other. Errors are those of `make_cohort`.
    """
    folder = phantom_folder(cache, patients=patients, seed=seed, style=style)
    if folder.is_dir():
        return folder
    lock = folder.with_name(f".{folder.name}.lock")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with wait_for_lock(lock, patience=math.inf):
            try:
                if not folder.is_dir():
                    _make_beside(folder, patients, seed, style, on_scan)
            finally:
                remove_lock(lock)  # while it is this process's
    except OSError as error:
        raise _unwritable(cache, error) from error
    return folder


def _make_beside(
    folder: Path,
    patients: int,
    seed: int,
    style: PhantomStyle,
    on_scan: Callable[[int], None] | None,
) -> None:
    _remove_left(folder)
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        make_cohort(beside, patients=patients, seed=seed, style=style, on_scan=on_scan)
        move(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _remove_left(folder: Path) -> None:
    """Remove what killed processes left beside the place of a cohort."""
    for left in folder.parent.glob(f".{folder.name}.*/"):
        shutil.rmtree(left, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> InputError:
    path = error.filename or folder
    return InputError(f"{path}: can't be written ({error.strerror or error})")


def phantom_folder(cache: Path, *, patients: int, seed: int, style: PhantomStyle) -> Path:
    """The place of an invented cohort in the cache, made or not."""
    styled = "" if style == "plain" else f"-style={style}"
    return cache / f"phantom-v{PHANTOM_VERSION}-patients={patients}-seed={seed}{styled}"


def is_phantom(path: Path) -> bool:
    """Whether the start of a file marks it as invented; False for an unreadable file.

    Raises DriveError as `tried_again`.
    """
    try:
        head = tried_again(lambda: _head(path), path)
    except OSError:
        return False
    return head.startswith(MARK.encode()) or STAMP.encode() in head


def _head(path: Path) -> bytes:
    """The first bytes of a MATLAB file, and more of another one."""
    with path.open("rb") as file:
        head = file.read(len(MARK))
        is_matlab = head.startswith((b"MATLAB", b"\x89HDF"))
        return head if is_matlab else head + file.read(_DICOM_HEAD_BYTES)


def _write_cohort(
    folder: Path,
    patients: int,
    seed: int,
    *,
    null: bool,
    style: PhantomStyle,
    file_format: PhantomFormat,
    on_scan: Callable[[int], None] | None,
) -> None:
    names_seed, *patient_seeds = np.random.SeedSequence(seed).spawn(1 + patients)
    names = _scan_names(patients, np.random.default_rng(names_seed))
    rows: list[tuple[object, ...]] = [columns_of(STYLES[style])]
    grades: list[tuple[object, ...]] = [("scan", "right", "left")]
    cohort = f"{style} {seed} {patients} {null}"
    plans = [
        ScanPlan(index, name, patient_seed, style, null, file_format, cohort)
        for index, (name, patient_seed) in enumerate(zip(names, patient_seeds, strict=True))
    ]
    with closing(_invent_scans(plans)) as scans:
        for plan, scan in zip(plans, scans, strict=True):
            (folder / scan.file_name).write_bytes(scan.content)
            grades.append((plan.name, *_cells_of(scan.grades)))
            rows += scan.lines
            if on_scan:
                on_scan(plan.index + 1)
    _write_table(folder / "manifest.csv", rows)
    if file_format == "dicom":
        _write_table(folder / "grades.csv", grades)
    description = {
        "what": PHANTOM_STAMP,
        "phantom_version": PHANTOM_VERSION,
        **({"style": style} if style != "plain" else {}),
        "seed": seed,
        "patients": patients,
        "null": null,
        "ceiling": asdict(null_ceiling() if null else ideal_ceiling()),
    }
    write_whole(folder / "phantom.json", json.dumps(description, indent=2) + "\n")


def _invent_scans(plans: Sequence[ScanPlan]) -> Generator[InventedScan, None, None]:
    """The scans of plans, in order; of many scans by a process a core."""
    processes = min(usable_cores(), len(plans) // _SCANS_A_PROCESS)
    if processes > 1:
        yield from in_processes(invent_scan, plans, processes=processes)
    else:
        yield from map(invent_scan, plans)


def _cells_of(grades: KneeGrades) -> tuple[object, ...]:
    return tuple("" if grade is None else grade for grade in grades)


def _write_table(path: Path, rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _scan_names(patients: int, rng: np.random.Generator) -> list[str]:
    """Seven-digit numbers with gaps, rising; in a full cohort the four excluded ones are there."""
    named = _EXCLUDED_NUMBERS if patients >= _FULL_COHORT else ()
    others = np.setdiff1d(np.arange(1, max(1000, 5 * patients)), _EXCLUDED_NUMBERS)
    drawn = rng.choice(others, size=patients - len(named), replace=False)
    return [f"{number:07d}" for number in sorted([*named, *drawn.tolist()])]
