"""One invented body under the camera: position, build, count level, organs, blur and counts."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from djd.data.phantom.knee import KNEE_DOWN, Knee, add_knee
from djd.data.phantom.skeleton import Skeleton
from djd.data.phantom.sketch import Frame, Sketch, lay_tissue
from djd.data.scan import SCAN_SHAPE

Legs = Literal["apart", "touching"]
Background = Literal["low", "high"]

# Outlines: rows of down, one edge across, the other, in body units.
_HEAD = np.array([(0, 0, 0), (6, -17, 17), (35, -32, 32), (75, -26, 26), (97, -8, 8)], dtype=float)
_TRUNK = np.array(
    [
        *[(84, -19, 19), (108, -21, 21), (116, -34, 34), (126, -60, 60), (145, -66, 66)],
        *[(200, -64, 64), (250, -61, 61), (300, -68, 68), (345, -74, 74), (372, -76, 76)],
    ],
    dtype=float,
)
_ARM = np.array(
    [
        *[(121, 68, 74), (130, 62, 84), (190, 70, 98), (250, 77, 101), (335, 86, 105)],
        *[(360, 80, 109), (392, 84, 109), (406, 93, 99)],
    ],
    dtype=float,
)

_FWHM_PER_DEVIATION = 2 * np.sqrt(2 * np.log(2))
_MISPLACED = 0.03  # share of patients who lie far from where the technologist usually puts them


@dataclass(frozen=True)
class Body:
    """All that differs from patient to patient, except the knees' severity.

    Pairs are (right, left) in body units, but the camera's blur: pixels, (anterior, posterior).

    Attributes:
        frame: Place of the body on the image.
        build: Girth relative to the usual one.
        count_level: Factor of all counts from the body.
        bone_level: Factor of the counts from bone.
        background: Near zero, or around 15 counts a pixel.
        background_counts: Expected counts a pixel of the background.
        legs: Whether there is a gap between the thighs.
        knees_down: Joint lines.
        knees_across: Distances of the knees from the midline.
        ankles_across: Distances of the ankles from the midline.
        blur_fwhm: Full width at half maximum of the camera's blur.
    """

    frame: Frame
    build: float
    count_level: float
    bone_level: float
    background: Background
    background_counts: float
    legs: Legs
    knees_down: tuple[float, float]
    knees_across: tuple[float, float]
    ankles_across: tuple[float, float]
    blur_fwhm: tuple[float, float]

    @property
    def knee_centres(self) -> NDArray[np.float64]:
        """Joint centres, float64 (side 2, 2): row and column in the anterior view."""
        across = (-self.knees_across[0], self.knees_across[1])
        return self.frame.to_image(np.array([*zip(self.knees_down, across, strict=True)]))


def invent_body(rng: np.random.Generator) -> Body:
    """A body and its place."""
    legs: Legs = "apart" if rng.random() < 0.55 else "touching"
    background: Background = "low" if rng.random() < 0.5 else "high"
    knee = rng.uniform(44, 54) if legs == "apart" else rng.uniform(33, 38)
    ankle = knee + rng.uniform(-10, 4)
    return Body(
        frame=_invent_frame(rng),
        build=float(np.clip(rng.normal(1, 0.1), 0.8, 1.25)),
        count_level=float(np.exp(rng.normal(0, 0.18))),
        bone_level=float(np.exp(rng.normal(0, 0.2))),
        background=background,
        background_counts=rng.uniform(0.05, 0.7) if background == "low" else rng.uniform(13.5, 17),
        legs=legs,
        knees_down=_pair(KNEE_DOWN, 1.2, rng),
        knees_across=_pair(knee, 0.8, rng),
        ankles_across=_pair(ankle, 1.5, rng),
        blur_fwhm=(rng.uniform(4.0, 5.6), rng.uniform(4.8, 6.8)),
    )


def _invent_frame(rng: np.random.Generator) -> Frame:
    """Tall patients lie a little higher, so that knees come to lie near row 602."""
    stature = float(np.clip(rng.normal(700, 24), 640, 760))
    head = 100 - 0.5 * (stature - 700) + float(np.clip(rng.normal(0, 8), -18, 18))
    if rng.random() < _MISPLACED:
        head += rng.choice((-1, 1)) * rng.uniform(35, 55)
    return Frame(
        head_row=head,
        stature_rows=stature,
        midline_column=127.5 + float(np.clip(rng.normal(0, 2.5), -5, 5)),
        tilt=float(np.clip(rng.normal(0, 0.007), -0.018, 0.018)),
        breadth=float(np.clip(rng.normal(1, 0.03), 0.94, 1.06)),
    )


def _pair(middle: float, deviation: float, rng: np.random.Generator) -> tuple[float, float]:
    right, left = middle + deviation * rng.standard_normal(2)
    return float(right), float(left)


def expected_counts(
    body: Body, knees: tuple[Knee, Knee], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Expected counts of both views, before counting noise.

    Args:
        body: The body.
        knees: The (right, left) knee.
        rng: For uptake that differs from bone to bone and organ to organ.

    Returns:
        float32 (view 2, row 1024, column 256), anterior first; the posterior view is mirrored.
    """
    sketch = Sketch(body.frame)
    level = body.bone_level * body.count_level
    Skeleton(sketch, level, rng).add_bones(body.knees_across, body.ankles_across)
    for side, knee, down, across in zip(
        (-1, 1), knees, body.knees_down, body.knees_across, strict=True
    ):
        add_knee(sketch, knee, side=side, down=down, across=across, level=level)
    _add_organs(sketch, body, rng)
    tissue = _tissue(body)
    views = sketch.lay() + np.stack([tissue, 0.9 * tissue])
    for view, fwhm in zip(views, body.blur_fwhm, strict=True):
        gaussian_filter(view, fwhm / _FWHM_PER_DEVIATION, output=view, truncate=3)
    views += np.float32(body.background_counts)
    views[1] = views[1, :, ::-1].copy()
    return views


def count(expected: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint16]:
    """Poisson counts of the same shape."""
    return rng.poisson(expected).astype(np.uint16)


def _add_organs(sketch: Sketch, body: Body, rng: np.random.Generator) -> None:
    """Kidneys, bladder, and in some the place of the injection."""
    level = body.count_level
    kidney = level * np.exp(0.35 * rng.standard_normal())
    for side, down in ((-1, 249), (1, 243)):
        own = kidney * np.exp(0.15 * rng.standard_normal())
        low, across = down + rng.normal(0, 3), side * (29 + rng.normal(0, 2))
        turn = side * 0.22
        sketch.spot((low, across), (17, 8.5), (9 * own, 24 * own), turn=turn)
        sketch.spot((low, across - side * 2), (7, 3.5), (6 * own, 14 * own), turn=turn)
    full = rng.uniform(0.65, 1.25)
    urine = level * np.exp(0.4 * rng.standard_normal())
    bladder = (343 - 6 * full, rng.normal(0, 2))
    sketch.spot(bladder, (9 * full, 12 * full), (260 * urine, 120 * urine))
    if rng.random() < 0.15:
        side = rng.choice((-1, 1))
        sketch.spot((247 + rng.normal(0, 3), side * 86), (4, 3), (150 * level, 110 * level))


def _tissue(body: Body) -> NDArray[np.float32]:
    """Soft tissue seen from the front, float32 (row 1024, column 256)."""
    image = np.zeros(SCAN_SHAPE[1:], dtype=np.float32)

    def lay(outline: NDArray[np.float64], counts: float) -> None:
        counts *= body.count_level
        lay_tissue(image, body.frame, down=outline[:, 0], edges=outline[:, 1:], counts=counts)

    lay(_HEAD, 6.0)
    trunk = _TRUNK.copy()
    trunk[trunk[:, 0] >= 200, 1:] *= body.build  # the girth grows below the chest
    lay(trunk, 11.0)
    for side, knee, ankle in zip((-1, 1), body.knees_across, body.ankles_across, strict=True):
        for outline, counts in ((_ARM, 4.5), (_thigh_to_toe(body, knee, ankle), 10.5)):
            lay(outline if side > 0 else outline[:, (0, 2, 1)] * (1, -1, -1), counts)
    return image


def _thigh_to_toe(body: Body, knee: float, ankle: float) -> NDArray[np.float64]:
    """Outline of a left leg whose knee and ankle lie this far from the midline.

    Where legs touch, the thighs overlap at row 510 of the image by some pixels; elsewhere they
    leave a gap of 16 or more.
    """
    touching = body.legs == "touching"
    inner = -4.0 if touching else 10.0
    shin, girth = (knee + ankle) / 2, body.build
    knots = [
        (372, -3 if touching else 1, 76 * girth),
        (395, inner, 73 * girth),
        (425, inner, 36 * girth + 0.5 * (knee + 24 * girth)),
        (455, 0.0 if touching else max(inner, knee - 27), knee + 22 * girth),
        (502, max(knee - 23 * girth, 4), knee + 22 * girth),
        (550, max(shin - 19 * girth, 5), shin + 23 * girth),
        (610, shin - 15, shin + 17),
        (655, ankle - 11, ankle + 13),
        (690, ankle - 4, ankle + 27),
        (712, ankle + 2, ankle + 24),
    ]
    return np.array(knots, dtype=np.float64)
