"""What one cell leaves for others to read, and how it is written."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from djd.errors import InputError
from djd.files import write_rows, write_whole
from djd.grades import GRADE_COUNT, SIDES
from djd.metrics import auroc, score_table
from djd.scans.cohort import Cohort
from djd.training.config import RunConfig

if TYPE_CHECKING:
    from djd.training.classifier import Outcome

RESULTS_VERSION = 3
"""Raised whenever the same command on the same cohort gives other numbers than before."""

METRICS_NAME = "metrics.csv"
"""A line an epoch, written as epochs end."""

PREDICTIONS_NAME = "predictions.csv"
"""A line for each held-out knee at each score epoch; of a refit for each test knee."""

MODEL_NAME = "model.ckpt"
"""Weights of a setting refitted on all development patients: what new scans are graded with."""

PREDICTION_COLUMNS = (
    "scan",
    "patient",
    "side",
    "grade",
    "predicted",
    *(f"p{grade}" for grade in range(GRADE_COUNT)),
    "fold",
    "seed",
    "epoch",
)


def epoch_checkpoint(folder: Path, epoch: int) -> Path:
    """Where a training keeps its weights at a score epoch."""
    return folder / "checkpoints" / f"epoch={epoch:03d}.ckpt"


CountsOfGrade = Annotated[
    list[Annotated[int, Field(ge=0, lt=2**31)]],
    Field(min_length=GRADE_COUNT, max_length=GRADE_COUNT),
]
"""Knees of one true grade by predicted grade."""


class PartScores(BaseModel):
    """Scores of one part at one epoch.

    Attributes:
        epoch: Epochs trained, from 1.
        patients: Patients behind the knees.
        knees: Knees scored.
        confusion: Knees, (true grade 5, predicted grade 5).
        scores: Every score by name; None where it is undefined, such as the recall of a grade that
            no knee has.
    """

    model_config = ConfigDict(frozen=True)

    epoch: int
    patients: int
    knees: int
    confusion: Annotated[list[CountsOfGrade], Field(min_length=GRADE_COUNT, max_length=GRADE_COUNT)]
    scores: dict[str, float | None]


class RunResult(BaseModel):
    """One finished cell: what was run, on what, how long, every score.

    Attributes:
        results_version: See `RESULTS_VERSION`.
        setting: The compared choices in one line.
        config: The resolved configuration as plain values.
        fingerprint: Digest of the cohort's crops and grades.
        phantom: Whether the scans are invented.
        leak: Whether the test patients were trained on, to see what that is worth.
        device: What it ran on.
        threads: CPU threads of a training step.
        versions: Versions of the parts that can change a number.
        fit_seconds: Wall time of the fit.
        validation: Scores at each score epoch; empty where nothing was held out.
        test: Scores of the model refitted on all development patients, on the test patients; empty
            where they weren't opened. One epoch, but with `test=each` every score epoch.
        test_openings: How often this cohort's test patients had been opened by then.
    """

    model_config = ConfigDict(frozen=True)

    results_version: int
    setting: str
    config: dict[str, Any]
    fingerprint: str
    phantom: bool
    leak: bool
    device: str
    threads: int
    versions: dict[str, str]
    fit_seconds: float
    validation: list[PartScores]
    test: list[PartScores]
    test_openings: int | None

    def save(self, path: Path) -> None:
        """Write the result whole or not at all."""
        write_whole(path, self.model_dump_json(indent=1))

    def is_whole(self, config: RunConfig) -> bool:
        """Whether what was held out is scored at every epoch that its configuration names."""
        scored = {scores.epoch for scores in self.validation}
        return config.data.fold is None or scored >= set(config.epochs_to_score)

    @classmethod
    def load(cls, path: Path) -> "RunResult":
        """Read back what `save` wrote.

        Raises:
            InputError: It is damaged.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise InputError(
                f"{path}: expected the result of a finished training, received a damaged file; "
                "delete it to train anew"
            ) from error


def score_outcome(outcome: "Outcome", cohort: Cohort, *, epoch: int) -> PartScores:
    """Every score of one pass over held-out knees."""
    scores = score_table(outcome.counts)
    scores["auroc_any"] = float(auroc(outcome.grades >= 1, 1 - outcome.probabilities[:, 0]))
    return PartScores(
        epoch=epoch,
        patients=len(np.unique(cohort.knee_patients[outcome.knees])),
        knees=len(outcome.knees),
        confusion=outcome.counts.tolist(),
        scores={name: value if math.isfinite(value) else None for name, value in scores.items()},
    )


def stamp_column(stamp: str | None) -> dict[str, str]:
    """What every row of a table carries besides; see `RunConfig.stamp`."""
    return {"stamp": stamp} if stamp else {}


def write_predictions(path: Path, rows: Sequence[Mapping[str, Any]], *, stamp: str | None) -> None:
    """Write rows of `PREDICTION_COLUMNS`."""
    column = stamp_column(stamp)
    write_rows(path, (*PREDICTION_COLUMNS, *column), [{**row, **column} for row in rows])


class GradedKnees(Protocol):
    """Knees with the grades that something gave them."""

    @property
    def knees(self) -> NDArray[np.int64]:
        """Indices into the cohort's knees, int64 (knee,)."""

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Grades given, int64 (knee,), 0 to 4."""

    @property
    def probabilities(self) -> NDArray[np.floating]:
        """Of each grade, (knee, grade 5), 0 to 1, rows sum to 1."""


def prediction_rows(
    graded: GradedKnees,
    cohort: Cohort,
    *,
    fold: int | None,
    seed: int | None,
    epoch: int | None,
) -> list[dict[str, Any]]:
    """A row of `PREDICTION_COLUMNS` for each knee; probabilities to eight digits."""
    rows = []
    told = ["" if value is None else value for value in (fold, seed, epoch)]
    for knee, predicted, chances in zip(
        graded.knees, graded.predicted, graded.probabilities, strict=True
    ):
        scan = cohort.scan_index[knee]
        values = (
            cohort.scans[scan],
            cohort.patients[scan],
            SIDES[cohort.side_index[knee]],
            int(cohort.grades[knee]),
            int(predicted),
            *(f"{chance:.8f}" for chance in chances),
            *told,
        )
        rows.append(dict(zip(PREDICTION_COLUMNS, values, strict=True)))
    return rows
