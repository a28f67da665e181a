"""Several graders of the same patients, scored on the same draws of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from djd.comparison.statistics.bootstrap import FEW_DRAWS, Weights, draw_patients
from djd.comparison.statistics.held_out import HeldOut
from djd.comparison.statistics.intervals import Interval
from djd.comparison.statistics.scoring import (
    Scored,
    score_settings_draws,
    scores_with_intervals,
)
from djd.comparison.statistics.selection import Draws, interval_of_lead
from djd.cores import on_all_cores


@dataclass(frozen=True, eq=False)
class Figures:
    """Scores of one setting, baseline or refit.

    Attributes:
        scores: Each with its interval, by name.
        patients: Patients behind them.
        knees_of_grades: Their knees of each grade, each counted once.
    """

    scores: Mapping[str, Scored]
    patients: int
    knees_of_grades: tuple[int, ...]

    @property
    def knees(self) -> int:
        """Knees in all."""
        return sum(self.knees_of_grades)


@dataclass(frozen=True)
class Difference:
    """How far one kappa is above another on the same knees.

    Attributes:
        value: The one less the other.
        interval: Of it; where the one is a best of many its lower end allows for that.
    """

    value: float
    interval: Interval


@dataclass(frozen=True, eq=False)
class Scoreboard:
    """Figures and draws of several graders of the same patients, for comparing them.

    Attributes:
        figures: One a grader.
        draws: float64 (grader, draw) by score, see `score_settings_draws`.
        weights: The draws of patients.
        mean_counts: float64 (grader, patient, true grade 5, predicted grade 5).
    """

    figures: tuple[Figures, ...]
    draws: Mapping[str, Draws]
    weights: Weights
    mean_counts: NDArray[np.float64]

    @classmethod
    def of(cls, graders: Sequence[HeldOut]) -> "Scoreboard":
        """Score everyone, on the same draws of patients."""
        weights = draw_patients(graders[0].patients)
        draws = score_settings_draws(graders, weights)
        figures = figures_of(graders, draws, weights[:FEW_DRAWS])
        return cls(figures, draws, weights, np.stack([each.mean_counts() for each in graders]))

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
        return Scoreboard(self.figures[:count], draws, self.weights, self.mean_counts[:count])

    def lead(self, one: Sequence[int], other: int) -> Difference:
        """Kappa of the best of some graders less another's."""
        kappas, draws = self.values("kappa"), self.draws["kappa"]
        interval = interval_of_lead(
            kappas[one], draws[one], kappas[other], draws[other], self.patients
        )
        return Difference(float(kappas[one].max() - kappas[other]), interval)


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
        knees_of_grades=tuple(round(knees) for knees in grader.mean_counts().sum(axis=(0, 2))),
    )
