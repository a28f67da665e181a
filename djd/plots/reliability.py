"""Whether predicted probabilities of disease are met by as many diseased knees."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from djd.plots.estimates import mark
from djd.plots.style import BLUE, GREY, TEXT_POINTS, head_inches, new_figure
from djd.statistics.intervals import Estimate

_BINS = 10
_LIMITS, _TICKS = (-4, 104), (0, 25, 50, 75, 100)
"""In percent."""

_WIDTH, _HEIGHT = 4.4, 5.0
_LEFT, _RIGHT, _GAP = 0.55, 0.08, 0.12
_KNEES_BOTTOM, _KNEES_HEIGHT = 0.6, 0.75
"""In inches."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Knees whose predicted probability of any disease lies between two edges.

    Attributes:
        edges: Lower and upper edge, 0 to 1.
        predicted: Mean predicted probability, 0 to 1.
        observed: Share of the knees that are diseased, 0 to 1.
        knees: How many there are.
    """

    edges: tuple[float, float]
    predicted: float
    observed: Estimate
    knees: int


def reliability_bins(
    probabilities: NDArray[np.float64], diseased: NDArray[np.bool_]
) -> list[ReliabilityBin]:
    """Knees in ten bins of equal width by predicted probability, without intervals.

    Bins without knees are left out; a probability on an edge belongs to the bin above it, 1 to the
    last.

    Args:
        probabilities: float64 (knee,), predicted probability of any disease, 0 to 1.
        diseased: bool (knee,), whether the knee has any disease.
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
    bins: Sequence[ReliabilityBin], *, title: str, stamp: str | None = None
) -> Figure:
    """Observed share of diseased knees against predicted probability, and knees a bin below.

    On the diagonal as many knees are diseased as were predicted.

    Args:
        bins: Up to ten, which don't overlap; see `reliability_bins`.
        title: Of the figure.
        stamp: Such as PHANTOM.
    """
    figure, shares, knees = _panels(title, stamp)
    shares.plot([0, 100], [0, 100], color=GREY, linewidth=0.8, linestyle="--", label="as predicted")
    _draw_shares(shares, bins)
    interval = ", 95 % interval" if any(each.observed.has_interval for each in bins) else ""
    shares.set_ylabel(f"diseased knees, observed (%){interval}", fontsize=TEXT_POINTS)
    figure.legend(loc="lower left", fontsize=TEXT_POINTS, frameon=False)
    _draw_knees(knees, bins)
    knees.set_xlabel("probability of any disease, predicted (%)", fontsize=TEXT_POINTS)
    for axes in (shares, knees):
        axes.tick_params(labelsize=TEXT_POINTS)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _panels(title: str, stamp: str | None) -> tuple[Figure, Axes, Axes]:
    """An empty figure with axes for shares above and for knees below, alike in what is across.

    They are placed here: constrained layout takes as long as drawing them twice.
    """
    figure = new_figure(_WIDTH, _HEIGHT, stamp=stamp, title=title, constrained=False)
    head = head_inches(_WIDTH, stamp=stamp, title=title)
    left, width = _LEFT / _WIDTH, 1 - (_LEFT + _RIGHT) / _WIDTH
    top = _KNEES_BOTTOM + _KNEES_HEIGHT + _GAP
    shares = figure.add_axes((left, top / _HEIGHT, width, (_HEIGHT - top - head - _GAP) / _HEIGHT))
    below = (left, _KNEES_BOTTOM / _HEIGHT, width, _KNEES_HEIGHT / _HEIGHT)
    knees = figure.add_axes(below)
    shares.set(xlim=_LIMITS, xticks=[])
    knees.set(xlim=_LIMITS, xticks=_TICKS)
    return figure, shares, knees


def _draw_shares(axes: Axes, bins: Sequence[ReliabilityBin]) -> None:
    defined = [each for each in bins if each.observed.is_defined]
    for each in defined:
        if each.observed.has_interval:
            x, ends = 100 * each.predicted, (100 * each.observed.low, 100 * each.observed.high)
            axes.plot([x, x], ends, color=BLUE, linewidth=1.4)
    axes.plot(
        [100 * each.predicted for each in defined],
        [100 * each.observed.value for each in defined],
        linestyle="none",
        **mark(BLUE),
    )
    axes.set(ylim=_LIMITS, yticks=_TICKS)


def _draw_knees(axes: Axes, bins: Sequence[ReliabilityBin]) -> None:
    lefts = [100 * each.edges[0] for each in bins]
    widths = [100 * each.edges[1] - left for each, left in zip(bins, lefts, strict=True)]
    knees = [each.knees for each in bins]
    if bins:
        bars = axes.bar(lefts, knees, width=widths, align="edge", color="0.8", ec="white")
        axes.bar_label(bars, fontsize=TEXT_POINTS)
    axes.set(ylim=(0, 1.25 * max(knees, default=1)))
    axes.set_yticks([])  # the bars say how many they are
    axes.set_ylabel("knees", fontsize=TEXT_POINTS)
