"""Where the knees of a scan lie, found for each leg by itself.

Everything is looked for in one image of both views, summed to squares of 4x4 pixels: no camera
resolves less, and a knee is ten squares high. The body's ends say where knees must be, about; each
leg's axis is followed from thigh to ankle; along the axis, the counts' rows rise at the joint, or
fall at an implant between two rims. The two knees of a person lie at about the same height.

Limits and weights were chosen on invented scans of the seeds 101 to 105, the public scan named in
`djd.data.phantom.style` and both of them turned, cut and made worse; `docs/crops.md` has the shares
found on other seeds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter, uniform_filter1d

Array = NDArray[np.float64]

_SQUARE = 4  # pixels; all lengths below are squares
_ROWS, _COLUMNS = 256, 64

_BODY_LENGTH = 178.0  # of an adult, where an end lies outside of the image
_USUAL_HEAD = 26.0
_KNEE = 0.695  # of the way from head to toes: 0.70 in phantoms, 0.68 and 0.70 in the public scan
_KNEE_DEVIATION = 0.025
_SEARCHED = (0.54, 0.86)
_LEG = (0.56, 0.97)
_SHINS_AND_THIGHS = (0.6, 0.94)
_TRUNK = (0.15, 0.45)
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
_LEAST = 1e-6


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


@dataclass(frozen=True, eq=False)
class _Body:
    """The body head up, in squares: net counts, capped, and its ends."""

    net: Array
    head: float
    toes: float
    deviation: float  # of the knees' place between head and toes
    midline: float
    upright: bool


def find_knees(counts: NDArray[np.uint16]) -> FoundKnees:
    """Both knees of a scan as it lies, upside down or not; of an empty scan, the usual places.

    Args:
        counts: uint16 (view 2, row 1024, column 256), counts a pixel. Either page may come first;
            either may be empty.
    """
    body = _body_of(_both_views(counts))
    if body is None:
        return FoundKnees(np.full(2, 602.0), np.array([77.0, 178.0]), np.zeros(2), upright=True)
    sides = np.stack([body.net, body.net[:, ::-1]])  # each leg as if it were on the image's left
    midlines = np.array([body.midline, _COLUMNS - 1 - body.midline])
    level = _levels(body, sides, midlines)
    axes = _axes(body, np.minimum(sides / level[:, None, None], 1.3), midlines)
    sides = np.minimum(sides, _HOTTEST * level[:, None, None])
    profiles = _profiles(sides, axes)
    rows, chances = _joint_rows(body, np.log(profiles + 0.15 * level[:, None]))
    columns = _joint_columns(sides, axes, rows)
    columns[1] = _COLUMNS - 1 - columns[1]
    confidence = chances * _presence(body, profiles)
    middle = (_SQUARE - 1) / 2
    places = np.stack([rows, columns]) * _SQUARE + middle
    if not body.upright:
        places = np.array([[_ROWS], [_COLUMNS]]) * _SQUARE - 1 - places[:, ::-1]
        confidence = confidence[::-1]
    return FoundKnees(places[0], places[1], confidence, body.upright)


def _both_views(counts: NDArray[np.uint16]) -> Array:
    """Counts of both pages, the second mirrored, float64 (row 256, column 64)."""
    views = counts[0].astype(np.uint32) + counts[1, :, ::-1]
    rows = views.reshape(_ROWS, _SQUARE, -1).sum(axis=1)
    squares: Array = rows.reshape(_ROWS, _COLUMNS, _SQUARE).sum(axis=2).astype(np.float64)
    return squares


def _body_of(image: Array) -> _Body | None:
    smooth = uniform_filter(image, 5, mode="nearest")
    air = float(np.quantile(smooth, 0.2))
    body = smooth - air
    if body.max() <= _LEAST:
        return None
    net = np.minimum(image - air, 3 * np.median(body[body > 0.2 * np.quantile(body, 0.95)]))
    sums = uniform_filter1d(net.sum(axis=1), 3, mode="nearest")
    usual = np.median(sums[sums >= 0.05 * np.quantile(sums, 0.9)])
    noise = np.sqrt(air * _COLUMNS / 3)
    first, last = _longest_run(sums > max(0.15 * usual, 4 * noise))
    middle = (first + last) // 2
    upright = bool(net[first:middle].sum() >= net[middle : last + 1].sum())
    if not upright:
        net, first, last = net[::-1, ::-1], _ROWS - 1 - last, _ROWS - 1 - first
    head, toes, deviation = _ends(first, last)
    return _Body(net, head, toes, deviation, _midline(net, head, toes), upright)


def _longest_run(there: NDArray[np.bool_]) -> tuple[int, int]:
    """First and last row of the longest run; all rows where there is none."""
    steps = np.diff(np.concatenate([[False], there, [False]]).astype(np.int8))
    starts, ends = np.nonzero(steps > 0)[0], np.nonzero(steps < 0)[0] - 1
    if not len(starts):
        return 0, _ROWS - 1
    longest = int((ends - starts).argmax())
    return int(starts[longest]), int(ends[longest])


def _ends(first: int, last: int) -> tuple[float, float, float]:
    """Head and toes; an end at the image's edge may be a cut."""
    head_cut, toes_cut = first <= 1, last >= _ROWS - 2
    length = last - first
    if length < 0.4 * _BODY_LENGTH:  # no body: the usual place of one
        return _USUAL_HEAD, _USUAL_HEAD + _BODY_LENGTH, 2 * _KNEE_DEVIATION
    if head_cut == toes_cut or length >= _BODY_LENGTH:
        return first, last, _KNEE_DEVIATION * (2 if head_cut else 1)
    if head_cut:
        return last - _BODY_LENGTH, last, 2 * _KNEE_DEVIATION
    return first, first + _BODY_LENGTH, 2 * _KNEE_DEVIATION


def _part(body_ends: tuple[float, float], share: tuple[float, float]) -> slice:
    """Rows of a part of the body, eight at least."""
    head, toes = body_ends
    first, last = (int(np.clip(head + each * (toes - head), 0, _ROWS)) for each in share)
    first = min(first, _ROWS - 8)
    return slice(first, max(last, first + 8))


def _midline(net: Array, head: float, toes: float) -> float:
    """Median over the trunk's rows of the middle of their counts."""
    trunk = np.maximum(net[_part((head, toes), _TRUNK)], 0) + _LEAST
    return float(np.median(trunk @ np.arange(_COLUMNS) / trunk.sum(axis=1)))


def _levels(body: _Body, sides: Array, midlines: Array) -> Array:
    """The usual hottest square of a row of each leg, float64 (side 2,)."""
    legs = _part((body.head, body.toes), _SHINS_AND_THIGHS)
    smooth = uniform_filter1d(sides[:, legs], 3, axis=2)
    own = np.arange(_COLUMNS) <= midlines[:, None, None]
    levels: Array = np.median(np.where(own, smooth, 0).max(axis=2), axis=1)
    return np.maximum(levels, _LEAST)


def _axes(body: _Body, sides: Array, midlines: Array) -> Array:
    """Column of each leg's axis in every row, float64 (side 2, row): the hottest smooth way."""
    legs = _part((body.head, body.toes), _LEG)
    columns = np.arange(_COLUMNS)
    away = midlines[:, None] - columns
    cost = np.where(away < -_BEYOND, 9, 0) + 0.05 * np.maximum(away - _FARTHEST, 0) ** 2
    gains = uniform_filter1d(np.minimum(sides[:, legs], 1.3), 3, axis=2) - cost[:, None]
    before = np.full((2, _COLUMNS + 2), -np.inf)  # the best sums up to a row, with a column more
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
    return np.stack([np.interp(np.arange(_ROWS), rows, each) for each in followed])


def _profiles(sides: Array, axes: Array) -> Array:
    """Mean counts of a square in each row of the leg, float64 (side 2, row), 0 at least."""
    there = np.clip(
        axes.astype(np.int64)[..., None] + np.arange(-_BAND, _BAND + 1), 0, _COLUMNS - 1
    )
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


def _joint_rows(body: _Body, profiles: Array) -> tuple[Array, Array]:
    """Row of each joint and the chance that it lies there, float64 (side 2,) each."""
    padded = np.pad(profiles, ((0, 0), (_REACH, _REACH)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _REACH + 1, axis=1)
    bent = windows - (windows @ _STRAIGHT) @ _STRAIGHT.T
    likeness = np.maximum(bent @ _SHAPES.T, 0) ** 2
    all_of_it = (bent**2).sum(axis=2, keepdims=True) + _SHAFT_NOISE
    shaped = (-0.5 * _SAMPLES * np.log1p(-likeness / all_of_it) + _LOG_ODDS).max(axis=2)
    place = (np.arange(_ROWS) - body.head) / (body.toes - body.head)
    candidates = np.nonzero((place > _SEARCHED[0]) & (place < _SEARCHED[1]))[0]
    prior = -0.5 * ((place - _KNEE) / body.deviation) ** 2
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
        counts = np.maximum(side[max(row - 4, 0) : row + 5].sum(axis=0), 0) + _LEAST
        near = np.abs(np.arange(_COLUMNS) - axis[row]) <= _BAND
        found.append(float((counts * near) @ np.arange(_COLUMNS) / (counts * near).sum()))
    return np.array(found)


def _presence(body: _Body, profiles: Array) -> Array:
    """Chance that a leg is there at all, float64 (side 2,)."""
    ends = body.head, body.toes
    trunk = np.median(np.maximum(body.net[_part(ends, _TRUNK)], 0).mean(axis=1))
    legs = np.quantile(profiles[:, _part(ends, _SHINS_AND_THIGHS)], 0.25, axis=1)
    there: Array = 1 / (1 + np.exp(-(legs / max(trunk, _LEAST) - _LEG_LEVEL) / 0.05))
    return there
