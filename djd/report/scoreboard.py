"""Several graders of the same patients, scored on the same draws of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from djd.machine import on_all_cores
from djd.statistics.bootstrap import FEW_DRAWS, Weights, draw_patients
from djd.statistics.held_out import HeldOut
from djd.statistics.intervals import Estimate
from djd.statistics.metrics import accuracy, quadratic_kappa
from djd.statistics.scoring import score_settings_draws, scores_with_intervals
from djd.statistics.selection import Draws, interval_of_lead, out_of_bag


@dataclass(frozen=True, eq=False)
class Figures:
    """Scores of one setting, baseline or refit.

    Attributes:
        scores: Each with its interval, by name.
        patients: Patients behind them.
        confusion: float64 (true grade 5, predicted grade 5), knees, each counted once: means over
            repeats.
    """

    scores: Mapping[str, Estimate]
    patients: int
    confusion: NDArray[np.float64]

    @property
    def knees_of_grades(self) -> list[int]:
        """Knees of each grade."""
        return [round(knees) for knees in self.confusion.sum(axis=1)]

    @property
    def knees(self) -> int:
        """Knees in all."""
        return sum(self.knees_of_grades)


@dataclass(frozen=True, eq=False)
class Scoreboard:
    """Figures and draws of several graders of the same patients, for comparing them.

    Attributes:
        figures: One a grader.
        draws: float64 (grader, draw) by score, see `score_settings_draws`.
        weights: The draws of patients.
        graders: Who was scored.
    """

    figures: tuple[Figures, ...]
    draws: Mapping[str, Draws]
    weights: Weights
    graders: tuple[HeldOut, ...]

    @classmethod
    def of(cls, graders: Sequence[HeldOut]) -> "Scoreboard":
        """Score everyone, on the same draws of patients."""
        weights = draw_patients(graders[0].patients)
        draws = score_settings_draws(graders, weights)
        figures = figures_of(graders, draws, weights[:FEW_DRAWS])
        return cls(figures, draws, weights, tuple(graders))

    @property
    def patients(self) -> int:
        """How many a draw has."""
        return int(self.weights.shape[1])

    def values(self, score: str) -> NDArray[np.float64]:
        """A score of every grader, float64 (grader,).

        One that is undefined counts as 0, as a constant guess does: it is where all knees are of
        one grade, and given it.
        """
        return np.nan_to_num([figures.scores[score].value for figures in self.figures])

    def first(self, count: int) -> "Scoreboard":
        """The first graders alone."""
        draws = {name: rows[:count] for name, rows in self.draws.items()}
        return Scoreboard(self.figures[:count], draws, self.weights, self.graders[:count])

    def counts(self) -> list[NDArray[np.int64]]:
        """Of each grader, int64 (repeat, patient, true grade 5, predicted grade 5)."""
        return [each.counts() for each in self.graders]

    def outside(self) -> tuple[float, float]:
        """Kappa and accuracy of the choosing itself, see `out_of_bag`; NaN without a choice."""
        if len(self.figures) == 1:
            return math.nan, math.nan
        outside = out_of_bag(self.counts(), self.draws["kappa"], self.weights)
        if outside is None:
            return math.nan, math.nan
        return float(quadratic_kappa(outside).mean()), float(accuracy(outside).mean())

    def lead_over(self, others: Sequence[HeldOut]) -> Estimate:
        """Kappa of the best grader less that of the best of others, on the same draws.

        Where either is a best of many, the interval allows for that.
        """
        kappas, draws = kappas_of(others, self.weights)
        own = self.values("kappa")
        interval = interval_of_lead(own, self.draws["kappa"], kappas, draws, self.patients)
        return Estimate(float(own.max() - kappas.max()), *interval)


def kappas_of(graders: Sequence[HeldOut], weights: Weights) -> tuple[NDArray[np.float64], Draws]:
    """Kappa of every grader, float64 (grader,), 0 where it is undefined; and its draws."""
    kappas = [np.mean(quadratic_kappa(each.counts().sum(axis=1))) for each in graders]
    draws = score_settings_draws(graders, weights, {"kappa": quadratic_kappa})["kappa"]
    return np.nan_to_num(kappas), draws


def figures_of(
    graders: Sequence[HeldOut], draws: Mapping[str, Draws], few_weights: Weights
) -> tuple[Figures, ...]:
    """Every score of every grader with its interval; see `scores_with_intervals`."""

    def score(place: int) -> Figures:
        own = {name: rows[place] for name, rows in draws.items()}
        return _figures(graders[place], own, few_weights)

    return tuple(on_all_cores(score, range(len(graders))))


def _figures(
    grader: HeldOut, draws: Mapping[str, NDArray[np.float64]], few_weights: Weights
) -> Figures:
    return Figures(
        scores=scores_with_intervals(grader, draws, few_weights),
        patients=len(np.unique(grader.patient)),
        confusion=grader.mean_counts().sum(axis=0),
    )
