"""Learning curves: what training and validation did from epoch to epoch."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from djd.figures.style import BLUE, GREY, ORANGE, new_figure

_PANELS = {"loss": "mean loss a knee", "kappa": "quadratic kappa", "accuracy": "accuracy"}
_COLOURS = {"train": BLUE, "validation": ORANGE}
_MOST_MARKED_EPOCHS = 3
"""Curves shorter than this are drawn with marks: a line of one point is invisible."""


def curves_figure(
    metrics: Mapping[str, Sequence[float]],
    *,
    score_epochs: Sequence[int],
    title: str,
    stamp: str | None = None,
) -> Figure:
    """Loss, kappa and accuracy by epoch.

    Args:
        metrics: Columns of `metrics.csv`: `epoch`, and `train_loss`, `validation_kappa` and so on.
        score_epochs: Epochs with a dotted line, at which the setting is scored.
        title: Of the figure.
        stamp: Such as PHANTOM.
    """
    figure = new_figure(9, 3, stamp=stamp)
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    for axes, (score, label) in zip(figure.subplots(1, len(_PANELS)), _PANELS.items(), strict=True):
        _draw_curves(axes, metrics, score)
        for epoch in score_epochs:
            axes.axvline(epoch, color=GREY, linewidth=0.8, linestyle=":")
        axes.set_ylabel(label, fontsize=9)
    axes.plot([], [], color=GREY, linewidth=0.8, linestyle=":", label="scored")
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=3,
        fontsize=8,
        frameon=False,
    )
    return figure


def _draw_curves(axes: Axes, metrics: Mapping[str, Sequence[float]], score: str) -> None:
    epochs = metrics["epoch"]
    mark = "o" if len(epochs) <= _MOST_MARKED_EPOCHS else ""
    for stage, colour in _COLOURS.items():
        if (values := metrics.get(f"{stage}_{score}")) is not None:
            axes.plot(epochs, values, marker=mark, color=colour, linewidth=1.3, label=stage)
    if score == "loss":
        axes.set_ylim(0, _highest(metrics))
    elif score == "accuracy":
        axes.set_ylim(0, 1)
    else:
        axes.set_ylim(min(0, axes.get_ylim()[0]), 1)
    axes.set_xlabel("epoch", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _highest(metrics: Mapping[str, Sequence[float]]) -> float:
    """Top of the loss panel: a first epoch that is far off doesn't flatten the rest."""
    losses = np.concatenate(
        [metrics[name] for name in ("train_loss", "validation_loss") if name in metrics]
    )
    finite = losses[np.isfinite(losses)]
    return 1.1 * float(np.percentile(finite, 98)) if finite.size else 1.0
