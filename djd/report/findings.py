"""From held-out knees to findings: the best setting, its certainty, and the cost of choosing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from djd.report.axes import COMPARED, AxisEffect, axis_effects
from djd.report.scores import GraderScores, Scoreboard, as_best, kappas_of
from djd.report.steps import Step, steps
from djd.statistics.bootstrap import FEW_DRAWS, draw_patients, draws_of, score_draws
from djd.statistics.held_out import HeldOut
from djd.statistics.intervals import Estimate
from djd.statistics.metrics import quadratic_kappa
from djd.statistics.scoring import DRAWN, loss_draws, score_settings_draws
from djd.statistics.selection import Draws, best_set, distance_to_tell, optimism_of_best
from djd.statistics.spread import (
    RepeatDeviations,
    patient_error,
    repeat_deviations,
    training_deviation,
    with_training_luck,
)
from djd.sweeps.setting_scores import Evidence, Setting


@dataclass(frozen=True, eq=False)
class SettingScores(GraderScores):
    """A setting's scores out of fold; the best's kappa has the interval of a best of many.

    Attributes:
        in_best_set: Whether its kappa can't be told apart from the best.
        in_best_set_of_accuracy: The same of accuracy.
        patient_error: Standard error of its kappa from patients.
        between_repeats: Of the kappa of a single training.
    """

    setting: Setting
    in_best_set: bool
    in_best_set_of_accuracy: bool
    patient_error: float
    between_repeats: RepeatDeviations


@dataclass(frozen=True, eq=False)
class Findings:
    """A comparison in numbers, out of fold.

    Attributes:
        settings: The best first.
        baselines: By name, on the same knees.
        beyond: The best setting's kappa less each baseline's.
        beyond_in_rps: How much smaller its ranked probability score is than that of each
            baseline's candidate with the least.
        distance: The least difference of kappa from the best that can be told apart.
        kappa_outside: Of the choosing itself: chosen in the bag, scored outside of the bag; NaN, as
            the next two, where there was nothing to choose from.
        optimism: The best's kappa less `kappa_outside`.
        optimism_on_test: The same of a best chosen on as many patients as the test has.
        effects: Of every axis with more than one level, on each score of `COMPARED`.
        training_deviation: Of kappa between trainings of a setting; NaN where no training was
            repeated. Best set, effects and steps allow for this deviation.
        steps: What each recipe gained over the one before; none where `recipe` is no axis.
    """

    evidence: Evidence
    settings: tuple[SettingScores, ...]
    baselines: Mapping[str, GraderScores]
    beyond: Mapping[str, Estimate]
    beyond_in_rps: Mapping[str, Estimate]
    distance: float
    kappa_outside: float
    optimism: float
    optimism_on_test: float
    effects: tuple[AxisEffect, ...]
    training_deviation: float
    steps: tuple[Step, ...]


def find(
    evidence: Evidence,
    baselines: Mapping[str, Sequence[HeldOut]],
    finer: Mapping[str, HeldOut],
    *,
    test_patients: int,
) -> Findings:
    """The numbers of one setting or more.

    Args:
        evidence: Of one setting at least.
        baselines: The settings' knees as the chosen candidate of each baseline graded them, then
            as each candidate did.
        finer: The same as each baseline's candidate with the least ranked probability score did.
        test_patients: 0 where their number isn't known.
    """
    count = len(evidence.settings)
    weights = draw_patients(len(evidence.patients), draws=draws_of(count))
    fitted = [chosen for chosen, *_ in baselines.values()]
    board = Scoreboard.of([*evidence.held_out, *fitted], weights)
    networks = board.first(count)
    deviations = {score: _training_deviation(networks, score) for score in COMPARED}
    repeats = [each.repeats for each in evidence.held_out]
    # Draws with the luck of trainings, as far as repeats show that luck.
    again = {
        score: with_training_luck(
            networks.upward(score)[1], deviations[score], repeats, lowest=lowest
        )
        for score, lowest in COMPARED.items()
    }
    kappas, kappa_outside = networks.values("kappa"), networks.kappa_outside()
    effects = (
        axis_effects(evidence.settings, score, networks.upward(score)[0], draws, networks.patients)
        for score, draws in again.items()
    )
    judged = zip(baselines.items(), board.scores[count:], strict=True)
    return Findings(
        evidence=evidence,
        settings=_settings(evidence, networks, again),
        baselines={
            name: as_best(scores, *kappas_of(candidates, board.weights), board.patients)
            for (name, (_, *candidates)), scores in judged
        },
        beyond={name: networks.lead_over(tried) for name, (_, *tried) in baselines.items()},
        beyond_in_rps={name: networks.finer_lead(each) for name, each in finer.items()},
        distance=distance_to_tell(kappas, again["kappa"], networks.patients),
        kappa_outside=kappa_outside,
        optimism=float(kappas.max()) - kappa_outside,
        optimism_on_test=_optimism_on_test(networks, test_patients),
        effects=tuple(chain.from_iterable(effects)),
        training_deviation=deviations["kappa"],
        steps=steps(evidence.settings, networks, again),
    )


def _training_deviation(board: Scoreboard, score: str) -> float:
    repeats = [each.repeats for each in board.graders]
    if max(repeats) == 1:
        return math.nan
    few = board.weights[:FEW_DRAWS]
    if score == "rps":
        values = loss_draws(board.graders, np.ones((1, board.patients), dtype=np.float32))[:, 0]
        return training_deviation(values, loss_draws(board.graders, few), repeats)
    counts = np.concatenate(board.counts())
    draws = score_draws(few, counts, {score: DRAWN[score]})[score]
    return training_deviation(DRAWN[score](counts.sum(axis=1)), draws, repeats)


def _settings(
    evidence: Evidence, board: Scoreboard, again: Mapping[str, Draws]
) -> tuple[SettingScores, ...]:
    patients, kappas = board.patients, board.draws["kappa"]
    in_set = {score: best_set(board.upward(score)[0], again[score], patients) for score in again}
    first, *others = board.scores
    scored = [as_best(first, board.values("kappa"), kappas, patients), *others]
    return tuple(
        SettingScores(
            **vars(scores),
            setting=setting,
            in_best_set=bool(in_set["kappa"][place]),
            in_best_set_of_accuracy=bool(in_set["accuracy"][place]),
            patient_error=patient_error(kappas[place], patients),
            between_repeats=_between_repeats(setting, evidence.held_out[place]),
        )
        for place, (setting, scores) in enumerate(zip(evidence.settings, scored, strict=True))
    )


def _between_repeats(setting: Setting, held_out: HeldOut) -> RepeatDeviations:
    repeats = [held_out.one(repeat).confusion() for repeat in range(held_out.repeats)]
    kappas = np.array([float(quadratic_kappa(each)) for each in repeats])
    return repeat_deviations(kappas, np.array(setting.splits))


def _optimism_on_test(board: Scoreboard, test_patients: int) -> float:
    if not test_patients or len(board.scores) == 1:
        return math.nan
    few = draw_patients(board.patients, test_patients, draws=FEW_DRAWS)
    draws = score_settings_draws(board.graders, few, {"kappa": quadratic_kappa})["kappa"]
    return optimism_of_best(board.values("kappa"), draws)
