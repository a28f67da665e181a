"""How invented knees get their grades, and how well the best possible reader could tell them.

A knee has a severity (standard normal, correlated between a patient's knees). A reader sees it with
some noise and cuts what they see into five grades. The image is drawn from the severity, never from
the grade, so nobody can grade these knees better than one who knows the severity: that reader's
scores are the ceiling.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from djd.grades import GRADE_COUNT
from djd.statistics.metrics import quadratic_kappa

FREQUENCIES = (0.34, 0.24, 0.19, 0.14, 0.09)
"""Share of the knees of each grade, normal to severe."""

KNEE_CORRELATION = 0.5
"""Correlation of severity between a patient's two knees."""

READER_NOISE = 0.42
"""Deviation of what a reader sees of the severity. Chosen for a ceiling of accuracy about 0.65 and
quadratic kappa about 0.85, before any scan was drawn (0.40 gives 0.65 and 0.88, 0.48 gives 0.61 and
0.85)."""

_CUTS = ndtri(np.cumsum(FREQUENCIES)[:-1]) * np.sqrt(1 + READER_NOISE**2)


@dataclass(frozen=True)
class Ceiling:
    """What the best possible reader reaches.

    Attributes:
        accuracy: Share of knees graded right by the reader who gives the likeliest grade.
        quadratic_kappa: Quadratic weighted kappa of the same reader.
        computed: How the two were computed, in words.
    """

    accuracy: float
    quadratic_kappa: float
    computed: str


def draw_severities(rng: np.random.Generator, patients: int) -> NDArray[np.float64]:
    """Severities of both knees, float64 (patient, side 2): right, left."""
    shared = rng.standard_normal((patients, 1))
    own = rng.standard_normal((patients, 2))
    severities: NDArray[np.float64] = (
        np.sqrt(KNEE_CORRELATION) * shared + np.sqrt(1 - KNEE_CORRELATION) * own
    )
    return severities


def read_grades(severities: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Grades 0 to 4 that a reader gives to knees of these severities, of the same shape."""
    seen = severities + READER_NOISE * rng.standard_normal(severities.shape)
    return np.searchsorted(_CUTS, seen)


def grade_probabilities(severities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of each grade given the severity, float64 (..., grade 5)."""
    below = ndtr((_CUTS - severities[..., None]) / READER_NOISE)
    edges = np.ones((*severities.shape, 1))
    return np.diff(np.concatenate([0 * edges, below, edges], axis=-1), axis=-1)


def ideal_ceiling() -> Ceiling:
    """Ceiling of a reader who knows every severity and gives each knee its likeliest grade.

    The reader's noise is drawn for each knee by itself, so the other knee adds nothing.
    """
    severities = np.linspace(-8, 8, 8001)  # ten times finer moves the scores by less than 1e-3
    weights = np.exp(-(severities**2) / 2)
    joint = grade_probabilities(severities) * (weights / weights.sum())[:, None]
    confusion = np.zeros((GRADE_COUNT, GRADE_COUNT))
    np.add.at(confusion.T, joint.argmax(axis=1), joint)
    return Ceiling(
        accuracy=float(np.trace(confusion)),
        quadratic_kappa=float(quadratic_kappa(confusion)),
        computed="by quadrature over the severity: the reader knows it and gives the likeliest "
        f"grade; the graded truth carries reader noise of deviation {READER_NOISE}",
    )


def null_ceiling() -> Ceiling:
    """Ceiling where grades are independent of the image: that of chance."""
    return Ceiling(
        accuracy=max(FREQUENCIES),
        quadratic_kappa=0.0,
        computed="chance: grades are independent of the image, so the best reader always gives the "
        "commonest grade",
    )
