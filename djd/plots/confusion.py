"""Confusion matrices: knees and shares of each true grade."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from djd.grades import GRADE_COUNT, GRADE_NAMES
from djd.plots.style import new_figure

SHARES_IMAGE: dict[str, Any] = {"cmap": "Blues", "vmin": 0, "vmax": 100, "interpolation": "none"}
"""How shares of a row are shown in all confusion matrices; an SVG holds five pixels a side."""

Knees = NDArray[np.int64] | NDArray[np.float64]
"""(..., true grade 5, predicted grade 5), knees: int64, or float64 means over repeats."""

_FIGURE_INCHES = (4.4, 4.2)
_MATRIX_INCHES = (0.95, 0.45, 3.4, 3.3)
"""Left, bottom, width and height: labels have the same length in all matrices, and placing them by
matplotlib's constrained layout would take as long as drawing them twice."""

_CENTRED: dict[str, Any] = {"ha": "center", "va": "center"}
_DARK = 55
"""Percentage from which a cell is dark enough for white text."""


def confusion_figure(counts: Knees, *, title: str, stamp: str | None = None) -> Figure:
    """One confusion matrix, readable at 350 pixels.

    Args:
        counts: (true grade 5, predicted grade 5), knees: int64, or float64 means over repeats,
            which are written with a decimal.
        title: Above it; the number of knees is added.
        stamp: Such as PHANTOM.
    """
    figure = new_figure(*_FIGURE_INCHES, stamp=stamp, constrained=False)
    place = np.array(_MATRIX_INCHES) / np.tile(_FIGURE_INCHES, 2)
    left, bottom, width, height = (float(part) for part in place)
    draw_confusion(figure.add_axes((left, bottom, width, height)), counts, title=title)
    return figure


def draw_confusion(axes: Axes, counts: Knees, *, title: str) -> None:
    """Draw one confusion matrix: colour is the share of the row, on one scale for all figures."""
    knees, shares = counts.sum(axis=1), row_shares(counts)
    axes.imshow(shares, **SHARES_IMAGE)
    grades = range(GRADE_COUNT)
    for truth in grades:
        for guess in grades:
            cell = _cell(counts[truth, guess], shares[truth, guess], knees[truth])
            colour = "white" if shares[truth, guess] > _DARK else "black"
            axes.text(guess, truth, cell, fontsize=9, linespacing=1.1, color=colour, **_CENTRED)
    _name_grades(axes, knees)
    axes.set_title(f"{title}: {knees.sum():.0f} knees", fontsize=10)
    borders = [grade - 0.5 for grade in grades[1:]]
    ends = (-0.5, GRADE_COUNT - 0.5)
    axes.vlines(borders, *ends, color="white", linewidth=1.5)
    axes.hlines(borders, *ends, color="white", linewidth=1.5)
    axes.set(xlim=ends, ylim=ends[::-1])
    axes.set_axis_off()


def _name_grades(axes: Axes, knees: NDArray[np.int64] | NDArray[np.float64]) -> None:
    """Label rows and columns. Ticks, lines and all, would be a sixth of the time of drawing."""
    below, before = GRADE_COUNT - 0.4, -0.6
    for grade, name in enumerate(GRADE_NAMES):
        axes.text(grade, below, name, fontsize=8, ha="center", va="top")
        row = f"{name}\n({knees[grade]:.0f})"
        axes.text(before, grade, row, fontsize=8, ha="right", va="center", multialignment="center")
    middle = (GRADE_COUNT - 1) / 2
    axes.text(middle, below + 0.32, "predicted grade", fontsize=9, ha="center", va="top")
    axes.text(before - 1.1, middle, "true grade (knees)", fontsize=9, rotation=90, **_CENTRED)


def row_shares(counts: Knees) -> NDArray[np.float64]:
    """Percentages of each true grade's knees; NaN in the row of a grade without knees.

    Args:
        counts: (true grade 5, predicted grade 5), knees, int64 or float64.

    Returns:
        float64 (true grade 5, predicted grade 5), 0 to 100.
    """
    knees = counts.sum(axis=1, keepdims=True)
    shares = np.full(counts.shape, np.nan)
    np.divide(100 * counts, knees, out=shares, where=knees > 0)
    return shares


def _cell(count: float, share: float, knees: float) -> str:
    if not knees:
        return "–"
    written = f"{count:.1f}".removesuffix(".0")
    return f"{written}\n{share:.0f} %" if count else "0"
