"""Confusion matrices: knees and shares of each true grade."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from djd.grades import GRADE_COUNT, GRADE_NAMES
from djd.plots import style
from djd.plots.style import Stamp
from djd.statistics.metrics import ratio

Knees = NDArray[np.int64] | NDArray[np.float64]
"""(..., true grade 5, predicted grade 5), knees: int64, or float64 means over repeats."""

_SHARES: dict[str, Any] = {"cmap": "Blues", "vmin": 0, "vmax": 100, "interpolation": "none"}
"""Looks of the shares of a row, in all confusion matrices."""

_CENTRED: dict[str, Any] = {"ha": "center", "va": "center"}
_DARK = 55
"""Percentage from which a cell is dark enough for white text."""

_GAP_CELLS, _CAPTION_CELLS = 1, 3
_KEY_INCHES, _MARGIN_INCHES = 1.25, 0.05


def confusion_figure(counts: Knees, *, title: str, stamp: Stamp = None) -> Figure:
    """One confusion matrix, see `Knees`, readable at 350 pixels.

    Means are written with a decimal. The number of knees is added to the title.
    """
    figure = style.new_figure(4.4, 4.0, stamp=stamp, constrained=False)
    plot_confusion(style.axes_at(figure, 0.95, 0.45, 3.4, 3.3), counts, title=title)
    return figure


def plot_confusion(axes: Axes, counts: Knees, *, title: str) -> None:
    """Plot one confusion matrix: colour is the share of the row, on one scale for all plots."""
    knees, shares = counts.sum(axis=1), row_shares(counts)
    axes.imshow(shares, **_SHARES)
    grades = range(GRADE_COUNT)
    for truth in grades:
        for guess in grades:
            cell = _cell(counts[truth, guess], shares[truth, guess], knees[truth])
            colour = "white" if shares[truth, guess] > _DARK else "black"
            axes.text(guess, truth, cell, fontsize=9, linespacing=1.1, color=colour, **_CENTRED)
    _name_grades(axes, knees)
    axes.set_title(f"{title}: {knees.sum():.0f} knees", fontsize=10)
    ends = (-0.5, GRADE_COUNT - 0.5)
    for lines in (axes.vlines, axes.hlines):
        lines([grade - 0.5 for grade in grades[1:]], *ends, color="white", linewidth=1.5)
    axes.set(xlim=ends, ylim=ends[::-1])
    axes.set_axis_off()


def _name_grades(axes: Axes, knees: Knees) -> None:
    """Label rows and columns. Ticks, lines and all, would be a sixth of the time of drawing."""
    below, before = GRADE_COUNT - 0.4, -0.6
    for grade, name in enumerate(GRADE_NAMES):
        axes.text(grade, below, name, ha="center", va="top")
        row = f"{name}\n({knees[grade]:.0f})"
        axes.text(before, grade, row, ha="right", va="center", multialignment="center")
    middle = (GRADE_COUNT - 1) / 2
    axes.text(middle, below + 0.32, "predicted grade", fontsize=9, ha="center", va="top")
    axes.text(before - 1.1, middle, "true grade (knees)", fontsize=9, rotation=90, **_CENTRED)


def _cell(count: float, share: float, knees: float) -> str:
    if not count:
        return "0" if knees else "–"
    return f"{count:.1f}".removesuffix(".0") + f"\n{share:.0f} %"


def row_shares(counts: Knees) -> NDArray[np.float64]:
    """Percentages of each true grade's knees, float64; NaN in the row of a grade without knees."""
    return ratio(100 * counts, np.broadcast_to(counts.sum(axis=-1, keepdims=True), counts.shape))


def confusion_multiples_figure(
    counts: Knees, captions: Sequence[str], *, title: str, columns: int = 6, stamp: Stamp = None
) -> Figure:
    """Small confusion matrices without text, on the colour scale of large ones, with one key.

    Up to 36 matrices are readable. A caption has up to two short lines, such as rank and kappa. A
    row of a grade without knees is left empty.
    """
    shares = row_shares(counts)
    space = {"right": _GAP_CELLS, "below": _CAPTION_CELLS}
    mosaic, corners = style.tiles(shares, columns, **space, fill=np.nan)
    width = style.PAGE_INCHES - 2 * _MARGIN_INCHES
    height = width * mosaic.shape[0] / mosaic.shape[1]
    whole = height + _KEY_INCHES
    figure = style.new_figure(style.PAGE_INCHES, whole, stamp=stamp, title=title, constrained=False)
    axes = style.axes_at(figure, _MARGIN_INCHES, 0, width, height)
    image = axes.imshow(mosaic, aspect="auto", **_SHARES)
    style.frame_tiles(axes, corners, (GRADE_COUNT, GRADE_COUNT), captions, gap=-0.2, points=8)
    _plot_key(figure, image, height)
    return figure


def _plot_key(figure: Figure, image: AxesImage, bottom: float) -> None:
    """Plot, `bottom` inches up, the matrix of a grader who is always right, and the scale."""
    left, size = 1.25, _KEY_INCHES - 0.5
    axes = style.axes_at(figure, left, bottom + 0.3, size, size)
    axes.imshow(100 * np.eye(GRADE_COUNT), **_SHARES)
    axes.set_yticks(range(GRADE_COUNT), GRADE_NAMES)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set(color=style.GREY, linewidth=0.5)
    axes.set_ylabel("true grade")
    axes.set_xlabel("predicted grade, same order", labelpad=2)
    axes.set_title("all graded right", fontsize=8, pad=2)
    left += size + 0.9
    scale = style.axes_at(figure, left, bottom + 0.65, style.PAGE_INCHES - left - 0.25, 0.13)
    bar = figure.colorbar(image, cax=scale, orientation="horizontal", ticks=style.PERCENT_TICKS)
    bar.set_label("share of a true grade's knees (%)", labelpad=2)
    scale.tick_params(length=2, pad=2)
