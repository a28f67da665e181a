"""From a knee's five probabilities to its grade, and what is fitted for that on other knees.

Probabilities count as `predictions.csv` has them, in whole steps of 1e-8: the grades of a file are
those of the memory that wrote the file.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from djd.grades import GRADE_COUNT, Decide

Array = NDArray[np.float64]
Grades = NDArray[np.int64]

PROBABILITY_DIGITS = 8
"""Of probabilities in `predictions.csv`."""

STEPS: int = 10**PROBABILITY_DIGITS
"""Steps of a probability from 0 to 1."""

_BOUNDS = (-1.0, float(GRADE_COUNT))
"""Cuts that every expected grade, or none, has passed."""

_SHARPEST = math.log(20)
"""Largest distance of a temperature's logarithm from 0."""


def decided(probabilities: Array, rule: Decide, cuts: Sequence[float] | None = None) -> Grades:
    """The grade of each knee, int64 (knee,), 0 to 4.

    `likeliest` is the most probable grade, the lowest of equals; `median` the first grade whose
    cumulative probability reaches a half; `expected` the expected grade, a half rounded up;
    `shares` the number of `cuts` that the expected grade has reached. Without cuts `shares` is the
    median.

    Args:
        probabilities: float64 (knee, grade 5), 0 to 1, rows sum to 1.
        rule: See above.
        cuts: Four expected grades, ascending; see `cuts_of`.
    """
    steps = _steps(probabilities)
    if rule == "likeliest":
        likeliest: Grades = steps.argmax(axis=1)
        return likeliest
    total = _total(steps)
    if rule == "expected":
        rounded: Grades = (2 * _weighted(steps) + total) // (2 * total)
        return rounded
    if rule == "shares" and cuts is not None:
        reached: Grades = np.searchsorted(cuts, expected_grade(probabilities), side="right")
        return reached
    halves: Grades = (2 * steps.cumsum(axis=1) >= total[:, None]).argmax(axis=1)
    return halves


def expected_grade(probabilities: Array) -> Array:
    """The mean grade of each knee by its probabilities, float64 (knee,), 0 to 4."""
    steps = _steps(probabilities)
    expected: Array = _weighted(steps) / _total(steps)
    return expected


def _steps(probabilities: Array) -> NDArray[np.int64]:
    # A network that has diverged gives NaN, and every knee grade 0.
    return np.rint(np.nan_to_num(probabilities) * STEPS).astype(np.int64)


def _total(steps: NDArray[np.int64]) -> NDArray[np.int64]:
    total: NDArray[np.int64] = np.maximum(steps.sum(axis=1), 1)
    return total


def _weighted(steps: NDArray[np.int64]) -> NDArray[np.int64]:
    weighted: NDArray[np.int64] = steps @ np.arange(GRADE_COUNT)
    return weighted


def cuts_of(expected: Array, grades: Grades) -> tuple[float, ...]:
    """The four cuts by which as many knees get each grade as have it.

    A cut lies halfway between the two expected grades that it parts. Of knees with equal expected
    grades all get the higher grade.

    Args:
        expected: float64 (knee,), 0 to 4, of one knee or more.
        grades: int64 (knee,), 0 to 4: the true grades.
    """
    ordered = np.concatenate([_BOUNDS[:1], np.sort(expected), _BOUNDS[1:]])
    below = np.bincount(grades, minlength=GRADE_COUNT).cumsum()[:-1]
    halfway = (ordered[below] + ordered[below + 1]) / 2
    # A grade that no knee here has is given to no other knee.
    cuts = np.where(below == 0, _BOUNDS[0], np.where(below == len(grades), _BOUNDS[1], halfway))
    return tuple(map(float, cuts))


def tempered(probabilities: Array, temperature: float) -> Array:
    """Probabilities whose logarithms are divided by a temperature, float64 (knee, grade 5).

    Above 1 they are less sure, below 1 surer (Guo et al., On calibration of modern neural
    networks, ICML 2017). Their order is kept. At 1 they stay as they are.
    """
    if temperature == 1:
        return probabilities
    logs = np.log(np.maximum(probabilities, 1 / STEPS)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    scaled: Array = powers / powers.sum(axis=1, keepdims=True)
    return scaled


def temperature_of(probabilities: Array, grades: Grades) -> float:
    """The temperature at which knees of these true grades have the best mean log score."""
    from scipy.optimize import minimize_scalar  # takes 0.3 s to import

    knees = np.arange(len(grades))

    def loss(log_temperature: float) -> float:
        chances = tempered(probabilities, math.exp(log_temperature))[knees, grades]
        return -float(np.log(np.maximum(chances, 1 / STEPS)).mean())

    bounds = (-_SHARPEST, _SHARPEST)
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return math.exp(float(found.x))


@dataclass(frozen=True)
class Decision:
    """How probabilities become grades; `cuts` and `temperature` are fitted on other knees."""

    rule: Decide = "likeliest"
    cuts: tuple[float, ...] | None = None
    temperature: float = 1.0

    @classmethod
    def fitted(
        cls, rule: Decide, probabilities: Array, grades: Grades, *, calibrate: bool
    ) -> "Decision":
        """The decision by the out-of-fold probabilities and true grades of some knees."""
        temperature = temperature_of(probabilities, grades) if calibrate else 1.0
        if rule != "shares":
            return cls(rule, temperature=temperature)
        expected = expected_grade(tempered(probabilities, temperature))
        return cls(rule, cuts_of(expected, grades), temperature)

    def grades(self, probabilities: Array) -> Grades:
        """See `decided`; the probabilities have the temperature already."""
        return decided(probabilities, self.rule, self.cuts)

    def calibrated(self, probabilities: Array) -> Array:
        """See `tempered`."""
        return tempered(probabilities, self.temperature)


LIKELIEST = Decision()


def cross_fitted(
    rule: Decide, folds: Sequence[tuple[Array, Grades]], *, calibrate: bool = False
) -> list[Decision]:
    """The decision of each fold, fitted on the other folds: no knee sets its own cuts.

    A fold is its probabilities and true grades. Where nothing is fitted, folds don't matter; a
    single fold has the decision without a fit.
    """
    if len(folds) < 2 or not (calibrate or rule == "shares"):
        return [Decision(rule)] * len(folds)
    decisions = []
    for held_out in range(len(folds)):
        others = [fold for place, fold in enumerate(folds) if place != held_out]
        decisions.append(fitted_on(rule, others, calibrate=calibrate))
    return decisions


def fitted_on(
    rule: Decide, folds: Sequence[tuple[Array, Grades]], *, calibrate: bool = False
) -> Decision:
    """The decision for other knees, fitted on folds as in `cross_fitted`; without folds no fit."""
    if not folds:
        return Decision(rule)
    probabilities, grades = (np.concatenate(each) for each in zip(*folds, strict=True))
    return Decision.fitted(rule, probabilities, grades, calibrate=calibrate)
