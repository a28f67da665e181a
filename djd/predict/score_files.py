"""The files of `djd score`: `score.html`, `scores.json` and `predictions.csv`."""

import json
import math
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from djd.csv_files import write_rows
from djd.data.problems import warnings_of
from djd.errors import InputError
from djd.files import is_there, write_whole
from djd.grades import GRADE_COUNT, GRADE_NAMES, RESEARCH
from djd.plots.confusion import confusion_figure
from djd.plots.grades import grades_figure
from djd.plots.reliability import reliability_figure
from djd.plots.style import figure_png
from djd.predict.grading import Grader
from djd.predict.score_folder import ScoredFolder
from djd.predict.score_words import (
    distance_sentences,
    grades_table,
    reliability_table,
    score_sentences,
    scores_table,
    stamp_of,
    who_sentences,
)
from djd.predict.scoring import MODEL
from djd.predict.table import TABLE_NAME
from djd.report.page.page import image, page_looks, page_template
from djd.report.page.plots import WIDTH_PIXELS
from djd.statistics.deciding import PROBABILITY_DIGITS
from djd.statistics.intervals import Estimate
from djd.wording import capital, count_of, share

PAGE_NAME, SCORES_NAME = "score.html", "scores.json"

_CHANCES = tuple(f"p{grade}" for grade in range(GRADE_COUNT))
_OF_KNEE = ("scan", "patient", "side", "grade", "predicted", *_CHANCES, "flags")
COLUMNS = ("use", "stamp", *_OF_KNEE, "model")


def require_own_folder(out: Path) -> None:
    """Raise InputError where a folder has predictions of another command, or is a file."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: expected a folder for scores, received a file")
    if is_there(out / TABLE_NAME) and not is_there(out / SCORES_NAME):
        raise InputError(
            f"{out}: expected a folder for scores, received one with {TABLE_NAME} of another "
            "command; choose another --out"
        )


def write_scores(out: Path, folder: ScoredFolder, grader: Grader) -> None:
    """Write all files into a folder; those of an earlier `djd score` are overwritten.

    Raises:
        InputError: See `require_own_folder`.
        OSError: The folder can't be written.
    """
    require_own_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    stamp = stamp_of(grader.stamp, folder.cohort.stamp)
    write_whole(out / SCORES_NAME, json.dumps(as_object(folder, grader), indent=2))
    model = " ".join(each.digest for each in grader.models)
    same = {"use": RESEARCH, "stamp": stamp or "", "model": model}
    write_rows(out / TABLE_NAME, COLUMNS, [{**same, **row} for row in knee_rows(folder)])
    write_whole(out / PAGE_NAME, score_page(folder, grader))


def knee_rows(folder: ScoredFolder) -> list[dict[str, Any]]:
    """Each scored knee: its name, both grades, probabilities and flags."""
    graded, rows = folder.graded, []
    for place, (scan, side, patient) in enumerate(graded.knees):
        chances = zip(_CHANCES, graded.probabilities[place], strict=True)
        row = {
            "scan": scan,
            "patient": patient,
            "side": side,
            "grade": int(graded.grades[place]),
            "predicted": int(graded.predicted[place]),
            "flags": "; ".join(folder.flags[place]),
        }
        rows.append(row | {name: f"{chance:.{PROBABILITY_DIGITS}f}" for name, chance in chances})
    return rows


def as_object(folder: ScoredFolder, grader: Grader) -> dict[str, Any]:
    """All numbers as plain values; None where a score is undefined."""
    found, distance = folder.scored, folder.distance
    return {
        "use": RESEARCH,
        "stamp": stamp_of(grader.stamp, folder.cohort.stamp),
        "models": [
            {"digest": each.digest, "setting": each.content.setting} for each in grader.models
        ],
        "fingerprint": folder.cohort.fingerprint(),
        "knees": len(folder.graded.grades),
        "patients": folder.graded.patients,
        "left_out": {
            "trained_on": folder.trained_on,
            "without_grade": folder.cohort.unspecified,
            "unreadable": dict(folder.cohort.unreadable),
        },
        "test_patients": {"knees": folder.tested, "openings": folder.openings},
        "distance": {
            "counts": [each._asdict() for each in distance.counts],
            "flagged": dict(distance.flagged),
            "any_flag": distance.any_flag,
        },
        "scores": {
            name: {score: _plain(value) for score, value in grader.scores.items()}
            for name, grader in found.graders.items()
        },
        "lead_over_uptake": _plain(found.lead),
        "confusion": found.graders[MODEL].confusion.tolist(),
        "reliability": [
            {"edges": each.edges, "predicted": each.predicted, "knees": each.knees}
            | {"observed": _plain(each.observed)}
            for each in found.reliability
        ],
    }


def _plain(score: Estimate) -> dict[str, float | None]:
    return {name: None if math.isnan(end) else end for name, end in score._asdict().items()}


def score_page(folder: ScoredFolder, grader: Grader) -> str:
    """The page as HTML without links to files."""
    found, stamp = folder.scored, stamp_of(grader.stamp, folder.cohort.stamp)
    values = {
        "title": "Knee DJD grading: scores of other scans",
        "stamp": stamp,
        "folder": folder.cohort.root.absolute().name,
        "model": f"graded by {grader.in_words}",
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "who": [capital(each) for each in who_sentences(folder)],
        "warnings": [*folder.cohort.unreadable.values(), *warnings_of(folder.cohort)],
        "distance": list(distance_sentences(folder.distance)),
        "answers": list(score_sentences(found)),
        "scores": scores_table(found),
        "grades": grades_table(found),
        "reliability": reliability_table(found),
        "figures": _figures(folder, stamp),
        "version": version("djd"),
        **page_looks(),
    }
    template = files(__package__).joinpath("score.html.j2").read_text(encoding="utf-8")
    return page_template(template).render(values)


def _figures(folder: ScoredFolder, stamp: str | None) -> dict[str, Markup]:
    """Recalls, confusion matrix and reliability, each as a picture and in words."""
    found, grader = folder.scored, folder.scored.graders[MODEL]
    title, disease = "Recall and precision of each grade", "Probability of any disease"
    knees = grader.knees_of_grades
    recalls = "; ".join(f"{name} {_recall(grader.scores, name)}" for name in GRADE_NAMES)
    bins = "; ".join(
        f"{share(each.predicted)} predicted, {share(each.observed.value)}"
        for each in found.reliability
    )
    right = share(grader.scores["accuracy"].value)
    plotted = {
        "grades": (
            grades_figure({MODEL: grader.scores}, {MODEL: knees}, title=title, stamp=stamp),
            f"{title}. Recall: {recalls}.",
        ),
        "confusion": (
            confusion_figure(grader.confusion, title="Scored scans", stamp=stamp),
            f"Confusion matrix: {right} of {count_of(grader.knees, 'knee')} graded right.",
        ),
        "reliability": (
            reliability_figure(found.reliability, title=disease, stamp=stamp),
            f"Share of diseased knees by predicted probability: {bins}.",
        ),
    }
    return {
        name: image(figure_png(figure, width=WIDTH_PIXELS), alt=alt)
        for name, (figure, alt) in plotted.items()
    }


def _recall(scores: Any, name: str) -> str:
    value = scores[f"recall_{name}"].value
    return "undefined" if math.isnan(value) else share(value)
