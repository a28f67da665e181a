"""The knees of an invented body: how the uptake over a joint grows and gathers with severity.

Severity shows twice. In amount: the counts over the joint rise with it, blurred by the patient's
own bone uptake and by a deviation of each knee. In shape, at equal counts: uptake moves out of the
whole joint into the joint line, the medial or lateral compartment (medial more often), the
patellofemoral joint and the osteophytes at the margins, each with a deviation of its own.
"""

from dataclasses import dataclass

import numpy as np

from djd.data.phantom.sketch import Sketch, Uptake

KNEE_DOWN = 502.0
"""Where the joint line lies, in body units."""

_JOINT_COUNTS = 21000.0  # over a healthy knee of ordinary uptake: 25 to 45 counts a pixel
_POSTERIOR = 0.85  # of the anterior counts: bone lies deeper, the patella faces away


@dataclass(frozen=True)
class Knee:
    """One knee's uptake.

    Attributes:
        counts: Over the joint, at ordinary uptake of bone and ordinary count level.
        focal: Share of them that has gathered in the spots below, 0 to 1.
        medial: Share of the focal counts in the medial compartment.
        lateral: In the lateral compartment.
        patellofemoral: Behind the patella.
        joint_line: In the narrow line across the whole joint.
        osteophytes: At the four margins.
    """

    counts: float
    focal: float
    medial: float
    lateral: float
    patellofemoral: float
    joint_line: float
    osteophytes: float


def invent_knee(severity: float, rng: np.random.Generator) -> Knee:
    """A knee of this severity; what isn't decided by the severity is drawn."""
    total, gathered, worn, other, patella, line, spurs = rng.standard_normal(7)
    worse, better = np.exp(0.35 * worn + 0.35), np.exp(0.5 * other - 0.7)
    if rng.random() < 0.2:  # lateral disease is the rarer one
        worse, better = better, worse
    parts = np.array(
        [
            worse,
            better,
            np.exp(0.6 * patella - 0.9),
            np.exp(0.4 * line - 0.35),
            np.exp(0.35 * severity + 0.4 * spurs - 1.1),
        ]
    )
    medial, lateral, patellofemoral, joint_line, osteophytes = parts / parts.sum()
    return Knee(
        counts=_JOINT_COUNTS * np.exp(0.32 * severity + 0.24 * total),
        focal=1 / (1 + np.exp(0.95 - 0.85 * severity - 0.35 * gathered)),
        medial=medial,
        lateral=lateral,
        patellofemoral=patellofemoral,
        joint_line=joint_line,
        osteophytes=osteophytes,
    )


def draw_knee(
    sketch: Sketch, knee: Knee, *, side: int, down: float, across: float, level: float
) -> None:
    """Draw one knee.

    Args:
        sketch: Drawn upon.
        knee: Its uptake.
        side: -1 for the patient's right knee, 1 for the left.
        down: Of the joint line, in body units.
        across: Distance of the joint's middle from the midline, in body units.
        level: Factor of all counts.
    """
    diffuse = knee.counts * level * (1 - knee.focal)
    focal = knee.counts * level * knee.focal

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
    for way, share in ((1.0, knee.medial), (-1.0, knee.lateral)):
        spot(3.5, way * 9.5, 3.0, 7.0, 0.65 * share * focal, _POSTERIOR)
        spot(-4.0, way * 9.5, 3.5, 6.0, 0.35 * share * focal, _POSTERIOR)
        for below, out in ((-5.0, 17.0), (4.5, 16.5)):
            spot(below, way * out, 3.2, 2.8, 0.25 * knee.osteophytes * focal, _POSTERIOR)
    spot(0.5, 0.0, 1.8, 17.0, knee.joint_line * focal, _POSTERIOR)
    spot(-11.0, -2.0, 6.5, 5.0, knee.patellofemoral * focal, 0.25)
