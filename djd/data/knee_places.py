"""Where the knees of a scan lie, found for each leg by itself.

The body's ends say about where knees are. Each leg's axis is followed from thigh to ankle. Along
the axis the counts rise at the joint, or fall at an implant between two rims. The two knees of a
person lie at about the same height. All lengths are squares of 4x4 pixels; a knee is ten of them
high.

Limits and weights were chosen on invented scans of the seeds 101 to 105, the public scan named in
`djd.data.phantom.style` and both of them turned, cut and made worse; `docs/crops.md` has the shares
found on other seeds. Whoever changes one raises `CACHE_VERSION`, since crops are cached.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from djd.data.body_place import (
    COLUMNS,
    LEAST,
    ROWS,
    SQUARE,
    TRUNK,
    Array,
    Body,
    body_of,
    both_views,
)

_KNEE = 0.695  # of the way from head to toes: 0.70 in phantoms, 0.68 and 0.70 in the public scan
_KNEE_DEVIATION = 0.025
_SEARCHED = (0.54, 0.86)
_LEG = (0.56, 0.97)
_SHINS_AND_THIGHS = (0.6, 0.94)
_FARTHEST = 14  # columns from the midline that a leg rarely passes: an arm or a hand
_BEYOND = 2  # columns beyond the midline that a leg may take
_TURN = 0.35  # what a step to the next column costs, relative to a square as hot as the leg
_BAND = 5  # columns on each side of the axis that hold the joint
_HOTTEST = 2.2  # times the leg's own level: hotter counts are a hand or a tumour
_APART = 5.0  # deviation of the rows between a person's knees
_SAMPLES = 12.0  # independent samples in a window: neighbours share the camera's blur
_SHAFT_NOISE = 0.25  # squared logarithms over a window that are no shape
_IMPLANT_LOG_ODDS = -2.0
_LEG_LEVEL = 0.4  # relative to the trunk: legs have 0.66 and more, noise 0.27 and less
_REACH = 14  # rows of a window on each side of the joint
_NEAR = 3  # rows: 16 pixels, less what the column may be off


@dataclass(frozen=True, eq=False)
class FoundKnees:
    """Both knees in the first page, the one on the image's left first.

    Attributes:
        rows: float64 (side 2,), in pixels.
        columns: float64 (side 2,), in pixels.
        confidence: float64 (side 2,), 0 to 1: the chance, by the finder's own reckoning, that a
            knee is there and lies within 12 rows of the place. 0 where there is no body.
        upright: Whether the head lies above the feet.
    """

    rows: Array
    columns: Array
    confidence: Array
    upright: bool


def find_knees(counts: NDArray[np.uint16]) -> FoundKnees:
    """Both knees of a scan as it lies, upside down or not; of an empty scan, the usual places.

    Args:
        counts: uint16 (view 2, row 1024, column 256), counts a pixel. Either page may come first;
            either may be empty.
    """
    body = body_of(both_views(counts))
    if body is None:
        return FoundKnees(np.full(2, 602.0), np.array([77.0, 178.0]), np.zeros(2), upright=True)
    sides = np.stack([body.net, body.net[:, ::-1]])  # each leg as if it were on the image's left
    midlines = np.array([body.midline, COLUMNS - 1 - body.midline])
    level = _levels(body, sides, midlines)
    axes = _axes(body, np.minimum(sides / level[:, None, None], 1.3), midlines)
    sides = np.minimum(sides, _HOTTEST * level[:, None, None])
    profiles = _profiles(sides, axes)
    rows, chances = _joint_rows(body, np.log(profiles + 0.15 * level[:, None]))
    columns = _joint_columns(sides, axes, rows)
    columns[1] = COLUMNS - 1 - columns[1]
    confidence = chances * _presence(body, profiles)
    middle = (SQUARE - 1) / 2
    places = np.stack([rows, columns]) * SQUARE + middle
    if not body.upright:
        places = np.array([[ROWS], [COLUMNS]]) * SQUARE - 1 - places[:, ::-1]
        confidence = confidence[::-1]
    return FoundKnees(places[0], places[1], confidence, body.upright)


def _levels(body: Body, sides: Array, midlines: Array) -> Array:
    """The usual hottest square of a row of each leg, float64 (side 2,)."""
    legs = body.part(_SHINS_AND_THIGHS)
    smooth = uniform_filter1d(sides[:, legs], 3, axis=2)
    own = np.arange(COLUMNS) <= midlines[:, None, None]
    levels: Array = np.median(np.where(own, smooth, 0).max(axis=2), axis=1)
    return np.maximum(levels, LEAST)


def _axes(body: Body, sides: Array, midlines: Array) -> Array:
    """Column of each leg's axis in every row, float64 (side 2, row): the hottest smooth way."""
    legs = body.part(_LEG)
    columns = np.arange(COLUMNS)
    away = midlines[:, None] - columns
    cost = np.where(away < -_BEYOND, 9, 0) + 0.05 * np.maximum(away - _FARTHEST, 0) ** 2
    gains = uniform_filter1d(np.minimum(sides[:, legs], 1.3), 3, axis=2) - cost[:, None]
    before = np.full((2, COLUMNS + 2), -np.inf)  # the best sums up to a row, with a column more
    best, came_from = gains[:, 0], []  # on each side
    for row in range(1, gains.shape[1]):
        before[:, 1:-1] = best
        ways = np.stack([before[:, 1:-1], before[:, :-2] - _TURN, before[:, 2:] - _TURN])
        came_from.append(columns + np.array([0, -1, 1])[ways.argmax(axis=0)])
        best = ways.max(axis=0) + gains[:, row]
    way = [best.argmax(axis=1)]
    for source in reversed(came_from):
        way.append(source[[0, 1], way[-1]])
    followed = np.stack(way[::-1], axis=1)
    rows = np.arange(legs.start, legs.start + followed.shape[1])
    return np.stack([np.interp(np.arange(ROWS), rows, each) for each in followed])


def _profiles(sides: Array, axes: Array) -> Array:
    """Mean counts of a square in each row of the leg, float64 (side 2, row), 0 at least."""
    there = np.clip(axes.astype(np.int64)[..., None] + np.arange(-_BAND, _BAND + 1), 0, COLUMNS - 1)
    band = np.take_along_axis(sides, there, axis=2)
    return uniform_filter1d(np.maximum(band.mean(axis=2), 0), 3, axis=1)


def _shape(*spots: tuple[float, float, float]) -> Array:
    """Gaussians (row, deviation, height) about a joint, without what a straight shaft explains."""
    at = np.arange(-_REACH, _REACH + 1)
    shape = sum(high * np.exp(-0.5 * ((at - row) / wide) ** 2) for row, wide, high in spots)
    shape = shape - _STRAIGHT @ (_STRAIGHT.T @ shape)
    unit: Array = shape / np.linalg.norm(shape)
    return unit


_STRAIGHT = np.linalg.qr(
    np.stack([np.ones(2 * _REACH + 1), np.arange(-_REACH, _REACH + 1.0)], axis=1)
)[0]
_SHAPES = np.stack([_shape((0, 4.0, 1)), _shape((-5, 1.8, 1), (6, 2.2, 1), (0, 3, -0.7))])
"""A joint, and an implant between its rims; (shape 2, row)."""
_LOG_ODDS = np.array([0, _IMPLANT_LOG_ODDS])


def _joint_rows(body: Body, profiles: Array) -> tuple[Array, Array]:
    """Row of each joint and the chance that it lies there, float64 (side 2,) each."""
    padded = np.pad(profiles, ((0, 0), (_REACH, _REACH)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _REACH + 1, axis=1)
    bent = windows - (windows @ _STRAIGHT) @ _STRAIGHT.T
    likeness = np.maximum(bent @ _SHAPES.T, 0) ** 2
    all_of_it = (bent**2).sum(axis=2, keepdims=True) + _SHAFT_NOISE
    shaped = (-0.5 * _SAMPLES * np.log1p(-likeness / all_of_it) + _LOG_ODDS).max(axis=2)
    place = (np.arange(ROWS) - body.head) / (body.toes - body.head)
    candidates = np.nonzero((place > _SEARCHED[0]) & (place < _SEARCHED[1]))[0]
    deviation = _KNEE_DEVIATION if body.whole else 2 * _KNEE_DEVIATION
    prior = -0.5 * ((place - _KNEE) / deviation) ** 2
    right, left = (shaped + prior)[:, candidates]
    apart = (candidates[:, None] - candidates) / _APART
    together = right[:, None] + left - 0.5 * apart**2
    chances = np.exp(together - together.max())
    chances /= chances.sum()
    best = np.unravel_index(int(chances.argmax()), chances.shape)
    rows, sure = [], []
    for side, at in enumerate(best):
        own = chances.sum(axis=1 - side)
        off = np.abs(candidates - candidates[at])
        close = own * (off <= 2)
        rows.append(float(close @ candidates / close.sum()))
        sure.append(float(own[off <= _NEAR].sum()))
    return np.array(rows), np.array(sure)


def _joint_columns(sides: Array, axes: Array, rows: Array) -> Array:
    """Middle of the counts about the axis in the rows of the joint, float64 (side 2,)."""
    found = []
    for side, axis, row in zip(sides, axes, np.rint(rows).astype(np.int64), strict=True):
        counts = np.maximum(side[max(row - 4, 0) : row + 5].sum(axis=0), 0) + LEAST
        near = np.abs(np.arange(COLUMNS) - axis[row]) <= _BAND
        found.append(float((counts * near) @ np.arange(COLUMNS) / (counts * near).sum()))
    return np.array(found)


def _presence(body: Body, profiles: Array) -> Array:
    """Chance that a leg is there at all, float64 (side 2,)."""
    trunk = np.median(np.maximum(body.net[body.part(TRUNK)], 0).mean(axis=1))
    legs = np.quantile(profiles[:, body.part(_SHINS_AND_THIGHS)], 0.25, axis=1)
    there: Array = 1 / (1 + np.exp(-(legs / max(trunk, LEAST) - _LEG_LEVEL) / 0.05))
    return there
