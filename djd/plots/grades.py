"""Recall and precision of each grade."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from djd.grades import GRADE_NAMES
from djd.plots import style
from djd.plots.style import Stamp
from djd.statistics.intervals import Estimate

_LOOKS = ((style.BLUE, "o", True), (style.ORANGE, "s", False))
"""Of the first and the second part: colour, mark, filled or not."""

_EMPHASISED = GRADE_NAMES.index("minimal")
_BAND = "#F3F3F3"
_APART = 0.19
_ROW_INCHES = 0.42
_REST_INCHES = 0.5 + style.LEGEND_INCHES  # ticks, label, legend


def grades_figure(
    parts: Mapping[str, Mapping[str, Estimate]],
    knees: Mapping[str, Sequence[int]],
    *,
    title: str,
    stamp: Stamp = None,
) -> Figure:
    """Recall and precision of each grade with 95 % intervals, side by side.

    `parts` has scores by name (see `djd.statistics.scoring`) of one or two parts, such as `out of
    fold` and `test`; `knees` the knees of each grade. Minimal disease, the weak grade, is
    emphasised. An undefined share is written as undefined.
    """
    height = _ROW_INCHES * len(GRADE_NAMES) + _REST_INCHES
    figure = style.new_figure(style.PAGE_INCHES, height, stamp=stamp, title=title)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, score in ((left, "recall"), (right, "precision")):
        for index, scores in enumerate(parts.values()):
            shares = [scores[f"{score}_{name}"] for name in GRADE_NAMES]
            _plot_shares(axes, shares, _APART * (2 * index - len(parts) + 1), index)
        axes.axhspan(_EMPHASISED - 0.5, _EMPHASISED + 0.5, color=_BAND, linewidth=0, zorder=0)
        axes.set(xlim=style.PERCENT_LIMITS, xticks=style.PERCENT_TICKS, xlabel=f"{score} (%)")
        style.show_rows(axes)
    _label_rows(left, {part: knees[part] for part in parts})
    handles = [
        style.legend_mark(f"{part}, 95 % interval", colour, marker, filled=filled)
        for part, (colour, marker, filled) in zip(parts, _LOOKS, strict=False)
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=len(parts))
    return figure


def _plot_shares(axes: Axes, shares: Sequence[Estimate], shift: float, index: int) -> None:
    colour, marker, filled = _LOOKS[index]
    for grade, share in enumerate(shares):
        percent = Estimate(*(100 * end for end in share))
        y = grade + shift
        style.plot_estimate(axes, y, percent, colour=colour, marker=marker, filled=filled)
        if not share.is_defined:
            axes.text(2, y, style.UNDEFINED, va="center", color=style.GREY)


def _label_rows(axes: Axes, knees: Mapping[str, Sequence[int]]) -> None:
    counts = [" + ".join(map(str, of_grade)) for of_grade in zip(*knees.values(), strict=True)]
    labels = [f"{name}\n({count})" for name, count in zip(GRADE_NAMES, counts, strict=True)]
    axes.set_yticks(range(len(labels)), labels)
    axes.get_yticklabels()[_EMPHASISED].set_fontweight("bold")
    axes.set_ylabel(f"grade (knees: {' + '.join(knees)})")
    axes.set_ylim(len(GRADE_NAMES) - 0.5, -0.5)
