"""What `djd score` says: sentences and tables for the terminal and the page."""

import math
from collections.abc import Iterable

import numpy as np
from rich.table import Table as Printed

from djd.data.problems import warnings_of
from djd.grades import GRADE_NAMES, RESEARCH
from djd.predict.doubts import UNLIKE
from djd.predict.flags import FLAGGED_SHARE
from djd.predict.grading import Grader
from djd.predict.score_folder import ScoredFolder
from djd.predict.scoring import EXPECTED_OUTSIDE, MODEL, Distance, Scored
from djd.report.page.rows import SCORES, Row, Table
from djd.report.ranking import grade_rows
from djd.report.scores import scored
from djd.runs.folder import LEDGER_NAME
from djd.runs.summary import as_text
from djd.statistics.scoring import MINIMAL
from djd.wording import capital, count_of, number, share

_SHARES = ("recall", "precision")


def stamp_of(model: str | None, scans: str | None) -> str | None:
    """The words for all that is made, out of the stamps of the model and of the scored scans."""
    if model == scans:
        return model
    of_model = f"{model} (the model's training)" if model else None
    of_scans = f"{scans} (the scored scans)" if scans else None
    return ". ".join(filter(None, (of_model, of_scans)))


def who_sentences(folder: ScoredFolder) -> Iterable[str]:
    """Who is scored and who is left out."""
    graded = folder.graded
    yield f"scored: {_knees(len(graded.grades))} of {count_of(graded.patients, 'patient')}"
    if folder.trained_on:
        yield f"left out: {_knees(folder.trained_on)} of patients whom the model was trained on"
    if folder.cohort.unspecified:
        yield f"left out: {_knees(folder.cohort.unspecified)} without a grade"
    if folder.tested:
        yield (
            f"test patients of the model's own cohort: {_knees(folder.tested)}, and "
            f"{count_of(folder.openings, 'opening')} with this one by the ledger of the cache "
            f"({LEDGER_NAME})"
        )


def distance_sentences(distance: Distance) -> Iterable[str]:
    """How far the knees lie from those of the training."""
    for view, outside, median, before in distance.counts:
        yield (
            f"Counts a pixel in the {view} view: median {number(median)}, in training "
            f"{number(before)}; {share(outside)} of the knees lie outside the range of the "
            f"training knees from 1 to 99 % ({share(EXPECTED_OUTSIDE)} expected)"
        )
    if distance.has_features:
        unlike = distance.flagged.get(UNLIKE, 0.0)
        yield (
            f"Images: {share(unlike)} of the knees are unlike the training knees by the network's "
            f"features ({share(FLAGGED_SHARE)} expected)"
        )
    if not distance.flagged:
        yield "No knee is flagged"
    else:
        flags = "; ".join(f"{flag} {share(of)}" for flag, of in distance.flagged.items())
        yield f"{share(distance.any_flag)} of the knees are flagged: {flags}"


def score_sentences(found: Scored) -> Iterable[str]:
    """How well the knees are graded, and whether better than by uptake."""
    scores, uptake = found.graders[MODEL].scores, found.graders["uptake"].scores
    if math.isnan(scores["kappa"].value):
        yield "Quadratic kappa is undefined: all knees have one grade, and the model gives it"
    else:
        yield f"Quadratic kappa {scored(scores['kappa'])}, uptake alone {scored(uptake['kappa'])}"
        lead = found.lead
        if lead.has_interval:
            can = "can" if lead.low > 0 or lead.high < 0 else "can't"
            yield f"The model's kappa less uptake's is {scored(lead)}: the two {can} be told apart"
    yield (
        f"{scored(scores['accuracy'], percent=True)} of the knees are graded right, "
        f"{scored(scores['off_by_one'], percent=True)} within one grade"
    )
    knees = [each.knees for each in found.reliability]
    predicted = np.average([each.predicted for each in found.reliability], weights=knees)
    observed = np.average([each.observed.value for each in found.reliability], weights=knees)
    yield f"Any disease: {share(predicted)} predicted on average, {share(observed)} observed"


def scores_table(found: Scored) -> Table:
    """Every score of the model and its baselines."""
    graders = found.graders.values()
    rows = [
        Row([words, *(scored(each.scores[name], percent=percent) for each in graders)])
        for name, (words, percent) in SCORES.items()
    ]
    return Table(["score", *found.graders], rows)


def grades_table(found: Scored) -> Table:
    """Recall and precision of each grade by the model and its baselines."""
    head = ["grade", "knees", *(f"{name}: {of}" for name in found.graders for of in _SHARES)]
    rows = []
    for grade, cells in enumerate(grade_rows(found.graders.values())):
        # The knees are the same for all: their number stands once.
        kept = [cell for place, cell in enumerate(cells) if place < 2 or place % 3 != 1]
        rows.append(Row(kept, "minimal" if grade == MINIMAL else ""))
    return Table(head, rows)


def reliability_table(found: Scored) -> Table:
    """Share of diseased knees by the predicted probability of disease."""
    rows = [
        Row(
            [
                f"{share(each.edges[0])[:-2]} to {share(each.edges[1])}",
                str(each.knees),
                share(each.predicted),
                scored(each.observed, percent=True),
            ]
        )
        for each in found.reliability
    ]
    head = ("probability of any disease", "knees", "predicted, mean", "diseased, observed")
    return Table(head, rows)


def say_scored(folder: ScoredFolder, grader: Grader) -> Iterable[str]:
    """Everything for the terminal: who, how far, how well, and the warning."""
    found = folder.scored
    if stamp := stamp_of(grader.stamp, folder.cohort.stamp):
        yield stamp
    yield from (f"left out: {each}" for each in folder.cohort.unreadable.values())
    yield from warnings_of(folder.cohort)
    yield from who_sentences(folder)
    yield from distance_sentences(folder.distance)
    yield from score_sentences(found)
    for table in (scores_table(found), grades_table(found), confusion_table(found)):
        yield _as_text(table)
    yield capital(RESEARCH)


def confusion_table(found: Scored) -> Table:
    """Knees by true and predicted grade."""
    counts = found.graders[MODEL].confusion
    rows = [
        Row([f"{grade} {name}", *(f"{knees:.0f}" for knees in counts[grade])])
        for grade, name in enumerate(GRADE_NAMES)
    ]
    return Table(["true grade", *(f"predicted {name}" for name in GRADE_NAMES)], rows)


def _as_text(table: Table) -> str:
    drawn = Printed(*table.head)
    for row in table.rows:
        drawn.add_row(*row.cells)
    return as_text(drawn)


def _knees(count: int) -> str:
    return count_of(count, "knee")
