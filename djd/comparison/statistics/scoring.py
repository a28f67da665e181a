"""Every score of every setting, with its interval."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from djd.comparison.statistics.bootstrap import Weights, mean_of_repeats, score_draws
from djd.comparison.statistics.held_out import HeldOut
from djd.comparison.statistics.intervals import (
    NO_INTERVAL,
    Interval,
    freedom_over_grades,
    logit_interval,
    loss_interval,
    percentile_interval,
    share_interval,
)
from djd.comparison.statistics.probabilities import auroc_draws, sensitivity_draws
from djd.grades import GRADE_COUNT, GRADE_NAMES
from djd.metrics import (
    ANY_DISEASE,
    THREE_GROUPS,
    Counts,
    Scores,
    accuracy,
    balanced_accuracy,
    brier_score,
    macro_f1,
    mean_absolute_error,
    merge_grades,
    off_by_one,
    precision,
    quadratic_kappa,
    ranked_probability_score,
    recall,
)

MINIMAL = 1


class Scored(NamedTuple):
    """A score and its 95 % interval; NaN where it is undefined."""

    value: float
    interval: Interval


def three_group_kappa(counts: Counts) -> Scores:
    """Quadratic kappa of none, minimal to mild, moderate to severe."""
    return quadratic_kappa(merge_grades(counts, THREE_GROUPS))


def three_group_accuracy(counts: Counts) -> Scores:
    """Share of knees in the right one of the three groups, 0 to 1."""
    return accuracy(merge_grades(counts, THREE_GROUPS))


DRAWN: Mapping[str, Callable[[Counts], Scores]] = {
    "kappa": quadratic_kappa,
    "mae": mean_absolute_error,
    "three_group_kappa": three_group_kappa,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "accuracy": accuracy,
}
"""Scores of confusion counts of which draws are needed."""

OVER_GRADES = ("balanced_accuracy", "macro_f1")
"""Means over grades, which the rarest grade makes unsure."""

PERFECT = {"kappa": 1.0, "mae": 0.0, "three_group_kappa": 1.0}
"""Where all is right no draw can be wrong, so draws can't tell how sure that is."""


def score_settings_draws(
    settings: Sequence[HeldOut], weights: Weights
) -> dict[str, NDArray[np.float64]]:
    """Draws of the scores in `DRAWN`, averaged over repeats: float64 (setting, draw) each.

    Args:
        settings: One or more, of the same patients.
        weights: Draws of these patients.
    """
    counts = np.concatenate([setting.counts() for setting in settings])
    repeats = [setting.repeats for setting in settings]
    drawn = score_draws(weights, counts, DRAWN)
    return {name: mean_of_repeats(draws, repeats) for name, draws in drawn.items()}


def scores_with_intervals(
    setting: HeldOut, draws: Mapping[str, NDArray[np.float64]], few_weights: Weights
) -> dict[str, Scored]:
    """Every score of one setting by name.

    Args:
        setting: Its held-out knees.
        draws: float64 (draw,) of each of the scores in `DRAWN`.
        few_weights: Draws of the patients for scores of probabilities.
    """
    return {
        **_of_counts(setting, draws),
        **_of_shares(setting),
        **_of_probabilities(setting, few_weights),
    }


def _of_counts(setting: HeldOut, draws: Mapping[str, NDArray[np.float64]]) -> dict[str, Scored]:
    counts = setting.counts()
    patients = int((counts.sum(axis=(0, 2, 3)) > 0).sum())
    with_grade = (counts.sum(axis=(0, 3)) > 0).sum(axis=0)
    freedom = freedom_over_grades(with_grade)
    scored = {}
    for name, score in DRAWN.items():
        value = _mean_over_repeats(score, counts)
        if value == PERFECT.get(name):
            interval = NO_INTERVAL
        elif name in OVER_GRADES:
            interval = logit_interval(value, draws[name], patients, freedom=freedom)
        else:
            interval = percentile_interval(draws[name], patients)
        scored[name] = Scored(value, interval)
    return scored


def _mean_over_repeats(score: Callable[[Counts], Scores], counts: NDArray[np.int64]) -> float:
    return float(np.mean(score(counts.sum(axis=1))))


def _of_shares(setting: HeldOut) -> dict[str, Scored]:
    """Shares of knees: accuracy, off by one at most, recall, precision, merged read-outs."""
    counts = setting.counts()
    by_patient = setting.mean_counts()
    near = np.abs(np.subtract.outer(np.arange(GRADE_COUNT), np.arange(GRADE_COUNT))) <= 1
    diagonal = np.eye(GRADE_COUNT)
    groups = np.array([0, 1, 1, 2, 2])
    everything = np.ones((GRADE_COUNT, GRADE_COUNT))
    shares = {
        "accuracy": (diagonal, everything, accuracy),
        "off_by_one": (near, everything, off_by_one),
        "three_group_accuracy": (
            np.equal.outer(groups, groups),
            everything,
            three_group_accuracy,
        ),
        "any_sensitivity": (*_any_masks(1), lambda each: recall(_any(each))[..., 1]),
        "any_specificity": (*_any_masks(0), lambda each: recall(_any(each))[..., 0]),
    }
    for grade, name in enumerate(GRADE_NAMES):
        row, column = np.zeros_like(diagonal), np.zeros_like(diagonal)
        row[grade], column[:, grade] = 1, 1
        shares[f"recall_{name}"] = (diagonal * row, row, _at(recall, grade))
        shares[f"precision_{name}"] = (diagonal * column, column, _at(precision, grade))
    return {
        name: Scored(
            _mean_over_repeats(score, counts),
            share_interval((by_patient * right).sum((1, 2)), (by_patient * of).sum((1, 2))),
        )
        for name, (right, of, score) in shares.items()
    }


def _at(score: Callable[[Counts], Scores], grade: int) -> Callable[[Counts], Scores]:
    return lambda counts: score(counts)[..., grade]


def _any(counts: Counts) -> Counts:
    return merge_grades(counts, ANY_DISEASE)


def _any_masks(group: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cells that are right, and all cells, of one of the groups none and any: 0 or 1 (5, 5)."""
    diseased = (np.arange(GRADE_COUNT) > 0) == bool(group)
    of = np.repeat(diseased[:, None], GRADE_COUNT, axis=1).astype(np.float64)
    return of * diseased, of


def _of_probabilities(setting: HeldOut, weights: Weights) -> dict[str, Scored]:
    scored = {
        "brier": _loss(setting, brier_score, weights),
        "rps": _loss(setting, ranked_probability_score, weights),
    }
    every = np.ones((1, setting.patients), dtype=np.float32)
    all_weights = np.concatenate([every, weights])
    repeats = [setting.one(repeat) for repeat in range(setting.repeats)]
    area = np.mean([_any_auroc(each, all_weights) for each in repeats], axis=0)
    early = np.mean([_early_sensitivity(each, all_weights) for each in repeats], axis=0)
    patients = len(np.unique(setting.patient))
    scored["auroc_any"] = Scored(float(area[0]), logit_interval(area[0], area[1:], patients))
    scored["early_sensitivity"] = Scored(float(early[0]), percentile_interval(early[1:], patients))
    return scored


def _loss(
    setting: HeldOut,
    loss: Callable[[NDArray[np.int64], NDArray[np.float64]], NDArray[np.float64]],
    weights: Weights,
) -> Scored:
    losses = loss(setting.grades, setting.probabilities)
    sums = np.bincount(setting.patient, weights=losses, minlength=setting.patients)
    knees = np.bincount(setting.patient, minlength=setting.patients)
    return Scored(
        float(losses.mean()),
        loss_interval(sums.astype(np.float64), knees.astype(np.float64), weights),
    )


def _any_auroc(setting: HeldOut, weights: Weights) -> NDArray[np.float64]:
    diseased = setting.grades > 0
    return auroc_draws(diseased, 1 - setting.probabilities[:, 0], setting.patient, weights)


def _early_sensitivity(setting: HeldOut, weights: Weights) -> NDArray[np.float64]:
    """Minimal disease found while nine in ten normal knees are called normal."""
    early = setting.grades <= MINIMAL
    return sensitivity_draws(
        setting.grades[early] == MINIMAL,
        1 - setting.probabilities[early, 0],
        setting.patient[early],
        weights,
    )
