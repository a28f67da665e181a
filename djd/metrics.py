"""Scores of graded knees, as pure functions of confusion counts.

Confusion counts are whole numbers (..., true grade 5, predicted grade 5): any number of leading
axes, such as settings or bootstrap draws, gives scores of that shape. A grade that no knee has is
left out of means over grades, as scikit-learn does; what is undefined is NaN, apart from kappa,
which is 0 for a constant guess.
"""

import numpy as np
from numpy.typing import NDArray

from djd.grades import GRADE_COUNT, GRADE_NAMES

Counts = NDArray[np.int64] | NDArray[np.float64]
"""(..., true grade 5, predicted grade 5): int64 knees, or float64 weights or shares of them."""

Scores = NDArray[np.float64]
"""float64 (...): the leading axes of the counts."""

_DISTANCE = np.abs(np.subtract.outer(np.arange(GRADE_COUNT), np.arange(GRADE_COUNT)))


def confusion_counts(grades: NDArray[np.int64], predicted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Knees by true and predicted grade, int64 (true grade 5, predicted grade 5).

    Args:
        grades: int64 (knee,), true grades 0 to 4.
        predicted: int64 (knee,), predicted grades 0 to 4.
    """
    pairs = grades * GRADE_COUNT + predicted
    return np.bincount(pairs, minlength=GRADE_COUNT**2).reshape(GRADE_COUNT, GRADE_COUNT)


def quadratic_kappa(counts: Counts) -> Scores:
    """Cohen's kappa with squared distances as weights, -1 to 1; the score that selects.

    One minus observed over expected squared distance, where the expected one has the same margins
    (Cohen, Psychological Bulletin 70:213, 1968). It is 0 where every guess is the same, and NaN
    where nothing could be disagreed on: one grade alone, always guessed, or no knee.
    """
    weights = _DISTANCE.astype(np.float64) ** 2
    truth, guess = counts.sum(axis=-1), counts.sum(axis=-2)
    observed = (counts * weights).sum(axis=(-2, -1)) * truth.sum(axis=-1)
    expected = np.einsum("...i,ij,...j->...", truth, weights, guess)
    return 1 - _ratio(observed, expected)


def accuracy(counts: Counts) -> Scores:
    """Share of knees whose grade is right, 0 to 1."""
    return _share_within(counts, 0)


def off_by_one(counts: Counts) -> Scores:
    """Share of knees whose grade is right or next to right, 0 to 1."""
    return _share_within(counts, 1)


def mean_absolute_error(counts: Counts) -> Scores:
    """Mean distance between true and predicted grade, in grades, 0 to 4."""
    return _ratio((counts * _DISTANCE).sum(axis=(-2, -1)), counts.sum(axis=(-2, -1)))


def recall(counts: Counts) -> Scores:
    """Share of each grade's knees that are graded right, float64 (..., grade 5), 0 to 1.

    NaN for a grade that no knee has.
    """
    return _ratio(_right(counts), counts.sum(axis=-1))


def precision(counts: Counts) -> Scores:
    """Share of the knees given each grade that have it, float64 (..., grade 5), 0 to 1.

    NaN for a grade that is never given.
    """
    return _ratio(_right(counts), counts.sum(axis=-2))


def balanced_accuracy(counts: Counts) -> Scores:
    """Mean recall over the grades that some knee has, 0 to 1."""
    return _mean_where(recall(counts), counts.sum(axis=-1) > 0)


def macro_f1(counts: Counts) -> Scores:
    """Mean F1 over the grades that some knee has or is given, 0 to 1."""
    either = counts.sum(axis=-1) + counts.sum(axis=-2)
    return _mean_where(_ratio(2 * _right(counts), either), either > 0)


def score_table(counts: Counts) -> dict[str, float]:
    """Every score of one matrix of confusion counts by name, NaN where it is undefined.

    Args:
        counts: int64 (true grade 5, predicted grade 5).
    """
    table = {
        "kappa": quadratic_kappa(counts),
        "accuracy": accuracy(counts),
        "balanced_accuracy": balanced_accuracy(counts),
        "macro_f1": macro_f1(counts),
        "mae": mean_absolute_error(counts),
        "off_by_one": off_by_one(counts),
    }
    for name, per_grade in (("recall", recall(counts)), ("precision", precision(counts))):
        table |= {
            f"{name}_{grade}": value for grade, value in zip(GRADE_NAMES, per_grade, strict=True)
        }
    return {name: float(value) for name, value in table.items()}


def auroc(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Area under the receiver operating characteristic, 0 to 1; NaN where one class is absent.

    The chance that a positive knee scores above a negative one, ties counted half (Hanley and
    McNeil, Radiology 143:29, 1982).

    Args:
        positive: bool (knee,), such as any disease.
        score: float64 (knee,), larger where disease is likelier.
    """
    from scipy.stats import rankdata  # takes 0.7 s to import, and many only need counts

    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return float("nan")
    above = rankdata(score)[positive].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def _share_within(counts: Counts, grades: int) -> Scores:
    near = (counts * (grades >= _DISTANCE)).sum(axis=(-2, -1))
    return _ratio(near, counts.sum(axis=(-2, -1)))


def _right(counts: Counts) -> NDArray[np.number]:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> Scores:
    """Part over whole; NaN where the whole is zero."""
    whole = np.asarray(whole, dtype=np.float64)
    ratio: Scores = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole != 0)
    return ratio


def _mean_where(values: Scores, present: NDArray[np.bool_]) -> Scores:
    """Mean over the last axis of what is present; NaN where nothing is."""
    return _ratio(np.where(present, values, 0).sum(axis=-1), present.sum(axis=-1))
