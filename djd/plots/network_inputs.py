"""Knees as the network sees them, and where it looks: sheets that are readable at 350 pixels."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from djd.plots.style import GREY, ORANGE, head_inches, new_figure

_WIDTH = 4.4  # inches; 80 pixels an inch at 350 pixels
_MARGIN = 0.05
_CAPTION_INCHES = 0.14  # a line
_CAPTION_POINTS = 7.5
_CHARACTERS = 14  # an inch
_GAP_PIXELS = 8
_SEAM_PIXELS = 2  # between the pictures of one knee
_PERCENTILES = (1, 99.8)
"""Of the values shown, by every second row and column: white, and black. A few hot pixels then
don't turn all else pale."""

_LOOK = 0.7
"""How much of the colour there is where the network looks most."""


def inputs_figure(
    inputs: NDArray[np.float32],
    captions: Sequence[str],
    *,
    columns: int,
    title: str,
    unit: str,
    stamp: str | None = None,
) -> Figure:
    """Knees as they go into the network, the views of one side by side, in one window for all.

    Args:
        inputs: float32 (knee, view, row, column), scaled.
        captions: One a knee, of two lines; longer ones are cut.
        columns: Knees a row.
        title: Of the sheet; the window is told with it.
        unit: Of the inputs, such as "counts a pixel".
        stamp: Such as PHANTOM.
    """
    window = inputs_window(inputs)
    greys = uptake_greys(inputs, window)
    title = f"{title}; white {window[0]:.2g}, black {window[1]:.2g} {unit}"
    views = [coloured(greys[:, view]) for view in range(greys.shape[1])]
    return _sheet(_side_by_side(views), captions, columns, title, stamp)


def attention_figure(
    inputs: NDArray[np.float32],
    maps: NDArray[np.float32] | None,
    captions: Sequence[str],
    *,
    columns: int,
    title: str,
    stamp: str | None = None,
) -> Figure:
    """Knees as they go into the network, and beside each its first view with an attention map.

    Args:
        inputs: float32 (knee, view, row, column), scaled.
        maps: float32 (knee, row, column), 0 to 1: laid in orange over the crop; None leaves them
            out.
        captions: One a knee, of two lines; longer ones are cut.
        columns: Knees a row.
        title: Of the sheet.
        stamp: Such as PHANTOM.
    """
    greys = uptake_greys(inputs, inputs_window(inputs))
    views = [coloured(greys[:, view]) for view in range(greys.shape[1])]
    return _sheet(
        _side_by_side(views if maps is None else [*views, coloured(greys[:, 0], _LOOK * maps)]),
        captions,
        columns,
        title,
        stamp,
    )


def inputs_window(inputs: NDArray[np.float32]) -> tuple[float, float]:
    """Values that are drawn white and black."""
    if not inputs.size:
        return 0.0, 1.0
    low, high = np.percentile(inputs[..., ::2, ::2], _PERCENTILES)
    return float(low), float(max(high, low + 1e-6))


def uptake_greys(inputs: NDArray[np.float32], window: tuple[float, float]) -> NDArray[np.float32]:
    """Greys of the same shape, 1 (white) where there is little uptake to 0 (black).

    Args:
        inputs: float32, of any shape.
        window: Values that become white and black.
    """
    low, high = window
    greys: NDArray[np.float32] = 1 - np.clip((inputs - low) / (high - low), 0, 1)
    return greys


def coloured(
    greys: NDArray[np.float32], share: NDArray[np.float32] | float = 0.0
) -> NDArray[np.uint8]:
    """Pixels uint8 (..., row, column, colour 3) of greys with a share of orange laid over them.

    Args:
        greys: float32 (..., row, column), 0 black to 1 white.
        share: Of the same shape, 0 to 1.
    """
    pixels = [((1 - share) * greys + share * part) * 255 for part in to_rgb(ORANGE)]
    return np.stack(pixels, axis=-1).round().astype(np.uint8)


def _side_by_side(parts: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Pictures (knee, row, column, colour 3) joined along their columns with a little white."""
    gap = np.full((*parts[0].shape[:2], _SEAM_PIXELS, 3), 255, np.uint8)
    joined = [each for part in parts for each in (gap, part)]
    return np.concatenate(joined[1:], axis=2)


def _sheet(
    strips: NDArray[np.uint8],
    captions: Sequence[str],
    columns: int,
    title: str,
    stamp: str | None,
) -> Figure:
    """Strips (knee, row, column, colour 3) side by side with a caption below each."""
    height, width = strips.shape[1:3]
    across = columns * (width + _GAP_PIXELS) - _GAP_PIXELS
    inch = across / (_WIDTH - 2 * _MARGIN)  # in pixels of the strips
    step = height + round(2.5 * _CAPTION_INCHES * inch)
    corners = [
        (step * (index // columns), (width + _GAP_PIXELS) * (index % columns))
        for index in range(len(strips))
    ]
    mosaic = np.full((step * max(1, -(-len(strips) // columns)), across, 3), 255, np.uint8)
    for (top, left), strip in zip(corners, strips, strict=True):
        mosaic[top : top + height, left : left + width] = strip
    figure, axes = _sheet_axes(len(mosaic) / inch, title, stamp)
    axes.imshow(mosaic, interpolation="auto", aspect="auto")
    frames = [Rectangle((left - 0.5, top - 0.5), width, height) for top, left in corners]
    axes.add_collection(PatchCollection(frames, facecolor="none", edgecolor=GREY, linewidth=0.4))
    characters = int(width / inch * _CHARACTERS)
    for (top, left), caption in zip(corners, captions, strict=True):
        text = "\n".join(_cut(line, characters) for line in caption.split("\n"))
        place = (left + width / 2, top + height + 0.03 * inch)
        axes.text(*place, text, ha="center", va="top", fontsize=_CAPTION_POINTS, linespacing=1.1)
    return figure


def _sheet_axes(inches: float, title: str, stamp: str | None) -> tuple[Figure, Axes]:
    """A figure whose axes are so many inches high, below stamp and title."""
    height = inches + head_inches(_WIDTH, stamp=stamp, title=title) + 2 * _MARGIN
    figure = new_figure(_WIDTH, height, stamp=stamp, title=title, constrained=False)
    side = _MARGIN / _WIDTH
    axes = figure.add_axes((side, 0, 1 - 2 * side, inches / height))
    axes.set_axis_off()
    return figure, axes


def _cut(line: str, characters: int) -> str:
    """A line whose start makes way where it is too long: its end tells side and grade."""
    return line if len(line) <= characters else f"…{line[len(line) - characters + 1 :]}"
