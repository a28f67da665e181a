"""Folder to cohort: every scan is read once, knees are cut out, problems are named."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from djd.data.copies import find_copies, with_equal_scans
from djd.data.crop import CROP_SIZE, Placement, crop_knees, knee_windows
from djd.data.formats import known_suffixes
from djd.data.names import one_form, scan_name
from djd.data.oddities import oddities_of
from djd.data.phantom.cohort import is_phantom
from djd.data.placeholders import scans_among
from djd.data.scan import GradeNames, KneeGrades, Scan, ScanError, read_scan
from djd.errors import InputError, require_text
from djd.grades import PHANTOM_STAMP, SIDES, LabelsFrom
from djd.wording import count_of


@dataclass(frozen=True, eq=False)
class Cohort:
    """The graded knees of a folder of scans.

    Attributes:
        scans: Stem of every file, in one form, in order of name, unreadable files included.
        patients: Patient of each scan; the stem itself unless groups say otherwise.
        crops: uint16 (knee, view 2, row 128, column 128), counts a pixel, of every knee that has a
            grade, ordered by scan and then right before left; see `crop_knees`.
        grades: int64 (knee,), 0 to 4.
        scan_index: int64 (knee,), index into `scans` and `patients`.
        side_index: int64 (knee,), index into `SIDES`: 0 right, 1 left.
        unspecified: Knees left out because they carry no grade.
        unreadable: Error of each unreadable file, by stem.
        disagreements: Knees (stem, side) whose id and name disagree.
        named_knees: Knees that have both an id and a known name.
        unknown_names: Number of severity names whose grade is not known.
        pixel_digests: Digest of each readable scan's pixels, by stem.
        copies: int64 (pair, 2): graded knees of two scans that are copies, the later one first; see
            `find_copies`.
        oddities: What is odd about images, such as `anterior page empty`, and the stems of each.
        phantom: Whether any scan is invented.
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
        digest = hashlib.sha256()
        for name, patient in zip(self.scans, self.patients, strict=True):
            digest.update(f"{name}\0{patient}\n".encode())
        for array in (self.crops, self.grades, self.scan_index, self.side_index):
            digest.update(array.ravel().data)  # without a copy of all crops
        return digest.hexdigest()[:16]


def find_scans(root: Path, exclude: Iterable[str] = ()) -> list[Path]:
    """Files of the cohort in order of name, without those excluded by stem.

    A scan that only a placeholder is there of (`scans_among`) is among them, and can't be read.

    Raises:
        InputError: The folder is missing or holds no scan, two files have one stem, or the name of
            one is no text.
    """
    if not root.is_dir():
        received = "a file" if root.exists() else "nothing there"
        raise InputError(
            f"data.root: expected a folder of {known_suffixes()} scans, received {root} "
            f"({received})"
        )
    excluded = frozenset(map(one_form, exclude))
    try:
        paths = sorted(scans_among(root.iterdir()), key=scan_name)
    except OSError as error:
        raise InputError(f"data.root: {root} can't be listed ({error.strerror})") from error
    for path in paths:
        require_text(f"{root}: name of a scan", path.name)
    for one, other in pairwise(paths):
        if scan_name(one) == scan_name(other):
            received = f"{one.name}, {other.name}"
            if one.stem != other.stem:  # they look the same
                received = (
                    f"{one.name!a}, {other.name!a} (one name in two Unicode forms, or blanks)"
                )
            raise InputError(f"{root}: expected one file a scan, received {received}")
    included = [path for path in paths if scan_name(path) not in excluded]
    if not included:
        received = f"{len(paths)} files, all excluded" if paths else "none"
        raise InputError(
            f"data.root: expected {known_suffixes()} scans in {root}, received {received}"
        )
    return included


def read_cohort(
    paths: Sequence[Path],
    *,
    patients: Mapping[str, str] | None = None,
    placement: Placement = "study",
    labels_from: LabelsFrom = "auto",
    grade_names: GradeNames | None = None,
    on_scan: Callable[[int], None] | None = None,
) -> Cohort:
    """Read every scan and cut out its knees.

    A file that can't be read keeps its place and is listed in `Cohort.unreadable`. `paths` are from
    `find_scans`; `patients` holds patients by stem, and other scans are their own patient;
    `on_scan` is called with the number of files done.
    """
    crops: list[NDArray[np.uint16]] = []
    windows: list[NDArray[np.uint16]] = []  # of the same knees
    knees: list[tuple[int, int, int]] = []  # grade, scan and side of each crop
    unreadable: dict[str, str] = {}
    pixel_digests: dict[str, str] = {}
    names_agree: dict[tuple[str, str], bool] = {}
    oddities: dict[str, tuple[str, ...]] = {}
    unknown_names = 0
    for index, path in enumerate(paths):
        try:
            scan = read_scan(path, grade_names=grade_names)
            unknown_names += sum(name is not None for name in scan.unknown_names)
            grades = _chosen_grades(path, scan, labels_from)
        except ScanError as error:
            unreadable[scan_name(path)] = str(error)
        else:
            pixel_digests[scan.name] = hashlib.sha256(scan.counts.tobytes()).hexdigest()
            names_agree |= _names_agree(scan)
            for what in oddities_of(scan.counts):
                oddities[what] = (*oddities.get(what, ()), scan.name)
            cut = zip(grades, crop_knees(scan, placement), knee_windows(scan), strict=True)
            for side, (grade, crop, window) in enumerate(cut):
                if grade is not None:
                    crops.append(crop)
                    windows.append(window)
                    knees.append((grade, index, side))
        if on_scan:
            on_scan(index + 1)
    scans = tuple(scan_name(path) for path in paths)
    by_knee = np.array(knees, dtype=np.int64).reshape(-1, 3).T.copy()
    copies = find_copies(_stacked(windows), by_knee[1])
    digests = [pixel_digests.get(name, name) for name in scans]
    return Cohort(
        root=paths[0].parent,
        scans=scans,
        patients=tuple((patients or {}).get(name, name) for name in scans),
        crops=_stacked(crops),
        grades=by_knee[0],
        scan_index=by_knee[1],
        side_index=by_knee[2],
        unspecified=2 * (len(paths) - len(unreadable)) - len(knees),
        unreadable=unreadable,
        disagreements=tuple(knee for knee, agree in names_agree.items() if not agree),
        named_knees=len(names_agree),
        unknown_names=unknown_names,
        pixel_digests=pixel_digests,
        copies=with_equal_scans(copies, by_knee[1], digests),
        oddities=oddities,
        phantom=any(is_phantom(path) for path in paths),
    )


def _stacked(crops: list[NDArray[np.uint16]]) -> NDArray[np.uint16]:
    """(knee, view 2, row 128, column 128), of crops that aren't needed any longer."""
    stacked = np.array(crops, dtype=np.uint16).reshape(-1, 2, CROP_SIZE, CROP_SIZE)
    crops.clear()  # 1.3 GB for 10,000 patients
    return stacked


def _chosen_grades(path: Path, scan: Scan, labels_from: LabelsFrom) -> KneeGrades:
    if labels_from != "names":
        return scan.grades
    unknown = sum(name is not None for name in scan.unknown_names)
    if scan.named_grades is None or unknown:
        # An unknown name may identify a patient, so the sentence leaves the name out.
        raise ScanError(
            f"{path}: diaginfo.kneejointname: expected two severity names "
            f"(data.labels_from=names), received {f'{unknown} unknown' if unknown else 'none'}"
        )
    return scan.named_grades


def _names_agree(scan: Scan) -> dict[tuple[str, str], bool]:
    """Whether id and name agree, by stem and side, for each knee with a known name."""
    if scan.named_grades is None:
        return {}
    knees = zip(SIDES, scan.grades, scan.named_grades, scan.unknown_names, strict=True)
    return {
        (scan.name, side): by_id == by_name
        for side, by_id, by_name, unknown in knees
        if unknown is None
    }
