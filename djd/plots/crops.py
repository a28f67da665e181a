"""Scans and knee crops as physicians read them: dark uptake on white, one window for a figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from djd.plots.style import GREY, STAMP_INCHES, new_figure

_GAP_PIXELS = 10
_CAPTION_PIXELS = 17  # a line
_PANEL_INCHES = 1.15
_HEAD_INCHES = 0.75  # stamp, title, and scale of counts
WINDOW_PERCENTILE = 99.8
"""Of all counts shown: what is black. A few hot pixels then don't turn all else pale."""


def crop_sheet(
    crops: NDArray[np.uint16],
    captions: Sequence[str],
    *,
    columns: int,
    title: str,
    stamp: str | None = None,
) -> Figure:
    """Crops side by side with a caption under each.

    Args:
        crops: uint16 (knee, row, column), counts a pixel.
        captions: One a crop, of one or more lines.
        columns: Crops a row.
        title: Of the sheet.
        stamp: Such as PHANTOM.
    """
    height, width = crops.shape[1:] if len(crops) else (128, 128)
    lines = max((caption.count("\n") + 1 for caption in captions), default=1)
    step = (height + _GAP_PIXELS + lines * _CAPTION_PIXELS, width + _GAP_PIXELS)
    rows = max(1, -(-len(crops) // columns))
    corners = [(step[0] * (i // columns), step[1] * (i % columns)) for i in range(len(crops))]
    mosaic = np.zeros((step[0] * rows, step[1] * columns))
    for (top, left), crop in zip(corners, crops, strict=True):
        mosaic[top : top + height, left : left + width] = crop
    figure, axes, scale = _sheet_axes(mosaic.shape[0] / step[1], columns, title, stamp)
    image = show_counts(axes, mosaic, window=counts_window(crops))
    _label_scale(figure.colorbar(image, cax=scale, orientation="horizontal", extend="max"))
    axes.set_axis_off()
    frames = [Rectangle((left - 0.5, top - 0.5), width, height) for top, left in corners]
    axes.add_collection(PatchCollection(frames, facecolor="none", edgecolor=GREY, linewidth=0.4))
    for (top, left), caption in zip(corners, captions, strict=True):
        axes.text(left + width / 2, top + height + 3, caption, ha="center", va="top", fontsize=5.5)
    return figure


def _sheet_axes(
    rows: float, columns: int, title: str, stamp: str | None
) -> tuple[Figure, Axes, Axes]:
    """A sheet of so many panels with its title, and axes for crops and for the scale of counts."""
    width, height = columns * _PANEL_INCHES + 0.1, rows * _PANEL_INCHES + _HEAD_INCHES
    figure = new_figure(width, height, stamp=stamp, constrained=False)
    below_stamp = height - STAMP_INCHES
    figure.text(0.07 / width, (below_stamp - 0.05) / height, title, fontsize=9, va="top")
    axes = figure.add_axes((0.05 / width, 0, 1 - 0.1 / width, 1 - _HEAD_INCHES / height))
    bar = (1 - 1.7 / width, (below_stamp - 0.15) / height, 1.5 / width, 0.1 / height)
    return figure, axes, figure.add_axes(bar)


def counts_window(counts: NDArray[np.uint16]) -> float:
    """Counts that are drawn black."""
    return float(max(1, np.percentile(counts, WINDOW_PERCENTILE))) if counts.size else 1.0


def show_counts(axes: Axes, counts: NDArray[np.generic], *, window: float) -> AxesImage:
    """Draw counts (row, column): 0 white, `window` and more black."""
    return axes.imshow(counts, cmap="gray_r", vmin=0, vmax=window, interpolation="nearest")


def _label_scale(bar: Colorbar) -> None:
    bar.set_label("counts a pixel", fontsize=6, labelpad=1)
    bar.ax.tick_params(labelsize=6, length=2, pad=1)
