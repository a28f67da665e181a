"""`predictions.csv`: a row for each held-out knee at each score epoch, written and read back."""

import csv
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from djd.csv_files import csv_lines, write_rows
from djd.data.cohort import Cohort
from djd.errors import InputError
from djd.grades import GRADE_COUNT, SIDES
from djd.runs.result import PartScores, stamp_column
from djd.statistics.deciding import PROBABILITY_DIGITS
from djd.statistics.held_out import GradedKnees, HeldOut

_CHANCES = tuple(f"p{grade}" for grade in range(GRADE_COUNT))
_KNEE_COLUMNS = ("scan", "patient", "side", "grade", "predicted", *_CHANCES)
PREDICTION_COLUMNS = (*_KNEE_COLUMNS, "fold", "seed", "epoch")

_ROUNDING = 1e-4
"""Largest distance from 1 of a sum of written probabilities."""


def write_predictions(path: Path, rows: Sequence[Mapping[str, Any]], *, stamp: str | None) -> None:
    """Write rows of `PREDICTION_COLUMNS`."""
    column = stamp_column(stamp)
    write_rows(path, (*PREDICTION_COLUMNS, *column), [{**row, **column} for row in rows])


def prediction_rows(
    cohort: Cohort, graded: GradedKnees, **training: int | None
) -> list[dict[str, Any]]:
    """A row of `PREDICTION_COLUMNS` for each knee; probabilities to eight digits.

    Fold, seed and epoch come by name; None leaves a cell empty.
    """
    same = {name: "" if value is None else value for name, value in training.items()}
    rows = []
    for knee, given, chances in zip(
        graded.knees, graded.predicted, graded.probabilities, strict=True
    ):
        scan = cohort.scan_index[knee]
        row = {
            "scan": cohort.scans[scan],
            "patient": cohort.patients[scan],
            "side": SIDES[cohort.side_index[knee]],
            "grade": int(cohort.grades[knee]),
            "predicted": int(given),
        }
        row |= {
            name: f"{chance:.{PROBABILITY_DIGITS}f}"
            for name, chance in zip(_CHANCES, chances, strict=True)
        }
        rows.append(row | same)
    return rows


def read_predictions(path: Path, *, by: str = "epoch") -> dict[str, HeldOut]:
    """Predictions by the values of a column; raises InputError for a missing or damaged file."""
    rows: dict[str, list[list[str]]] = {}
    try:
        lines = csv_lines(path)
        header = next(lines, [])
        places, key = [header.index(column) for column in _KNEE_COLUMNS], header.index(by)
        for line in filter(None, lines):
            rows.setdefault(line[key], []).append([line[place] for place in places])
        return {value: _predictions(alike) for value, alike in rows.items()}
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise InputError(
            f"{path}: expected the predictions of a training, received {received(error)}"
        ) from error


def received(error: Exception) -> str:
    """The end of an error's sentence, from the exception in reading a table."""
    if isinstance(error, FileNotFoundError):
        return "no file"
    if isinstance(error, OSError):
        return f"one that can't be read ({error.strerror})"
    return "a damaged file"


def _predictions(rows: Sequence[Sequence[str]]) -> HeldOut:
    given = np.array([(int(row[3]), int(row[4])) for row in rows], dtype=np.int64)
    probabilities = np.array([[float(cell) for cell in row[5:]] for row in rows])
    knees = _one(tuple((row[0], row[2], row[1]) for row in rows))
    in_range = (given >= 0).all() and (given < GRADE_COUNT).all() and (probabilities >= 0).all()
    whole = np.abs(probabilities.sum(axis=1) - 1) < _ROUNDING
    if not in_range or not whole.all() or not {side for _, side, _ in knees} <= set(SIDES):
        raise ValueError("out of range")
    if len({knee[:2] for knee in knees}) < len(knees):
        raise ValueError("a knee is there twice")
    return HeldOut.of_knees(knees, given[:, 0], given[:, 1], probabilities)


@lru_cache(maxsize=64)
def _one(knees: tuple[tuple[str, str, str], ...]) -> tuple[tuple[str, str, str], ...]:
    """The same names in one place: of 10,000 cells on the same folds they would be some 200 MB."""
    return knees


def require_agreement(path: Path, predictions: HeldOut | None, scores: PartScores) -> None:
    """Raise InputError where a training's predictions aren't those that its result counts."""
    if predictions is None or not np.array_equal(predictions.confusion(), scores.confusion):
        raise InputError(
            f"{path}: expected the {scores.knees} predictions at epoch {scores.epoch} that "
            "result.json counts, received others"
        )
