"""Graded knees of another cohort: how far they lie from the training, and how well they are graded.

Functions of arrays: nothing here reads or writes files.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from djd.data.uptake import uptake_measures
from djd.models.model_content import COUNT_QUANTILES, ModelContent
from djd.plots.reliability import ReliabilityBin, reliability_bins
from djd.predict.doubts import TRAINED_ON, Flags
from djd.report.scores import GraderScores, Scoreboard
from djd.statistics.held_out import HeldOut
from djd.statistics.intervals import Estimate, share_interval
from djd.statistics.metrics import Array
from djd.sweeps.baselines import plainest

MODEL = "model"
"""Name of the model's column, beside those of the baselines."""

VIEW_NAMES = ("anterior", "posterior")

_LOW, _MEDIAN, _HIGH = (COUNT_QUANTILES.index(each) for each in (0.01, 0.5, 0.99))
EXPECTED_OUTSIDE = 0.02
"""Share of training knees outside the range of 1 to 99 %."""


class CountShift(NamedTuple):
    """Mean counts a pixel of the knees' crops in one view, against the training knees.

    Attributes:
        outside: Share of the knees outside the range of 1 to 99 % of the training knees.
        median, training_median: Counts a pixel.
    """

    view: str
    outside: float
    median: float
    training_median: float


@dataclass(frozen=True)
class Distance:
    """How far knees lie from those of the training.

    Attributes:
        counts: Of each view.
        flagged: Share of the knees with each flag, the commonest first.
        any_flag: Share of the knees with one flag or more.
        has_features: Whether the model can tell that an image is unlike those of the training.
    """

    counts: tuple[CountShift, ...]
    flagged: Mapping[str, float]
    any_flag: float
    has_features: bool


def distance_of(
    crops: NDArray[np.uint16],
    flags: Sequence[Flags],
    quantiles: NDArray[np.float64],
    *,
    has_features: bool,
) -> Distance:
    """How far knees, one or more, lie from those of the training.

    Args:
        crops: uint16 (knee, view 2, row 128, column 128), counts a pixel.
        flags: Of each knee; that the model was trained on a knee doesn't count.
        quantiles: float64 (view 2, quantile 9), `TrainingCohort.count_quantiles`.
        has_features: See `Distance`.
    """
    means = np.array([crop.mean(axis=(-2, -1)) for crop in crops])
    counts = []
    for view, of_view, known in zip(VIEW_NAMES, means.T, quantiles, strict=True):
        outside = (of_view < known[_LOW]) | (of_view > known[_HIGH])
        median = float(np.median(of_view))
        counts.append(CountShift(view, float(outside.mean()), median, float(known[_MEDIAN])))
    own = [set(each) - {TRAINED_ON} for each in flags]
    found = Counter(flag for each in own for flag in sorted(each))
    shares = {flag: knees / len(own) for flag, knees in found.most_common()}
    return Distance(tuple(counts), shares, sum(map(bool, own)) / len(own), has_features)


@dataclass(frozen=True, eq=False)
class Scored:
    """The scores of a model and of its baselines on the same knees.

    Attributes:
        graders: By name: the model, majority, uptake.
        lead: The model's kappa less that of uptake.
        reliability: Share of diseased knees by the predicted probability of any disease.
    """

    graders: Mapping[str, GraderScores]
    lead: Estimate
    reliability: Sequence[ReliabilityBin]


def score_knees(graded: HeldOut, baselines: Mapping[str, Array]) -> Scored:
    """Score knees, one or more, by the functions of the report.

    Args:
        graded: The knees as the model graded them.
        baselines: float64 (knee, grade 5) by name, `uptake` among them.
    """
    others = {
        name: HeldOut.of_knees(graded.knees, graded.grades, chances.argmax(axis=1), chances)
        for name, chances in baselines.items()
    }
    board = Scoreboard.of([graded, *others.values()])
    graders = dict(zip((MODEL, *others), board.scores, strict=True))
    lead = board.first(1).lead_over([others["uptake"]])
    return Scored(graders, lead, _reliability(graded))


def baselines_of(content: ModelContent, crops: NDArray[np.uint16]) -> dict[str, Array]:
    """Majority and uptake, fitted on the training knees: float64 (knee, grade 5) by name.

    `crops` are uint16 (knee, view 2, row 128, column 128), counts a pixel.
    """
    training = content.training
    measured = uptake_measures(crops, np.arange(len(crops)), content.crops.views)
    grades = training.grades.numpy().astype(np.int64)
    return dict(plainest(training.uptake.numpy(), grades, measured).items())


def _reliability(graded: HeldOut) -> list[ReliabilityBin]:
    """`reliability_bins` with the interval of each share, a patient being one observation."""
    chances, diseased = 1 - graded.probabilities[:, 0], graded.grades > 0
    bins = []
    for each in reliability_bins(chances, diseased):
        low, high = each.edges
        inside = (chances >= low) & ((chances < high) | (high == 1))
        knees, ill = (
            np.bincount(graded.patient, which, minlength=graded.patients).astype(np.float64)
            for which in (inside, inside & diseased)
        )
        observed = Estimate(each.observed.value, *share_interval(ill, knees))
        bins.append(ReliabilityBin(each.edges, each.predicted, observed, each.knees))
    return bins
