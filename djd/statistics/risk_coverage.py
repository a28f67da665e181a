"""Error against the share of knees kept, the surest first: risk-coverage curves.

Geifman and El-Yaniv, Selective classification for deep neural networks, NeurIPS 2017. A knee is
the surer the less entropy its probabilities have; the error of a share of the knees is the mean
loss of the surest knees that are so many.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from djd.statistics.bootstrap import Weights
from djd.statistics.held_out import HeldOut
from djd.statistics.intervals import Estimate, percentile_interval
from djd.statistics.metrics import Array, Probabilities, ratio

SHARES = np.arange(5, 21) / 20
"""Shares of knees kept, from a quarter to all: below, single knees decide, and intervals fail."""

HALF = 0.5


class RiskCurve(NamedTuple):
    """Mean loss by the share of knees kept.

    Attributes:
        risks: Mean loss of the surest knees at each of `SHARES`.
        gain: How much smaller the mean loss of the surest half is than that of all knees.
    """

    risks: tuple[Estimate, ...]
    gain: Estimate

    @property
    def half(self) -> Estimate:
        """Mean loss of the surest half."""
        return self.risks[int(np.searchsorted(SHARES, HALF))]

    @property
    def whole(self) -> Estimate:
        """Mean loss of all knees."""
        return self.risks[-1]


def entropy(probabilities: Probabilities) -> Array:
    """Entropy of each knee's probabilities in nats, float64 (knee,), 0 to log 5."""
    of_knees: Array = entr(probabilities).sum(axis=1)
    return of_knees


def risk_curve(setting: HeldOut, losses: Array, weights: Weights) -> RiskCurve:
    """The curve of one setting, the mean of its repeats, with intervals of drawn patients.

    Each draw orders its own knees, so a share of the knees is one in every draw.

    Args:
        setting: The knees, one or more.
        losses: Loss of each knee, float64 (knee,).
        weights: Draws of the patients.
    """
    everybody = np.ones((1, setting.patients), dtype=np.float32)
    drawn = _mean_risks(setting, losses, np.concatenate([everybody, weights]))
    patients = len(np.unique(setting.patient))
    gains = drawn[:, -1] - drawn[:, np.searchsorted(SHARES, HALF)]
    risks = [_estimate(of_share, patients) for of_share in drawn.T]
    return RiskCurve(tuple(risks), _estimate(gains, patients))


def _estimate(drawn: Array, patients: int) -> Estimate:
    """The first value, with the interval of the others."""
    return Estimate(float(drawn[0]), *percentile_interval(drawn[1:], patients))


def _mean_risks(setting: HeldOut, losses: Array, weights: Weights) -> Array:
    """Mean loss at each share in every draw, float64 (draw, share), the mean over repeats."""
    unsure = entropy(setting.probabilities)
    repeats = [setting.repeat == repeat for repeat in range(setting.repeats)]
    risks = [
        _risks(unsure[chosen], losses[chosen], weights[:, setting.patient[chosen]])
        for chosen in repeats
    ]
    mean: Array = np.mean(risks, axis=0)
    return mean


def _risks(unsure: Array, losses: Array, weights: NDArray[np.float32]) -> Array:
    """Mean loss at each share in every draw, float64 (draw, share); weights are (draw, knee).

    Knees that are equally sure share their mean loss, and a part of a knee counts as a part.
    """
    order = np.argsort(unsure, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(unsure[order]) > 0, True))
    risks = np.empty((len(weights), len(SHARES)))
    for place, weight in enumerate(weights):  # draws of a large cohort at once would fill memory
        weight = weight[order].astype(np.float64)
        kept = np.append(0, np.cumsum(weight)[ends])
        lost = np.append(0, np.cumsum(weight * losses[order])[ends])
        asked = SHARES * kept[-1]
        risks[place] = ratio(np.interp(asked, kept, lost), asked)
    return risks
