"""Patients drawn again and again: what a score might have been with others of their kind.

The confusion counts of a setting are kept for each patient. A draw of patients is a row of whole
weights, and all draws of all settings are one product of matrices; every score of the counts then
has its draws (Field and Welsh, Journal of the Royal Statistical Society B 69:369, 2007). Scores of
probabilities have draws of their own. All settings share the same draws, so differences between
them are paired.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from djd.grades import GRADE_COUNT
from djd.machine import on_all_cores
from djd.statistics.metrics import Counts, Scores, ratio

DRAWS = 10_000
"""Draws of patients for scores of confusion counts."""

FEW_DRAWS = 2_000
"""Draws for scores of probabilities, which take a product a setting."""

SPECIFICITY = 0.9
"""Share of normal knees that have to be called normal where early disease is looked for."""

Weights = NDArray[np.float32]
"""float32 (draw, patient): how often each draw holds each patient; rows sum to the patients."""

_MOST_COUNTS = 4_000_000
"""Drawn counts held at a time and core, 32 MB; twice as many are no faster."""


def draw_patients(
    patients: int, drawn: int | None = None, *, draws: int = DRAWS, seed: int = 0
) -> Weights:
    """Draws of patients with replacement.

    Args:
        patients: How many there are to draw from, one or more.
        drawn: How many a draw has, such as the 40 of a test; by default as many as there are.
        draws: How many draws.
        seed: The same seed gives the same draws.
    """
    generator = np.random.default_rng(seed)
    chances = np.full(patients, 1 / patients)
    return generator.multinomial(drawn or patients, chances, size=draws).astype(np.float32)


def score_draws(
    weights: Weights, counts: Counts, scores: Mapping[str, Callable[[Counts], Scores]]
) -> dict[str, NDArray[np.float64]]:
    """Every score in every draw, by name: float64 (training, draw), NaN where it is undefined.

    Args:
        weights: Draws.
        counts: (training, patient, true grade 5, predicted grade 5), int64 or means of such; a
            training here is a setting with one seed, all of its folds together.
        scores: Functions of confusion counts with leading axes, as in `djd.statistics.metrics`.
    """
    drawn = {name: np.empty((len(counts), len(weights))) for name in scores}
    at_once = max(1, _MOST_COUNTS // (len(weights) * GRADE_COUNT**2))

    def score_some(first: int) -> None:
        some = slice(first, first + at_once)
        counts_of_some = _drawn_counts(weights, counts[some])
        for name, score in scores.items():
            drawn[name][some] = score(counts_of_some).T

    on_all_cores(score_some, range(0, len(counts), at_once))
    return drawn


def _drawn_counts(weights: Weights, counts: Counts) -> NDArray[np.float64]:
    """Counts of every draw, float64 (draw, training, true grade 5, predicted grade 5)."""
    draws, patients = weights.shape
    by_patient = counts.astype(np.float32).transpose(1, 0, 2, 3).reshape(patients, -1)
    # Whole numbers below 2**24: exact in float32, at twice the speed.
    product = (weights @ by_patient).astype(np.float64)
    return product.reshape(draws, -1, GRADE_COUNT, GRADE_COUNT)


def mean_of_repeats(values: NDArray[np.float64], repeats: Sequence[int]) -> NDArray[np.float64]:
    """Means over the trainings of each setting, float64 (setting, ...).

    Args:
        values: float64 (training, ...), the trainings of a setting side by side.
        repeats: How many trainings each setting has, one or more.
    """
    firsts = np.cumsum([0, *repeats[:-1]])
    sums = np.add.reduceat(values, firsts, axis=0)
    means: NDArray[np.float64] = sums / np.reshape(repeats, (-1, *[1] * (values.ndim - 1)))
    return means


def auroc_draws(
    positive: NDArray[np.bool_],
    score: NDArray[np.float64],
    patient: NDArray[np.int64],
    weights: Weights,
) -> NDArray[np.float64]:
    """Area under the receiver operating characteristic in each draw, float64 (draw,).

    The area is a share of pairs of a positive and a negative knee (see `metrics.auroc`), so a
    table of pairs by patient gives it for any weights. NaN in draws without one of the two.

    Args:
        positive: bool (knee,), such as any disease.
        score: float64 (knee,), larger where disease is likelier.
        patient: int64 (knee,), column of the weights.
        weights: See `Weights`.
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
    score: NDArray[np.float64],
    patient: NDArray[np.int64],
    weights: Weights,
    *,
    specificity: float = SPECIFICITY,
) -> NDArray[np.float64]:
    """Sensitivity at the lowest threshold that keeps the specificity, float64 (draw,), 0 to 1.

    The threshold is found again in each draw, on the knees that it is then used on, so the number
    flatters a little where negative knees are few (by 0.02 with 40 patients; simulated). NaN in
    draws without a positive or a negative knee.

    The arguments are those of `auroc_draws`, where `positive` is such as minimal disease, and
    `specificity` is the least share of negative knees at or below the threshold.
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


def _above(
    thresholds: NDArray[np.float64], score: NDArray[np.float64], weights: Weights
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight of knees above each threshold, float64 (draw, threshold), and in all, (draw,)."""
    order = np.argsort(-score, kind="stable")
    running = np.zeros((len(weights), len(score) + 1))
    np.cumsum(weights[:, order], axis=1, out=running[:, 1:])
    counts = np.searchsorted(-score[order], -thresholds, side="left")
    return running[:, counts], running[:, -1]
