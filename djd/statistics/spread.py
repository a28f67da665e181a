"""Where a score's uncertainty comes from: the patients, the seed of a training, the split."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from djd.statistics.bootstrap import mean_of_repeats
from djd.statistics.intervals import LEVEL, defined_draws
from djd.statistics.selection import Draws


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

    Each patient lies in one fold, so a deviation between folds can't be told apart from one between
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


def patient_error(draws: NDArray[np.float64], patients: int) -> float:
    """Standard error of a score from patients alone; NaN where it is undefined in many draws.

    Args:
        draws: float64 (draw,).
        patients: How many a draw has.
    """
    defined = defined_draws(draws, patients)
    if defined is None:
        return float("nan")
    # Draws have (n - 1)/n of the variance that patients have.
    return float(defined.std() * np.sqrt(patients / (patients - 1)))


def training_deviation(scores: NDArray[np.float64], draws: Draws, repeats: Sequence[int]) -> float:
    """How much a score differs between trainings of one setting, whatever the patients.

    A standard deviation, pooled over settings since a few repeats say little; NaN where nothing
    was repeated. On the same patients repeats differ by the luck of the training, and by that of
    these patients with it, which draws of patients hold already. With V the variance between
    repeats and D its mean over draws, D is V and the latter once more, so that 2V - D is left.

    Args:
        scores: float64 (training,), those of a setting side by side.
        draws: float64 (training, draw), the same score in draws of patients.
        repeats: How many trainings each setting has.
    """
    freedom = sum(repeats) - len(repeats)
    usable = draws[:, np.isfinite(draws).all(axis=0)]
    if not freedom or not usable.size or not np.isfinite(scores).all():
        return float("nan")

    def within(values: NDArray[np.float64]) -> float:
        means = np.repeat(mean_of_repeats(values, repeats), repeats, axis=0)
        return float(((values - means) ** 2).sum(axis=0).mean() / freedom)

    return float(np.sqrt(max(2 * within(scores[:, None]) - within(usable), 0.0)))


def with_training_luck(
    draws: Draws, deviation: float, repeats: Sequence[int], *, lowest: float = -1.0, seed: int = 0
) -> Draws:
    """Draws of what settings might score if they were trained again, on other patients.

    Args:
        draws: See `Draws`, means over the repeats of each setting.
        deviation: See `training_deviation`; where it is NaN the draws stay what they are.
        repeats: How many trainings each setting has.
        lowest: The least that the score can be. The largest is 1.
        seed: The same seed gives the same draws.
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
