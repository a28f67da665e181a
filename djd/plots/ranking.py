"""Settings in the order of their kappa, with the baselines below."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import isnan
from textwrap import fill

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

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

_BAND = "#DCEBF5"
_LABEL_CHARACTERS = 70
"""What fits in a line above a whisker."""

_LINE_INCHES = 0.14
_ABOVE_INCHES, _BELOW_INCHES, _END_INCHES = 0.07, 0.07, 0.1
"""Space above a label, between it and its whisker, and below that."""

_SCALES_INCHES = 0.75  # ticks above and below, and their label


@dataclass(frozen=True)
class RankedSetting:
    """One row of the ranking.

    Attributes:
        label: Such as `depth=2 optim=adam`; a long one is broken into lines.
        kappa: Quadratic kappa.
        in_best_set: Whether it can't be told apart from the best.
    """

    label: str
    kappa: Estimate
    in_best_set: bool = False


def ranking_figure(
    settings: Sequence[RankedSetting],
    baselines: Sequence[RankedSetting] = (),
    *,
    distance: float,
    title: str,
    compared: bool = True,
    stamp: str | None = None,
) -> Figure:
    """Kappa of settings and, below a line, of baselines: a forest plot of one row each.

    Labels stand above their whiskers, so that long ones can be read on a phone. A band reaches
    from the highest kappa to the least that can't be told apart from it. An undefined kappa is
    written as such.

    Args:
        settings: From the top, the best among them; up to 40 can be read.
        baselines: Such as uptake and majority.
        distance: How far behind the best a kappa has to be to be told apart from it; NaN where
            there are too few patients to say, and then there is no band.
        title: Of the figure.
        compared: Whether the settings were compared with each other: without that none is marked.
        stamp: Such as PHANTOM.
    """
    rows = [*settings, *baselines]
    labels = [fill(row.label, _LABEL_CHARACTERS, break_on_hyphens=False) for row in rows]
    edges = [0.0, *accumulate(_height(label) for label in labels)]
    marks = _explanations(settings if compared else (), baselines)
    rest = _SCALES_INCHES + LEGEND_INCHES * (len(marks) + 1)
    height = head_inches(PAGE_INCHES, stamp=stamp, title=title) + edges[-1] + rest
    figure = new_figure(PAGE_INCHES, height, stamp=stamp, title=title)
    axes = figure.subplots()
    band = _draw_band(axes, settings, distance)
    for index, (row, label) in enumerate(zip(rows, labels, strict=True)):
        _draw_row(axes, edges[index], edges[index + 1], row, label, index >= len(settings))
        starred = row.in_best_set and compared
        write_value(axes, edges[index + 1] - _END_INCHES, row.kappa, starred=starred)
    if baselines and settings:
        axes.axhline(edges[len(settings)], color="black", linewidth=0.8)
    _dress(axes, edges[-1], rows)
    figure.legend(
        handles=[*marks, *band],
        loc="outside lower left",
        fontsize=TEXT_POINTS,
        frameon=False,
    )
    return figure


def _height(label: str) -> float:
    lines = label.count("\n") + 1
    return _ABOVE_INCHES + _LINE_INCHES * lines + _BELOW_INCHES + _END_INCHES


def _draw_row(
    axes: Axes, top: float, bottom: float, row: RankedSetting, label: str, is_baseline: bool
) -> None:
    text = axes.text(
        0.005,
        top + _ABOVE_INCHES,
        label,
        transform=axes.get_yaxis_transform(),
        va="top",
        fontsize=TEXT_POINTS,
    )
    text.set_in_layout(False)  # it may run into the column of values, where its line is free
    y = bottom - _END_INCHES
    colour, marker = _look(row, is_baseline)
    draw_estimate(axes, y, row.kappa, colour=colour, marker=marker, filled=row.in_best_set)


def _look(row: RankedSetting, is_baseline: bool) -> tuple[str, str]:
    if is_baseline:
        return ORANGE, "s"
    return (BLUE if row.in_best_set else GREY), "o"


def _draw_band(axes: Axes, settings: Sequence[RankedSetting], distance: float) -> list[Artist]:
    kappas = [row.kappa.value for row in settings if row.kappa.is_defined]
    if not kappas or isnan(distance):
        return []
    best = max(kappas)
    label = f"less than {distance:.2f} behind the best"
    band: Patch = axes.axvspan(best - distance, best, color=_BAND, linewidth=0, label=label)
    return [band]


def _explanations(
    settings: Sequence[RankedSetting], baselines: Sequence[RankedSetting]
) -> list[Artist]:
    marks: list[Artist] = []
    if any(row.in_best_set for row in settings):
        marks.append(legend_mark("* can't be told apart from the best", BLUE))
    if not all(row.in_best_set for row in settings):
        marks.append(legend_mark("behind the best", GREY, filled=False))
    if baselines:
        marks.append(legend_mark("baseline", ORANGE, "s", filled=False))
    return marks


def _dress(axes: Axes, bottom: float, rows: Sequence[RankedSetting]) -> None:
    axes.set_ylim(bottom, 0)
    axes.set_yticks([])
    axes.set_xlim(kappa_limits([row.kappa for row in rows]))
    axes.set_xlabel("quadratic kappa, 95 % interval", fontsize=TEXT_POINTS)
    axes.locator_params(axis="x", nbins=6)
    axes.tick_params(axis="x", labelsize=TEXT_POINTS, top=True, labeltop=True)
    axes.spines[["left", "right"]].set_visible(False)
