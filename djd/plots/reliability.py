"""Predicted probability of disease against the share of diseased knees."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from djd.plots import style
from djd.plots.style import Stamp
from djd.statistics.intervals import Estimate

_BINS = 10


@dataclass(frozen=True)
class ReliabilityBin:
    """Knees whose predicted probability of any disease lies between two edges.

    Attributes:
        edges: Lower and upper edge, 0 to 1.
        predicted: Mean predicted probability, 0 to 1.
        observed: Share of the knees that are diseased, 0 to 1.
    """

    edges: tuple[float, float]
    predicted: float
    observed: Estimate
    knees: int


def reliability_bins(
    probabilities: NDArray[np.float64], diseased: NDArray[np.bool_]
) -> list[ReliabilityBin]:
    """Knees in ten bins of equal width by predicted probability, without intervals.

    `probabilities` are float64 (knee,), 0 to 1, of any disease; `diseased` is bool (knee,). Bins
    without knees are left out; a probability on an edge belongs to the bin above, 1 to the last.
    """
    edges = np.arange(_BINS + 1) / _BINS
    places = np.clip(np.searchsorted(edges, probabilities, side="right") - 1, 0, _BINS - 1)
    return [
        ReliabilityBin(
            edges=(float(edges[place]), float(edges[place + 1])),
            predicted=float(probabilities[places == place].mean()),
            observed=Estimate(float(diseased[places == place].mean())),
            knees=int((places == place).sum()),
        )
        for place in np.unique(places)
    ]


def reliability_figure(
    bins: Sequence[ReliabilityBin], *, title: str, stamp: Stamp = None
) -> Figure:
    """Observed share of diseased knees against predicted probability, and knees a bin below.

    On the diagonal as many knees are diseased as were predicted. The bins don't overlap.
    """
    figure = style.new_figure(4.4, 4.6, stamp=stamp, title=title, constrained=False)
    shares = style.axes_at(figure, 0.55, 1.47, 3.77, 3.01)
    knees = style.axes_at(figure, 0.55, 0.6, 3.77, 0.75)
    limits, ticks = style.PERCENT_LIMITS, style.PERCENT_TICKS
    shares.plot([0, 100], [0, 100], "--", color=style.GREY, linewidth=0.8, label="as predicted")
    _plot_shares(shares, [each for each in bins if each.observed.is_defined])
    interval = ", 95 % interval" if any(each.observed.has_interval for each in bins) else ""
    shares.set(xlim=limits, xticks=[], ylim=limits, yticks=ticks)
    shares.set_ylabel(f"diseased knees, observed (%){interval}")
    figure.legend(loc="lower left")
    _plot_knees(knees, bins)
    knees.set(xlim=limits, xticks=ticks, xlabel="probability of any disease, predicted (%)")
    for axes in (shares, knees):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _plot_shares(axes: Axes, bins: Sequence[ReliabilityBin]) -> None:
    xs = [100 * each.predicted for each in bins]
    for x, each in zip(xs, bins, strict=True):
        if each.observed.has_interval:
            ends = (100 * each.observed.low, 100 * each.observed.high)
            axes.plot([x, x], ends, color=style.BLUE, linewidth=1.4)
    ys = [100 * each.observed.value for each in bins]
    axes.plot(xs, ys, linestyle="none", **style.mark(style.BLUE))


def _plot_knees(axes: Axes, bins: Sequence[ReliabilityBin]) -> None:
    knees = [each.knees for each in bins]
    if bins:
        lefts, rights = 100 * np.transpose([each.edges for each in bins])
        bars = axes.bar(lefts, knees, rights - lefts, align="edge", color="0.8", ec="white")
        axes.bar_label(bars)
    # The bars say how many they are.
    axes.set(ylim=(0, 1.25 * max(knees, default=1)), yticks=[], ylabel="knees")
