"""Knees and how they were graded, as arrays."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from djd.grades import GRADE_COUNT
from djd.statistics.deciding import LIKELIEST, Decision
from djd.statistics.metrics import Array, confusion_counts


@dataclass(frozen=True, eq=False)
class GradedKnees:
    """Knees of a cohort as a network or a baseline graded them in one pass.

    Attributes:
        knees: int64 (knee,), indices into the cohort's knees.
        grades: int64 (knee,), true grades 0 to 4.
        probabilities: float64 (knee, grade 5), 0 to 1, rows sum to 1.
        loss: Mean loss a knee; NaN for a baseline.
        decision: How the probabilities become grades.
    """

    knees: NDArray[np.int64]
    grades: NDArray[np.int64]
    probabilities: Array
    loss: float = math.nan
    decision: Decision = LIKELIEST

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The decided grade of each knee, int64 (knee,), 0 to 4."""
        return self.decision.grades(self.probabilities)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Confusion counts, int64 (true grade 5, predicted grade 5)."""
        return confusion_counts(self.grades, self.predicted)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Every knee that one setting's trainings held out, each as often as it was held out.

    Attributes:
        patient: int64 (knee,), 0 to `patients` - 1.
        repeat: int64 (knee,), 0 to `repeats` - 1: seed and split of the training, folds together.
        grades: int64 (knee,), 0 to 4.
        predicted: int64 (knee,), 0 to 4.
        probabilities: float64 (knee, grade 5), 0 to 1, rows sum to 1.
        knees: Scan, side and patient of each knee; empty where the names are not needed.
        uncalibrated: As `probabilities`, before their temperature; None without one.
    """

    patient: NDArray[np.int64]
    repeat: NDArray[np.int64]
    grades: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probabilities: Array
    patients: int
    repeats: int = 1
    knees: tuple[tuple[str, str, str], ...] = ()
    uncalibrated: Array | None = None

    @classmethod
    def of_knees(
        cls,
        knees: tuple[tuple[str, str, str], ...],
        grades: NDArray[np.int64],
        predicted: NDArray[np.int64],
        probabilities: Array,
    ) -> "HeldOut":
        """Knees by their names, all of one repeat; patients are numbered in the order of names."""
        names = sorted({patient for _, _, patient in knees})
        column = {name: index for index, name in enumerate(names)}
        patient = np.array([column[patient] for _, _, patient in knees], dtype=np.int64)
        first = np.zeros(len(knees), dtype=np.int64)
        return cls(patient, first, grades, predicted, probabilities, len(names), knees=knees)

    @classmethod
    def joined(cls, repeats: Sequence[Sequence["HeldOut"]]) -> "HeldOut":
        """The folds of each repeat, put together; every fold has its knees by name."""
        folds = [fold for repeat in repeats for fold in repeat]
        whole = cls.of_knees(
            tuple(knee for fold in folds for knee in fold.knees),
            np.concatenate([fold.grades for fold in folds]),
            np.concatenate([fold.predicted for fold in folds]),
            np.concatenate([fold.probabilities for fold in folds]),
        )
        lengths = [sum(len(fold.grades) for fold in repeat) for repeat in repeats]
        numbers = np.repeat(np.arange(len(repeats)), lengths)
        whole = replace(whole, repeat=numbers, repeats=len(repeats))
        if all(fold.uncalibrated is None for fold in folds):
            return whole
        return replace(whole, uncalibrated=np.concatenate([fold.before for fold in folds]))

    @property
    def before(self) -> Array:
        """The probabilities before their temperature."""
        return self.probabilities if self.uncalibrated is None else self.uncalibrated

    def decided(self, decision: Decision) -> "HeldOut":
        """The knees with the grades of a decision, and with its temperature."""
        probabilities = decision.calibrated(self.probabilities)
        return replace(
            self,
            predicted=decision.grades(probabilities),
            probabilities=probabilities,
            uncalibrated=None if decision.temperature == 1 else self.probabilities,
        )

    def counts(self) -> NDArray[np.int64]:
        """Confusion counts, int64 (repeat, patient, true grade 5, predicted grade 5)."""
        place = self.repeat * self.patients + self.patient
        cells = (place * GRADE_COUNT + self.grades) * GRADE_COUNT + self.predicted
        shape = (self.repeats, self.patients, GRADE_COUNT, GRADE_COUNT)
        return np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape)

    def mean_counts(self) -> Array:
        """Means of the counts over the repeats that hold a patient out, float64 (patient, 5, 5)."""
        counts = self.counts()
        times = (counts.sum(axis=(2, 3)) > 0).sum(axis=0)
        mean: Array = counts.sum(axis=0) / np.maximum(times, 1)[:, None, None]
        return mean

    def one(self, repeat: int) -> "HeldOut":
        """The knees of one repeat."""
        chosen = self.repeat == repeat
        labels = (self.patient, self.repeat - repeat, self.grades, self.predicted)
        patient, first, grades, predicted = (values[chosen] for values in labels)
        probabilities = self.probabilities[chosen]
        before = None if self.uncalibrated is None else self.uncalibrated[chosen]
        return HeldOut(
            patient,
            first,
            grades,
            predicted,
            probabilities,
            self.patients,
            knees=tuple(compress(self.knees, chosen)),
            uncalibrated=before,
        )

    def confusion(self) -> NDArray[np.int64]:
        """Confusion counts of all knees, int64 (true grade 5, predicted grade 5)."""
        return confusion_counts(self.grades, self.predicted)


def most_wrong(outcome: GradedKnees | HeldOut, most: int) -> NDArray[np.int64]:
    """Indices of at most `most` wrong grades in an outcome, int64 (mistake,), the worst first.

    The order is by distance from the true grade, then probability, then place in the outcome.
    """
    predicted = outcome.predicted
    distances = np.abs(predicted - outcome.grades)
    chances = outcome.probabilities[np.arange(len(predicted)), predicted]
    worst = np.lexsort((-chances, -distances))
    wrong: NDArray[np.int64] = worst[distances[worst] > 0]
    return wrong[:most]
