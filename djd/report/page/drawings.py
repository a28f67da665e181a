"""Findings as figures: what each shows, in a picture and in words."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from djd.plots.confusion import confusion_figure
from djd.plots.confusion_multiples import confusion_multiples_figure
from djd.plots.curves import learning_curves_figure
from djd.plots.effects import AxisLevels, effects_figure
from djd.plots.grades import grades_figure
from djd.plots.ranking import ranking_figure
from djd.plots.reliability import reliability_bins, reliability_figure
from djd.report.answer import Answer
from djd.report.axis_effects import AxisEffect
from djd.report.out_of_fold import Findings, SettingFigures
from djd.report.questions import QUESTIONS, axis_words, compared, effects_on
from djd.report.readers import SecondReader
from djd.report.scoreboard import Figures
from djd.report.sentences import UPTAKE
from djd.report.wording import capital, scored
from djd.runs.result import METRICS_NAME
from djd.statistics.intervals import Estimate
from djd.sweeps.cells import as_typed
from djd.sweeps.settings import Setting
from djd.wording import number, share

MOST_RANKED = 30
"""Settings in the figure of the ranking; the table has all."""

MOST_MULTIPLES = 36
"""Settings with a confusion matrix of their own."""


NAMES = (
    "glance",
    *(f"effects-{question}" for question in QUESTIONS),
    "ranking",
    "grades",
    "confusion-out-of-fold",
    "confusion-test",
    "confusion-settings",
    "learning-curves",
    "reliability",
)
"""All figures that a page can have."""


class Drawing(NamedTuple):
    """A figure, and what it shows for readers who can't see it."""

    figure: Figure
    alt: str


def drawings(answer: Answer, *, stamp: str | None) -> dict[str, Drawing]:
    """Every figure that there is something to draw of, by name.

    Args:
        answer: What was worked out.
        stamp: What has to stand on every figure.
    """
    drawn: dict[str, Drawing] = {}
    if answer.findings:
        drawn |= _of_findings(answer.findings, answer.second_reader, stamp)
    if parts := parts_of(answer):
        drawn["glance"] = _glance(answer, parts, stamp)
        figure = grades_figure(
            {part: figures.scores for part, figures in parts.items()},
            {part: figures.knees_of_grades for part, figures in parts.items()},
            title="Recall and precision of each grade",
            stamp=stamp,
        )
        drawn["grades"] = Drawing(figure, "Recall and precision of each grade; the table has them.")
    for part, figures in parts.items():
        counts, title = figures.confusion, capital(part)
        right = share(figures.scores["accuracy"].value)
        alt = f"Confusion matrix, {part}: {right} of {figures.knees} knees graded right."
        drawing = Drawing(confusion_figure(counts, title=title, stamp=stamp), alt)
        drawn[f"confusion-{part.replace(' ', '-')}"] = drawing
    return drawn


def parts_of(answer: Answer) -> dict[str, Figures]:
    """Figures of the best setting out of fold, and of the setting scored on the test patients."""
    parts = {}
    if answer.findings:
        parts["out of fold"] = answer.findings.settings[0].figures
    if answer.opened:
        parts["test"] = next(iter(answer.opened.figures.values()))
    return parts


def _glance(answer: Answer, parts: Mapping[str, Figures], stamp: str | None) -> Drawing:
    """The answer in one picture: the setting and all that it is held against."""
    other = other_tested(answer)
    settings = {
        f"{other if other and part == 'test' else 'the setting'}, {part}": figures.scores["kappa"]
        for part, figures in parts.items()
    }
    others: dict[str, Estimate] = {}
    if (reader := answer.second_reader) and reader.held_out:
        others["second reader"] = reader.held_out.kappa
    for part, baselines in (
        ("out of fold", answer.findings.baselines if answer.findings else {}),
        ("test", answer.opened.baselines if answer.opened else {}),
    ):
        if UPTAKE in baselines:
            others[f"uptake alone, {part}"] = baselines[UPTAKE].scores["kappa"]
    figure = ranking_figure(
        settings,
        others,
        best_set=None,
        distance=math.nan,
        title="Kappa at a glance",
        stamp=stamp,
    )
    told = "; ".join(f"{name} {number(kappa.value)}" for name, kappa in (settings | others).items())
    return Drawing(figure, f"Kappa at a glance: {told}.")


def other_tested(answer: Answer) -> str | None:
    """The setting that was scored on the test patients, where it isn't the one that is best now."""
    if not answer.findings or not answer.opened:
        return None
    tested = next(iter(answer.opened.figures))
    return tested if tested != answer.findings.settings[0].setting.name else None


def _of_findings(
    findings: Findings, reader: SecondReader | None, stamp: str | None
) -> dict[str, Drawing]:
    drawn = {
        f"effects-{question}": _effects(effects_on(question, findings, "kappa"), stamp)
        for question in compared(findings)
        if any(effect.mean for effect in effects_on(question, findings, "kappa"))
    }
    if len(findings.settings) > 1 or findings.baselines:
        drawn["ranking"] = _ranking(findings, reader, stamp)
    if len(findings.settings) > 1:
        drawn["confusion-settings"] = _multiples(findings, stamp)
    best = findings.settings[0].setting
    if metrics := list(_metrics(best)):
        title = f"Learning curves: {best.name}"
        figure = learning_curves_figure(
            metrics, score_epochs=[best.epochs], title=title, stamp=stamp
        )
        alt = f"Loss and kappa by epoch of the {len(metrics)} trainings of the best setting."
        drawn["learning-curves"] = Drawing(figure, alt)
    drawn["reliability"] = _reliability(findings, stamp)
    return drawn


def _effects(effects: Sequence[AxisEffect], stamp: str | None) -> Drawing:
    there = [_axis_levels(each) for each in effects if each.mean and each.best]
    told = "; ".join(
        f"{name} {level}: mean {number(mean.value)}, best {number(best.value)}"
        for name, levels, means, bests in there
        for level, mean, best in zip(levels, means.estimates, bests.estimates, strict=True)
    )
    title = "Kappa by " + ", ".join(name for name, *_ in there)
    return Drawing(effects_figure(there, title=title, stamp=stamp), f"{title}. {told}.")


def _axis_levels(effect: AxisEffect) -> AxisLevels:
    assert effect.mean
    assert effect.best
    levels = [as_typed(level) for level in effect.levels]
    return axis_words([effect.axis])[effect.axis], levels, effect.mean, effect.best


def _ranking(findings: Findings, reader: SecondReader | None, stamp: str | None) -> Drawing:
    several = len(findings.settings) > 1
    shown = findings.settings[:MOST_RANKED]
    names = [
        f"{rank}. {each.setting.name}" if several else each.setting.name
        for rank, each in enumerate(shown, start=1)
    ]
    baselines = {"second reader": reader.held_out.kappa} if reader and reader.held_out else {}
    for name, figures in sorted(findings.baselines.items(), reverse=True):
        baselines[name] = figures.scores["kappa"]
    count = len(findings.settings)
    all_of = f"the best {len(shown)} of {count}" if len(shown) < count else f"all {count}"
    title = f"Kappa of {all_of} settings and the baselines" if several else "Kappa and baselines"
    distance = findings.choice.distance if several else math.nan
    best_set = [name for name, each in zip(names, shown, strict=True) if each.in_best_set]
    figure = ranking_figure(
        {name: each.figures.scores["kappa"] for name, each in zip(names, shown, strict=True)},
        baselines,
        best_set=best_set if several else None,
        distance=distance,
        title=title,
        stamp=stamp,
    )
    return Drawing(figure, f"{title}, with intervals; the table of settings has the figures.")


def _multiples(findings: Findings, stamp: str | None) -> Drawing:
    shown = findings.settings[:MOST_MULTIPLES]
    counts = np.stack([each.figures.confusion for each in shown])
    captions = [_caption(rank, each) for rank, each in enumerate(shown, start=1)]
    title = f"Confusion matrices of {len(shown)} settings, by rank"
    figure = confusion_multiples_figure(counts, captions, title=title, stamp=stamp)
    return Drawing(figure, f"{title}: rows are true grades, columns predicted ones.")


def _caption(rank: int, each: SettingFigures) -> str:
    return f"{rank}\n{scored(each.figures.scores['kappa']).partition(' ')[0]}"


def _reliability(findings: Findings, stamp: str | None) -> Drawing:
    # Of several seeds the first, so that a knee is one knee.
    held_out = findings.evidence.held_out[0].one(0)
    bins = reliability_bins(1 - held_out.probabilities[:, 0], held_out.grades > 0)
    title = "Probability of any disease, out of fold"
    figure = reliability_figure(bins, title=title, stamp=stamp)
    told = "; ".join(f"{each.predicted:.2f} predicted, {each.observed.value:.2f}" for each in bins)
    return Drawing(figure, f"Share of diseased knees by predicted probability: {told}.")


def _metrics(best: Setting) -> Iterable[Mapping[str, Sequence[float]]]:
    """Columns of `metrics.csv` of every training of a setting that left a readable one."""
    for cell in best.cells:
        if columns := read_metrics(cell.folder / METRICS_NAME, last=best.epochs):
            yield columns


def read_metrics(path: Path, *, last: int) -> dict[str, list[float]]:
    """Columns of a training's `metrics.csv` up to an epoch; none where it can't be read."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        table = {
            name: [float(row[name] or "nan") for row in rows]
            for name in (rows[0] if rows else ())
            if name != "stamp"
        }
        kept: NDArray[np.bool_] = np.array(table.get("epoch", [])) <= last
    except (OSError, ValueError, TypeError, csv.Error):
        return {}
    return (
        {name: list(np.array(values)[kept]) for name, values in table.items()} if kept.any() else {}
    )
