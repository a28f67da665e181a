"""The place of a body on the camera's image, and strokes and spots of uptake in counts.

Body units are 1/700 of the stature: `down` from the top of the head (the soles are near 700) and
`across` from the midline, positive to the patient's left. Uptake adds up where bones overlap.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from djd.data.scan import SCAN_SHAPE

Points = NDArray[np.float64]
"""float64 (point, 2): down and across in body units, or row and column in pixels."""

Uptake = tuple[float, float]
"""Expected counts a pixel in the (anterior, posterior) view."""

_SPACING = 0.6  # pixels between the samples of a shape; the camera's blur hides them
FWHM_PER_DEVIATION = 2 * np.sqrt(2 * np.log(2))
"""Full width at half maximum of a normal distribution of deviation 1."""

_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True)
class Frame:
    """Place of the body on the anterior image.

    Attributes:
        head_row: Row of the top of the head.
        stature_rows: Rows from the top of the head to the soles.
        tilt: Turn of the body in the image plane, in radians.
        breadth: Width of the skeleton relative to the usual width.
    """

    head_row: float
    stature_rows: float
    midline_column: float
    tilt: float
    breadth: float

    @property
    def scale(self) -> float:
        """Pixels a body unit."""
        return self.stature_rows / 700

    def to_image(self, points: Points) -> Points:
        """Body units to (row, column) in the anterior view, turned about the body's middle."""
        return np.stack(self.place(points[..., 0], points[..., 1]), axis=-1)

    def place(
        self, down: NDArray[np.float64], across: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The same as rows and columns: float64, of the shape of `down` and `across`."""
        down, across = down - 350, across * self.breadth
        cosine, sine = np.cos(self.tilt), np.sin(self.tilt)
        row = self.head_row + self.scale * (350 + down * cosine - across * sine)
        column = self.midline_column + self.scale * (down * sine + across * cosine)
        return row, column


@dataclass(frozen=True)
class Limbs:
    """The arm and the leg of one side, in body units and radians.

    Attributes:
        down: The joint line of the knee.
        knee: The knee's distance from the midline, as `ankle`.
        thigh: How much lower the joint line lies than usual.
        turn: How far the leg falls outwards.
        lean: Slant of the knee, outwards and down.
        arm: How much nearer to the midline the hand lies than usual.
        reach: How much longer the arm is, as a share.
        joint: Its own knee, an implant, or nothing below the thigh.
    """

    down: float
    knee: float
    ankle: float
    thigh: float = 0
    turn: float = 0
    lean: float = 0
    arm: float = 0
    reach: float = 0
    joint: Literal["own", "implant", "none"] = "own"

    def hold(self, points: Sequence[tuple[float, ...]]) -> Points:
        """Rows of down and of distances across, of the usual left arm, where this arm lies."""
        held = np.array(points, dtype=np.float64)
        below = np.maximum(held[:, 0] - 140, 0)  # the shoulder stays
        held[:, 1:] -= (self.arm * np.minimum(below / 200, 1))[:, None]
        held[:, 0] += self.reach * below
        return held


@dataclass(frozen=True, eq=False)
class _Samples:
    """Samples of a shape, step by step.

    Attributes:
        rows, columns: float64 (step * lane,), in pixels.
        counts: float64 (view 2, step), of each sample of a step.
        lanes: Samples of a step.
    """

    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    counts: NDArray[np.float64]
    lanes: int


@dataclass
class Sketch:
    """Shapes of uptake, gathered as samples and then laid on the image all at once."""

    frame: Frame
    _shapes: list[_Samples] = field(default_factory=list)

    def stroke(
        self,
        points: Sequence[tuple[float, float]] | Points,
        half_width: float | Sequence[float],
        uptake: Uptake,
        along: NDArray[np.float64] | None = None,
    ) -> None:
        """Add a band along the points.

        Args:
            points: (point, 2) in body units.
            half_width: In body units, one value or one a point.
            uptake: Counts a pixel.
            along: Factors of the uptake, float64 (point, view 2); None for 1.
        """
        down, across = np.asarray(points, dtype=np.float64).T
        knots = np.stack(self.frame.place(down, across))
        ways = knots[:, 1:] - knots[:, :-1]
        lengths = np.hypot(*ways)
        reached = np.concatenate([[0.0], lengths.cumsum()])
        length = reached[-1]
        steps = max(2, int(np.ceil(length / _SPACING)))
        at = (np.arange(steps) + 0.5) * length / steps
        radius = _radii(half_width, at, reached) * self.frame.scale
        segment = np.clip(np.searchsorted(reached, at, side="right") - 1, 0, len(lengths) - 1)
        along_row, along_column = (ways / np.maximum(lengths, 1e-9))[:, segment]
        lanes = max(2, int(np.ceil(2 * radius.max() / _SPACING)))
        beside = radius[:, None] * ((np.arange(lanes) + 0.5) / lanes * 2 - 1)
        rows = np.interp(at, reached, knots[0])[:, None] - beside * along_column[:, None]
        columns = np.interp(at, reached, knots[1])[:, None] + beside * along_row[:, None]
        area = radius * 2 / lanes * length / steps
        counts = np.multiply.outer(np.asarray(uptake, dtype=np.float64), area)
        if along is not None:
            counts *= [np.interp(at, reached, along[:, view]) for view in (0, 1)]
        self._shapes.append(_Samples(rows.ravel(), columns.ravel(), counts, lanes))

    def spot(
        self,
        centre: tuple[float, float],
        half_axes: tuple[float, float],
        uptake: Uptake,
        turn: float = 0.0,
        counts: Uptake | None = None,
    ) -> None:
        """Add an ellipse with centre and half axes (down, across) in body units.

        `turn` is in radians, from down towards the patient's left. `counts` are those of the whole
        ellipse, in place of `uptake`, which are counts a pixel.
        """
        area = np.pi * half_axes[0] * half_axes[1] * self.frame.scale**2 * self.frame.breadth
        number = max(24, int(area / _SPACING**2))
        index = np.arange(number)
        radius = np.sqrt((index + 0.5) / number)
        angle = index * _GOLDEN_ANGLE
        down = half_axes[0] * radius * np.cos(angle)
        across = half_axes[1] * radius * np.sin(angle)
        if turn:
            cosine, sine = np.cos(turn), np.sin(turn)
            turned_down = centre[0] + down * cosine - across * sine
            turned_across = centre[1] + down * sine + across * cosine
        else:
            turned_down, turned_across = centre[0] + down, centre[1] + across
        total = np.asarray(counts) if counts is not None else np.asarray(uptake) * area
        placed = self.frame.place(turned_down, turned_across)
        self._shapes.append(_Samples(*placed, (total / number)[:, None], number))

    def lay(self) -> NDArray[np.float32]:
        """Expected counts, float32 (view 2, row 1024, column 256), both seen from the front."""
        _, rows, columns = SCAN_SHAPE
        row = np.rint(np.concatenate([each.rows for each in self._shapes])).astype(np.intp)
        column = np.rint(np.concatenate([each.columns for each in self._shapes])).astype(np.intp)
        lanes = [each.lanes for each in self._shapes]
        repeats = np.repeat(lanes, [each.counts.shape[1] for each in self._shapes])
        counts = np.concatenate([each.counts for each in self._shapes], axis=1)
        counts = np.repeat(counts, repeats, axis=1)
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        place = row * columns + column
        if not inside.all():
            place, counts = place[inside], counts[:, inside]
        pixels = rows * columns
        views = [np.bincount(place, view, minlength=pixels) for view in counts]
        return np.stack(views).reshape(SCAN_SHAPE).astype(np.float32)


def _radii(
    half_width: float | Sequence[float], at: NDArray[np.float64], reached: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Half widths at lengths along a band, interpolated between those at its points."""
    if isinstance(half_width, (int, float)):
        return np.full(len(at), float(half_width))
    return np.interp(at, reached, np.asarray(half_width, dtype=np.float64))


def lay_tissue(
    image: NDArray[np.float32],
    frame: Frame,
    *,
    down: NDArray[np.float64],
    edges: NDArray[np.float64],
    counts: float,
) -> None:
    """Add a part of the body whose sections are ellipses, thickest in the middle, to an image.

    Args:
        image: float32 (row 1024, column 256), changed in place.
        frame: Place of the body.
        down: float64 (knot,), rising, in body units.
        edges: float64 (knot, 2), both edges across, in body units without the frame's breadth.
        counts: Counts a pixel in the middle of the part.
    """
    first, last = (frame.head_row + frame.scale * down[[0, -1]]).astype(int)
    rows = np.arange(max(first, 0), min(last, len(image)))
    at = (rows - frame.head_row) / frame.scale
    middle = frame.midline_column + frame.scale * np.sin(frame.tilt) * (at - 350)
    one, other = (np.interp(at, down, edges[:, edge]) * frame.scale for edge in (0, 1))
    half = np.maximum((other - one) / 2, 0.5)
    across = np.arange(image.shape[1]) - (middle + (one + other) / 2)[:, None]
    depth = np.sqrt(np.maximum(0, 1 - (across / half[:, None]) ** 2))
    image[rows] += (counts * depth).astype(np.float32)
