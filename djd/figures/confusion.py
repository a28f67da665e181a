"""Confusion matrices: knees and shares of each true grade."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from djd.figures.style import new_figure
from djd.grades import GRADE_NAMES

SHARES_IMAGE: dict[str, Any] = {"cmap": "Blues", "vmin": 0, "vmax": 100, "interpolation": "none"}
"""How shares of a row are shown in all confusion matrices; an SVG holds five pixels a side."""

Knees = NDArray[np.int64] | NDArray[np.float64]
"""(..., true grade 5, predicted grade 5), knees: int64, or float64 means over repeats."""

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
    figure = new_figure(4.4, 4.2, stamp=stamp)
    draw_confusion(figure.subplots(), counts, title=title)
    return figure


def draw_confusion(axes: Axes, counts: Knees, *, title: str) -> None:
    """Draw one confusion matrix: colour is the share of the row, on one scale for all figures."""
    knees = counts.sum(axis=1)
    shares = row_shares(counts)
    axes.imshow(shares, **SHARES_IMAGE)
    grades = range(len(GRADE_NAMES))
    for truth in grades:
        for guess in grades:
            axes.text(
                guess,
                truth,
                _cell(counts[truth, guess], shares[truth, guess], knees[truth]),
                ha="center",
                va="center",
                fontsize=9,
                linespacing=1.1,
                color="white" if shares[truth, guess] > _DARK else "black",
            )
    axes.set_xticks(grades, GRADE_NAMES, fontsize=8)
    labels = [f"{name}\n({count:.0f})" for name, count in zip(GRADE_NAMES, knees, strict=True)]
    axes.set_yticks(grades, labels, fontsize=8)
    axes.set_xlabel("predicted grade", fontsize=9)
    axes.set_ylabel("true grade (knees)", fontsize=9)
    borders = [grade - 0.5 for grade in grades[1:]]
    axes.set_title(f"{title}: {knees.sum():.0f} knees", fontsize=10)
    axes.set_xticks(borders, minor=True)
    axes.set_yticks(borders, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)


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
