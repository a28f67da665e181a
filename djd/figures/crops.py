"""Scans and knee crops as physicians read them: dark uptake on white, one window for a figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from djd.figures.style import GREY, new_figure

_GAP_PIXELS = 10
_CAPTION_PIXELS = 17  # a line
_PANEL_INCHES = 1.15
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
    inches = _PANEL_INCHES / step[1]
    figure = new_figure(mosaic.shape[1] * inches + 0.8, mosaic.shape[0] * inches + 0.7, stamp=stamp)
    axes = figure.subplots()
    axes.set_title(title, fontsize=9, loc="left")
    _show_counts(figure, axes, mosaic, window=counts_window(crops))
    axes.set_axis_off()
    frames = [Rectangle((left - 0.5, top - 0.5), width, height) for top, left in corners]
    axes.add_collection(PatchCollection(frames, facecolor="none", edgecolor=GREY, linewidth=0.4))
    for (top, left), caption in zip(corners, captions, strict=True):
        axes.text(left + width / 2, top + height + 3, caption, ha="center", va="top", fontsize=5.5)
    return figure


def counts_window(counts: NDArray[np.uint16]) -> float:
    """Counts that are drawn black."""
    return float(max(1, np.percentile(counts, WINDOW_PERCENTILE))) if counts.size else 1.0


def show_scan(figure: Figure, axes: Axes, counts: NDArray[np.uint16], *, title: str) -> None:
    """Draw one view of a whole-body scan.

    Args:
        figure: For the scale of counts.
        axes: Drawn upon.
        counts: uint16 (row, column), counts a pixel.
        title: Above it.
    """
    _show_counts(figure, axes, counts, window=counts_window(counts))
    axes.set_title(title, fontsize=8)
    axes.set_xticks([])
    axes.set_yticks([])


def _show_counts(figure: Figure, axes: Axes, counts: NDArray[np.generic], *, window: float) -> None:
    image = axes.imshow(counts, cmap="gray_r", vmin=0, vmax=window, interpolation="nearest")
    bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=25, pad=0.01, extend="max")
    bar.set_label("counts a pixel", fontsize=7)
    bar.ax.tick_params(labelsize=6)
