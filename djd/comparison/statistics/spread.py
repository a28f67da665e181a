"""Where a score's uncertainty comes from: the patients, the seed of a training, the split."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class RepeatDeviations(NamedTuple):
    """Standard deviations of one training's score from what repeats it; NaN where nothing does.

    Attributes:
        seed: Between seeds of the same split.
        split: Between splits, beyond what their seeds explain; with one seed a split, both.
    """

    seed: float
    split: float


def repeat_deviations(scores: NDArray[np.float64], splits: NDArray[np.int64]) -> RepeatDeviations:
    """Seeds and splits told apart on the same patients, by a one-way analysis of variance.

    Each patient lies in one fold, so a deviation between folds can't be told from one between
    patients, and none is given.

    Args:
        scores: float64 (training,), one setting's score with each seed and split.
        splits: int64 (training,), split of each.
    """
    groups = [scores[splits == split] for split in np.unique(splits)]
    freedom = sum(len(group) - 1 for group in groups)
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    seed = np.sqrt(within / freedom) if freedom else float("nan")
    if len(groups) < 2:
        return RepeatDeviations(float(seed), float("nan"))
    between = float(np.var([group.mean() for group in groups], ddof=1))
    if freedom:
        # A mean of unequally many seeds: the harmonic mean of their numbers.
        between -= seed**2 * float(np.mean([1 / len(group) for group in groups]))
    return RepeatDeviations(float(seed), float(np.sqrt(max(between, 0.0))))


def patient_deviation(draws: NDArray[np.float64]) -> float:
    """Standard deviation of a score between draws of patients; NaN where it is undefined in many.

    Args:
        draws: float64 (draw,).
    """
    defined = draws[np.isfinite(draws)]
    if len(defined) < len(draws) / 2:
        return float("nan")
    return float(defined.std())
