"""Scores of graded knees, as pure functions of confusion counts.

Confusion counts are (..., true grade 5, predicted grade 5); leading axes, such as settings or
draws, give scores of that shape. A grade that no knee has is left out of means over grades, as in
scikit-learn. An undefined score is NaN; kappa is 0 for a constant guess.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from djd.grades import GRADE_COUNT, GRADE_NAMES

THREE_GROUPS = ((0,), (1, 2), (3, 4))
"""Grades merged into none, minimal to mild, and moderate to severe."""

Array = NDArray[np.float64]
Counts = NDArray[np.int64] | Array
"""(..., true grade 5, predicted grade 5): int64 knees, or float64 weights or shares of them."""

Scores = Array
"""float64 (...): the leading axes of the counts."""

Grades = NDArray[np.int64]
"""int64 (knee,), 0 to 4."""

Probabilities = Array
"""float64 (knee, grade 5), 0 to 1, rows sum to 1."""


def confusion_counts(grades: Grades, predicted: Grades) -> NDArray[np.int64]:
    """Knees by true and predicted grade, int64 (true grade 5, predicted grade 5)."""
    pairs = grades * GRADE_COUNT + predicted
    return np.bincount(pairs, minlength=GRADE_COUNT**2).reshape(GRADE_COUNT, GRADE_COUNT)


def merge_grades(counts: Counts, groups: Sequence[Sequence[int]]) -> Array:
    """Counts of groups, such as `THREE_GROUPS`, float64 (..., true group, predicted group)."""
    member = np.zeros((GRADE_COUNT, len(groups)))
    for group, grades in enumerate(groups):
        member[list(grades), group] = 1
    groups_of = _sums(counts, np.kron(member, member))
    return groups_of.reshape(*counts.shape[:-2], len(groups), len(groups))


def quadratic_kappa(counts: Counts) -> Scores:
    """Cohen's kappa with squared distances as weights, -1 to 1; the score that selects.

    One minus observed over expected squared distance, where the expected one has the same margins
    (Cohen, Psychological Bulletin 70:213, 1968). It is 0 where every guess is the same, and NaN
    where no disagreement is possible: one grade alone, always guessed, or no knee.
    """
    weights = _distance(counts) ** 2
    truth, guess = _by_truth(counts), _by_guess(counts)
    observed = _sums(counts, weights.ravel()) * truth.sum(axis=-1)
    expected = ((truth @ weights) * guess).sum(axis=-1)
    return 1 - ratio(observed, expected)


def accuracy(counts: Counts) -> Scores:
    """Share of knees whose grade is right, 0 to 1."""
    return _mean_of_knees(counts, np.eye(counts.shape[-1]))


def off_by_one(counts: Counts) -> Scores:
    """Share of knees whose grade is right or next to right, 0 to 1."""
    return _mean_of_knees(counts, (_distance(counts) <= 1).astype(np.float64))


def mean_absolute_error(counts: Counts) -> Scores:
    """Mean distance between true and predicted grade, in grades, 0 to 4."""
    return _mean_of_knees(counts, _distance(counts))


def recall(counts: Counts) -> Scores:
    """Share of each true grade's knees graded right, float64 (..., grade 5); NaN without knees."""
    return ratio(np.diagonal(counts, axis1=-2, axis2=-1), _by_truth(counts))


def precision(counts: Counts) -> Scores:
    """Share of right among knees given each grade, float64 (..., grade 5); NaN where not given."""
    return ratio(np.diagonal(counts, axis1=-2, axis2=-1), _by_guess(counts))


def balanced_accuracy(counts: Counts) -> Scores:
    """Mean recall over the grades that some knee has, 0 to 1."""
    return _mean_where(recall(counts), _by_truth(counts) > 0)


def macro_f1(counts: Counts) -> Scores:
    """Mean F1 over the grades that some knee has or is given, 0 to 1."""
    either = _by_truth(counts) + _by_guess(counts)
    return _mean_where(ratio(2 * np.diagonal(counts, axis1=-2, axis2=-1), either), either > 0)


def score_table(counts: Counts) -> dict[str, float]:
    """Every score of one matrix of confusion counts by name, NaN where it is undefined."""
    table = {
        "kappa": quadratic_kappa(counts),
        "accuracy": accuracy(counts),
        "balanced_accuracy": balanced_accuracy(counts),
        "macro_f1": macro_f1(counts),
        "mae": mean_absolute_error(counts),
        "off_by_one": off_by_one(counts),
    }
    for name, per_grade in (("recall", recall(counts)), ("precision", precision(counts))):
        table |= zip((f"{name}_{grade}" for grade in GRADE_NAMES), per_grade, strict=True)
    return {name: float(value) for name, value in table.items()}


def auroc(positive: NDArray[np.bool_], score: Array) -> float:
    """Area under the receiver operating characteristic, 0 to 1; NaN where one class is absent.

    The chance that a positive knee scores above a negative one, ties counted half (Hanley and
    McNeil, Radiology 143:29, 1982). Both arguments are (knee,).
    """
    from scipy.stats import rankdata  # takes 0.7 s to import, and many only need counts

    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return float("nan")
    above = rankdata(score)[positive].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def brier_score(grades: Grades, probabilities: Probabilities) -> Array:
    """Squared distance of each knee's probabilities from its grade, float64 (knee,), 0 to 2.

    The sum over grades (Brier, Monthly Weather Review 78:1, 1950); smaller is better.
    """
    score: Array = ((probabilities - np.eye(GRADE_COUNT)[grades]) ** 2).sum(axis=1)
    return score


def ranked_probability_score(grades: Grades, probabilities: Probabilities) -> Array:
    """Squared distance between cumulative probabilities and grade, float64 (knee,), 0 to 1.

    The mean over the four limits between grades (Murphy, Journal of Applied Meteorology 10:155,
    1971): a probability far from the grade costs more than one beside it. Smaller is better.
    """
    at_most = np.cumsum(probabilities, axis=1)[:, :-1]
    reached = np.arange(GRADE_COUNT - 1) >= grades[:, None]
    score: Array = ((at_most - reached) ** 2).mean(axis=1)
    return score


def ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> Scores:
    """Part over whole; NaN where the whole is zero."""
    whole = np.asarray(whole, dtype=np.float64)
    share: Scores = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole != 0)
    return share


def _distance(counts: Counts) -> Array:
    """How far each guess is from the truth, float64 (true, predicted), in grades or groups."""
    truth, guess = np.indices(counts.shape[-2:], dtype=np.float64)
    distance: Array = np.abs(truth - guess)
    return distance


def _sums(counts: Counts, weights: NDArray[np.floating]) -> Scores:
    """Sums of cells by weights (cell,) or (cell, sum), in a sixth of the time of numpy's sums."""
    sums: Scores = counts.reshape(*counts.shape[:-2], -1).astype(np.float64, copy=False) @ weights
    return sums


def _by_truth(counts: Counts) -> Scores:
    """Knees of each true grade, float64 (..., grade)."""
    return _sums(counts, np.repeat(np.eye(counts.shape[-1]), counts.shape[-1], axis=0))


def _by_guess(counts: Counts) -> Scores:
    """Knees given each grade, float64 (..., grade)."""
    return _sums(counts, np.tile(np.eye(counts.shape[-1]), (counts.shape[-1], 1)))


def _mean_of_knees(counts: Counts, weights: Array) -> Scores:
    """Mean over knees of a weight for each cell, (true, predicted)."""
    return ratio(_sums(counts, weights.ravel()), _sums(counts, np.ones(weights.size)))


def _mean_where(values: Scores, present: NDArray[np.bool_]) -> Scores:
    """Mean over the last axis of what is present; NaN where nothing is."""
    return ratio(np.where(present, values, 0) @ np.ones(values.shape[-1]), present.sum(axis=-1))
