"""The result of a training."""

import math
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from djd.data.cohort import Cohort
from djd.errors import InputError
from djd.files import read_bytes, write_whole
from djd.grades import GRADE_COUNT
from djd.runs.config import RunConfig
from djd.statistics.deciding import PROBABILITY_DIGITS
from djd.statistics.held_out import GradedKnees
from djd.statistics.metrics import auroc, score_table

RESULTS_VERSION = 4
"""One more for each change that gives other numbers for the same command and cohort."""

CountsOfGrade = Annotated[
    list[Annotated[int, Field(ge=0, lt=2**31)]],
    Field(min_length=GRADE_COUNT, max_length=GRADE_COUNT),
]
"""Knees of one true grade by predicted grade."""


class PartScores(BaseModel):
    """Scores of one part at one epoch.

    Attributes:
        epoch: Epochs trained, from 1.
        confusion: Knees, (true grade 5, predicted grade 5).
        scores: By name; None where undefined, such as the recall of a grade that no knee has.
    """

    model_config = ConfigDict(frozen=True)

    epoch: int
    patients: int
    knees: int
    confusion: Annotated[list[CountsOfGrade], Field(min_length=GRADE_COUNT, max_length=GRADE_COUNT)]
    scores: dict[str, float | None]


class RunResult(BaseModel):
    """One finished training: configuration, cohort, machine, duration, scores.

    Attributes:
        fingerprint: Digest of the cohort's crops and grades.
        leak: Whether the training had the test patients.
        threads: CPU threads of a training step.
        fit_seconds: Wall time of the fit.
        validation: Scores at each score epoch; empty where nothing was held out.
        test: Scores of the refit on the test patients; empty where they weren't opened. One epoch,
            but with `test=each` every score epoch.
        test_openings: Of this cohort's test patients up to this one.
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
        """Write the result as JSON."""
        write_whole(path, self.model_dump_json(indent=1))

    def is_whole(self, config: RunConfig) -> bool:
        """Whether the validation part, if there is one, is scored at all score epochs."""
        scored = {scores.epoch for scores in self.validation}
        return config.data.fold is None or scored >= set(config.epochs_to_score)

    @classmethod
    def load(cls, path: Path) -> "RunResult":
        """Read a file of `save`; raises InputError where damaged, DriveError as `read_bytes`."""
        try:
            return cls.model_validate_json(read_bytes(path))
        except ValidationError as error:
            raise InputError(
                f"{path}: expected the result of a finished training, received a damaged file; "
                "delete it to train anew"
            ) from error


def score_outcome(outcome: GradedKnees, cohort: Cohort, *, epoch: int) -> PartScores:
    """Every score of one pass over held-out knees."""
    scores = score_table(outcome.counts)
    # As written: where a network is sure of all knees, further digits would order them.
    written = np.round(outcome.probabilities[:, 0], PROBABILITY_DIGITS)
    scores["auroc_any"] = float(auroc(outcome.grades >= 1, 1 - written))
    return PartScores(
        epoch=epoch,
        patients=len(np.unique(cohort.knee_patients[outcome.knees])),
        knees=len(outcome.knees),
        confusion=outcome.counts.tolist(),
        scores={name: value if math.isfinite(value) else None for name, value in scores.items()},
    )


def stamp_column(stamp: str | None) -> dict[str, str]:
    """The column of `RunConfig.stamp` in a table; empty without a stamp."""
    return {"stamp": stamp} if stamp else {}


@cache
def installed_versions() -> Mapping[str, str]:
    """Versions of Python and of all packages that can change a number."""
    packages = ("djd", "torch", "lightning", "numpy", "scipy", "scikit-learn")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
