"""What the levels of an axis do: mean over the grid of the other axes, and best in that grid."""

from collections.abc import Sequence
from itertools import chain

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from djd.plots.estimates import (
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
from djd.statistics.effects import LevelScores

AxisLevels = tuple[str, Sequence[str], LevelScores, LevelScores]
"""An axis by name, the names of its levels, and their kappas: mean over the grid, best in it."""

_ROW_INCHES = 0.4
_PANEL_INCHES = 0.4  # name of the axis and space
_REST_INCHES = 0.45 + 3 * LEGEND_INCHES  # ticks, label, legend
_APART = 0.2
"""Of a row: how far mean and best lie above and below its middle."""


def effects_figure(
    effects: Sequence[AxisLevels], *, title: str, stamp: str | None = None
) -> Figure:
    """Kappa of each level of each axis, one panel an axis, all on one scale.

    A filled dot is the mean over the grid of the other axes, an open one the best in that grid, a
    whisker the 95 % interval. Levels that can be told apart from the best one are grey; the others
    have a star. An undefined score is written as such.

    Args:
        effects: See `AxisLevels`; one or more.
        title: Of the figure.
        stamp: Such as PHANTOM.
    """
    rows = [len(levels) for _, levels, _, _ in effects]
    panels_inches = sum(_PANEL_INCHES + _ROW_INCHES * count for count in rows)
    head = head_inches(PAGE_INCHES, stamp=stamp, title=title)
    height = head + panels_inches + _REST_INCHES
    figure = new_figure(PAGE_INCHES, height, stamp=stamp, title=title)
    panels = figure.subplots(len(effects), 1, sharex=True, squeeze=False, height_ratios=rows)
    for axes, effect in zip(panels[:, 0], effects, strict=True):
        _draw_axis(axes, *effect)
    axes.locator_params(axis="x", nbins=6)
    shown = [scores.estimates for _, _, *both in effects for scores in both]
    axes.set_xlim(kappa_limits(chain.from_iterable(shown)))
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


def _draw_axis(
    axes: Axes, name: str, levels: Sequence[str], mean: LevelScores, best: LevelScores
) -> None:
    for scores, shift, colour in ((mean, -_APART, BLUE), (best, _APART, ORANGE)):
        rows = zip(scores.estimates, scores.among_best, strict=True)
        for row, (estimate, ties) in enumerate(rows):
            shown = colour if ties else GREY
            draw_estimate(axes, row + shift, estimate, colour=shown, filled=scores is mean)
            write_value(axes, row + shift, estimate, starred=ties)
    axes.set_yticks(range(len(levels)), levels, fontsize=TEXT_POINTS)
    axes.set_ylim(len(levels) - 0.5, -0.5)
    axes.set_title(name, fontsize=TEXT_POINTS, weight="bold", loc="left")
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=TEXT_POINTS)
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
