"""Effects of choosing the best of many settings, and which others might be the best.

Scores here are float64 (setting,), larger is better; draws share their `patients` patients. The
largest of many scores is too large: with 36 equal settings and 165 patients by 0.04 of kappa, and
its plain interval holds the truth in 75 of 100 cases (`bench/coverage.py`).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from djd.grades import GRADE_COUNT
from djd.statistics.bootstrap import Weights
from djd.statistics.intervals import (
    LEAST_DEFINED,
    NO_INTERVAL,
    Interval,
    expanded_tail,
    percentile_interval,
)
from djd.statistics.metrics import Array

Draws = Array
"""float64 (setting, draw): the score of each setting in each draw; NaN where it was undefined."""


def distance_to_tell(scores: Array, draws: Draws, patients: int) -> float:
    """Least difference that distinguishes a setting from the best.

    The 95 % quantile, over draws, of the range of all settings' deviations from their own scores: a
    bound on all differences at once, so the best need not be named beforehand (after comparisons
    with the best, Hsu, Annals of Statistics 12:1136, 1984; as a range, Tukey's). 0 for a single
    setting; NaN where the draws are too few.
    """
    deviations = _defined(draws - scores[:, None])
    if patients < 2 or deviations is None:
        return float("nan")
    ranges = deviations.max(axis=0) - deviations.min(axis=0)
    return float(np.quantile(ranges, 1 - 2 * expanded_tail(patients)))


def best_set(scores: Array, draws: Draws, patients: int) -> NDArray[np.bool_]:
    """Settings that can't be distinguished from the best, bool (setting,), the best included.

    All settings where the draws are too few, such as those of one patient.
    """
    return near_best(scores, distance_to_tell(scores, draws, patients))


def near_best(scores: Array, distance: float) -> NDArray[np.bool_]:
    """Scores at most `distance` behind the largest, bool (setting,); all where `distance` is NaN.

    An undefined score is never among them where there is a distance.
    """
    if np.isnan(distance):
        return np.ones(len(scores), dtype=np.bool_)
    near: NDArray[np.bool_] = np.fmax.reduce(scores) - scores <= distance
    return near


def interval_of_best(
    scores: Array, draws: Draws, patients: int, *, lowest: float = -1.0
) -> Interval:
    """Interval of the setting with the largest score, part of which is luck.

    The lower end is a one-sided bound on all settings at once, studentized, on the scale of the
    inverse hyperbolic tangent, where a kappa's spread hardly depends on its size; the upper end is
    the setting's own, since luck can't have made the score too small. `lowest` is the least
    possible score: -1 for kappa, 0 for a share. The largest is 1.
    """
    best = int(scores.argmax())
    own = percentile_interval(draws[best], patients)
    usable = _defined(draws)
    if np.isnan(own.low) or usable is None:
        return NO_INTERVAL
    scale = _Scale(lowest, patients)
    stretched = scale.stretch(scores)
    slack = _slack_of_best(scale.stretch(usable) - stretched[:, None], best, patients)
    low = float(scale.middle + scale.half * np.tanh(float(stretched[best]) - slack))
    return Interval(min(own.low, low), own.high)


def interval_of_lead(
    scores: Array, draws: Draws, others: Array, other_draws: Draws, patients: int
) -> Interval:
    """Interval of the best kappa of several settings minus the best kappa of several others.

    Luck has made either best too large: the lower end allows for luck of the settings, the upper
    end for luck of the others, such as candidates of a baseline. One alone has a plain end.
    """
    best, best_other = int(scores.argmax()), int(others.argmax())
    own = percentile_interval(draws[best] - other_draws[best_other], patients)
    both = _defined(np.concatenate([draws, other_draws]))
    if np.isnan(own.low) or both is None:
        return NO_INTERVAL
    some, some_others = both[: len(draws)], both[len(draws) :]
    low = _least_lead(scores, some, others[best_other], some_others[best_other], patients)
    high = -_least_lead(others, some_others, scores[best], some[best], patients)
    return Interval(min(own.low, low), max(own.high, high))


def _least_lead(
    scores: Array, draws: Draws, other: float, other_draws: Array, patients: int
) -> float:
    """Lower bound on how far the best of several is above one that stands apart.

    As `interval_of_best`, with deviations on the stretched scale brought back by its slope: for the
    settings halfway between their kappas and the lower end of the best, since luck has made the
    kappas too large and so the slopes too small; for the other at its kappa.
    """
    if len(scores) == 1:
        return percentile_interval(draws[0] - other_draws, patients).low
    best = int(scores.argmax())
    scale = _Scale(-1.0, patients)
    half_of_luck = (scores[best] - interval_of_best(scores, draws, patients).low) / 2
    above = scale.deviations(scores, draws, at=scores - half_of_luck)
    others = scale.deviations(np.array([other]), other_draws[None], at=np.array([other]))
    slack = _slack_of_best(above - others, best, patients)
    return float(scores[best]) - other - slack


class _Scale:
    """The inverse hyperbolic tangent of a score; of a share that is half its logit.

    A score of 1 would be infinite, and a draw with all knees right would set the bound for all
    settings; so scores are first drawn in by one part in four times the patients. Simulated: by a
    thousandth, whatever the patients, the bound is too wide near a kappa of 1; by one part in the
    patients it is too narrow elsewhere.
    """

    def __init__(self, lowest: float, patients: int) -> None:
        self.middle = (1 + lowest) / 2
        self.half = (1 - lowest) / 2 / (1 - 1 / (4 * patients))

    def stretch(self, scores: Array) -> Array:
        stretched: Array = np.arctanh((scores - self.middle) / self.half)
        return stretched

    def deviations(self, scores: Array, draws: Draws, *, at: Array) -> Draws:
        """Deviations of draws from their scores, stretched and brought back by the slope `at`."""
        slope = self.half * (1 - ((at - self.middle) / self.half) ** 2)
        deviations: Draws = (self.stretch(draws) - self.stretch(scores)[:, None]) * slope[:, None]
        return deviations


def _slack_of_best(deviations: Draws, best: int, patients: int) -> float:
    """How far the best may be above its true score, by a bound on all deviations at once."""
    spread = deviations.std(axis=1)
    varied = spread > 0  # a constant guess deviates from nothing
    if not varied[best]:
        return 0.0
    above = (deviations[varied] / spread[varied, None]).max(axis=0)
    return float(np.quantile(above, 1 - expanded_tail(patients)) * spread[best])


def out_of_bag(counts: Sequence[NDArray[np.int64]], draws: Draws, weights: Weights) -> Array | None:
    """Confusion counts of the choosing itself: chosen in the bag, scored outside of it.

    Every draw chooses the best setting again, and takes its knees of the patients that the draw
    left out (Tsamardinos and others, Machine Learning 107:1895, 2018, with patients in place of
    samples). Counts of all draws are added before scoring: a mean of kappas of the few patients
    left out would be too small by up to 0.03.

    Each setting's counts are int64 (repeat, patient, true grade 5, predicted grade 5); `draws` are
    of the score that chooses, with the same `weights`. Returns float64 (repeat, true grade 5,
    predicted grade 5), to be scored and then averaged as a setting is; None where no draw leaves a
    patient out.
    """
    finite = np.isfinite(draws)
    chosen = np.where(finite, draws, -np.inf).argmax(axis=0)
    left_out = (weights == 0) & np.atleast_1d(finite.any(axis=0))[:, None]
    pooled = np.zeros((max(map(len, counts)), GRADE_COUNT, GRADE_COUNT))
    for setting in np.unique(chosen):
        times = left_out[chosen == setting].sum(axis=0).astype(np.float64)
        by_repeat = np.einsum("p,rpij->rij", times, counts[setting])
        # A setting with fewer repeats than others stands with each of its own in turn.
        pooled += by_repeat[np.arange(len(pooled)) % len(by_repeat)]
    return pooled if pooled.any() else None


def optimism_of_best(scores: Array, draws: Draws) -> float:
    """Mean excess of the best in each draw over its score among all patients.

    With draws of 40 patients this is what a choice on 40 test patients would have cost.
    """
    usable = draws[:, np.isfinite(draws).all(axis=0)]
    if not usable.size:
        return float("nan")
    return float((usable.max(axis=0) - scores[usable.argmax(axis=0)]).mean())


def _defined(draws: Draws) -> Draws | None:
    """Draws in which every setting has a score; None where those are too few."""
    usable = np.isfinite(draws).all(axis=0)
    return draws[:, usable] if usable.mean() >= LEAST_DEFINED else None
