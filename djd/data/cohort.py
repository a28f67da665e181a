"""Folder to cohort: every scan is read once, knees are cut out, problems are named."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from djd.data.copies import find_copies, with_equal_scans
from djd.data.crop import Placement
from djd.data.crop_rows import CropRows, CropsInMemory
from djd.data.phantom.cohort import is_phantom
from djd.data.scan import GradeNames, Scan, ScanError, ScanFiles, ViewOrder
from djd.data.scan_files import ScanFolder
from djd.data.scan_knees import Examine, Examined, ReadOptions, ScanKnees, read_folder
from djd.grades import PHANTOM_STAMP, SIDES, Grade, LabelsFrom, Side
from djd.wording import count_of

Labels = Mapping[tuple[str, Side], Grade | None]
"""Grade of each knee by scan and side, in place of the grades in the files."""


@dataclass(frozen=True, eq=False)
class Cohort:
    """The graded knees of a folder of scans.

    Attributes:
        scans: Name of every scan in order, unreadable ones included.
        patients: Patient of each scan; the name itself unless groups, or the files, say otherwise.
        crops: uint16 (knee, view 2, row 128, column 128), counts a pixel, of every knee that has a
            grade, ordered by scan and then right before left; see `crop_knees`. Out of the cache
            they are mapped, and read-only.
        grades: int64 (knee,), 0 to 4.
        scan_index: int64 (knee,), index into `scans` and `patients`.
        side_index: int64 (knee,), index into `SIDES`: 0 right, 1 left.
        unspecified: Knees left out because they carry no grade.
        unreadable: Error of each unreadable scan, by name.
        disagreements: Knees (scan, side) whose id and name disagree.
        named_knees: Knees that have both an id and a known name.
        unknown_names: Number of severity names whose grade is not known.
        pixel_digests: Digest of each readable scan's pixels, by name.
        copies: int64 (pair, 2): graded knees of two scans that are copies, the later one first; see
            `find_copies`.
        oddities: What is odd about images, such as `anterior page empty`, and the scans of each.
        phantom: Whether any scan is invented.
        excluded, left_out: As of `ScanFolder`.
        relabelled: Knees (scan, side) to which `labels` gives another grade than the id in the
            file; with `labels`, nothing is said of ids and names.
        unlabelled: Scans of which `labels` has no knee.
    """

    root: Path
    scans: tuple[str, ...]
    patients: tuple[str, ...]
    crops: NDArray[np.uint16]
    grades: NDArray[np.int64]
    scan_index: NDArray[np.int64]
    side_index: NDArray[np.int64]
    unspecified: int
    unreadable: Mapping[str, str]
    disagreements: tuple[tuple[str, str], ...]
    named_knees: int
    unknown_names: int
    pixel_digests: Mapping[str, str]
    copies: NDArray[np.int64]
    oddities: Mapping[str, tuple[str, ...]]
    phantom: bool
    excluded: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    relabelled: tuple[tuple[str, str], ...] = ()
    unlabelled: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of graded knees."""
        return len(self.grades)

    @property
    def knee_patients(self) -> NDArray[np.str_]:
        """Patient of each knee, (knee,)."""
        return np.asarray(self.patients, dtype=np.str_)[self.scan_index]

    @property
    def stamp(self) -> str | None:
        """Text for every picture made of these scans."""
        return PHANTOM_STAMP if self.phantom else None

    @property
    def size(self) -> str:
        """`205 scans of 201 patients`."""
        patients = len(set(self.patients))
        return f"{count_of(len(self.scans), 'scan')} of {count_of(patients, 'patient')}"

    def knee_name(self, knee: int) -> str:
        """Scan and side of a knee in words."""
        return f"{self.scans[self.scan_index[knee]]} {SIDES[self.side_index[knee]]}"

    def fingerprint(self) -> str:
        """Digest of crops, grades, scans, patients and sides: nothing else can change a result."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name, patient in zip(self.scans, self.patients, strict=True):
            digest.update(f"{name}\0{patient}\n".encode())
        for array in (self.crops, self.grades, self.scan_index, self.side_index):
            digest.update(array.ravel().data)  # without a copy of all crops
        return digest.hexdigest()[:16]


def read_cohort(
    folder: ScanFolder,
    *,
    patients: Mapping[str, str] | None = None,
    placement: Placement = "study",
    labels_from: LabelsFrom = "auto",
    grade_names: GradeNames | None = None,
    labels: Labels | None = None,
    view_order: ViewOrder | None = None,
    on_scan: Callable[[int], None] | None = None,
) -> Cohort:
    """Read every scan once, a large folder by all cores, and cut out its knees.

    A scan that can't be read keeps its place and is listed in `Cohort.unreadable`. Memory holds the
    crops twice, and a few scans a core. `patients` holds patients by scan, and other scans are
    their own patient unless their files say otherwise; `labels` are the grades where they are
    given, and a knee that they lack has none; `on_scan` is called with the number of scans done.

    Raises:
        DriveError: The drive failed.
    """
    options = ReadOptions(placement, labels_from, grade_names or {}, view_order, labels is None)
    return examine_cohort(
        folder, options, nothing, patients=patients, labels=labels, on_scan=on_scan
    )[0]


def examine_cohort(
    folder: ScanFolder,
    options: ReadOptions,
    examine: Examine[Examined],
    *,
    patients: Mapping[str, str] | None = None,
    labels: Labels | None = None,
    on_scan: Callable[[int], None] | None = None,
    rows: tuple[CropRows, CropRows] | None = None,
) -> tuple[Cohort, list[Examined | ScanError]]:
    """As `read_cohort`, with what `examine` returns of each scan, or the scan's error.

    `rows` take the crops, and the windows in which copies are searched; by default memory does.
    """
    room = len(SIDES) * len(folder)
    kept = _Kept(*(rows or (CropsInMemory(room), CropsInMemory(room))))
    examined: list[Examined | ScanError] = []
    for files, read in zip(folder, read_folder(folder, options, examine), strict=True):
        if isinstance(read, ScanError):
            kept.unreadable[files.name] = str(read)
            examined.append(read)
        else:
            knees = read[0] if labels is None else kept.relabel(files.name, read[0], labels)
            kept.add(len(examined), files.name, knees)
            examined.append(read[1])
        if on_scan:
            on_scan(len(examined))
    return _cohort_of(folder, kept, patients or {}), examined


def patients_of(folder: ScanFolder, patients: Mapping[str, str]) -> tuple[str, ...]:
    """Patient of each scan: as given, as the files say, or the scan itself."""
    given = folder.patients | dict(patients)
    return tuple(given.get(name, name) for name in folder.names)


def nothing(files: ScanFiles, scan: Scan) -> None:
    """Examine nothing."""


@dataclass(frozen=True, eq=False)
class _Kept:
    """What is kept of the scans read so far."""

    crops: CropRows
    windows: CropRows
    knees: list[tuple[int, int, int]] = field(default_factory=list)  # grade, scan and side
    unreadable: dict[str, str] = field(default_factory=dict)
    pixel_digests: dict[str, str] = field(default_factory=dict)
    names_agree: dict[tuple[str, str], bool] = field(default_factory=dict)
    oddities: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unknown_names: list[int] = field(default_factory=list)
    phantoms: list[bool] = field(default_factory=list)
    relabelled: list[tuple[str, str]] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)

    def relabel(self, name: str, read: ScanKnees, labels: Labels) -> ScanKnees:
        """A scan with the grades of `labels` in place of its own, whose differences are kept."""
        if not any((name, side) in labels for side in SIDES):
            self.unlabelled.append(name)
        right, left = (labels.get((name, side)) for side in SIDES)
        own = (None, None) if isinstance(read.grades, ScanError) else read.grades
        for side, before, now in zip(SIDES, own, (right, left), strict=True):
            if before is not None and now is not None and before != now:
                self.relabelled.append((name, side))
        return replace(read, grades=(right, left), names_agree=(None, None), unknown_names=0)

    def add(self, index: int, name: str, read: ScanKnees) -> None:
        grades = read.grades
        self.unknown_names.append(read.unknown_names)
        self.phantoms.append(read.phantom)
        if isinstance(grades, ScanError):
            self.unreadable[name] = str(grades)
            return
        self.pixel_digests[name] = read.pixel_digest
        for side, agree in zip(SIDES, read.names_agree, strict=True):
            if agree is not None:
                self.names_agree[name, side] = agree
        for what in read.oddities:
            self.oddities[what] = (*self.oddities.get(what, ()), name)
        for side_index, grade in enumerate(grades):
            if grade is not None:
                self.crops.add(read.crops[side_index])
                self.windows.add(read.windows[side_index])
                self.knees.append((grade, index, side_index))


def _cohort_of(folder: ScanFolder, kept: _Kept, patients: Mapping[str, str]) -> Cohort:
    by_knee = np.array(kept.knees, dtype=np.int64).reshape(-1, 3).T.copy()
    knees = len(kept.knees)
    digests = [kept.pixel_digests.get(name, name) for name in folder.names]
    unread = [each for each in folder if each.name in kept.unreadable]
    return Cohort(
        root=folder.root,
        scans=tuple(folder.names),
        patients=patients_of(folder, patients),
        crops=kept.crops.all(),
        grades=by_knee[0],
        scan_index=by_knee[1],
        side_index=by_knee[2],
        unspecified=2 * (len(folder) - len(unread)) - knees,
        unreadable=kept.unreadable,
        disagreements=tuple(knee for knee, agree in kept.names_agree.items() if not agree),
        named_knees=len(kept.names_agree),
        unknown_names=sum(kept.unknown_names),
        pixel_digests=kept.pixel_digests,
        copies=with_equal_scans(find_copies(kept.windows.all(), by_knee[1]), by_knee[1], digests),
        oddities=kept.oddities,
        phantom=any(kept.phantoms) or any(is_phantom(each.path) for each in unread),
        excluded=folder.excluded,
        left_out=folder.left_out,
        relabelled=tuple(kept.relabelled),
        unlabelled=tuple(kept.unlabelled),
    )
