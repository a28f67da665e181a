"""Counts as physicians read them, and sheets of knees as the network sees them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from djd.plots.style import (
    ORANGE,
    Stamp,
    axes_at,
    frame_tiles,
    new_figure,
    tiles,
)

Counts = NDArray[np.uint16]
Inputs = NDArray[np.float32]
Pixels = NDArray[np.uint8]

_WIDTH = 4.4  # inches of a sheet of inputs; 80 pixels an inch at 350 pixels
_MARGIN = 0.05
_INPUT_GAP_PIXELS = 8
_SEAM_PIXELS = 2  # between the pictures of one knee
_LEAST_PIXELS = 128  # of a picture; those of smaller inputs are squares of several pixels
_CAPTION_INCHES = 0.14  # a line
CAPTION_CHARACTERS = 14  # an inch

_LOW_PERCENTILE, _HIGH_PERCENTILE = 1, 99.8
"""Of all values shown: white, and black. A few hot pixels then don't turn the rest pale."""

LOOK = 0.7
"""Share of the colour where the network looks most."""


def counts_window(counts: Counts) -> float:
    """Counts that are black."""
    return float(max(1, np.percentile(counts, _HIGH_PERCENTILE))) if counts.size else 1.0


def plot_counts(axes: Axes, counts: NDArray[np.generic], *, window: float) -> AxesImage:
    """Plot counts (row, column): 0 white, `window` and more black."""
    return axes.imshow(counts, cmap="gray_r", vmin=0, vmax=window, interpolation="nearest")


def inputs_figure(
    inputs: Inputs,
    captions: Sequence[str],
    *,
    columns: int,
    title: str,
    unit: str,
    stamp: Stamp = None,
) -> Figure:
    """Network inputs of knees, the views of one knee side by side, in one window for all.

    `inputs` are float32 (knee, view, row, column), scaled, with a unit such as "counts a pixel".
    A caption has two lines; longer ones are cut. The window is written behind the title. The sheet
    is readable at 350 pixels.
    """
    white, black = _inputs_window(inputs)
    title = f"{title}; white {white:.2g}, black {black:.2g} {unit}"
    return _inputs_sheet(coloured(_greys(inputs)), captions, columns, title, stamp)


def attention_figure(
    inputs: Inputs,
    maps: Inputs | None,
    captions: Sequence[str],
    *,
    columns: int,
    title: str,
    stamp: Stamp = None,
) -> Figure:
    """Network inputs of knees, and beside each knee its first views with maps of attention.

    `maps` are float32 (knee, map, row, column), 0 to 1, shown as orange over the crop, the first
    over the first view; None shows none.
    All other arguments as in `inputs_figure`.
    """
    greys = _greys(inputs)
    if maps is None:
        return _inputs_sheet(coloured(greys), captions, columns, title, stamp)
    shares = np.concatenate([np.zeros_like(greys), LOOK * maps], axis=1)
    pictures = coloured(np.concatenate([greys, greys[:, : maps.shape[1]]], axis=1), shares)
    return _inputs_sheet(pictures, captions, columns, title, stamp)


def _inputs_window(inputs: Inputs) -> tuple[float, float]:
    """Values that are white and black, by every second row and column."""
    if not inputs.size:
        return 0.0, 1.0
    low, high = np.percentile(inputs[..., ::2, ::2], (_LOW_PERCENTILE, _HIGH_PERCENTILE))
    return float(low), float(max(high, low + 1e-6))


def _greys(inputs: Inputs) -> Inputs:
    """Greys of the same shape, 1 (white) where there is little uptake to 0 (black)."""
    low, high = _inputs_window(inputs)
    greys: Inputs = 1 - np.clip((inputs - low) / (high - low), 0, 1)
    return greys


def coloured(greys: Inputs, shares: Inputs | float = 0.0) -> Pixels:
    """Pixels uint8 (..., row, column, colour 3) of greys with shares of orange laid over them."""
    pixels = [((1 - shares) * greys + shares * part) * 255 for part in to_rgb(ORANGE)]
    return np.stack(pixels, axis=-1).round().astype(np.uint8)


def _inputs_sheet(
    pictures: Pixels, captions: Sequence[str], columns: int, title: str, stamp: Stamp
) -> Figure:
    """Pictures (knee, view, row, column, colour 3), those of a knee side by side, with captions."""
    larger = max(1, _LEAST_PIXELS // pictures.shape[2])
    pictures = pictures.repeat(larger, axis=2).repeat(larger, axis=3)
    seam = ((0, 0), (0, 0), (0, 0), (0, _SEAM_PIXELS), (0, 0))
    padded = np.pad(pictures, seam, constant_values=255)
    strips = np.concatenate(list(padded.swapaxes(0, 1)), axis=2)[:, :, :-_SEAM_PIXELS]
    across = columns * (strips.shape[2] + _INPUT_GAP_PIXELS) - _INPUT_GAP_PIXELS
    inch = across / (_WIDTH - 2 * _MARGIN)  # in pixels of the strips
    below = round(2.5 * _CAPTION_INCHES * inch)
    mosaic, corners = tiles(strips, columns, right=_INPUT_GAP_PIXELS, below=below, fill=255)
    height = len(mosaic) / inch
    figure = new_figure(_WIDTH, height + 2 * _MARGIN, stamp=stamp, title=title, constrained=False)
    axes = axes_at(figure, _MARGIN, 0, _WIDTH - 2 * _MARGIN, height)
    axes.imshow(mosaic[:, :across], interpolation="auto", aspect="auto")
    characters = int(strips.shape[2] / inch * CAPTION_CHARACTERS)
    cut = [
        "\n".join(cut_caption(line, characters) for line in text.split("\n")) for text in captions
    ]
    frame_tiles(axes, corners, strips.shape[1:3], cut, gap=0.03 * inch, points=7.5)
    return figure


def cut_caption(line: str, characters: int) -> str:
    """A line that is too long loses its start: its end has side and grade."""
    return line if len(line) <= characters else f"…{line[len(line) - characters + 1 :]}"
