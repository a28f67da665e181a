"""Invented knees: severities, the grades that a reader gives, and the uptake over the joint.

A knee has a severity (standard normal, correlated between a patient's knees). A reader sees the
severity with some noise and cuts it into five grades. The image follows from the severity, never
from the grade, so nobody can grade these knees better than a reader who knows the severity: that
reader's scores are the ceiling.

Severity shows twice. In amount: the counts over the joint rise with it, blurred by the patient's
own bone uptake and by a deviation of each knee. In shape, at equal counts: uptake moves out of the
whole joint into the joint line, the medial or lateral compartment (medial more often), the
patellofemoral joint and the osteophytes at the margins, each with a deviation of its own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from djd.data.phantom.sketch import Sketch, Uptake
from djd.grades import GRADE_COUNT
from djd.statistics.metrics import quadratic_kappa

FREQUENCIES = (0.34, 0.24, 0.19, 0.14, 0.09)
"""Share of the knees of each grade, normal to severe."""

KNEE_CORRELATION = 0.5
"""Correlation of severity between a patient's two knees."""

READER_NOISE = 0.42
"""Deviation of the severity that a reader sees. Chosen before any scan was made, for a ceiling of
accuracy about 0.65 and kappa about 0.85 (0.40 gives 0.65 and 0.88, 0.48 gives 0.61 and 0.85)."""

_CUTS = ndtri(np.cumsum(FREQUENCIES)[:-1]) * np.sqrt(1 + READER_NOISE**2)


@dataclass(frozen=True)
class Ceiling:
    """Scores of the best possible reader, who gives the likeliest grade; how they were computed."""

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


KNEE_DOWN = 502.0
"""Where the joint line lies, in body units."""

_JOINT_COUNTS = 21000.0  # over a healthy knee of ordinary uptake: 25 to 45 counts a pixel
_POSTERIOR = 0.85  # of the anterior counts: bone lies deeper, the patella faces away


@dataclass(frozen=True, eq=False)
class Knee:
    """One knee's uptake.

    Attributes:
        counts: Over the joint, at ordinary uptake of bone and ordinary count level.
        focal: Share of the counts that is gathered in spots, 0 to 1.
        shares: float64 (place 5,), shares of the focal counts: medial and lateral compartment,
            behind the patella, the narrow line across the joint, osteophytes at the four margins.
    """

    counts: float
    focal: float
    shares: NDArray[np.float64]


def invent_knee(severity: float, rng: np.random.Generator) -> Knee:
    """A knee of this severity; everything else about the knee is drawn."""
    total, gathered, worn, other, patella, line, spurs = rng.standard_normal(7)
    worse, better = np.exp(0.35 * worn + 0.35), np.exp(0.5 * other - 0.7)
    if rng.random() < 0.2:  # lateral disease is the rarer one
        worse, better = better, worse
    behind_patella, along_line = np.exp(0.6 * patella - 0.9), np.exp(0.4 * line - 0.35)
    margins = np.exp(0.35 * severity + 0.4 * spurs - 1.1)
    parts = np.array([worse, better, behind_patella, along_line, margins])
    return Knee(
        counts=_JOINT_COUNTS * np.exp(0.32 * severity + 0.24 * total),
        focal=1 / (1 + np.exp(0.95 - 0.85 * severity - 0.35 * gathered)),
        shares=parts / parts.sum(),
    )


def add_knee(
    sketch: Sketch, knee: Knee, *, side: int, down: float, across: float, level: float
) -> None:
    """Add one knee to a sketch.

    Args:
        sketch: Gets the knee.
        knee: The uptake.
        side: -1 for the patient's right knee, 1 for the left.
        down: Of the joint line, in body units.
        across: Distance of the joint's middle from the midline, in body units.
        level: Factor of all counts.
    """
    diffuse = knee.counts * level * (1 - knee.focal)
    focal = knee.counts * level * knee.focal
    medial, lateral, patellofemoral, joint_line, osteophytes = knee.shares

    def spot(
        below: float, medially: float, high: float, wide: float, counts: float, behind: float
    ) -> None:
        views: Uptake = (counts, counts * behind)
        sketch.spot((down + below, side * (across - medially)), (high, wide), (0, 0), counts=views)

    for below, medially, high, wide, share, behind in (
        (-8.0, 8.0, 8.5, 8.0, 0.19, _POSTERIOR),  # condyles
        (-8.0, -8.0, 8.0, 8.0, 0.17, _POSTERIOR),
        (-2.0, 0.0, 7.0, 8.0, 0.07, _POSTERIOR),  # between them
        (-19.0, 0.0, 9.0, 9.0, 0.11, _POSTERIOR),  # metaphysis of the femur
        (6.0, 7.0, 5.0, 9.5, 0.14, _POSTERIOR),  # plateau
        (6.0, -7.0, 5.0, 9.0, 0.13, _POSTERIOR),
        (15.0, 0.0, 8.0, 9.5, 0.11, _POSTERIOR),  # head of the tibia
        (-11.0, -1.0, 8.0, 8.5, 0.08, 0.1),  # patella
    ):
        spot(below, medially, high, wide, share * diffuse, behind)
    for way, share in ((1.0, medial), (-1.0, lateral)):
        spot(3.5, way * 9.5, 3.0, 7.0, 0.65 * share * focal, _POSTERIOR)
        spot(-4.0, way * 9.5, 3.5, 6.0, 0.35 * share * focal, _POSTERIOR)
        for below, out in ((-5.0, 17.0), (4.5, 16.5)):
            spot(below, way * out, 3.2, 2.8, 0.25 * osteophytes * focal, _POSTERIOR)
    spot(0.5, 0.0, 1.8, 17.0, joint_line * focal, _POSTERIOR)
    spot(-11.0, -2.0, 6.5, 5.0, patellofemoral * focal, 0.25)
