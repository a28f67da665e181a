"""From held-out knees to findings: who is best, how sure that is, and what choosing cost."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from djd.comparison.findings.axis_effects import AxisEffect, axis_effects
from djd.comparison.findings.evidence import Evidence
from djd.comparison.findings.scoreboard import Difference, Figures, Scoreboard
from djd.comparison.settings import Setting
from djd.comparison.statistics.bootstrap import (
    FEW_DRAWS,
    draw_some_patients,
    score_draws,
)
from djd.comparison.statistics.held_out import HeldOut
from djd.comparison.statistics.selection import (
    best_set,
    distance_to_tell,
    interval_of_best,
    optimism_of_best,
    out_of_bag,
)
from djd.comparison.statistics.spread import (
    RepeatDeviations,
    patient_deviation,
    repeat_deviations,
)
from djd.metrics import accuracy, quadratic_kappa


@dataclass(frozen=True, eq=False)
class SettingFigures:
    """A setting with its place in the comparison.

    Attributes:
        setting: Which.
        figures: Its scores out of fold. The interval of the best setting's kappa is that of a best
            of many.
        in_best_set: Whether its kappa can't be told from the best.
        in_best_set_of_accuracy: The same of accuracy.
        between_patients: Standard deviation of its kappa from patients.
        between_repeats: Of a single training's kappa from seeds and splits.
    """

    setting: Setting
    figures: Figures
    in_best_set: bool
    in_best_set_of_accuracy: bool
    between_patients: float
    between_repeats: RepeatDeviations


@dataclass(frozen=True)
class Choice:
    """What choosing the best did to its figure; NaN where there was nothing to choose from.

    Attributes:
        distance: How far a kappa has to be behind the best to be told from it.
        kappa_outside: Kappa of the choosing itself: chosen in the bag, scored outside of it.
        accuracy_outside: Accuracy of the same.
        optimism: The best's kappa less that.
        optimism_on_test: How much too good a best would look that was chosen on as many patients
            as the test has.
    """

    distance: float
    kappa_outside: float
    accuracy_outside: float
    optimism: float
    optimism_on_test: float


@dataclass(frozen=True, eq=False)
class Findings:
    """A comparison in figures, out of fold.

    Attributes:
        evidence: What they come from.
        settings: The best first.
        baselines: Scores of each baseline by name, on the same knees.
        beyond: The best setting's kappa less each baseline's.
        choice: What choosing cost.
        effects: Of every axis with more than one level, on kappa and accuracy.
    """

    evidence: Evidence
    settings: tuple[SettingFigures, ...]
    baselines: Mapping[str, Figures]
    beyond: Mapping[str, Difference]
    choice: Choice
    effects: tuple[AxisEffect, ...]


def find(evidence: Evidence, baselines: Mapping[str, HeldOut], *, test_patients: int) -> Findings:
    """Work all figures out.

    Args:
        evidence: Of one setting at least.
        baselines: Held-out knees of each baseline, the same as those of the settings.
        test_patients: How many the test has; 0 where that isn't known.
    """
    board = Scoreboard.of([*evidence.held_out, *baselines.values()])
    count = len(evidence.settings)
    networks = board.first(count)
    return Findings(
        evidence=evidence,
        settings=_settings(evidence, networks),
        baselines=dict(zip(baselines, board.figures[count:], strict=True)),
        beyond={
            name: board.lead(range(count), count + place) for place, name in enumerate(baselines)
        },
        choice=_choice(networks, test_patients),
        effects=tuple(
            effect
            for score in ("kappa", "accuracy")
            for effect in axis_effects(
                evidence.settings,
                score,
                networks.values(score),
                networks.draws[score],
                networks.patients,
            )
        ),
    )


def _settings(evidence: Evidence, board: Scoreboard) -> tuple[SettingFigures, ...]:
    in_set = {
        score: best_set(board.values(score), board.draws[score], board.patients)
        for score in ("kappa", "accuracy")
    }
    figures = [_allow_for_choice(board), *board.figures[1:]]
    return tuple(
        SettingFigures(
            setting=setting,
            figures=figures[place],
            in_best_set=bool(in_set["kappa"][place]),
            in_best_set_of_accuracy=bool(in_set["accuracy"][place]),
            between_patients=patient_deviation(board.draws["kappa"][place]),
            between_repeats=_between_repeats(setting, evidence.held_out[place]),
        )
        for place, setting in enumerate(evidence.settings)
    )


def _allow_for_choice(board: Scoreboard) -> Figures:
    """The best setting's figures, with the interval of a best of many."""
    best = board.figures[0]
    kappa = best.scores["kappa"]
    if len(board.figures) == 1 or math.isnan(kappa.interval.low):
        return best
    interval = interval_of_best(board.values("kappa"), board.draws["kappa"], board.patients)
    kappa = kappa._replace(interval=interval)
    return replace(best, scores={**best.scores, "kappa": kappa})


def _between_repeats(setting: Setting, held_out: HeldOut) -> RepeatDeviations:
    kappas = np.array(
        [
            float(quadratic_kappa(held_out.one(repeat).confusion()))
            for repeat in range(held_out.repeats)
        ]
    )
    return repeat_deviations(kappas, np.array(setting.splits))


def _choice(board: Scoreboard, test_patients: int) -> Choice:
    kappas, draws = board.values("kappa"), board.draws["kappa"]
    distance = distance_to_tell(kappas, draws, board.patients)
    several = len(kappas) > 1
    outside = out_of_bag(board.mean_counts, draws, board.weights) if several else None
    if outside is None:
        return Choice(distance, math.nan, math.nan, math.nan, math.nan)
    kappa_outside = float(quadratic_kappa(outside))
    return Choice(
        distance=distance,
        kappa_outside=kappa_outside,
        accuracy_outside=float(accuracy(outside)),
        optimism=float(kappas.max()) - kappa_outside,
        optimism_on_test=_optimism_on_test(board, test_patients),
    )


def _optimism_on_test(board: Scoreboard, test_patients: int) -> float:
    if not test_patients:
        return math.nan
    few = draw_some_patients(board.patients, test_patients, draws=FEW_DRAWS)
    draws = score_draws(few, board.mean_counts, {"kappa": quadratic_kappa})["kappa"]
    return optimism_of_best(board.values("kappa"), draws)
