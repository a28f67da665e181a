"""Counts and problems of a cohort."""

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from djd.data.cohort import Cohort, obstacles
from djd.data.scan import GradeNames, ScanError, read_scan
from djd.grades import GRADE_COUNT, GRADE_NAMES, SIDES, LabelsFrom, OnError
from djd.plots.sheets import crops_figure
from djd.plots.style import save_figure

SHEET_COLUMNS = 10
MOST_SHEET_KNEES = 410
"""Knees on the crop sheet: all of 205 patients; of more, evenly chosen ones."""


@dataclass(frozen=True, eq=False)
class CohortCheck:
    """The problems of a cohort.

    Attributes:
        cohort: The cohort.
        grade_counts: int64 (side 2, grade 5), knees; sides (right, left).
        duplicates: Scans with the same pixels, in groups.
        obstacles: Why training would stop before it splits the patients, a sentence each.
    """

    cohort: Cohort
    grade_counts: NDArray[np.int64]
    duplicates: Sequence[tuple[str, ...]]
    obstacles: Sequence[str]


def check_cohort(cohort: Cohort, *, labels_from: LabelsFrom, on_error: OnError) -> CohortCheck:
    """Count the knees of a cohort by side and grade, and find problems."""
    counts = np.zeros((len(SIDES), GRADE_COUNT), dtype=np.int64)
    np.add.at(counts, (cohort.side_index, cohort.grades), 1)
    sentences = obstacles(cohort, labels_from=labels_from, on_error=on_error)
    return CohortCheck(cohort, counts, cohort.duplicates(), sentences)


def unknown_spellings(paths: Sequence[Path], grade_names: GradeNames) -> Counter[str]:
    """How often each unknown severity name stands in the files; an empty text is no name.

    Files that can't be read are passed over. The texts may identify patients: they are only shown
    to the person who asks, never stored.
    """
    spellings: Counter[str] = Counter()
    for path in paths:
        with contextlib.suppress(ScanError):
            scan = read_scan(path, grade_names=grade_names)
            spellings.update(name for name in scan.unknown_names if name is not None)
    return spellings


def save_crop_sheet(cohort: Cohort, path: Path) -> None:
    """Plot the crops with their grades on one sheet, in one window.

    Raises:
        InputError: The file can't be written.
    """
    shown = np.unique(np.linspace(0, len(cohort) - 1, MOST_SHEET_KNEES).round().astype(int))
    knees = shown if len(cohort) else shown[:0]
    figure = crops_figure(
        cohort.crops[knees, 0],
        [
            f"{cohort.scans[cohort.scan_index[knee]]} {SIDES[cohort.side_index[knee]]}\n"
            f"{GRADE_NAMES[cohort.grades[knee]]}"
            for knee in knees
        ],
        columns=SHEET_COLUMNS,
        title=f"{len(knees)} of {len(cohort)} graded knees, anterior view",
        stamp=cohort.stamp,
    )
    save_figure(figure, path)
