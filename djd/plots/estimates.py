"""An estimate with its interval: how every figure writes it and draws it."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from djd.plots.style import GREY, TEXT_POINTS
from djd.statistics.intervals import Estimate

UNDEFINED = "undefined"

_LEAST_SPAN = 0.2
"""Of kappa on an axis: a lone setting isn't blown up until chance looks like a difference."""


def draw_estimate(
    axes: Axes, y: float, estimate: Estimate, *, colour: str, marker: str = "o", filled: bool = True
) -> None:
    """Draw a dot with its interval as a whisker at height `y`, or nothing for an undefined one."""
    if estimate.has_interval:
        axes.plot([estimate.low, estimate.high], [y, y], color=colour, linewidth=1.4)
    if estimate.is_defined:
        axes.plot([estimate.value], [y], **mark(colour, marker, filled=filled))


def mark(colour: str, marker: str = "o", *, filled: bool = True) -> dict[str, Any]:
    """The properties of a dot, alike in a figure and in its legend."""
    return {
        "color": colour,
        "marker": marker,
        "markersize": 5.5,
        "markerfacecolor": colour if filled else "white",
        "markeredgewidth": 1.4,
    }


def legend_mark(label: str, colour: str, marker: str = "o", *, filled: bool = True) -> Line2D:
    """A dot on a whisker for a legend."""
    return Line2D([], [], linewidth=1.4, label=label, **mark(colour, marker, filled=filled))


def write_value(axes: Axes, y: float, estimate: Estimate, *, starred: bool) -> None:
    """Write the value right of the axes at height `y`, with a star for one of the best set."""
    text = f"{estimate.value:.2f}" if estimate.is_defined else UNDEFINED
    axes.text(
        1.02,
        y,
        f"{text} *" if starred else text,
        transform=axes.get_yaxis_transform(),
        va="center_baseline",
        fontsize=TEXT_POINTS,
        color="black" if estimate.is_defined else GREY,
    )


def kappa_limits(estimates: Iterable[Estimate]) -> tuple[float, float]:
    """Ends of an axis of kappa that holds all dots and whiskers, from -1 to 1 at the most."""
    ends = np.array([*estimates], dtype=np.float64).ravel()
    ends = ends[np.isfinite(ends)]
    if not ends.size:
        return 0.0, 1.0
    low, high = float(ends.min()), float(ends.max())
    margin = max(0.04 * (high - low), (_LEAST_SPAN - (high - low)) / 2)
    return max(-1.03, low - margin), min(1.03, high + margin)
