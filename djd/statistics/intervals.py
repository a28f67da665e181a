"""95 % intervals: 95 of 100 such intervals hold the true value.

The kind of interval of each score was chosen by simulation, 40 and 165 patients with two knees
each; `docs/statistics.md` has the coverage of each. An undefined interval is NaN on both ends.
Draws here are float64 (draw,), NaN where the score is undefined; a draw has `patients` patients.
"""

from math import isnan, nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri, stdtrit

from djd.statistics.bootstrap import Weights
from djd.statistics.metrics import Array

LEVEL = 0.95
_TAIL = (1 - LEVEL) / 2
_Z = float(ndtri(1 - _TAIL))
LEAST_DEFINED = 0.5
"""Least share of draws with a defined score for an interval."""

_MOST_LOGIT = 1e-4
"""Drawn shares are kept this far from 0 and 1, whose logits are infinite."""

_LEAST_ERROR = 1e-6
"""Relative errors below it are rounding: all losses are the same."""


class Interval(NamedTuple):
    """Both ends of a 95 % interval; NaN where there is none."""

    low: float
    high: float


NO_INTERVAL = Interval(nan, nan)


class Estimate(NamedTuple):
    """A score or a difference of scores with its 95 % interval; NaN where undefined."""

    value: float
    low: float = nan
    high: float = nan

    @property
    def is_defined(self) -> bool:
        """Whether there is a value."""
        return not isnan(self.value)

    @property
    def has_interval(self) -> bool:
        """Whether there is a value with an interval."""
        return self.is_defined and not isnan(self.low)


def expanded_tail(patients: int) -> float:
    """Share of draws below the lower end of an expanded percentile interval.

    A draw of n patients has (n - 1)/n of the right variance, and the normal distribution stands in
    place of Student's t; a smaller tail corrects both (Hesterberg, The American Statistician
    69:371, 2015). 2.0 % with 40 patients, 2.4 % with 165; NaN with one patient.
    """
    if patients < 2:
        return nan
    return float(ndtr(-np.sqrt(patients / (patients - 1)) * stdtrit(patients - 1, 1 - _TAIL)))


def percentile_interval(draws: Array, patients: int) -> Interval:
    """The expanded percentile interval.

    Equal draws give an interval without width: right for a constant guess, whose kappa is 0 with
    any patients. Where the draws are equal because every knee is graded right, the draws know
    nothing of the error, and the caller has to give no interval.
    """
    defined = defined_draws(draws, patients)
    return NO_INTERVAL if defined is None else _ends(defined, expanded_tail(patients))


def defined_draws(draws: Array, patients: int) -> Array | None:
    """Draws in which the score was defined; None with one patient, or where those are too few."""
    defined = draws[np.isfinite(draws)]
    return None if patients < 2 or len(defined) < LEAST_DEFINED * len(draws) else defined


def _ends(draws: Array, tail: float) -> Interval:
    """Two places of a partly sorted array, without numpy.quantile's interpolation."""
    last = len(draws) - 1
    places = round(tail * last), round((1 - tail) * last)
    ordered = np.partition(draws, places)
    return Interval(float(ordered[places[0]]), float(ordered[places[1]]))


def logit_interval(
    score: float, draws: Array, patients: int, *, freedom: float | None = None
) -> Interval:
    """Student's t around the logit of a score between 0 and 1, as wide as its draws are spread.

    For scores whose draws sit off the centre: AUROC, and means over grades of which one is rare.
    At 0 or 1 there is no interval. Degrees of freedom are the patients less one, or `freedom`
    where that is less.
    """
    defined = defined_draws(draws, patients)
    if defined is None or not 0 < score < 1:
        return NO_INTERVAL
    near = np.clip(defined, _MOST_LOGIT, 1 - _MOST_LOGIT)
    deviation = float(np.std(np.log(near / (1 - near)))) * np.sqrt(patients / (patients - 1))
    half = stdtrit(min(freedom or np.inf, patients - 1), 1 - _TAIL) * deviation
    low, high = expit(np.log(score / (1 - score)) + np.array([-half, half]))
    return Interval(float(low), float(high))


def freedom_over_grades(patients_with: NDArray[np.int64]) -> float:
    """Degrees of freedom of a mean over grades, by how many patients have a knee of each.

    Welch's and Satterthwaite's, with the variance of a grade's share as one over its patients: five
    patients with the rarest grade leave a mean over grades 20 where the others have five as well,
    and little more than 4 where they have very many. A grade without patients counts nothing.
    """
    present = patients_with[patients_with > 0].astype(np.float64)
    if not len(present):
        return nan
    shares = 1 / present
    # A single patient has no variance to speak of: half a degree keeps the sum finite.
    return float(shares.sum() ** 2 / (shares**2 / np.maximum(present - 1, 0.5)).sum())


def design_effect(right: Array, knees: Array) -> float:
    """How many times the variance of a share is that of independent knees.

    Linearized variance of a ratio between patients, over the binomial one (Rao and Scott,
    Biometrics 48:577, 1992), from 1 (independent knees) to the value of knees that are always right
    or wrong together. The latter stands where all are right or wrong, since the data then say
    nothing of likeness. A mean of several trainings is surer than one, as far as the trainings err
    in different patients: the least is then below 1 by as much.

    `right`, the knees of each patient that count, and `knees`, all that could count, are float64
    (patient,) or (repeat, patient).
    """
    right, knees = np.atleast_2d(right), np.atleast_2d(knees)
    of_patient = knees.mean(axis=0)
    total = of_patient.sum()
    share = right.mean(axis=0).sum() / total
    together = max(float((of_patient**2).sum() / total), 1.0)
    patients = int((of_patient > 0).sum())
    if patients < 2 or not 0 < share < 1:
        return together
    residual = right - share * knees
    between = float((residual.mean(axis=0) ** 2).sum())
    of_one = float((residual**2).sum(axis=1).mean())
    apart = max(between / of_one, 1 / len(residual)) if of_one else 1.0
    ratio = between * patients / (patients - 1) / (total * share * (1 - share))
    return float(min(max(ratio, apart), together))


def share_interval(right: Array, knees: Array) -> Interval:
    """Interval of a share of knees: Wilson's, with knees divided by their design effect.

    Wilson, Journal of the American Statistical Association 22:209, 1927. The interval has a width
    where all knees are right, and with one patient. Of several trainings the mean share is meant.
    Args as in `design_effect`.
    """
    right, knees = np.atleast_2d(right), np.atleast_2d(knees)
    totals = knees.sum(axis=1)
    if not totals.all():
        return NO_INTERVAL
    effective = float(totals.mean()) / design_effect(right, knees)
    share = float((right.sum(axis=1) / totals).mean())
    scale = 1 + _Z**2 / effective
    centre = (share + _Z**2 / (2 * effective)) / scale
    half = _Z / scale * np.sqrt(share * (1 - share) / effective + _Z**2 / (4 * effective**2))
    return Interval(float(max(centre - half, 0)), float(min(centre + half, 1)))


def loss_interval(
    losses: Array, knees: Array, weights: Weights, *, most: float = np.inf
) -> Interval:
    """Interval of a mean loss, such as the Brier score: studentized draws of its logarithm.

    `losses`, the sum over each patient's knees, and `knees`, their number, are float64 (patient,);
    `most` is the largest possible loss of a knee.
    """
    patients = int((knees > 0).sum())
    mean = losses.sum() / knees.sum() if patients else 0.0
    if patients < 2 or mean <= 0:
        return NO_INTERVAL
    error = _log_errors(np.ones((1, len(losses))), losses, knees)[1][0]
    drawn, errors = _log_errors(weights, losses, knees)
    usable = np.isfinite(drawn) & (errors > _LEAST_ERROR)
    if error < _LEAST_ERROR or usable.mean() < LEAST_DEFINED:
        return NO_INTERVAL
    studentized = (drawn[usable] - np.log(mean)) / errors[usable]
    below, above = _ends(studentized, expanded_tail(patients))
    # A few patients with nearly no loss can make an end larger than the loss can be.
    exponents = np.minimum(-error * np.array([above, below]), np.log(most / mean))
    with np.errstate(over="ignore"):
        low, high = mean * np.exp(exponents)
    return Interval(float(low), float(high))


def _log_errors(weights: Weights | Array, losses: Array, knees: Array) -> tuple[Array, Array]:
    """Logarithm of the mean loss of each draw and its standard error, float64 (draw,) each."""
    columns = np.stack([losses, knees, losses**2, losses * knees, knees**2], axis=1)
    loss, knee, squares, products, knee_squares = (weights @ columns).T
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = loss / knee
        residual = np.maximum(squares - 2 * mean * products + mean**2 * knee_squares, 0)
        patients = weights.sum(axis=1)
        error = np.sqrt(residual * patients / (patients - 1)) / knee
        return np.log(mean), error / mean
