"""Findings as plots, each as a picture and in words."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from djd.plots.confusion import confusion_figure, confusion_multiples_figure
from djd.plots.curves import learning_curves_figure, patients_figure
from djd.plots.graded import KNEES_PIXELS, graded_knees_figure
from djd.plots.grades import grades_figure
from djd.plots.kappas import effects_figure, ranking_figure, steps_figure
from djd.plots.reliability import reliability_bins, reliability_figure
from djd.plots.risk_coverage import risk_coverage_figure
from djd.report.answer import OUT_OF_FOLD, TEST, Answer
from djd.report.axes import QUESTIONS, AxisEffect, axis_words
from djd.report.findings import Findings
from djd.report.headline import compared, effects_on
from djd.report.knees import ShownKnees
from djd.report.more_patients import learning_curve
from djd.report.ranking import READER, ranking
from djd.report.risk_coverage import RPS, WRONG, Risks
from djd.report.scores import scored
from djd.report.steps import Step
from djd.runs.folder import METRICS_NAME
from djd.runs.keys import as_typed
from djd.statistics.intervals import Estimate
from djd.statistics.metrics import Array
from djd.wording import capital, number, share

WIDTH_PIXELS = 1152
"""Width of a plot: twice that on the page, for screens and printers with small dots."""

MOST_RANKED = 30
"""Settings in the plot of the ranking."""

MOST_MULTIPLES = 36
"""Settings with a confusion matrix each."""

NAMES = (
    "glance",
    *(f"effects-{question}" for question in QUESTIONS),
    "steps",
    "training-patients",
    "ranking",
    "grades",
    "confusion-out-of-fold",
    "confusion-test",
    "confusion-settings",
    "knees-right",
    "knees-wrong",
    "learning-curves",
    "reliability-before",
    "reliability",
    "risk-coverage",
)
"""Names of all possible plots."""


class Plot(NamedTuple):
    """A plot, and words for readers who can't see the plot."""

    figure: Figure
    alt: str
    width: int = WIDTH_PIXELS


def plots(answer: Answer, *, stamp: str | None) -> dict[str, Plot]:
    """The plots of an answer by name, each with the stamp."""
    plotted = _of_findings(answer.findings, answer, stamp) if answer.findings else {}
    if parts := answer.parts:
        plotted["glance"] = _glance(answer, stamp)
        title = "Recall and precision of each grade"
        scores = {part: grader.scores for part, grader in parts.items()}
        knees = {part: grader.knees_of_grades for part, grader in parts.items()}
        figure = grades_figure(scores, knees, title=title, stamp=stamp)
        plotted["grades"] = Plot(figure, f"{title}; the table has them.")
    if answer.knees:
        plotted |= _knees(answer.knees, stamp)
    if answer.risks:
        plotted["risk-coverage"] = _risk_coverage(answer.risks, stamp)
    for part, grader in parts.items():
        figure = confusion_figure(grader.confusion, title=capital(part), stamp=stamp)
        right = share(grader.scores["accuracy"].value)
        alt = f"Confusion matrix, {part}: {right} of {grader.knees} knees graded right."
        plotted[f"confusion-{part.replace(' ', '-')}"] = Plot(figure, alt)
    return plotted


def _glance(answer: Answer, stamp: str | None) -> Plot:
    """The setting, the second reader and uptake in one picture."""
    other, title = answer.other_tested, "Kappa at a glance"
    settings = {
        f"{other if other and part == TEST else 'the setting'}, {part}": grader.scores["kappa"]
        for part, grader in answer.parts.items()
    }
    uptake = {f"uptake alone, {part}": each.scores["kappa"] for part, each in answer.uptake.items()}
    others = _reader(answer) | uptake
    figure = ranking_figure(
        settings, others, best_set=None, distance=math.nan, title=title, stamp=stamp
    )
    said = "; ".join(f"{name} {number(kappa.value)}" for name, kappa in (settings | others).items())
    return Plot(figure, f"{title}: {said}.")


def _reader(answer: Answer) -> dict[str, Estimate]:
    reader = (answer.second_reader or {}).get(OUT_OF_FOLD)
    return {READER: reader.scores["kappa"]} if reader else {}


def _of_findings(findings: Findings, answer: Answer, stamp: str | None) -> dict[str, Plot]:
    plotted = {}
    for question in compared(findings):
        effects = effects_on(question, findings, "kappa")
        if any(effect.mean for effect in effects):
            plotted[f"effects-{question}"] = _effects(effects, stamp)
    if findings.steps:
        plotted["steps"] = _steps(findings.steps, stamp)
    if curve := learning_curve(findings):
        title, kappas = "Kappa by the number of training patients", curve.kappas.estimates
        pairs = zip(curve.patients, kappas, strict=True)
        said = "; ".join(f"{count}: {number(kappa.value)}" for count, kappa in pairs)
        figure = patients_figure(curve.patients, kappas, title=title, stamp=stamp)
        plotted["training-patients"] = Plot(figure, f"{title}. {said}.")
    several = len(findings.settings) > 1
    if several or findings.baselines:
        plotted["ranking"] = _ranking(findings, answer, stamp)
    if several:
        plotted["confusion-settings"] = _multiples(findings, stamp)
    best = findings.settings[0].setting
    read = (read_metrics(cell.folder / METRICS_NAME, last=best.epochs) for cell in best.cells)
    if metrics := list(filter(None, read)):
        title, epochs = f"Learning curves: {best.name}", [best.epochs]
        figure = learning_curves_figure(metrics, score_epochs=epochs, title=title, stamp=stamp)
        alt = f"Loss and kappa by epoch of the {len(metrics)} trainings of the best setting."
        plotted["learning-curves"] = Plot(figure, alt)
    plotted |= _reliabilities(findings, stamp)
    return plotted


def _knees(shown: ShownKnees, stamp: str | None) -> dict[str, Plot]:
    """Knees graded right and the misses, as far as there are any."""
    titles = {
        "knees-right": ("Typical knees of each grade, graded right", shown.rows(right=True)),
        "knees-wrong": ("Knees graded most wrong", shown.rows(right=False)),
    }
    plotted = {}
    for name, (title, rows) in titles.items():
        if knees := [shown.knees[row] for row in rows]:
            captions = [each.in_words for each in knees]
            figure = graded_knees_figure(
                shown.crops[rows],
                shown.maps[rows],
                captions,
                [(each.grade, each.given) for each in knees],
                np.array([each.probabilities for each in knees]),
                views=shown.views,
                window=shown.window,
                title=title,
                stamp=stamp,
            )
            alt = f"{title}, out of fold: {'; '.join(captions)}."
            plotted[name] = Plot(figure, alt, KNEES_PIXELS)
    return plotted


def _effects(effects: Sequence[AxisEffect], stamp: str | None) -> Plot:
    there = [
        (axis_words([each.axis])[each.axis], list(map(as_typed, each.levels)), each.mean, each.best)
        for each in effects
        if each.mean and each.best
    ]
    said = "; ".join(
        f"{name} {level}: mean {number(mean.value)}, best {number(best.value)}"
        for name, levels, means, bests in there
        for level, mean, best in zip(levels, means.estimates, bests.estimates, strict=True)
    )
    title = "Kappa by " + ", ".join(name for name, *_ in there)
    return Plot(effects_figure(there, title=title, stamp=stamp), f"{title}. {said}.")


def _steps(found: Sequence[Step], stamp: str | None) -> Plot:
    title = "Kappa step by step, and the gain of each step"
    kappas = {each.name: each.kappa for each in found}
    figure = steps_figure(kappas, [each.gain for each in found], title=title, stamp=stamp)
    said = "; ".join(f"{name} {number(kappa.value)}" for name, kappa in kappas.items())
    return Plot(figure, f"{title}: {said}; the table has the intervals.")


def _ranking(findings: Findings, answer: Answer, stamp: str | None) -> Plot:
    count, several = len(findings.settings), len(findings.settings) > 1
    shown = {
        f"{line.rank}. {line.name}" if several else line.name: line
        for line in [each for each in ranking(answer) if each.kind == "setting"][:MOST_RANKED]
    }
    kappas = {label: each.scores.scores["kappa"] for label, each in shown.items() if each.scores}
    others = _reader(answer)
    for name in sorted(findings.baselines, reverse=True):
        others[name] = findings.baselines[name].scores["kappa"]
    all_of = f"the best {len(shown)} of {count}" if len(shown) < count else f"all {count}"
    title = f"Kappa of {all_of} settings and the baselines" if several else "Kappa and baselines"
    best_set = [label for label, each in shown.items() if each.starred] if several else None
    distance = findings.distance if several else math.nan
    figure = ranking_figure(
        kappas, others, best_set=best_set, distance=distance, title=title, stamp=stamp
    )
    return Plot(figure, f"{title}, with intervals; the table of settings has the numbers.")


def _multiples(findings: Findings, stamp: str | None) -> Plot:
    shown = findings.settings[:MOST_MULTIPLES]
    counts = np.stack([each.confusion for each in shown])
    kappas = [each.scores["kappa"].value for each in shown]
    captions = [f"{rank}\n{scored(Estimate(kappa))}" for rank, kappa in enumerate(kappas, start=1)]
    count = len(findings.settings)
    which = f"the best {len(shown)} of {count}" if len(shown) < count else f"{count}"
    title = f"Confusion matrices of {which} settings, by rank"
    figure = confusion_multiples_figure(counts, captions, title=title, stamp=stamp)
    return Plot(figure, f"{title}: rows are true grades, columns predicted ones.")


def _reliabilities(findings: Findings, stamp: str | None) -> dict[str, Plot]:
    """The diagram of the best setting, and where it is calibrated also that before."""
    # The first of several seeds, so that each knee counts once.
    held_out = findings.evidence.held_out[0].one(0)
    now, title = held_out.probabilities, "Probability of any disease, out of fold"
    if held_out.uncalibrated is None:
        return {"reliability": _reliability(now, held_out.grades, title, stamp)}
    before, after = f"{title}, before calibration", f"{title}, calibrated"
    return {
        "reliability-before": _reliability(held_out.before, held_out.grades, before, stamp),
        "reliability": _reliability(now, held_out.grades, after, stamp),
    }


def _reliability(
    probabilities: Array, grades: NDArray[np.int64], title: str, stamp: str | None
) -> Plot:
    bins = reliability_bins(1 - probabilities[:, 0], grades > 0)
    figure = reliability_figure(bins, title=title, stamp=stamp)
    said = "; ".join(f"{each.predicted:.2f} predicted, {each.observed.value:.2f}" for each in bins)
    return Plot(figure, f"Share of diseased knees by predicted probability: {said}.")


def _risk_coverage(risks: Risks, stamp: str | None) -> Plot:
    labels = {RPS: "ranked probability score", WRONG: "wrong grades"}
    panels = {label: risks[loss] for loss, label in labels.items()}
    title = "Error by the share of knees kept, out of fold"
    figure = risk_coverage_figure(panels, title=title, stamp=stamp)
    said = "; ".join(
        f"{label} of the {name} {number(curve.half.value, decimals=3)} on the surest half, "
        f"{number(curve.whole.value, decimals=3)} on all"
        for label, curves in panels.items()
        for name, curve in curves.items()
    )
    return Plot(figure, f"{title}: {said}.")


def read_metrics(path: Path, *, last: int) -> dict[str, list[float]]:
    """Columns of a `metrics.csv` up to epoch `last`; none where the file can't be read."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
        names = [name for name in (rows[0] if rows else ()) if name != "stamp"]
        table = [{name: float(row[name] or "nan") for name in names} for row in rows]
        kept = [row for row in table if row["epoch"] <= last]
    except (OSError, ValueError, TypeError, KeyError, csv.Error):
        return {}
    return {name: [row[name] for row in kept] for name in names} if kept else {}
