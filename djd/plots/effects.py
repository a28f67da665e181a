"""What the levels of an axis do: mean over the grid of the other axes, and best in that grid."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from djd.plots.estimates import (
    Estimate,
    draw_estimate,
    kappa_limits,
    legend_mark,
    write_value,
)
from djd.plots.style import (
    BLUE,
    GREY,
    LEGEND_INCHES,
    ORANGE,
    PAGE_INCHES,
    TEXT_POINTS,
    head_inches,
    new_figure,
)

_ROW_INCHES = 0.4
_PANEL_INCHES = 0.4  # name of the axis and space
_REST_INCHES = 0.45 + 3 * LEGEND_INCHES  # ticks, label, legend
_APART = 0.2
"""Of a row: how far mean and best lie above and below its middle."""


@dataclass(frozen=True)
class AxisEffect:
    """Scores of the levels of one axis, such as depth; each sequence has one entry a level.

    Attributes:
        name: Of the axis.
        levels: Such as `1`, `2`, `3`.
        mean: Kappa of each level, mean over the grid of the other axes.
        best: Kappa of each level, best in that grid.
        mean_among_best: Whether a level's mean can't be told apart from that of the best level.
        best_among_best: The same of its best.
    """

    name: str
    levels: Sequence[str]
    mean: Sequence[Estimate]
    best: Sequence[Estimate]
    mean_among_best: Sequence[bool]
    best_among_best: Sequence[bool]


def effects_figure(
    effects: Sequence[AxisEffect], *, title: str, stamp: str | None = None
) -> Figure:
    """Kappa of each level of each axis, one panel an axis, all on one scale.

    A filled dot is the mean over the grid of the other axes, an open one the best in that grid, a
    whisker the 95 % interval. Levels that can be told apart from the best one are grey; the others
    have a star. An undefined score is written as such.

    Args:
        effects: One an axis, at least one.
        title: Of the figure.
        stamp: Such as PHANTOM.
    """
    rows = [len(effect.levels) for effect in effects]
    panels_inches = sum(_PANEL_INCHES + _ROW_INCHES * count for count in rows)
    head = head_inches(PAGE_INCHES, stamp=stamp, title=title)
    height = head + panels_inches + _REST_INCHES
    figure = new_figure(PAGE_INCHES, height, stamp=stamp, title=title)
    panels = figure.subplots(len(effects), 1, sharex=True, squeeze=False, height_ratios=rows)
    scores = [score for effect in effects for score in (*effect.mean, *effect.best)]
    for axes, effect in zip(panels[:, 0], effects, strict=True):
        _draw_axis(axes, effect)
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlim(kappa_limits(scores))
    axes.set_xlabel("quadratic kappa, 95 % interval", fontsize=TEXT_POINTS)
    figure.legend(
        handles=[
            legend_mark("mean over the grid of the other axes", BLUE),
            legend_mark("best in that grid", ORANGE, filled=False),
            legend_mark("grey, no *: can be told apart from the best level", GREY),
        ],
        loc="outside lower left",
        fontsize=TEXT_POINTS,
        frameon=False,
    )
    return figure


def _draw_axis(axes: Axes, effect: AxisEffect) -> None:
    rows = range(len(effect.levels))
    for row, mean, best, mean_ties, best_ties in zip(
        rows,
        effect.mean,
        effect.best,
        effect.mean_among_best,
        effect.best_among_best,
        strict=True,
    ):
        draw_estimate(axes, row - _APART, mean, colour=BLUE if mean_ties else GREY)
        write_value(axes, row - _APART, mean, starred=mean_ties)
        draw_estimate(axes, row + _APART, best, colour=ORANGE if best_ties else GREY, filled=False)
        write_value(axes, row + _APART, best, starred=best_ties)
    axes.set_yticks(rows, effect.levels, fontsize=TEXT_POINTS)
    axes.set_ylim(len(effect.levels) - 0.5, -0.5)
    axes.set_title(effect.name, fontsize=TEXT_POINTS, weight="bold", loc="left")
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=TEXT_POINTS)
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
