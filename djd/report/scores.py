"""Settings, baselines and a second reader, scored on the same draws of the same patients."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from djd.data.tables import Readings
from djd.grades import GRADE_COUNT, Side
from djd.machine import on_all_cores, one_blas_thread, usable_cores
from djd.processes import in_processes
from djd.statistics.bootstrap import FEW_DRAWS, Weights, draw_patients, mean_of_repeats
from djd.statistics.held_out import HeldOut
from djd.statistics.intervals import Estimate, percentile_interval
from djd.statistics.metrics import quadratic_kappa
from djd.statistics.scoring import loss_draws, score_settings_draws, scores_with_intervals
from djd.statistics.selection import Draws, interval_of_best, interval_of_lead, out_of_bag
from djd.sweeps.setting_scores import Knee
from djd.wording import number, share

DASH = "-"

SMALLER_IS_BETTER = frozenset({"rps"})
"""Scores of which the smallest is the best."""

KEPT = ("kappa", "accuracy", "rps")
"""Scores by which graders are compared, so that the draws of all are needed together."""

MOST_IN_THREADS = 1000
"""Graders that threads score; processes score more. Threads wait for each other: 500 graders of 65
knees took 2.3 s in two threads, 1.7 s in one (two cores with AVX-512, 2026-11-30)."""

AT_ONCE = 250
"""Graders that a process scores at a time."""


def scored(score: Estimate, *, percent: bool = False, decimals: int = 2) -> str:
    """A score with its interval, as `0.62 (0.45 to 0.74)` or `46 % (34 to 58)`."""
    value, low, high = score
    if math.isnan(value):
        return DASH
    if percent:
        ends = "" if math.isnan(low) else f" ({share(low)[:-2]} to {share(high)[:-2]})"
        return f"{share(value)}{ends}"
    # An interval without width is none: the kappa of a constant guess is always 0.
    no_ends = math.isnan(low) or low == high
    said, least, most = (number(each, decimals=decimals) for each in score)
    return said if no_ends else f"{said} ({least} to {most})"


@dataclass(frozen=True, eq=False)
class GraderScores:
    """Scores of one setting, baseline, refit or reader.

    Attributes:
        scores: By name.
        patients: Number of patients.
        confusion: float64 (true grade 5, predicted grade 5), knees as means over repeats.
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
    """Scores and draws of several graders of the same patients.

    Attributes:
        draws: float64 (grader, draw) of each score of `KEPT`, see `score_settings_draws`.
        weights: The draws of patients.
    """

    scores: tuple[GraderScores, ...]
    draws: Mapping[str, Draws]
    weights: Weights
    graders: tuple[HeldOut, ...]

    @classmethod
    def of(cls, graders: Sequence[HeldOut], weights: Weights | None = None) -> "Scoreboard":
        """Score one grader or more; by default on the draws of a setting's intervals."""
        weights = draw_patients(graders[0].patients) if weights is None else weights
        if len(graders) <= MOST_IN_THREADS:
            scores, draws = _scored(graders, weights)
            return cls(tuple(scores), draws, weights, tuple(graders))
        draws = {name: np.empty((len(graders), len(weights))) for name in KEPT}
        scores = []
        chunks = (graders[at : at + AT_ONCE] for at in range(0, len(graders), AT_ONCE))
        score = partial(_scored, weights=weights, threads=False)
        for scored, drawn in in_processes(score, chunks, processes=usable_cores()):
            some = slice(len(scores), len(scores) + len(scored))
            scores += scored
            for name, rows in draws.items():
                rows[some] = drawn[name]
        return cls(tuple(scores), draws, weights, tuple(graders))

    @property
    def patients(self) -> int:
        """Number of patients of a draw."""
        return int(self.weights.shape[1])

    def values(self, score: str) -> NDArray[np.float64]:
        """A score of every grader, float64 (grader,); 0 where undefined, as of a constant guess."""
        return np.nan_to_num([each.scores[score].value for each in self.scores])

    def upward(self, score: str) -> tuple[NDArray[np.float64], Draws]:
        """Values and draws of a score, negated where smaller is better: the larger the better."""
        if score in SMALLER_IS_BETTER:
            return -self.values(score), -self.draws[score]
        return self.values(score), self.draws[score]

    def finer_lead(self, other: HeldOut) -> Estimate:
        """How much smaller the first grader's ranked probability score is than another's."""
        everybody = np.ones((1, self.patients), dtype=np.float32)
        value = loss_draws([other], everybody).mean() - self.values("rps")[0]
        drawn = loss_draws([other], self.weights).mean(axis=0) - self.draws["rps"][0]
        return Estimate(float(value), *percentile_interval(drawn, self.patients))

    def first(self, count: int) -> "Scoreboard":
        """The first graders alone."""
        draws = {name: rows[:count] for name, rows in self.draws.items()}
        return Scoreboard(self.scores[:count], draws, self.weights, self.graders[:count])

    def counts(self) -> list[NDArray[np.int64]]:
        """Of each grader, int64 (repeat, patient, true grade 5, predicted grade 5)."""
        return [each.counts() for each in self.graders]

    def kappa_outside(self) -> float:
        """Kappa of the choosing itself, see `out_of_bag`; NaN without a choice."""
        if len(self.scores) == 1:
            return math.nan
        outside = out_of_bag(self.counts(), self.draws["kappa"], self.weights)
        return math.nan if outside is None else float(quadratic_kappa(outside).mean())

    def lead_over(self, others: Sequence[HeldOut]) -> Estimate:
        """Kappa of the best grader less the best kappa of others; see `interval_of_lead`."""
        kappas, draws = kappas_of(others, self.weights)
        own = self.values("kappa")
        interval = interval_of_lead(own, self.draws["kappa"], kappas, draws, self.patients)
        return Estimate(float(own.max() - kappas.max()), *interval)


def _scored(
    graders: Sequence[HeldOut], weights: Weights, *, threads: bool = True
) -> tuple[list[GraderScores], dict[str, Draws]]:
    """Scores of some graders, and their draws of the scores of `KEPT`."""
    rps = mean_of_repeats(loss_draws(graders, weights), [each.repeats for each in graders])
    draws = {**score_settings_draws(graders, weights), "rps": rps}

    def score(place: int) -> GraderScores:
        grader = graders[place]
        own = {name: rows[place] for name, rows in draws.items()}
        scores = scores_with_intervals(grader, own, weights[:FEW_DRAWS])
        patients = len(np.unique(grader.patient))
        return GraderScores(scores, patients, grader.mean_counts().sum(axis=0))

    places, kept = range(len(graders)), {name: draws[name] for name in KEPT}
    if threads:
        return on_all_cores(score, places), kept
    with one_blas_thread():
        return [score(place) for place in places], kept


def kappas_of(graders: Sequence[HeldOut], weights: Weights) -> tuple[NDArray[np.float64], Draws]:
    """Kappa of every grader, float64 (grader,), 0 where undefined; and their draws."""
    kappas = [np.mean(quadratic_kappa(each.counts().sum(axis=1))) for each in graders]
    draws = score_settings_draws(graders, weights, {"kappa": quadratic_kappa})["kappa"]
    return np.nan_to_num(kappas), draws


def as_best(
    best: GraderScores, kappas: NDArray[np.float64], draws: Draws, patients: int
) -> GraderScores:
    """The best of several, its kappa with the interval of a best of many."""
    kappa = best.scores["kappa"]
    if len(kappas) == 1 or math.isnan(kappa.low):
        return best
    kappa = Estimate(kappa.value, *interval_of_best(kappas, draws, patients))
    return replace(best, scores={**best.scores, "kappa": kappa})


@dataclass(frozen=True, eq=False)
class ScoresOnTest:
    """Scores of the test patients.

    Attributes:
        settings: By name; the winner first.
        baselines: By name, on the same knees.
        beyond: The winner's kappa less each baseline's.
        best: Name of the setting with the largest kappa.
        flattered: Part of the best kappa that is due to choosing; NaN for a single setting.
    """

    settings: Mapping[str, GraderScores]
    baselines: Mapping[str, GraderScores]
    beyond: Mapping[str, Estimate]
    best: str
    flattered: float

    @property
    def winner(self) -> str:
        """The name of the winner."""
        return next(iter(self.settings))


def score_tested(settings: Mapping[str, HeldOut], baselines: Mapping[str, HeldOut]) -> ScoresOnTest:
    """Score refitted settings and baselines on the test patients."""
    board = Scoreboard.of([*settings.values(), *baselines.values()])
    names, networks = list(settings), board.first(len(settings))
    kappas = networks.values("kappa")
    return ScoresOnTest(
        settings=dict(zip(names, networks.scores, strict=True)),
        baselines=dict(zip(baselines, board.scores[len(names) :], strict=True)),
        beyond={name: board.first(1).lead_over([each]) for name, each in baselines.items()},
        best=names[int(kappas.argmax())],
        flattered=float(kappas.max()) - networks.kappa_outside(),
    )


@dataclass(frozen=True, eq=False)
class Agreement(GraderScores):
    """A second reader against the grades in the files, on the knees that both graded."""

    asked: int
    """Number of knees that the settings were scored on."""


def agreement(readings: Readings, knees: Iterable[Knee]) -> Agreement | None:
    """Scores of a second reader on knees; None where no knee was graded by both."""
    asked = sorted(knees)
    given = [readings.get((scan, cast(Side, side))) for scan, side, *_ in asked]
    shared = [(knee, grade) for knee, grade in zip(asked, given, strict=True) if grade is not None]
    if not shared:
        return None
    predicted = np.array([grade for _, grade in shared], dtype=np.int64)
    reader = HeldOut.of_knees(
        knees=tuple(knee[:3] for knee, _ in shared),
        grades=np.array([knee[3] for knee, _ in shared], dtype=np.int64),
        predicted=predicted,
        probabilities=np.eye(GRADE_COUNT)[predicted],  # the reader is sure of every grade
    )
    return Agreement(**vars(Scoreboard.of([reader]).scores[0]), asked=len(asked))
