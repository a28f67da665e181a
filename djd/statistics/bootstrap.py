"""Draws of patients with replacement, and every score in every draw.

A draw is a row of whole weights, one a patient; all draws of all settings' confusion counts are one
product of matrices (Field and Welsh, Journal of the Royal Statistical Society B 69:369, 2007). All
settings share the same draws, so differences between settings are paired.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from djd.grades import GRADE_COUNT
from djd.machine import on_all_cores
from djd.statistics.metrics import Array, Counts, Scores, ratio

DRAWS = 10_000

FEW_DRAWS = 2_000
"""Draws for scores of probabilities, which take one product a setting."""

MOST_DRAWN = 5_000_000
"""Draws of all settings together, 40 MB a score; more than 500 settings have fewer draws each.

An end of an interval by 2,500 draws is within 0.1 standard errors of that by 10,000."""

SPECIFICITY = 0.9
"""Share of normal knees that must be called normal in the search for early disease."""

Weights = NDArray[np.float32]
"""float32 (draw, patient): how often each draw holds each patient."""

_MOST_COUNTS = 4_000_000
"""Drawn counts held at a time and core, 32 MB; twice as many are no faster."""


def draw_patients(
    patients: int, drawn: int | None = None, *, draws: int = DRAWS, seed: int = 0
) -> Weights:
    """Draws of patients with replacement; the same seed gives the same draws.

    A draw has `drawn` patients, such as the 40 of a test; None is as many as there are.
    """
    drawing = np.random.default_rng(seed).multinomial
    return drawing(drawn or patients, np.full(patients, 1 / patients), draws).astype(np.float32)


def draws_of(settings: int) -> int:
    """The number of draws for so many settings: `DRAWS`, and fewer for more than 500."""
    return max(FEW_DRAWS, min(DRAWS, MOST_DRAWN // settings))


def score_draws(
    weights: Weights, counts: Counts, scores: Mapping[str, Callable[[Counts], Scores]]
) -> dict[str, Array]:
    """Every score in every draw, by name: float64 (training, draw), NaN where it is undefined.

    `counts` are (training, patient, true grade 5, predicted grade 5), int64 or means; a training
    here is a setting with one seed, all folds together. For `scores` see `djd.statistics.metrics`.
    """
    draws, patients = weights.shape
    drawn = {name: np.empty((len(counts), draws)) for name in scores}
    at_once = max(1, _MOST_COUNTS // (draws * GRADE_COUNT**2))

    def score_some(first: int) -> None:
        some = slice(first, first + at_once)
        # Whole numbers below 2**24: exact in float32, at twice the speed.
        by_patient = counts[some].astype(np.float32).transpose(1, 0, 2, 3).reshape(patients, -1)
        drawn_counts = (weights @ by_patient).astype(np.float64)
        for name, score in scores.items():
            drawn[name][some] = score(drawn_counts.reshape(draws, -1, GRADE_COUNT, GRADE_COUNT)).T

    on_all_cores(score_some, range(0, len(counts), at_once))
    return drawn


def mean_of_repeats(values: Array, repeats: Sequence[int]) -> Array:
    """Means of values (training, ...) over the trainings of each setting, float64 (setting, ...).

    The trainings of a setting stand side by side; `repeats` says how many each has, 1 or more.
    """
    if max(repeats) == 1:  # sums of one value each take seconds for 2,000 settings
        return values
    sums = np.add.reduceat(values, np.cumsum([0, *repeats[:-1]]), axis=0)
    means: Array = sums / np.reshape(repeats, (-1, *[1] * (values.ndim - 1)))
    return means


def auroc_draws(
    positive: NDArray[np.bool_], score: Array, patient: NDArray[np.int64], weights: Weights
) -> Array:
    """Area under the receiver operating characteristic in each draw, float64 (draw,).

    The area is a share of pairs of a positive and a negative knee (see `metrics.auroc`), so a
    table of pairs by patient gives the area for any weights. NaN in draws without either kind.
    `positive`, `score` (larger where disease is likelier) and `patient` (column of the weights) are
    (knee,).
    """
    of_patient = np.eye(weights.shape[1])[patient]
    by_positive, by_negative = of_patient[positive], of_patient[~positive]
    above = (np.sign(score[positive][:, None] - score[~positive]) + 1) / 2
    pairs = (by_positive.T @ above @ by_negative).astype(np.float32)
    right = np.einsum("dp,dp->d", weights @ pairs, weights).astype(np.float64)
    all_pairs = (weights @ by_positive.sum(axis=0)) * (weights @ by_negative.sum(axis=0))
    return ratio(right, all_pairs)


def sensitivity_draws(
    positive: NDArray[np.bool_],
    score: Array,
    patient: NDArray[np.int64],
    weights: Weights,
    *,
    specificity: float = SPECIFICITY,
) -> Array:
    """Sensitivity at the lowest threshold that keeps the specificity, float64 (draw,), 0 to 1.

    Each draw chooses the threshold anew, on the knees that are then counted, so the number is a
    little too large where negative knees are few (by 0.02 with 40 patients; simulated). NaN in
    draws without a positive or a negative knee.

    Args as in `auroc_draws`; `specificity` is the least share of negative knees at or below the
    threshold.
    """
    if positive.all() or not positive.any():
        return np.full(len(weights), np.nan)
    thresholds = np.unique(score[~positive])[::-1]
    # Knees above each threshold, as columns of weights: few distinct scores make few columns.
    false, total = _above(thresholds, score[~positive], weights[:, patient[~positive]])
    true, diseased = _above(thresholds, score[positive], weights[:, patient[positive]])
    allowed = false <= (1 - specificity) * total[:, None] * (1 + 1e-6)
    last = allowed.shape[1] - 1 - allowed[:, ::-1].argmax(axis=1)
    found = np.take_along_axis(true, last[:, None], axis=1)[:, 0]
    # Without a negative knee any threshold would do.
    return np.where(total > 0, ratio(found, diseased), np.nan)


def _above(thresholds: Array, score: Array, weights: Weights) -> tuple[Array, Array]:
    """Weight of knees above each threshold, float64 (draw, threshold), and in all, (draw,)."""
    order = np.argsort(-score, kind="stable")
    running = np.zeros((len(weights), len(score) + 1))
    np.cumsum(weights[:, order], axis=1, out=running[:, 1:])
    counts = np.searchsorted(-score[order], -thresholds, side="left")
    return running[:, counts], running[:, -1]
