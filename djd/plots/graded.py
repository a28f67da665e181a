"""Graded knees with what spoke for their grades, and the body that they were cut from."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from djd.grades import GRADE_NAMES, SIDES
from djd.plots.sheets import (
    CAPTION_CHARACTERS,
    LOOK,
    Counts,
    Pixels,
    coloured,
    cut_caption,
    plot_counts,
)
from djd.plots.style import BLUE, GREY, ORANGE, PAGE_INCHES, Stamp, axes_at, new_figure

_MARGIN = 0.05  # inches, as all that follow
_STRIP = 2.9  # all pictures of a knee with bars beside them
_LARGEST = 1.4222
_BARS, _NAMES, _NUMBERS = 0.9, 0.75, 0.85  # height of bars; words left and right of them
_ABOVE, _BELOW, _UNDER = 0.2, 0.15, 0.2  # a knee's caption, air, the legend
_PALE = "#C3CAD1"
KNEES_PIXELS = 936
"""Width of a figure of graded knees: with two pictures a knee, a pixel of a crop is four pixels of
the file, which takes half the bytes of other sizes."""


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
        words = cut_caption(caption, int(PAGE_INCHES * CAPTION_CHARACTERS))
        _write(figure, _MARGIN, top + 0.05, words, fontsize=8.5, weight="bold")
        for column, picture in enumerate(pictures[place]):
            beside = _MARGIN + column * (side + _MARGIN)
            _plot_picture(axes_at(figure, beside, top - side, side, side), picture)
        axes = axes_at(figure, left, top - (high + _BARS) / 2, width, _BARS)
        _plot_bars(axes, probabilities[place], *grades[place], reach=width / (width - _NUMBERS))
    _plot_legend(figure, attention=maps.shape[1] > 0)
    return figure


_BODY = (0.84, 3.36)
"""Width and height of a view of the whole body."""
_KNEE = 1.0
_PATIENT = (6.2, 3.8)
"""Width and height of the figure of a patient."""
_LINE = 0.15


def patient_figure(
    body: Counts,
    corners: Sequence[tuple[int, int]],
    crops: Counts,
    maps: Pixels,
    captions: Sequence[Sequence[str]],
    given: Sequence[int],
    probabilities: NDArray[np.float64],
    *,
    window: float,
    title: str,
    stamp: Stamp = None,
) -> Figure:
    """The whole body with the frames of both crops, and beside it each knee with its grade.

    Counts are dark on white, in one window: 0 is white, `window` and more black.

    Args:
        body: uint16 (view 2, row 1024, column 256), counts a pixel; anterior, posterior.
        corners: The first row and column of the right and of the left crop in the anterior view.
        crops: uint16 (side 2, row, column), counts a pixel, of one view.
        maps: uint8 (side 2, map, row, column), 0 to 255, over the crops; maybe no map.
        captions: Lines beside the right and the left knee, the first in bold.
        given: The grade of each, 0 to 4.
        probabilities: (side 2, grade 5), 0 to 1.
        window: Counts a pixel that are black.
        title: Stands above the figure.
        stamp: Stands at the top right.
    """
    figure = new_figure(*_PATIENT, stamp=stamp, title=title, constrained=False)
    for view, name in enumerate(("anterior", "posterior")):
        left = _MARGIN + view * (_BODY[0] + _MARGIN)
        axes = axes_at(figure, left, _UNDER, *_BODY)
        plot_counts(axes, body[view], window=window).set_interpolation("antialiased")
        axes.set(xticks=[], yticks=[], aspect="auto")
        mirrored_in = body.shape[-1] if view == 1 else None
        _frame(axes, corners, crops.shape[-1], mirrored_in=mirrored_in)
        _write(figure, left, _UNDER + _BODY[1] + 0.02, name, fontsize=7.5)
    pictures = _with_maps(1 - np.clip(crops[:, None] / window, 0, 1), maps)
    left = 2 * (_BODY[0] + _MARGIN) + 4 * _MARGIN
    for side in range(len(SIDES)):
        top = _UNDER + _BODY[1] - side * _PATIENT[1] / 2
        low = _write_lines(figure, left, top, captions[side]) - _KNEE
        _plot_knee(figure, left, low, pictures[side], probabilities[side], given[side])
    _plot_legend(figure, attention=maps.shape[1] > 0)
    return figure


def _write_lines(figure: Figure, left: float, top: float, lines: Sequence[str]) -> float:
    """Write lines, the first in bold, up to the figure's right edge; the height below them."""
    characters = int((_PATIENT[0] - left) * CAPTION_CHARACTERS * 1.1)
    broken = [part for line in lines for part in wrap(line, characters)]
    for place, line in enumerate(broken):
        looks = {"weight": "bold", "fontsize": 8.5} if place == 0 else {"fontsize": 7.5}
        _write(figure, left, top - 0.05 - _LINE * place, line, **looks)
    return top - _LINE * len(broken)


def _plot_knee(
    figure: Figure,
    left: float,
    low: float,
    pictures: Pixels,
    probabilities: NDArray[np.float64],
    given: int,
) -> None:
    """Plot pictures (picture, row, column, colour 3) and bars in a row."""
    for column, picture in enumerate(pictures):
        place = left + column * (_KNEE + _MARGIN)
        _plot_picture(axes_at(figure, place, low, _KNEE, _KNEE), picture)
    bars = left + len(pictures) * (_KNEE + _MARGIN) + _NAMES - 0.1
    width = _PATIENT[0] - bars
    axes = axes_at(figure, bars, low + (_KNEE - _BARS) / 2, width, _BARS)
    _plot_bars(axes, probabilities, None, given, reach=width / (width - 0.4))


def _frame(
    axes: Axes, corners: Sequence[tuple[int, int]], size: int, *, mirrored_in: int | None
) -> None:
    """Plot a frame around each crop, mirrored in a view of so many columns, or in none."""
    for name, (row, column) in zip(SIDES, corners, strict=True):
        left = mirrored_in - column - size if mirrored_in else column
        axes.add_patch(
            Rectangle((left, row), size - 1, size - 1, fill=False, edgecolor=BLUE, linewidth=0.9)
        )
        letter = name[0].upper()
        axes.text(left + size / 2, row - 6, letter, ha="center", fontsize=7, color=BLUE)


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
        Patch(color=ORANGE, alpha=LOOK, label="speaks for the given grade"),
        Patch(color=BLUE, label="probability of the given grade"),
        Patch(color=_PALE, label="of others"),
    ]
    looks: dict[str, Any] = {"columnspacing": 1, "fontsize": 8, "borderaxespad": 0.1}
    figure.legend(handles=handles[not attention :], loc="lower left", ncols=3, **looks)


def _with_maps(greys: NDArray[np.float64], maps: Pixels) -> Pixels:
    """Pictures (knee, view and map, row, column, colour 3)."""
    laid = coloured(
        greys[:, : maps.shape[1]].astype(np.float32), LOOK / 255 * maps.astype(np.float32)
    )
    return np.concatenate([coloured(greys.astype(np.float32)), laid], axis=1)


def _plot_bars(
    axes: Axes, probabilities: NDArray[np.float64], truth: int | None, given: int, *, reach: float
) -> None:
    """Plot a bar a grade, normal on top, and mark a true grade; the axes reach beyond 100 %."""
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
    if truth is not None:
        axes.get_yticklabels()[truth].set_fontweight("bold")
    axes.tick_params(axis="y", length=0, pad=2)
    axes.set(xticks=[], xlim=(0, reach), ylim=(len(GRADE_NAMES) - 0.5, -0.5))
    axes.spines[["top", "right", "bottom"]].set_visible(False)
