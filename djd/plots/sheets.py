"""Sheets of knees: crops as physicians read them, and as the network sees them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from numpy.typing import NDArray

from djd.grades import GRADE_NAMES
from djd.plots.style import (
    BLUE,
    GREY,
    ORANGE,
    PAGE_INCHES,
    Stamp,
    axes_at,
    frame_tiles,
    new_figure,
    tiles,
)

Counts = NDArray[np.uint16]
Inputs = NDArray[np.float32]
Pixels = NDArray[np.uint8]

_PANEL_INCHES = 1.15
_SCALE_INCHES = 0.35
_GAP_PIXELS = 10
_CAPTION_PIXELS = 17  # a line

_WIDTH = 4.4  # inches of a sheet of inputs; 80 pixels an inch at 350 pixels
_MARGIN = 0.05
_INPUT_GAP_PIXELS = 8
_SEAM_PIXELS = 2  # between the pictures of one knee
_LEAST_PIXELS = 128  # of a picture; those of smaller inputs are squares of several pixels
_CAPTION_INCHES = 0.14  # a line
_CHARACTERS = 14  # an inch

_LOW_PERCENTILE, _HIGH_PERCENTILE = 1, 99.8
"""Of all values shown: white, and black. A few hot pixels then don't turn the rest pale."""

_LOOK = 0.7
"""Share of the colour where the network looks most."""

_STRIP = 2.9  # inches of all pictures of a knee with bars beside them
_LARGEST = 1.4222
_BARS, _NAMES, _NUMBERS = 0.9, 0.75, 0.85  # height of bars; words left and right of them
_ABOVE, _BELOW, _UNDER = 0.2, 0.15, 0.2  # a knee's caption, air, the legend
_PALE = "#C3CAD1"
KNEES_PIXELS = 936
"""Width of a figure of graded knees: with two pictures a knee, a pixel of a crop is four pixels of
the file, which takes half the bytes of other sizes."""


def crops_figure(
    crops: Counts, captions: Sequence[str], *, columns: int, title: str, stamp: Stamp = None
) -> Figure:
    """Crops side by side with a caption under each, dark uptake on white, in one window.

    `crops` are uint16 (knee, row, column), counts a pixel; `columns` are crops a row.
    """
    lines = max((caption.count("\n") + 1 for caption in captions), default=1)
    below = _GAP_PIXELS + lines * _CAPTION_PIXELS
    mosaic, corners = tiles(crops, columns, right=_GAP_PIXELS, below=below, fill=0)
    width = columns * _PANEL_INCHES
    height = width * mosaic.shape[0] / mosaic.shape[1]
    across, up = width + 2 * _MARGIN, height + _SCALE_INCHES
    figure = new_figure(across, up, stamp=stamp, title=title, constrained=False)
    axes = axes_at(figure, _MARGIN, 0, width, height)
    image = plot_counts(axes, mosaic, window=counts_window(crops))
    frame_tiles(axes, corners, crops.shape[1:], captions, gap=3, points=5.5)
    scale = axes_at(figure, width - 1.6, height + 0.36, 1.5, 0.1)  # right of the title
    bar = figure.colorbar(image, cax=scale, orientation="horizontal", extend="max")
    bar.set_label("counts a pixel", fontsize=6, labelpad=1)
    scale.tick_params(labelsize=6, length=2, pad=1)
    return figure


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
    return _inputs_sheet(_coloured(_greys(inputs)), captions, columns, title, stamp)


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
        return _inputs_sheet(_coloured(greys), captions, columns, title, stamp)
    shares = np.concatenate([np.zeros_like(greys), _LOOK * maps], axis=1)
    pictures = _coloured(np.concatenate([greys, greys[:, : maps.shape[1]]], axis=1), shares)
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


def _coloured(greys: Inputs, shares: Inputs | float = 0.0) -> Pixels:
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
    characters = int(strips.shape[2] / inch * _CHARACTERS)
    cut = ["\n".join(_cut(line, characters) for line in text.split("\n")) for text in captions]
    frame_tiles(axes, corners, strips.shape[1:3], cut, gap=0.03 * inch, points=7.5)
    return figure


def _cut(line: str, characters: int) -> str:
    """A line that is too long loses its start: its end has side and grade."""
    return line if len(line) <= characters else f"…{line[len(line) - characters + 1 :]}"


def graded_knees_figure(
    crops: Counts,
    maps: Pixels,
    captions: Sequence[str],
    grades: Sequence[tuple[int, int]],
    probabilities: NDArray[np.float64],
    *,
    views: Sequence[str],
    window: float,
    title: str,
    stamp: Stamp = None,
) -> Figure:
    """A row a knee: its crops, dark uptake on white, and again with maps in orange, then five bars.

    `crops` are uint16 (knee, view, row, column), counts a pixel, of which 0 is white and `window`
    and more black; `maps` uint8 (knee, map, row, column), 0 to 255, over the first views; `grades`
    the true and the given grade of each; `probabilities` (knee, grade 5), 0 to 1.
    """
    pictures = _with_maps(1 - np.clip(crops / window, 0, 1), maps)
    across = pictures.shape[1]
    side = min(_LARGEST, (_STRIP - _MARGIN * (across - 1)) / across)
    high = max(side, _BARS)
    step = _ABOVE + high + _BELOW
    height = _ABOVE + len(crops) * step + _UNDER
    figure = new_figure(PAGE_INCHES, height, stamp=stamp, title=title, constrained=False)
    # A picture of four is narrower than "posterior, attention"; the legend names the orange.
    mapped = [f"{view}, attention" for view in views[: maps.shape[1]]]
    heads = [*views, *(mapped if across < 4 else views[: maps.shape[1]])]
    for column, head in enumerate(heads):
        _write(figure, _MARGIN + column * (side + _MARGIN), height - 0.15, head, fontsize=7.5)
    left = across * (side + _MARGIN) + _MARGIN + _NAMES
    width = PAGE_INCHES - left
    for place, caption in enumerate(captions):
        top = height - (place + 1) * step + _BELOW + high - _ABOVE
        words = _cut(caption, int(PAGE_INCHES * _CHARACTERS))
        _write(figure, _MARGIN, top + 0.05, words, fontsize=8.5, weight="bold")
        for column, picture in enumerate(pictures[place]):
            beside = _MARGIN + column * (side + _MARGIN)
            _plot_picture(axes_at(figure, beside, top - side, side, side), picture)
        axes = axes_at(figure, left, top - (high + _BARS) / 2, width, _BARS)
        _plot_bars(axes, probabilities[place], *grades[place], reach=width / (width - _NUMBERS))
    _plot_legend(figure, attention=maps.shape[1] > 0)
    return figure


def _write(figure: Figure, left: float, bottom: float, words: str, **looks: Any) -> None:
    """Write words at a place in inches from the figure's lower left corner."""
    across, up = figure.get_size_inches()
    figure.text(left / across, bottom / up, words, va="bottom", **looks)


def _plot_picture(axes: Axes, picture: Pixels) -> None:
    axes.imshow(picture, interpolation="auto", aspect="auto")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=GREY, linewidth=0.5)


def _plot_legend(figure: Figure, *, attention: bool) -> None:
    handles = [
        Patch(color=ORANGE, alpha=_LOOK, label="speaks for the given grade"),
        Patch(color=BLUE, label="probability of the given grade"),
        Patch(color=_PALE, label="of others"),
    ]
    looks: dict[str, Any] = {"columnspacing": 1, "fontsize": 8, "borderaxespad": 0.1}
    figure.legend(handles=handles[not attention :], loc="lower left", ncols=3, **looks)


def _with_maps(greys: NDArray[np.float64], maps: Pixels) -> Pixels:
    """Pictures (knee, view and map, row, column, colour 3)."""
    laid = _coloured(
        greys[:, : maps.shape[1]].astype(np.float32), _LOOK / 255 * maps.astype(np.float32)
    )
    return np.concatenate([_coloured(greys.astype(np.float32)), laid], axis=1)


def _plot_bars(
    axes: Axes, probabilities: NDArray[np.float64], truth: int, given: int, *, reach: float
) -> None:
    """Plot a bar a grade, normal on top, and mark the true grade; the axes reach beyond 100 %."""
    colours = [BLUE if grade == given else _PALE for grade in range(len(GRADE_NAMES))]
    axes.barh(range(len(GRADE_NAMES)), probabilities, color=colours, height=0.72)
    for grade, chance in enumerate(probabilities):
        mark, weight = (
            ("  \N{BLACK LEFT-POINTING TRIANGLE} true", "bold")
            if grade == truth
            else ("", "normal")
        )
        words = f"{100 * chance:.0f} %{mark}"
        axes.text(chance + 0.02, grade, words, va="center", fontsize=8, weight=weight)
    axes.set_yticks(range(len(GRADE_NAMES)), GRADE_NAMES, fontsize=8)
    axes.get_yticklabels()[truth].set_fontweight("bold")
    axes.tick_params(axis="y", length=0, pad=2)
    axes.set(xticks=[], xlim=(0, reach), ylim=(len(GRADE_NAMES) - 0.5, -0.5))
    axes.spines[["top", "right", "bottom"]].set_visible(False)
