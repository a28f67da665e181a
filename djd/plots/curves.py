"""Learning curves of training and validation."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from djd.plots.style import BLUE, GREY, ORANGE, PAGE_INCHES, Stamp, axes_at, new_figure
from djd.statistics.intervals import Estimate

Columns = Mapping[str, Sequence[float]]
"""Of `metrics.csv`: `epoch`, and `train_loss`, `validation_kappa` and so on."""

_PANELS = {"loss": "mean loss a knee", "kappa": "quadratic kappa", "accuracy": "accuracy"}
_COLOURS = {"train": BLUE, "validation": ORANGE}
_THIN = 0.8
_MOST_MARKED_EPOCHS = 3
"""Curves shorter than this have marks: a line of one point is invisible."""


def curves_figure(
    metrics: Columns, *, score_epochs: Sequence[int], title: str, stamp: Stamp = None
) -> Figure:
    """Loss, kappa and accuracy by epoch, with a dotted line at the epochs that are scored."""
    figure = new_figure(9.0, 2.6, stamp=stamp, title=title, constrained=False)
    for place, (score, label) in enumerate(_PANELS.items()):
        axes = axes_at(figure, 0.65 + 2.97 * place, 0.75, 2.3, 1.7)
        _plot_curves(axes, metrics, score)
        _plot_scored(axes, score_epochs)
        axes.set_ylabel(label, fontsize=9)
    figure.legend(*axes.get_legend_handles_labels(), loc="lower center", ncols=3)
    return figure


def learning_curves_figure(
    runs: Sequence[Columns], *, score_epochs: Sequence[int], title: str, stamp: Stamp = None
) -> Figure:
    """Validation kappa above, and loss of training and validation below, of runs of one setting.

    A thin line is one run (a fold or a seed), a thick one their mean, as far as all runs reach; a
    dotted line is an epoch that is scored.
    """
    figure = new_figure(PAGE_INCHES, 4.2, stamp=stamp, title=title)
    kappa, loss = figure.subplots(2, 1, sharex=True)
    _plot_runs(kappa, runs, "validation_kappa", "validation")
    _plot_runs(loss, runs, "train_loss", "train")
    _plot_runs(loss, runs, "validation_loss", "validation")
    _limit(kappa, "kappa", runs)
    _limit(loss, "loss", runs)
    for axes in (kappa, loss):
        _plot_scored(axes, score_epochs)
        axes.spines[["top", "right"]].set_visible(False)
    kappa.set_ylabel("validation kappa")
    loss.set_ylabel(_PANELS["loss"])
    loss.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    loss.set_xlabel("epoch")
    loss.plot([], [], color=GREY, linewidth=_THIN, label="one fold or seed")
    shown = loss.get_legend_handles_labels()
    figure.legend(*shown, loc="outside lower left", ncols=4, columnspacing=1)
    return figure


def patients_figure(
    patients: Sequence[int], kappas: Sequence[Estimate], *, title: str, stamp: Stamp = None
) -> Figure:
    """Kappa by the number of training patients, with 95 % intervals."""
    figure = new_figure(PAGE_INCHES, 2.8, stamp=stamp, title=title)
    axes = figure.subplots()
    value, low, high = np.array([*kappas], dtype=np.float64).T
    axes.plot(patients, value, "o-", color=BLUE)
    axes.vlines(patients, low, high, color=BLUE, linewidth=1.3)
    for number, kappa in zip(patients, value, strict=True):
        axes.annotate(f"{kappa:.2f}", (number, kappa), (6, -11), textcoords="offset points")
    axes.set(xlim=(0, 1.08 * max(patients)), xlabel="training patients", xticks=patients)
    axes.set_ylabel("quadratic kappa, 95 % interval")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _plot_runs(axes: Axes, runs: Sequence[Columns], column: str, stage: str) -> None:
    columns = [_defined(run, column) for run in runs if column in run]
    colour, mark = _COLOURS[stage], _mark_of(columns)
    for values in columns:
        axes.plot(
            [*values], [*values.values()], mark, color=colour, linewidth=_THIN, alpha=0.5, ms=3
        )
    if columns:
        epochs = sorted(set.intersection(*map(set, columns)))
        means = [float(np.mean([values[epoch] for values in columns])) for epoch in epochs]
        axes.plot(epochs, means, mark, color=colour, linewidth=2, ms=5, label=f"{stage}, mean")


def _defined(run: Columns, column: str) -> dict[float, float]:
    """Values by epoch; a cell's validation has values at some epochs alone."""
    pairs = zip(run["epoch"], run[column], strict=True)
    return {epoch: value for epoch, value in pairs if not math.isnan(value)}


def _mark_of(columns: Sequence[Mapping[float, float]]) -> str:
    shortest = min(map(len, columns), default=0)
    return "o-" if shortest <= _MOST_MARKED_EPOCHS else "-"


def _plot_scored(axes: Axes, score_epochs: Sequence[int]) -> None:
    for epoch in score_epochs:
        axes.axvline(epoch, color=GREY, linewidth=0.8, linestyle=":")
    if score_epochs:
        axes.plot([], [], color=GREY, linewidth=0.8, linestyle=":", label="scored")


def _plot_curves(axes: Axes, metrics: Columns, score: str) -> None:
    for stage, colour in _COLOURS.items():
        if (column := f"{stage}_{score}") in metrics:
            values = _defined(metrics, column)
            style = _mark_of([values])
            axes.plot(
                [*values], [*values.values()], style, color=colour, linewidth=1.3, label=stage
            )
    _limit(axes, score, [metrics])
    steps = [1, 2, 2.5, 5, 10]
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=steps))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=steps))
    axes.ticklabel_format(axis="y", scilimits=(-3, 4))  # a loss of many digits has no room
    axes.yaxis.get_offset_text().set_fontsize(7)
    axes.set_xlabel("epoch", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _limit(axes: Axes, score: str, runs: Sequence[Columns]) -> None:
    if score == "loss":
        names = ("train_loss", "validation_loss")
        losses = np.concatenate([[], *(run[name] for run in runs for name in names if name in run)])
        finite = losses[np.isfinite(losses)]
        # A first epoch that is far off must not flatten the rest.
        axes.set_ylim(0, 1.1 * float(np.percentile(finite, 98)) if finite.size else 1.0)
    elif score == "accuracy":
        axes.set_ylim(0, 1)
    else:
        axes.set_ylim(min(0, axes.get_ylim()[0]), 1)
