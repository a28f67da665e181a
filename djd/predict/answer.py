"""What `djd predict` prints: lines for people, or one JSON object for programs."""

import json
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from djd.csv_files import write_rows
from djd.files import write_whole
from djd.grades import GRADE_COUNT, RESEARCH
from djd.predict.grading import Grader
from djd.predict.pages import index_page
from djd.predict.patient import PATIENT_COLUMNS, DiseaseCut, patient_row
from djd.predict.table import Predicted, Row
from djd.wording import capital, count_of

INDEX_NAME = "index.html"
PATIENTS_NAME = "patients.csv"


def say_predicted(predicted: Predicted, grader: Grader) -> Iterable[str]:
    """The warning, errors, counts and the table's path."""
    if grader.stamp:
        yield f"{grader.stamp} (the model's training)"
    for row in predicted.rows:
        if row["error"]:
            yield f"not graded: {row['error']}"
    kept = f" ({predicted.kept} of them before)" if predicted.kept else ""
    yield f"{count_of(predicted.graded, 'scan')} graded{kept}, {predicted.failed} not"
    yield f"{capital(RESEARCH)}. Predictions: {predicted.path}"


def write_index(predicted: Predicted, grader: Grader) -> Path:
    """Write the page over the whole table beside it; the path of the page."""
    page = index_page(predicted.table, model=f"Graded by {grader.in_words}", stamp=grader.stamp)
    write_whole(predicted.path.parent / INDEX_NAME, page)
    return predicted.path.parent / INDEX_NAME


def write_patients(predicted: Predicted, cut: DiseaseCut | None) -> None:
    """Write a row a graded scan of the whole table beside it."""
    rows = [
        patient_row(knees, cut)
        for _, group in groupby(predicted.table, key=lambda row: row["file"])
        if not (knees := list(group))[0]["error"]
    ]
    write_rows(predicted.path.parent / PATIENTS_NAME, PATIENT_COLUMNS, rows)


def as_object(predicted: Predicted, grader: Grader) -> str:
    """One JSON object: models, counts, and each scan's knees or error."""
    scans: dict[str, dict[str, Any]] = {}
    for row in predicted.rows:
        scan = scans.setdefault(row["file"], {"scan": row["scan"], "file": row["file"]})
        if row["error"]:
            scan["error"] = row["error"]
        else:
            scan.setdefault("knees", []).append(_knee(row))
    models = [
        {"file": str(each.path), "digest": each.digest, "setting": each.content.setting}
        for each in grader.models
    ]
    answer = {
        "use": RESEARCH,
        "stamp": grader.stamp,
        "models": models,
        "predictions": str(predicted.path),
        "graded": predicted.graded,
        "failed": predicted.failed,
        "scans": list(scans.values()),
    }
    return json.dumps(answer)  # in ASCII: a console that lacks signs would spoil the object


def _knee(row: Row) -> dict[str, Any]:
    return {
        "side": row["side"],
        "predicted": int(row["predicted"]),
        "name": row["name"],
        "probabilities": [float(row[f"p{grade}"]) for grade in range(GRADE_COUNT)],
        **{key: float(row[key]) for key in ("expected", "entropy")},
        **{key: int(row[key]) for key in ("row", "column")},
        "flags": row["flags"],
    }
