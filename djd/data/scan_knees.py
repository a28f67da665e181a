"""Scans to knees, in this process or, for a large folder, in one a core."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from djd.data.crop import Placement, crop_knees, knee_windows
from djd.data.formats import READERS, Reader
from djd.data.oddities import oddities_of
from djd.data.phantom.cohort import is_phantom
from djd.data.scan import (
    GradeNames,
    KneeGrades,
    Scan,
    ScanError,
    ScanFiles,
    ViewOrder,
    labels_error,
    read_scan,
)
from djd.data.scan_files import ScanFolder
from djd.errors import InputError
from djd.grades import LabelsFrom
from djd.machine import usable_cores
from djd.processes import LostProcessError, in_processes

Examined = TypeVar("Examined")

Examine = Callable[[ScanFiles, Scan], Examined]
"""Whatever else is wanted of a scan while it is in memory; for large folders it must pickle."""

SCANS_FOR_PROCESSES = 400
"""Processes take two seconds to start, in which one reads 300 scans (two cores, 2026-11-29)."""

_SCANS_AT_ONCE = 8  # of a call to another process


@dataclass(frozen=True)
class ReadOptions:
    """How scans are read; see `read_cohort`."""

    placement: Placement = "study"
    labels_from: LabelsFrom = "auto"
    grade_names: GradeNames = field(default_factory=dict)
    view_order: ViewOrder | None = None
    needs_labels: bool = True


@dataclass(frozen=True, eq=False)
class ScanKnees:
    """What a cohort keeps of a scan.

    Attributes:
        grades: (right, left), by id or name as `ReadOptions.labels_from` says; or the error that
            there are none.
        crops: uint16 (side 2, view 2, row 128, column 128), counts a pixel; see `crop_knees`.
        windows: As crops; see `knee_windows`.
        names_agree: Whether id and name agree, (right, left); None for a knee without known name.
        unknown_names: Number of severity names whose grade is not known.
        pixel_digest: SHA-256 of the counts.
        oddities: See `oddities_of`.
        phantom: Whether the scan is invented.
    """

    grades: KneeGrades | ScanError
    crops: NDArray[np.uint16]
    windows: NDArray[np.uint16]
    names_agree: tuple[bool | None, bool | None]
    unknown_names: int
    pixel_digest: str
    oddities: tuple[str, ...]
    phantom: bool


def read_folder(
    folder: ScanFolder, options: ReadOptions, examine: Examine[Examined]
) -> Iterator[tuple[ScanKnees, Examined] | ScanError]:
    """Each scan's knees and what `examine` returns of it, in order; or the scan's error.

    Raises:
        DriveError: The drive failed.
        InputError: A process that reads was ended from outside.
    """
    cores = min(usable_cores(), -(-len(folder) // _SCANS_AT_ONCE))
    if len(folder) < SCANS_FOR_PROCESSES or cores == 1:
        yield from (_read(files, options, examine) for files in folder)
        return
    read = partial(_read_in_process, READERS, options, examine)
    firsts = range(0, len(folder), _SCANS_AT_ONCE)
    chunks = (folder.scans[first : first + _SCANS_AT_ONCE] for first in firsts)
    try:
        for results in in_processes(read, chunks, processes=cores):
            yield from results
    except LostProcessError as error:
        raise InputError(f"data.root: {folder.root}: {error}") from None


def _read_in_process(
    readers: Mapping[str, Reader],
    options: ReadOptions,
    examine: Examine[Examined],
    scans: Sequence[ScanFiles],
) -> list[tuple[ScanKnees, Examined] | ScanError]:
    READERS.update(readers)  # formats of `data.format_module`
    return [_read(files, options, examine) for files in scans]


def _read(
    files: ScanFiles, options: ReadOptions, examine: Examine[Examined]
) -> tuple[ScanKnees, Examined] | ScanError:
    try:
        scan = read_scan(
            files,
            grade_names=options.grade_names,
            needs_labels=False,  # a check shows scans without grades, too
            view_order=options.view_order,
        )
        return _knees_of(files, scan, options), examine(files, scan)
    except ScanError as error:
        return error


def _knees_of(files: ScanFiles, scan: Scan, options: ReadOptions) -> ScanKnees:
    return ScanKnees(
        grades=_chosen_grades(files, scan, options),
        crops=crop_knees(scan, options.placement),
        windows=knee_windows(scan),
        names_agree=_names_agree(scan),
        unknown_names=sum(name is not None for name in scan.unknown_names),
        pixel_digest=hashlib.sha256(np.ascontiguousarray(scan.counts).data).hexdigest(),
        oddities=tuple(oddities_of(scan.counts, scan.missing_views)),
        phantom=any(map(is_phantom, files.paths)),
    )


def _chosen_grades(files: ScanFiles, scan: Scan, options: ReadOptions) -> KneeGrades | ScanError:
    if options.needs_labels and (error := labels_error(files, scan)):
        return error
    if options.labels_from != "names" or not options.needs_labels:
        return scan.grades
    unknown = sum(name is not None for name in scan.unknown_names)
    if scan.named_grades is None or unknown:
        # An unknown name may identify a patient, so the sentence leaves the name out.
        return ScanError(
            f"{files.path}: diaginfo.kneejointname: expected two severity names "
            f"(data.labels_from=names), received {f'{unknown} unknown' if unknown else 'none'}"
        )
    return scan.named_grades


def _names_agree(scan: Scan) -> tuple[bool | None, bool | None]:
    if scan.named_grades is None:
        return None, None
    right, left = (
        by_id == by_name if unknown is None else None
        for by_id, by_name, unknown in zip(
            scan.grades, scan.named_grades, scan.unknown_names, strict=True
        )
    )
    return right, left
