"""Plot the data format's picture of a finished run: `python docs/overview.py outputs/<date-time>`.

One of the run's test scans with the place of its crops, both crops, and the confusion matrix of the
test patients.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from djd.data.crop import CROP_SIZE, crop_knees, place_study_crop
from djd.data.phantom.cohort import cached_phantom
from djd.data.scan import Scan, read_scan
from djd.grades import GRADE_NAMES, PHANTOM_STAMP, SIDES
from djd.plots.confusion import plot_confusion
from djd.plots.sheets import counts_window, plot_counts
from djd.plots.style import ORANGE, new_figure, save_figure
from djd.runs.config import read_config
from djd.runs.result import RunResult

LEAST_DIFFERENCE = 2
"""Grades between the knees of the scan that is shown: a picture of two equal knees shows less."""


def main(run_folder: Path) -> None:
    """Write docs/overview.png."""
    result = RunResult.load(run_folder / "result.json")
    (test,) = result.test
    config = read_config(result.config)
    root = cached_phantom(
        config.paths.cache, patients=config.data.phantom_patients, seed=config.data.phantom_seed
    )
    (winner,) = (run_folder / "winner").iterdir()
    scan, predicted = _shown_scan(root, winner)
    figure = new_figure(10.5, 4.4, stamp=PHANTOM_STAMP)
    grid = figure.add_gridspec(1, 3, width_ratios=(1.0, 1.15, 2.0))
    left, middle, right = (figure.add_subfigure(grid[0, i]) for i in range(3))
    _plot_scan(left.subplots(), scan)
    _plot_crops(middle, scan, predicted)
    counts = np.array(test.confusion)
    plot_confusion(right.subplots(), counts, title=f"{test.patients} test patients")
    save_figure(figure, Path(__file__).with_name("overview.png"))


def _shown_scan(root: Path, winner: Path) -> tuple[Scan, dict[str, int]]:
    """The first test scan whose knees differ enough, and what the model gave its knees by side."""
    with (winner / "predictions.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    for name in dict.fromkeys(row["scan"] for row in rows):
        scan = read_scan(root / f"{name}.mat")
        right, left = scan.grades
        if right is not None and left is not None and abs(right - left) >= LEAST_DIFFERENCE:
            return scan, {row["side"]: int(row["predicted"]) for row in rows if row["scan"] == name}
    raise SystemExit(f"no test scan has knees that differ by {LEAST_DIFFERENCE} grades")


def _plot_scan(axes: Axes, scan: Scan) -> None:
    _plot(axes, scan.counts[0], f"scan {scan.name}, anterior", window=_window(scan))
    first_row = place_study_crop(scan.counts[0])
    for column in (0, CROP_SIZE):
        corner = (column, first_row)
        axes.add_patch(
            Rectangle(corner, CROP_SIZE - 1, CROP_SIZE, fill=False, color=ORANGE, lw=1.2)
        )


def _plot_crops(figure: SubFigure, scan: Scan, predicted: dict[str, int]) -> None:
    crops = crop_knees(scan)[:, 0]
    panels = figure.subplots(2, 1).tolist()
    for axes, crop, side, grade in zip(panels, crops, SIDES, scan.grades, strict=True):
        assert grade is not None
        truth, guess = GRADE_NAMES[grade], GRADE_NAMES[predicted[side]]
        _plot(axes, crop, f"{side} knee: {truth}\npredicted: {guess}", window=_window(scan))


def _window(scan: Scan) -> float:
    """One for all panels, by the knees: the bladder would turn them pale."""
    return counts_window(crop_knees(scan)[:, 0])


def _plot(axes: Axes, counts: NDArray[np.uint16], title: str, *, window: float) -> None:
    plot_counts(axes, counts, window=window)
    axes.set_title(title, fontsize=8)
    axes.set_xticks([])
    axes.set_yticks([])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
