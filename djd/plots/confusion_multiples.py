"""Confusion matrices of many settings side by side, without text in their cells."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from djd.grades import GRADE_COUNT, GRADE_NAMES
from djd.plots.confusion import SHARES_IMAGE, Knees, row_shares
from djd.plots.style import (
    GREY,
    PAGE_INCHES,
    TEXT_POINTS,
    head_inches,
    new_figure,
)

_GAP_CELLS = 1
_CAPTION_CELLS = 3
_STEP = (GRADE_COUNT + _CAPTION_CELLS, GRADE_COUNT + _GAP_CELLS)
_KEY_INCHES = 1.25
_MARGIN_INCHES = 0.05


def confusion_multiples_figure(
    counts: Knees,
    captions: Sequence[str],
    *,
    title: str,
    columns: int = 6,
    stamp: str | None = None,
) -> Figure:
    """Many small confusion matrices on the colour scale of the large ones, with one key.

    A row without knees is left empty.

    Args:
        counts: (setting, true grade 5, predicted grade 5), knees, int64 or float64; up to 36 can
            be told apart.
        captions: One a matrix, of up to two short lines such as rank and kappa.
        title: Of the figure.
        columns: Matrices a row.
        stamp: Such as PHANTOM.
    """
    rows = max(1, -(-len(counts) // columns))
    shape = (rows * _STEP[0], columns * _STEP[1])
    grid_inches = shape[0] * (PAGE_INCHES - 2 * _MARGIN_INCHES) / shape[1]
    head = head_inches(PAGE_INCHES, stamp=stamp, title=title)
    height = grid_inches + _KEY_INCHES + head
    figure = new_figure(PAGE_INCHES, height, stamp=stamp, title=title, constrained=False)
    margin = _MARGIN_INCHES / PAGE_INCHES
    axes = figure.add_axes((margin, 0, 1 - 2 * margin, grid_inches / height))
    corners = [(_STEP[0] * (i // columns), _STEP[1] * (i % columns)) for i in range(len(counts))]
    image = _draw_matrices(axes, _mosaic(counts, corners, shape), corners)
    for (top, left), caption in zip(corners, captions, strict=True):
        axes.text(
            left + GRADE_COUNT / 2 - 0.5,
            top + GRADE_COUNT - 0.2,
            caption,
            ha="center",
            va="top",
            linespacing=1.05,
            fontsize=TEXT_POINTS,
        )
    _draw_key(figure, image, grid_inches)
    return figure


def _mosaic(
    counts: Knees, corners: Sequence[tuple[int, int]], shape: tuple[int, int]
) -> NDArray[np.float64]:
    mosaic = np.full(shape, np.nan)
    for (top, left), matrix in zip(corners, counts, strict=True):
        mosaic[top : top + GRADE_COUNT, left : left + GRADE_COUNT] = row_shares(matrix)
    return mosaic


def _draw_matrices(
    axes: Axes, mosaic: NDArray[np.float64], corners: Sequence[tuple[int, int]]
) -> AxesImage:
    # One image for all: a picture of its own for each would make an SVG many times as large.
    image = axes.imshow(mosaic, aspect="auto", **SHARES_IMAGE)
    frames = [Rectangle((left - 0.5, top - 0.5), GRADE_COUNT, GRADE_COUNT) for top, left in corners]
    axes.add_collection(PatchCollection(frames, facecolor="none", edgecolor=GREY, linewidth=0.5))
    axes.set_axis_off()
    return image


def _draw_key(figure: Figure, image: AxesImage, bottom: float) -> None:
    """Draw, `bottom` inches up, a matrix of a grader who is always right, and the scale."""
    width, height = figure.get_size_inches()
    size = _KEY_INCHES - 0.5
    left = 1.25
    axes = figure.add_axes((left / width, (bottom + 0.3) / height, size / width, size / height))
    axes.imshow(100 * np.eye(GRADE_COUNT), **SHARES_IMAGE)
    axes.set_yticks(range(GRADE_COUNT), GRADE_NAMES, fontsize=TEXT_POINTS)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set(color=GREY, linewidth=0.5)
    axes.set_ylabel("true grade", fontsize=TEXT_POINTS)
    axes.set_xlabel("predicted grade, same order", fontsize=TEXT_POINTS, labelpad=2)
    axes.set_title("all graded right", fontsize=TEXT_POINTS, pad=2)
    scale_left = left + size + 0.9
    scale = figure.add_axes(
        (
            scale_left / width,
            (bottom + 0.65) / height,
            1 - (scale_left + 0.25) / width,
            0.13 / height,
        )
    )
    bar = figure.colorbar(image, cax=scale, orientation="horizontal", ticks=[0, 25, 50, 75, 100])
    bar.set_label("share of a true grade's knees (%)", fontsize=TEXT_POINTS, labelpad=2)
    scale.tick_params(labelsize=TEXT_POINTS, length=2, pad=2)
