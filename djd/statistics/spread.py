"""Sources of a score's uncertainty: patients, the seed of a training, the split."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from djd.statistics.bootstrap import mean_of_repeats
from djd.statistics.intervals import LEVEL, defined_draws
from djd.statistics.metrics import Array
from djd.statistics.selection import Draws


class RepeatDeviations(NamedTuple):
    """Standard deviations of one training's score; NaN where nothing was repeated.

    Attributes:
        seed: Between seeds of the same split.
        split: Between splits, beyond the effect of seeds; with one seed a split, both.
    """

    seed: float
    split: float


def repeat_deviations(scores: Array, splits: NDArray[np.int64]) -> RepeatDeviations:
    """Deviations of seeds and of splits on the same patients, by a one-way analysis of variance.

    `scores` float64 and `splits` int64 are (training,), of one setting. Each patient lies in one
    fold, so deviations between folds and between patients are the same; none of folds is given.
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


def patient_error(draws: Array, patients: int) -> float:
    """Standard error of a score from patients alone; NaN where it is undefined in many draws."""
    defined = defined_draws(draws, patients)
    if defined is None:
        return float("nan")
    # Draws have (n - 1)/n of the variance that patients have.
    return float(defined.std() * np.sqrt(patients / (patients - 1)))


def training_deviation(scores: Array, draws: Draws, repeats: Sequence[int]) -> float:
    """Standard deviation of a score between trainings of one setting, apart from the patients.

    Pooled over settings since a few repeats say little; NaN where nothing was repeated. On the same
    patients repeats differ by the luck of the training, and by these patients' part in that luck,
    which draws of patients hold already. With V the variance between repeats and D its mean over
    draws, D is V plus that part once more, so 2V - D remains.

    `scores` are (training,) and `draws` (training, draw), as in `mean_of_repeats`.
    """
    freedom = sum(repeats) - len(repeats)
    usable = draws[:, np.isfinite(draws).all(axis=0)]
    if not freedom or not usable.size or not np.isfinite(scores).all():
        return float("nan")

    def within(values: Array) -> float:
        means = np.repeat(mean_of_repeats(values, repeats), repeats, axis=0)
        return float(((values - means) ** 2).sum(axis=0).mean() / freedom)

    return float(np.sqrt(max(2 * within(scores[:, None]) - within(usable), 0.0)))


def with_training_luck(
    draws: Draws, deviation: float, repeats: Sequence[int], *, lowest: float = -1.0, seed: int = 0
) -> Draws:
    """Draws of the scores that settings might have if trained again, on other patients.

    `draws` are means over the repeats of each setting. A `deviation` of NaN (see
    `training_deviation`) leaves them unchanged. Scores lie between `lowest` and 1.
    """
    if not deviation > 0:
        return draws
    # As expanded percentiles do for patients: few repeats are as unsure as Student's t says.
    tail = (1 - LEVEL) / 2
    unsure = stdtrit(sum(repeats) - len(repeats), 1 - tail) / ndtri(1 - tail)
    luck = np.random.default_rng(seed).standard_normal(draws.shape)
    deviations = deviation * unsure / np.sqrt(np.array(repeats, dtype=np.float64))
    again: Draws = np.clip(draws + luck * deviations[:, None], lowest, 1)
    return again
