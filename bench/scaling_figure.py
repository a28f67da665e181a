"""How time and memory grow, as small multiples: a column an axis, time above, memory below."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from djd.plots.style import BLUE, GREY, ORANGE, TEXT_POINTS, new_figure

WIDTH, HEIGHT = 9.0, 5.2
TITLE = "How time and memory of training grow (simulated crops: noise)"
MB_A_GB = 1000
ROOM = 1.9
"""Factor of room above the highest point and below the lowest, for what is written there."""


@dataclass(frozen=True)
class Column:
    """One axis; each sequence has one entry a level.

    Attributes:
        label: Of the axis, with its unit.
        levels: Numbers along it.
        base: Which of them is the base setting's.
        time: Whatever `time_label` says.
        time_label: Such as `ms a step`.
        memory: Peak, in MB.
        crops: What of it the crops must take, in MB.
        work: What time would be in proportion to; None where nothing says so.
    """

    label: str
    levels: Sequence[float]
    base: int
    time: Sequence[float]
    time_label: str
    memory: Sequence[float]
    crops: Sequence[float]
    work: NDArray[np.float64] | None


def scaling_figure(columns: Sequence[Column], *, base: str, caption: str) -> Figure:
    """Time and memory along each axis, on logarithmic scales.

    Panels of a row with the same unit share one scale.

    Args:
        columns: One an axis; the first has scales of its own.
        base: The setting that all columns have in common, in words.
        caption: Where, when and how it was measured.
    """
    figure = new_figure(WIDTH, HEIGHT, stamp=None, title=TITLE, constrained=False)
    whole = figure.get_figheight()
    figure.subplots_adjust(
        left=0.45 / WIDTH,
        right=1 - 0.12 / WIDTH,
        bottom=1.3 / whole,
        top=(HEIGHT - 0.3) / whole,
        wspace=0.26,
        hspace=0.24,
    )
    panels = figure.subplots(2, len(columns))
    for column, (above, below) in zip(columns, panels.T, strict=True):
        _plot_time(above, column)
        _plot_memory(below, column)
        _label_levels(above, below, column)
    for axes_of_row in panels:
        _share_scale(axes_of_row[1:])
    _write_below(figure, base, caption)
    return figure


def _plot_time(axes: Axes, column: Column) -> None:
    if column.work is not None:
        expected = column.work / column.work[column.base] * column.time[column.base]
        axes.plot(column.levels, expected, "--", color=GREY, linewidth=1)
    _plot_measured(axes, column, column.time)
    axes.set_title(column.time_label, fontsize=TEXT_POINTS, loc="left")


def _plot_memory(axes: Axes, column: Column) -> None:
    in_gb = max(column.memory) >= MB_A_GB
    unit = MB_A_GB if in_gb else 1
    axes.plot(column.levels, np.array(column.crops) / unit, ":", color=GREY, linewidth=1.5)
    _plot_measured(axes, column, [memory / unit for memory in column.memory])
    name = f"peak memory, {'GB' if in_gb else 'MB'}"
    axes.set_title(name, fontsize=TEXT_POINTS, loc="left")


def _plot_measured(axes: Axes, column: Column, values: Sequence[float]) -> None:
    axes.plot(column.levels, values, "o-", color=BLUE, linewidth=1.5, ms=5)
    base = (column.levels[column.base], values[column.base])
    axes.plot(*base, "D", color=ORANGE, ms=6.5)
    for level, value in zip(column.levels, values, strict=True):
        axes.annotate(
            _in_short(value),
            (level, value),
            (-2, 6),
            textcoords="offset points",
            ha="center",
            fontsize=TEXT_POINTS,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )
    axes.set_yscale("log")


def _label_levels(above: Axes, below: Axes, column: Column) -> None:
    steps = np.diff(column.levels)
    even = bool((steps == steps[0]).all())
    for axes in (above, below):
        if even:
            axes.margins(x=0.12)
        else:
            axes.set_xscale("log")
            axes.margins(x=0.15)
        axes.set_xticks(column.levels, [f"{level:,}" for level in column.levels])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_minor_locator(NullLocator())
        axes.tick_params(labelsize=TEXT_POINTS)
        axes.grid(axis="y", color="0.92", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        _leave_room(axes)
    above.tick_params(axis="x", labelbottom=False)
    below.set_xlabel(column.label, fontsize=TEXT_POINTS)


def _leave_room(axes: Axes) -> None:
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    axes.set_ylim(values.min() / 1.3, values.max() * ROOM)


def _share_scale(panels: Sequence[Axes]) -> None:
    limits = [axes.get_ylim() for axes in panels]
    for axes in panels:
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def _write_below(figure: Figure, base: str, caption: str) -> None:
    handles = [
        Line2D([], [], color=BLUE, marker="o", ms=5, label="measured"),
        Line2D([], [], color=ORANGE, marker="D", ms=6.5, linewidth=0, label=f"base: {base}"),
        Line2D(
            [], [], color=GREY, linestyle="--", label="time in proportion to knees, or to pixels"
        ),
        Line2D([], [], color=GREY, linestyle=":", label="what the crops take of the memory"),
    ]
    figure.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.28 / figure.get_figheight()),
        ncols=2,
    )
    figure.text(
        0.1 / WIDTH, 0.1 / figure.get_figheight(), caption, fontsize=TEXT_POINTS, color="0.3"
    )


def _in_short(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"
