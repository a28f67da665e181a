"""Every score of every setting, with its interval."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from djd.grades import GRADE_COUNT, GRADE_NAMES
from djd.statistics import bootstrap, intervals, metrics
from djd.statistics.bootstrap import Weights
from djd.statistics.held_out import HeldOut
from djd.statistics.intervals import NO_INTERVAL, Estimate
from djd.statistics.metrics import Array, Counts, Grades, Scores

MINIMAL = 1


def three_group_kappa(counts: Counts) -> Scores:
    """Quadratic kappa of none, minimal to mild, moderate to severe."""
    return metrics.quadratic_kappa(metrics.merge_grades(counts, metrics.THREE_GROUPS))


ScoreFunctions = Mapping[str, Callable[[Counts], Scores]]
DRAWN: ScoreFunctions = {
    "kappa": metrics.quadratic_kappa,
    "mae": metrics.mean_absolute_error,
    "three_group_kappa": three_group_kappa,
    "balanced_accuracy": metrics.balanced_accuracy,
    "macro_f1": metrics.macro_f1,
    "accuracy": metrics.accuracy,
}
"""Scores of confusion counts of which draws are needed."""

Cells = NDArray[np.bool_]
"""bool (true grade 5, predicted grade 5)."""


def _shares() -> dict[str, tuple[Cells, Cells]]:
    true, given = np.indices((GRADE_COUNT, GRADE_COUNT))
    diseased = np.arange(GRADE_COUNT) > 0
    groups = metrics.THREE_GROUPS
    group = np.repeat(np.arange(len(groups)), [len(grades) for grades in groups])
    everywhere = true >= 0
    shares = {
        "accuracy": (true == given, everywhere),
        "off_by_one": (np.abs(true - given) <= 1, everywhere),
        "three_group_accuracy": (group[true] == group[given], everywhere),
        "any_sensitivity": (diseased[true] & diseased[given], diseased[true]),
        "any_specificity": (~diseased[true] & ~diseased[given], ~diseased[true]),
    }
    for grade, name in enumerate(GRADE_NAMES):
        both = (true == grade) & (given == grade)
        shares[f"recall_{name}"] = (both, true == grade)
        shares[f"precision_{name}"] = (both, given == grade)
    return shares


SHARES = _shares()
"""Scores that are shares of knees: the cells that count, of which cells."""

_RIGHT = np.stack([right.ravel() for right, _ in SHARES.values()], axis=1).astype(np.float64)
_OF = np.stack([of.ravel() for _, of in SHARES.values()], axis=1).astype(np.float64)

OVER_GRADES = ("balanced_accuracy", "macro_f1")
"""Means over grades, which the rarest grade makes unsure."""

PERFECT = {"kappa": 1.0, "mae": 0.0, "three_group_kappa": 1.0}
"""Where all is right no draw can be wrong, so draws don't show how sure that is."""


def score_settings_draws(
    settings: Sequence[HeldOut], weights: Weights, scores: ScoreFunctions = DRAWN
) -> dict[str, Array]:
    """Draws of scores, averaged over repeats: float64 (setting, draw) each.

    The settings, one or more, and the weights are of the same patients.
    """
    repeats = [setting.repeats for setting in settings]
    counts = np.concatenate([setting.counts() for setting in settings])
    drawn = bootstrap.score_draws(weights, counts, scores)
    return {name: bootstrap.mean_of_repeats(draws, repeats) for name, draws in drawn.items()}


def loss_draws(
    settings: Sequence[HeldOut],
    weights: Weights,
    loss: Callable[[Grades, Array], Array] = metrics.ranked_probability_score,
) -> Array:
    """Mean loss of a knee of every training in every draw, float64 (training, draw).

    The settings, one or more, and the weights are of the same patients; for means over a setting's
    trainings see `mean_of_repeats`.
    """
    sums, knees = [], []
    for each in settings:
        place, size = each.repeat * each.patients + each.patient, each.repeats * each.patients
        losses = loss(each.grades, each.probabilities)
        sums.append(np.bincount(place, losses, minlength=size).reshape(each.repeats, -1))
        knees.append(np.bincount(place, minlength=size).reshape(each.repeats, -1))
    of_draws = weights.astype(np.float64)
    return metrics.ratio(np.concatenate(sums) @ of_draws.T, np.concatenate(knees) @ of_draws.T)


def scores_with_intervals(
    setting: HeldOut, draws: Mapping[str, Array], few_weights: Weights
) -> dict[str, Estimate]:
    """Every score of one setting by name, with draws float64 (draw,) of each score of `DRAWN`.

    `few_weights` are draws of the patients for scores of probabilities.
    """
    return {
        **_of_counts(setting, draws),
        **_of_shares(setting),
        "brier": _loss(setting, metrics.brier_score, few_weights, most=2.0),
        "rps": _loss(setting, metrics.ranked_probability_score, few_weights, most=1.0),
        **_of_probabilities(setting, few_weights),
    }


def scores_alone(setting: HeldOut) -> dict[str, float]:
    """The same scores without intervals, of very many trainings: in a tenth of the time."""
    counts = setting.counts().sum(axis=1)
    cells = counts.reshape(setting.repeats, 1, -1).astype(np.float64)
    everybody = np.ones((1, setting.patients), dtype=np.float32)
    area, sensitivity = _areas_and_sensitivities(setting, everybody)
    return {
        **{name: float(np.mean(score(counts))) for name, score in DRAWN.items()},
        **dict(zip(SHARES, _share_values(cells @ _RIGHT, cells @ _OF).tolist(), strict=True)),
        "brier": _mean_loss(setting, metrics.brier_score(setting.grades, setting.probabilities)),
        "rps": _mean_loss(
            setting, metrics.ranked_probability_score(setting.grades, setting.probabilities)
        ),
        "auroc_any": float(area[0]),
        "early_sensitivity": float(sensitivity[0]),
    }


def _of_counts(setting: HeldOut, draws: Mapping[str, Array]) -> dict[str, Estimate]:
    counts = setting.counts()
    patients = int((counts.sum(axis=(0, 2, 3)) > 0).sum())
    freedom = intervals.freedom_over_grades((counts.sum(axis=(0, 3)) > 0).sum(axis=0))
    scored = {}
    for name, score in DRAWN.items():
        value = float(np.mean(score(counts.sum(axis=1))))
        if value == PERFECT.get(name):
            interval = NO_INTERVAL
        elif name in OVER_GRADES:
            interval = intervals.logit_interval(value, draws[name], patients, freedom=freedom)
        else:
            interval = intervals.percentile_interval(draws[name], patients)
        scored[name] = Estimate(value, *interval)
    return scored


def _of_shares(setting: HeldOut) -> dict[str, Estimate]:
    """Shares of knees: accuracy, off by one at most, recall, precision, merged read-outs."""
    counts = setting.counts().reshape(setting.repeats, setting.patients, -1).astype(np.float64)
    right, all_of = counts @ _RIGHT, counts @ _OF
    values = _share_values(right, all_of)
    interval_of = intervals.share_interval
    return {
        name: Estimate(float(values[i]), *interval_of(right[..., i], all_of[..., i]))
        for i, name in enumerate(SHARES)
    }


def _share_values(right: Array, all_of: Array) -> Array:
    """Shares as means over repeats, float64 (share,), of counts (repeat, patient, share)."""
    with np.errstate(invalid="ignore"):
        values: Array = (right.sum(axis=1) / all_of.sum(axis=1)).mean(axis=0)
    return values


def _loss(
    setting: HeldOut, loss: Callable[[Grades, Array], Array], weights: Weights, *, most: float
) -> Estimate:
    losses = loss(setting.grades, setting.probabilities)
    count = partial(np.bincount, setting.patient, minlength=setting.patients)
    sums, knees = count(weights=losses).astype(np.float64), count().astype(np.float64)
    interval = intervals.loss_interval(sums, knees, weights, most=most)
    return Estimate(_mean_loss(setting, losses), *interval)


def _mean_loss(setting: HeldOut, losses: Array) -> float:
    means = [losses[setting.repeat == repeat].mean() for repeat in range(setting.repeats)]
    return float(np.mean(means))


def _of_probabilities(setting: HeldOut, weights: Weights) -> dict[str, Estimate]:
    """AUROC, and minimal disease found while nine in ten normal knees are called normal."""
    weights = np.concatenate([np.ones((1, setting.patients), dtype=np.float32), weights])
    area, sensitivity = _areas_and_sensitivities(setting, weights)
    patients = len(np.unique(setting.patient))
    interval = intervals.percentile_interval(sensitivity[1:], patients)
    if interval.low == interval.high:
        interval = NO_INTERVAL  # where every draw finds all or none, draws can't know better
    of_area = intervals.logit_interval(area[0], area[1:], patients)
    return {
        "auroc_any": Estimate(float(area[0]), *of_area),
        "early_sensitivity": Estimate(float(sensitivity[0]), *interval),
    }


def _areas_and_sensitivities(setting: HeldOut, weights: Weights) -> tuple[Array, Array]:
    """Of `_of_probabilities` in each draw, means over the repeats, float64 (draw,) each."""
    areas, found = [], []
    for knees in map(setting.one, range(setting.repeats)):
        chance, early = 1 - knees.probabilities[:, 0], knees.grades <= MINIMAL
        areas.append(bootstrap.auroc_draws(knees.grades > 0, chance, knees.patient, weights))
        minimal = knees.grades[early] == MINIMAL
        those = (minimal, chance[early], knees.patient[early])
        found.append(bootstrap.sensitivity_draws(*those, weights))
    return np.mean(areas, axis=0), np.mean(found, axis=0)
