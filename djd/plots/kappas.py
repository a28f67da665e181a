"""Kappas with intervals: of settings in their order, and of the levels of an axis."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate, chain
from math import isnan
from textwrap import fill

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from djd.plots import style
from djd.plots.style import Stamp
from djd.statistics.effects import LevelScores
from djd.statistics.intervals import Estimate

AxisLevels = tuple[str, Sequence[str], LevelScores, LevelScores]
"""An axis by name, the names of its levels, and their kappas: mean over the grid, best in it."""

_LEAST_SPAN = 0.2
"""Least range of a kappa axis: for a lone setting chance must not look like a difference."""

_BAND = "#DCEBF5"
_LABEL_CHARACTERS = 70
"""In a line above a whisker."""

_LINE_INCHES = 0.14
_ABOVE_INCHES, _BELOW_INCHES, _END_INCHES = 0.07, 0.07, 0.1
"""Space above a label, between the label and its whisker, and below that."""

_SCALES_INCHES = 0.75  # ticks above and below, and their label

_STEP_CHARACTERS = 22  # in a line beside its row
_GAIN_POINTS = 26  # from the beginning of a kappa's value to that of its gain
_LEVEL_INCHES = 0.4
_PANEL_INCHES = 0.4  # name of the axis and space
_REST_INCHES = 0.45 + 3 * style.LEGEND_INCHES  # ticks, label, legend
_APART = 0.2
"""Distance of mean and best from the middle of a level's row."""


def ranking_figure(
    settings: Mapping[str, Estimate],
    baselines: Mapping[str, Estimate],
    *,
    best_set: Collection[str] | None,
    distance: float,
    title: str,
    stamp: Stamp = None,
) -> Figure:
    """Kappa of settings and, below a line, of baselines: a forest plot of one row each.

    Labels stand above their whiskers, readable on a phone. A band reaches from the highest kappa
    down by `distance`. An undefined kappa is written as undefined.

    Args:
        settings: Kappas by label from the top, the best among them; up to 40 are readable. A long
            label is broken into lines.
        baselines: Such as uptake and majority.
        best_set: Labels of settings that can't be distinguished from the best; None where the
            settings weren't compared with each other, and then none is marked.
        distance: Least difference that distinguishes a kappa from the best; NaN where there are
            too few patients, and then there is no band.
        title: Of the figure.
        stamp: Such as PHANTOM.
    """
    rows = [*settings.items(), *baselines.items()]
    labels = [fill(label, _LABEL_CHARACTERS, break_on_hyphens=False) for label, _ in rows]
    space = _ABOVE_INCHES + _BELOW_INCHES + _END_INCHES
    heights = [_LINE_INCHES * (label.count("\n") + 1) + space for label in labels]
    edges = [0.0, *accumulate(heights)]
    marks = _explanations(settings, baselines, best_set)
    rest = _SCALES_INCHES + style.LEGEND_INCHES * (len(marks) + 1)
    figure = style.new_figure(style.PAGE_INCHES, edges[-1] + rest, stamp=stamp, title=title)
    axes = figure.subplots()
    band = _plot_band(axes, settings.values(), distance)
    for index, (name, kappa) in enumerate(rows):
        top = edges[index] + _ABOVE_INCHES
        text = axes.text(0.005, top, labels[index], transform=axes.get_yaxis_transform(), va="top")
        text.set_in_layout(False)  # a label may run into the column of values, free in its line
        ties = index < len(settings) and (best_set is None or name in best_set)
        colour, marker = style.BLUE if ties else style.GREY, "o"
        if index >= len(settings):
            colour, marker = style.ORANGE, "s"
        y = edges[index + 1] - _END_INCHES
        style.plot_estimate(axes, y, kappa, colour=colour, marker=marker, filled=ties)
        _write_value(axes, y, kappa, starred=ties and best_set is not None)
    if baselines and settings:
        axes.axhline(edges[len(settings)], color="black", linewidth=0.8)
    axes.set(ylim=(edges[-1], 0), yticks=[])
    axes.tick_params(axis="x", top=True, labeltop=True)
    axes.spines[["left", "right"]].set_visible(False)
    _show_kappas(axes, [kappa for _, kappa in rows])
    figure.legend(handles=[*marks, *band], loc="outside lower left")
    return figure


def effects_figure(effects: Sequence[AxisLevels], *, title: str, stamp: Stamp = None) -> Figure:
    """Kappa of each level of each axis, one or more, one panel an axis, all on one scale.

    A filled dot is the mean over the grid of the other axes, an open one the best in that grid, a
    whisker the 95 % interval. Levels that are distinguished from the best one are grey; the others
    have a star. An undefined score is written as undefined.
    """
    rows = [len(levels) for _, levels, _, _ in effects]
    height = sum(_PANEL_INCHES + _LEVEL_INCHES * count for count in rows) + _REST_INCHES
    figure = style.new_figure(style.PAGE_INCHES, height, stamp=stamp, title=title)
    panels = figure.subplots(len(effects), 1, sharex=True, squeeze=False, height_ratios=rows)
    for axes, effect in zip(panels[:, 0], effects, strict=True):
        _plot_axis(axes, *effect)
    shown = [scores.estimates for _, _, *both in effects for scores in both]
    _show_kappas(axes, chain.from_iterable(shown))
    handles = [
        style.legend_mark("mean over the grid of the other axes", style.BLUE),
        style.legend_mark("best in that grid", style.ORANGE, filled=False),
        style.legend_mark("grey, no *: can be told apart from the best level", style.GREY),
    ]
    figure.legend(handles=handles, loc="outside lower left")
    return figure


def steps_figure(
    kappas: Mapping[str, Estimate],
    gains: Sequence[Estimate | None],
    *,
    title: str,
    stamp: Stamp = None,
) -> Figure:
    """Kappa of each step by name from the top, and its gain over the step before at the right.

    Stairs lead from dot to dot. A step whose gain can be told apart from none is blue, an other one
    grey; the first has no gain.
    """
    names = [fill(name, _STEP_CHARACTERS, break_long_words=False) for name in kappas]
    height = _LEVEL_INCHES * len(names) + _REST_INCHES
    figure = style.new_figure(style.PAGE_INCHES, height, stamp=stamp, title=title)
    axes = figure.subplots()
    there = [(kappa.value, row) for row, kappa in enumerate(kappas.values()) if kappa.is_defined]
    if there:
        values, rows = zip(*there, strict=True)
        axes.step(values, rows, where="pre", color="0.8", linewidth=1, zorder=0)
    for row, (kappa, gain) in enumerate(zip(kappas.values(), gains, strict=True)):
        told = gain is not None and (gain.low > 0 or gain.high < 0)
        colour = style.BLUE if told else style.GREY
        style.plot_estimate(axes, row, kappa, colour=colour, filled=told)
        _write_gain(axes, row, kappa, gain)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    style.show_rows(axes)
    _show_kappas(axes, kappas.values())
    handles = [
        style.legend_mark("its gain or loss can be told apart from none", style.BLUE),
        style.legend_mark("it can't, or there is no step before", style.GREY, filled=False),
    ]
    figure.legend(handles=handles, loc="outside lower left")
    return figure


def _write_gain(axes: Axes, y: float, kappa: Estimate, gain: Estimate | None) -> None:
    """Write a kappa, and its gain over the step before in bold where that can be told apart."""
    _write_value(axes, y, kappa, starred=False)
    if gain is None or not gain.is_defined:
        return
    ends = f" ({gain.low:+.2f} to {gain.high:+.2f})" if gain.has_interval else ""
    weight = "bold" if gain.low > 0 or gain.high < 0 else "normal"
    axes.annotate(
        f"{gain.value:+.2f}{ends}",
        (1.02, y),
        xycoords=axes.get_yaxis_transform(),
        xytext=(_GAIN_POINTS, 0),
        textcoords="offset points",
        va="center_baseline",
        weight=weight,
        annotation_clip=False,
    )


def _plot_band(axes: Axes, kappas: Iterable[Estimate], distance: float) -> list[Artist]:
    defined = [kappa.value for kappa in kappas if kappa.is_defined]
    if not defined or isnan(distance):
        return []
    best = max(defined)
    label = f"less than {distance:.2f} behind the best"
    return [axes.axvspan(best - distance, best, color=_BAND, linewidth=0, label=label)]


def _explanations(
    settings: Collection[str], baselines: Collection[str], best_set: Collection[str] | None
) -> list[Artist]:
    marks: list[Artist] = []
    if best_set:
        marks.append(style.legend_mark("* can't be told apart from the best", style.BLUE))
    if best_set is not None and not set(settings) <= set(best_set):
        marks.append(style.legend_mark("behind the best", style.GREY, filled=False))
    if baselines:
        marks.append(style.legend_mark("baseline", style.ORANGE, "s", filled=False))
    return marks


def _plot_axis(
    axes: Axes, name: str, levels: Sequence[str], mean: LevelScores, best: LevelScores
) -> None:
    for scores, shift, colour in ((mean, -_APART, style.BLUE), (best, _APART, style.ORANGE)):
        rows = zip(scores.estimates, scores.among_best, strict=True)
        for row, (estimate, ties) in enumerate(rows):
            shown = colour if ties else style.GREY
            style.plot_estimate(axes, row + shift, estimate, colour=shown, filled=scores is mean)
            _write_value(axes, row + shift, estimate, starred=ties)
    axes.set_yticks(range(len(levels)), levels)
    axes.set_ylim(len(levels) - 0.5, -0.5)
    axes.set_title(name, fontsize=style.TEXT_POINTS, weight="bold", loc="left")
    style.show_rows(axes)


def _write_value(axes: Axes, y: float, estimate: Estimate, *, starred: bool) -> None:
    """Write the value right of the axes at height `y`, with a star for one of the best set."""
    text = f"{estimate.value:.2f}" if estimate.is_defined else style.UNDEFINED
    colour, right = "black" if estimate.is_defined else style.GREY, axes.get_yaxis_transform()
    text = f"{text} *" if starred else text
    axes.text(1.02, y, text, transform=right, va="center_baseline", color=colour)


def _show_kappas(axes: Axes, kappas: Iterable[Estimate]) -> None:
    """Let an axis of kappa hold all dots and whiskers, from -1 to 1 at the most."""
    ends = np.array([*kappas], dtype=np.float64).ravel()
    ends = ends[np.isfinite(ends)]
    limits = (0.0, 1.0)
    if ends.size:
        low, high = float(ends.min()), float(ends.max())
        margin = max(0.04 * (high - low), (_LEAST_SPAN - (high - low)) / 2)
        limits = max(-1.03, low - margin), min(1.03, high + margin)
    axes.set(xlim=limits, xlabel="quadratic kappa, 95 % interval")
    axes.locator_params(axis="x", nbins=6)
