"""Settings in the order of their kappa, with the baselines below."""

from collections.abc import Collection, Iterable, Mapping
from itertools import accumulate
from math import isnan
from textwrap import fill

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

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
from djd.statistics.intervals import Estimate

_BAND = "#DCEBF5"
_LABEL_CHARACTERS = 70
"""What fits in a line above a whisker."""

_LINE_INCHES = 0.14
_ABOVE_INCHES, _BELOW_INCHES, _END_INCHES = 0.07, 0.07, 0.1
"""Space above a label, between it and its whisker, and below that."""

_SCALES_INCHES = 0.75  # ticks above and below, and their label


def ranking_figure(
    settings: Mapping[str, Estimate],
    baselines: Mapping[str, Estimate],
    *,
    best_set: Collection[str] | None,
    distance: float,
    title: str,
    stamp: str | None = None,
) -> Figure:
    """Kappa of settings and, below a line, of baselines: a forest plot of one row each.

    Labels stand above their whiskers, so that long ones can be read on a phone. A band reaches
    from the highest kappa to the least that can't be told apart from it. An undefined kappa is
    written as such.

    Args:
        settings: Kappas by label from the top, the best among them; up to 40 can be read. A long
            label is broken into lines.
        baselines: Such as uptake and majority.
        best_set: Labels of settings that can't be told apart from the best; None where the settings
            weren't compared with each other, and then none is marked.
        distance: How far behind the best a kappa has to be to be told apart from it; NaN where
            there are too few patients to say, and then there is no band.
        title: Of the figure.
        stamp: Such as PHANTOM.
    """
    rows = [*settings.items(), *baselines.items()]
    labels = [fill(label, _LABEL_CHARACTERS, break_on_hyphens=False) for label, _ in rows]
    edges = [0.0, *accumulate(_height(label) for label in labels)]
    marks = _explanations(settings, baselines, best_set)
    rest = _SCALES_INCHES + LEGEND_INCHES * (len(marks) + 1)
    height = head_inches(PAGE_INCHES, stamp=stamp, title=title) + edges[-1] + rest
    figure = new_figure(PAGE_INCHES, height, stamp=stamp, title=title)
    axes = figure.subplots()
    band = _draw_band(axes, settings.values(), distance)
    for index, (name, kappa) in enumerate(rows):
        _write_label(axes, edges[index] + _ABOVE_INCHES, labels[index])
        ties = index < len(settings) and (best_set is None or name in best_set)
        looks = (ORANGE, "s") if index >= len(settings) else (BLUE if ties else GREY, "o")
        y = edges[index + 1] - _END_INCHES
        draw_estimate(axes, y, kappa, colour=looks[0], marker=looks[1], filled=ties)
        write_value(axes, y, kappa, starred=ties and best_set is not None)
    if baselines and settings:
        axes.axhline(edges[len(settings)], color="black", linewidth=0.8)
    _dress(axes, edges[-1], [kappa for _, kappa in rows])
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


def _write_label(axes: Axes, y: float, label: str) -> None:
    row = axes.get_yaxis_transform()
    text = axes.text(0.005, y, label, transform=row, va="top", fontsize=TEXT_POINTS)
    text.set_in_layout(False)  # it may run into the column of values, where its line is free


def _draw_band(axes: Axes, kappas: Iterable[Estimate], distance: float) -> list[Artist]:
    defined = [kappa.value for kappa in kappas if kappa.is_defined]
    if not defined or isnan(distance):
        return []
    best = max(defined)
    label = f"less than {distance:.2f} behind the best"
    band: Patch = axes.axvspan(best - distance, best, color=_BAND, linewidth=0, label=label)
    return [band]


def _explanations(
    settings: Collection[str], baselines: Collection[str], best_set: Collection[str] | None
) -> list[Artist]:
    marks: list[Artist] = []
    if best_set:
        marks.append(legend_mark("* can't be told apart from the best", BLUE))
    if best_set is not None and not set(settings) <= set(best_set):
        marks.append(legend_mark("behind the best", GREY, filled=False))
    if baselines:
        marks.append(legend_mark("baseline", ORANGE, "s", filled=False))
    return marks


def _dress(axes: Axes, bottom: float, kappas: Iterable[Estimate]) -> None:
    axes.set_ylim(bottom, 0)
    axes.set_yticks([])
    axes.set_xlim(kappa_limits(kappas))
    axes.set_xlabel("quadratic kappa, 95 % interval", fontsize=TEXT_POINTS)
    axes.locator_params(axis="x", nbins=6)
    axes.tick_params(axis="x", labelsize=TEXT_POINTS, top=True, labeltop=True)
    axes.spines[["left", "right"]].set_visible(False)
