"""What a figure shows, read from what was drawn."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from djd.plots.style import figure_pixels


class Dot(NamedTuple):
    x: float
    y: float
    colour: str
    filled: bool


class Whisker(NamedTuple):
    low: float
    high: float
    y: float


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def dots(axes: Axes) -> list[Dot]:
    """From the top down, as they were drawn."""
    return [
        Dot(
            float(np.asarray(line.get_xdata())[0]),
            float(np.asarray(line.get_ydata())[0]),
            str(line.get_color()),
            to_hex(line.get_markerfacecolor()) != "#ffffff",
        )
        for line in _lines(axes)
        if len(np.asarray(line.get_xdata())) == 1
    ]


def whiskers(axes: Axes) -> list[Whisker]:
    """Horizontal ones, as they were drawn."""
    points = [np.asarray(line.get_xydata()) for line in _lines(axes)]
    return [
        Whisker(float(low), float(high), float(y))
        for (low, y), (high, _) in (pair for pair in points if len(pair) == 2)
    ]


def values(axes: Axes) -> list[tuple[str, float]]:
    """What stands right of the axes, and at which height of the data."""
    return [
        (text.get_text(), float(text.get_position()[1]))
        for text in axes.texts
        if text.get_position()[0] > 1
    ]


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts that cover each other, and texts that are cut off."""
    figure_pixels(figure)
    beyond = [label for axes in figure.axes for label in _undrawn(axes)]
    shown = [
        text
        for text in figure.findobj(Text)
        if text.get_text() and text.get_visible() and text not in beyond
    ]
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown]
    canvas = Bbox.from_bounds(0, 0, *figure.canvas.get_width_height())
    pairs = [
        (one, other)
        for index, (one, box) in enumerate(boxes)
        for other, other_box in boxes[index + 1 :]
        if box.padded(-1).overlaps(other_box.padded(-1))
    ]
    cut = [
        (text, "edge")
        for text, box in boxes
        if box.x0 < 0 or box.y0 < 0 or box.x1 > canvas.x1 or box.y1 > canvas.y1
    ]
    return pairs + cut


def _lines(axes: Axes) -> list[Line2D]:
    """Those of the data: not a line across the axes."""
    return [line for line in axes.lines if line.get_transform() == axes.transData]


def _undrawn(axes: Axes) -> list[Text]:
    """Labels that matplotlib keeps for ticks beyond the ends of an axis, and of hidden axes."""
    if not axes.axison:
        return [*axes.get_xticklabels(), *axes.get_yticklabels()]
    left, right = sorted(axes.get_xlim())
    low, high = sorted(axes.get_ylim())
    across, along = axes.get_xticklabels(), axes.get_yticklabels()
    return [
        *(label for label in across if not left <= label.get_position()[0] <= right),
        *(label for label in along if not low <= label.get_position()[1] <= high),
    ]
