"""Error against the share of knees kept, the surest first."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from djd.plots.style import (
    BLUE,
    ORANGE,
    PERCENT_LIMITS,
    PERCENT_TICKS,
    Stamp,
    axes_at,
    new_figure,
)
from djd.statistics.risk_coverage import SHARES, RiskCurve

Curves = Mapping[str, RiskCurve]
"""By grader, at most two."""

_LOOKS = ((BLUE, "-"), (ORANGE, "--"))
_BANDS: Sequence[dict[str, Any]] = (
    {"color": BLUE, "alpha": 0.2, "linewidth": 0},
    {"facecolor": "none", "edgecolor": ORANGE, "linestyle": ":"},
)
"""Two filled bands could not be told apart where they overlap."""


def risk_coverage_figure(
    panels: Mapping[str, Curves], *, title: str, stamp: Stamp = None
) -> Figure:
    """A panel for each of two losses by its label, the second in percent, with one or two curves.

    The first curve's 95 % intervals are a band, the second's lie between thin lines. A grader of
    the first panel is also in the second.
    """
    figure = new_figure(4.4, 4.9, stamp=stamp, title=title, constrained=False)
    upper, lower = (axes_at(figure, 0.6, bottom, 3.65, 1.85) for bottom in (2.95, 0.85))
    for axes, (label, curves) in zip((upper, lower), panels.items(), strict=True):
        for (name, curve), look, band in zip(curves.items(), _LOOKS, _BANDS, strict=False):
            value, low, high = np.array(curve.risks).T
            colour, line = look
            axes.plot(100 * SHARES, value, line, color=colour, linewidth=1.6, label=name)
            axes.fill_between(100 * SHARES, low, high, **band)
        axes.set(xlim=PERCENT_LIMITS, xticks=PERCENT_TICKS, ylabel=label)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    upper.set_xticklabels([])
    lower.yaxis.set_major_formatter(PercentFormatter(1))
    lower.set_xlabel("knees kept, the surest first (%)")
    figure.legend(*lower.get_legend_handles_labels(), loc="lower left", ncols=2)
    return figure
