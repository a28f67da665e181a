"""The unknown severity names of a folder, and the crops of a cohort on one sheet."""

import contextlib
from collections import Counter
from pathlib import Path

import numpy as np

from djd.data.cohort import Cohort
from djd.data.scan import GradeNames, ScanError, read_scan
from djd.data.scan_files import ScanFolder
from djd.grades import GRADE_NAMES, SIDES
from djd.plots.sheets import crops_figure
from djd.plots.style import save_figure

SHEET_COLUMNS = 10
MOST_SHEET_KNEES = 410
"""Knees on the crop sheet: all of 205 patients; of more, evenly chosen ones."""


def unknown_spellings(folder: ScanFolder, grade_names: GradeNames) -> Counter[str]:
    """How often each unknown severity name stands in the readable files; "" where there is no text.

    The names may identify patients: they are shown to the person who asks, and never stored.
    """
    spellings: Counter[str] = Counter()
    for files in folder:
        with contextlib.suppress(ScanError):
            scan = read_scan(files, grade_names=grade_names)
            spellings.update(name for name in scan.unknown_names if name is not None)
    return spellings


def save_crop_sheet(cohort: Cohort, path: Path) -> None:
    """Plot the crops with their grades on one sheet, in one window."""
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
