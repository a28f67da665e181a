"""Draws of scores that are no functions of confusion counts: those of probabilities."""

import numpy as np
from numpy.typing import NDArray

from djd.statistics.bootstrap import Weights

SPECIFICITY = 0.9
"""Share of normal knees that have to be called normal where early disease is looked for."""


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
    patients = weights.shape[1]
    by_positive = np.zeros((int(positive.sum()), patients))
    by_positive[np.arange(len(by_positive)), patient[positive]] = 1
    by_negative = np.zeros((int((~positive).sum()), patients))
    by_negative[np.arange(len(by_negative)), patient[~positive]] = 1
    above = (np.sign(score[positive][:, None] - score[~positive]) + 1) / 2
    pairs = (by_positive.T @ above @ by_negative).astype(np.float32)
    right = np.einsum("dp,dp->d", weights @ pairs, weights).astype(np.float64)
    all_pairs = (weights @ by_positive.sum(axis=0)) * (weights @ by_negative.sum(axis=0))
    return _share(right, all_pairs)


def sensitivity_draws(
    positive: NDArray[np.bool_],
    score: NDArray[np.float64],
    patient: NDArray[np.int64],
    weights: Weights,
    *,
    specificity: float = SPECIFICITY,
) -> NDArray[np.float64]:
    """Sensitivity at the lowest threshold that keeps the specificity, float64 (draw,), 0 to 1.

    The threshold is found again in each draw, on the knees that it is then used on, so the figure
    flatters a little where negative knees are few (by 0.02 with 40 patients; simulated). NaN in
    draws without a positive or a negative knee.

    Args:
        positive: bool (knee,), such as minimal disease; all others are negative.
        score: float64 (knee,), larger where disease is likelier.
        patient: int64 (knee,), column of the weights.
        weights: See `Weights`.
        specificity: Least share of negative knees at or below the threshold.
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
    return np.where(total > 0, _share(found, diseased), np.nan)


def _above(
    thresholds: NDArray[np.float64], score: NDArray[np.float64], weights: Weights
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight of knees above each threshold, float64 (draw, threshold), and in all, (draw,)."""
    order = np.argsort(-score, kind="stable")
    running = np.zeros((len(weights), len(score) + 1))
    np.cumsum(weights[:, order], axis=1, out=running[:, 1:])
    counts = np.searchsorted(-score[order], -thresholds, side="left")
    return running[:, counts], running[:, -1]


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    share: NDArray[np.float64] = np.divide(
        part, whole, out=np.full(len(whole), np.nan), where=whole > 0
    )
    return share
