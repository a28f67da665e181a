"""Invented knees: severities, the grades that a reader gives, and the uptake over the joint.

A knee has a severity (standard normal, correlated between a patient's knees). A reader sees the
severity with some noise and cuts it into five grades. The image follows from the severity, never
from the grade, so nobody can grade these knees better than a reader who knows the severity: that
reader's scores are the ceiling.

Severity shows in amount: the counts over the joint rise with severity, blurred by the patient's own
bone uptake and by a deviation of each knee. Severity shows in shape, too: at equal counts uptake
moves out of the whole joint into the joint line, the medial or lateral compartment (medial more
often), the patellofemoral joint and the osteophytes at the margins, each with its own deviation.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from djd.data.phantom.sketch import Limbs, Sketch, Uptake
from djd.data.phantom.style import Style
from djd.grades import GRADE_COUNT
from djd.statistics.metrics import quadratic_kappa

FREQUENCIES = (0.34, 0.24, 0.19, 0.14, 0.09)
"""Share of the knees of each grade, normal to severe."""

READER_NOISE = 0.42
"""Deviation of the severity that a reader sees. Chosen before any scan was made, for a ceiling of
accuracy about 0.65 and kappa about 0.85 (0.40 gives 0.65 and 0.88, 0.48 gives 0.61 and 0.85)."""

_CUTS = ndtri(np.cumsum(FREQUENCIES)[:-1]) * np.sqrt(1 + READER_NOISE**2)


@dataclass(frozen=True)
class Ceiling:
    """Scores of the best possible reader, who gives the likeliest grade, and their computation."""

    accuracy: float
    quadratic_kappa: float
    computed: str


def draw_severities(
    rng: np.random.Generator, patients: int, *, correlation: float
) -> NDArray[np.float64]:
    """Severities of both knees, float64 (patient, side 2): right, left."""
    shared = rng.standard_normal((patients, 1))
    own = rng.standard_normal((patients, 2))
    return math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own


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


_PATELLA = 16.0  # how far it lies before the middle of the joint, in body units
_POSTERIOR = 0.85  # of the anterior counts: bone lies deeper, the patella faces away


@dataclass(frozen=True, eq=False)
class Knee:
    """One knee's uptake.

    Attributes:
        counts: Over the joint, at ordinary uptake of bone and ordinary count level.
        focal: Share of the counts that is gathered in spots, 0 to 1.
        shares: float64 (place 5,), shares of the focal counts: medial and lateral compartment,
            behind the patella, joint line, osteophytes at the four margins.
    """

    counts: float
    focal: float
    shares: NDArray[np.float64]


def invent_knee(severity: float, rng: np.random.Generator, style: Style) -> Knee:
    """A knee of this severity; everything else about the knee is drawn."""
    total, gathered, worn, other, patella, line, spurs = rng.standard_normal(7)
    worse, better = np.exp(0.35 * worn + 0.35), np.exp(0.5 * other - 0.7)
    if rng.random() < 0.2:  # lateral disease is the rarer one
        worse, better = better, worse
    behind_patella, along_line = np.exp(0.6 * patella - 0.9), np.exp(0.4 * line - 0.35)
    margins = np.exp(0.35 * severity + 0.4 * spurs - 1.1)
    parts = np.array([worse, better, behind_patella, along_line, margins])
    rise, deviation = style.counts_growth
    start, focal_rise, focal_deviation = style.focal_growth
    return Knee(
        counts=style.joint_counts * np.exp(rise * severity + deviation * total),
        focal=1 / (1 + np.exp(-start - focal_rise * severity - focal_deviation * gathered)),
        shares=parts / parts.sum(),
    )


def add_knee(
    sketch: Sketch, knee: Knee, limbs: Limbs, *, side: int, level: float, size: float
) -> None:
    """Add one knee to a sketch.

    `side` is -1 for the patient's right knee and 1 for the left; `level` is the factor of all
    counts, `size` that of the lengths. A turned knee is narrow, its patella beside the joint.
    """
    diffuse = knee.counts * level * (1 - knee.focal)
    focal = knee.counts * level * knee.focal
    medial, lateral, patellofemoral, joint_line, osteophytes = knee.shares
    narrow, turned = math.cos(limbs.turn), math.sin(limbs.turn)

    def spot(
        below: float, medially: float, high: float, wide: float, counts: float, behind: float
    ) -> None:
        views: Uptake = (counts, counts * behind)
        forward = _PATELLA if behind < _POSTERIOR else 0.0
        place = (size * below, -size * (medially * narrow - forward * turned))
        axes = (size * high, size * max(wide * narrow, 0.6 * wide))
        _place(sketch, limbs, place, axes, side=side, counts=views)

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


def add_rim(sketch: Sketch, limbs: Limbs, *, side: int, level: float) -> None:
    """Add the hot bone about an implant, in place of a knee."""
    for below, out, high, wide, counts in (
        (-20.0, 0.0, 3.5, 12.0, 2400.0),  # above the shield of the femur
        (24.0, 0.0, 5.0, 6.0, 2600.0),  # at the tip of the stem
        (16.0, -11.0, 3.0, 6.0, 1300.0),  # under the plateau
        (16.0, 11.0, 3.0, 6.0, 900.0),
        (-6.0, -17.0, 9.0, 2.5, 900.0),
        (-6.0, 17.0, 9.0, 2.5, 700.0),
    ):
        views: Uptake = (level * counts, level * counts * _POSTERIOR)
        _place(sketch, limbs, (below, out), (high, wide), side=side, counts=views)


def _place(
    sketch: Sketch,
    limbs: Limbs,
    place: tuple[float, float],
    half_axes: tuple[float, float],
    *,
    side: int,
    counts: Uptake,
) -> None:
    """Add a spot whose place (down, outwards) and axes are those of a knee that doesn't lean."""
    below, out = place
    cosine, sine = math.cos(limbs.lean), math.sin(limbs.lean)
    down = limbs.down + (below * cosine - out * sine)
    across = limbs.knee + (out * cosine + below * sine)
    sketch.spot((down, side * across), half_axes, (0, 0), turn=side * limbs.lean, counts=counts)
