"""One invented body under the camera: position, build, count level, organs, blur and counts."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from djd.data.phantom.knee import Knee, add_knee, add_rim
from djd.data.phantom.skeleton import Skeleton
from djd.data.phantom.sketch import FWHM_PER_DEVIATION, Frame, Limbs, Sketch
from djd.data.phantom.style import Style
from djd.data.phantom.tissue import mottle, strew, tissue_counts

Legs = Literal["apart", "touching"]
Background = Literal["low", "high"]

_KNEE_DOWN = 502.0  # the usual joint line, in body units
_MISPLACED = 0.03  # share of patients who lie far from where the technologist usually puts them
_IMPLANT = (14.0, 15.0)  # half height and half width, in body units
_COLD = 0.35  # share of the counts that an implant lets through


@dataclass(frozen=True)
class Body:
    """All that differs from patient to patient, except the knees' severity.

    Attributes:
        build: Girth relative to the usual girth.
        count_level: Factor of all counts from the body.
        bone_level: Factor of the counts from bone.
        background: Near zero, or around 15 counts a pixel.
        background_counts: Expected counts a pixel of the background.
        legs: Whether there is a gap between the thighs.
        sides: Arm and leg of the right side, then of the left.
        blur_fwhm: Full width at half maximum of the camera's blur (anterior, posterior), in pixels.
        tails: Share of the counts that are strewn far, and the full width of that, in pixels.
        tissue, texture, shaft, joint: As in `Style`.
        injected: Chance of counts at the place of the injection.
        injection: The place of the injection on a left side, down and across.
        injection_heat: Factor of the counts there, as `bladder_heat` of those of the urine.
    """

    frame: Frame
    build: float
    count_level: float
    bone_level: float
    background: Background
    background_counts: float
    legs: Legs
    sides: tuple[Limbs, Limbs]
    blur_fwhm: tuple[float, float]
    tails: tuple[float, float]
    tissue: float
    texture: float
    shaft: float
    joint: float
    injected: float
    injection: tuple[float, float]
    injection_heat: float
    bladder_heat: float = 1.0

    @property
    def knee_centres(self) -> NDArray[np.float64]:
        """Joint centres, float64 (side 2, 2): row and column in the anterior view."""
        places = [
            (each.down, way * each.knee) for way, each in zip((-1, 1), self.sides, strict=True)
        ]
        return self.frame.to_image(np.array(places))


def invent_body(rng: np.random.Generator, pose: np.random.Generator, style: Style) -> Body:
    """A body and its place; what `plain` leaves alone is drawn from `pose`."""
    legs: Legs = "apart" if rng.random() < style.apart else "touching"
    background: Background = "low" if rng.random() < 0.5 else "high"
    knee = rng.uniform(*(style.knees_apart if legs == "apart" else style.knees_touching))
    ankle = knee + rng.uniform(*style.ankles)
    return Body(
        frame=_invent_frame(rng),
        build=float(np.clip(rng.normal(1, style.build), 0.8, 1.25)),
        count_level=float(np.exp(rng.normal(0, style.count_level))),
        bone_level=float(np.exp(rng.normal(0, style.bone_level))),
        background=background,
        background_counts=rng.uniform(0.05, 0.7) if background == "low" else rng.uniform(13.5, 17),
        legs=legs,
        sides=_invent_sides((_KNEE_DOWN, knee, ankle), rng, pose, style),
        blur_fwhm=(rng.uniform(*style.blur[0]), rng.uniform(*style.blur[1])),
        tails=(pose.uniform(*style.tails), pose.uniform(*style.tail_fwhm)),
        tissue=pose.uniform(*style.tissue),
        texture=style.texture,
        shaft=pose.uniform(*style.shaft),
        joint=pose.uniform(*style.joint),
        injected=style.injected,
        injection=style.injections[pose.integers(len(style.injections))],
        injection_heat=pose.uniform(*style.injection_heat),
    )


def _invent_frame(rng: np.random.Generator) -> Frame:
    """Tall patients lie a little higher, so that knees lie near row 602."""
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


def _invent_sides(
    middle: tuple[float, float, float],
    rng: np.random.Generator,
    pose: np.random.Generator,
    style: Style,
) -> tuple[Limbs, Limbs]:
    """Right and left: joint line, knee and ankle near the `middle`, each side a little off."""
    down, knee, ankle = (
        each + own * rng.standard_normal(2) for each, own in zip(middle, style.uneven, strict=True)
    )
    mean, shared, own = style.thighs
    thighs = mean + shared * pose.standard_normal() + own * pose.standard_normal(2)
    down = down + thighs
    leans = style.lean * np.arctan2(ankle - knee, 655 - down)
    right, left = (
        Limbs(
            down=float(down[side]),
            knee=float(knee[side]),
            ankle=float(ankle[side]),
            thigh=float(thighs[side]),
            turn=pose.normal(*style.turn),
            lean=float(leans[side]),
            arm=pose.uniform(*style.arms),
        )
        for side in (0, 1)
    )
    return right, left


def expected_counts(
    body: Body,
    knees: tuple[Knee, Knee],
    rng: np.random.Generator,
    pose: np.random.Generator,
) -> NDArray[np.float32]:
    """Expected counts of both views, before counting noise; knees are (right, left).

    Returns:
        float32 (view 2, row 1024, column 256), anterior first; the posterior view is mirrored.
    """
    sketch = Sketch(body.frame)
    level = body.bone_level * body.count_level
    Skeleton(sketch, level, rng, body.shaft).add_bones(body.sides)
    for side, knee, limbs in zip((-1, 1), knees, body.sides, strict=True):
        if limbs.joint == "own":
            add_knee(sketch, knee, limbs, side=side, level=level, size=body.joint)
        elif limbs.joint == "implant":
            add_rim(sketch, limbs, side=side, level=level)
    _add_organs(sketch, body, rng)
    tissue = tissue_counts(
        body.frame,
        body.sides,
        touching=body.legs == "touching",
        build=body.build,
        level=body.tissue * body.count_level,
    )
    tissue = mottle(tissue, body.texture, pose)
    views = sketch.lay() + np.stack([tissue, 0.9 * tissue])
    _cool_implants(views, body)
    for view, fwhm in zip(views, body.blur_fwhm, strict=True):
        gaussian_filter(view, fwhm / FWHM_PER_DEVIATION, output=view, truncate=3)
        view[:] = strew(view, *body.tails)
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
    urine = body.bladder_heat * level * np.exp(0.4 * rng.standard_normal())
    bladder = (343 - 6 * full, rng.normal(0, 2))
    sketch.spot(bladder, (9 * full, 12 * full), (260 * urine, 120 * urine))
    if rng.random() < body.injected:
        side = 0 if rng.choice((-1, 1)) < 0 else 1
        down, across = body.sides[side].hold([body.injection])[0]
        heat = body.injection_heat * level
        place = (down + rng.normal(0, 3), (-across, across)[side])
        sketch.spot(place, (4, 3), (150 * heat, 110 * heat))


def _cool_implants(views: NDArray[np.float32], body: Body) -> None:
    """Metal stops most counts of what lies behind it."""
    for limbs, centre in zip(body.sides, body.knee_centres, strict=True):
        if limbs.joint == "implant":
            rows, columns = np.ogrid[: views.shape[1], : views.shape[2]]
            high, wide = np.array(_IMPLANT) * body.frame.scale
            inside = ((rows - centre[0]) / high) ** 4 + ((columns - centre[1]) / wide) ** 4 < 1
            views[:, inside] *= np.float32(_COLD)
