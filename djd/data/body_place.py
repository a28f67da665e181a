"""Where the body lies on a scan: its ends, its midline, which way up.

Counts of both views are added up in squares of 4x4 pixels: a camera's blur is as wide.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter, uniform_filter1d

Array = NDArray[np.float64]

SQUARE = 4
"""Rows and columns of a square, in pixels."""
ROWS, COLUMNS = 256, 64
"""Of the image in squares; all lengths of this module are squares."""

TRUNK = (0.15, 0.45)
"""Of the way from head to toes."""

LEAST = 1e-6
"""Counts: divisors end here."""

_LENGTH = 178.0  # of an adult, where an end lies outside of the image
_HEAD = 26.0  # where it usually lies
_SHORTEST = 0.4  # of this length: less is no body
_LOWEST_HEAD = 150  # of a body whose feet are cut off: lower, its knees are, too


@dataclass(frozen=True, eq=False)
class Body:
    """A body head up.

    Attributes:
        net: float64 (row 256, column 64), counts above the air's, capped so that no organ outweighs
            the rest; turned where the body lies upside down.
        head: Row of the top of the head; below 0 where it is cut off.
        toes: Row of the toes.
        whole: Whether both ends lie on the image.
        midline: Column of the trunk's middle.
        upright: Whether the head lies above the feet on the scan.
    """

    net: Array
    head: float
    toes: float
    whole: bool
    midline: float
    upright: bool

    def part(self, share: tuple[float, float]) -> slice:
        """Rows from one share of the way from head to toes to another, eight at least."""
        return _part(self.head, self.toes, share)


def both_views(counts: NDArray[np.uint16]) -> Array:
    """Counts of both pages, the second mirrored, float64 (row 256, column 64)."""
    views = counts[0].astype(np.uint32) + counts[1, :, ::-1]
    rows = views.reshape(ROWS, SQUARE, -1).sum(axis=1)
    squares: Array = rows.reshape(ROWS, COLUMNS, SQUARE).sum(axis=2).astype(np.float64)
    return squares


def body_of(image: Array) -> Body | None:
    """The body on an image of `both_views`; None where all of it is even."""
    smooth = uniform_filter(image, 5, mode="nearest")
    air = float(np.quantile(smooth, 0.2))
    body = smooth - air
    if body.max() <= LEAST:
        return None
    net = np.minimum(image - air, 3 * np.median(body[body > 0.2 * np.quantile(body, 0.95)]))
    sums = uniform_filter1d(net.sum(axis=1), 3, mode="nearest")
    usual = np.median(sums[sums >= 0.05 * np.quantile(sums, 0.9)])
    noise = np.sqrt(air * COLUMNS / 3)
    first, last = _longest_run(sums > max(0.15 * usual, 4 * noise))
    middle = (first + last) // 2
    upright = bool(net[first:middle].sum() >= net[middle : last + 1].sum())
    if not upright:
        net, first, last = net[::-1, ::-1], ROWS - 1 - last, ROWS - 1 - first
    head, toes, whole = _ends(first, last)
    return Body(net, head, toes, whole, _midline(net, _part(head, toes, TRUNK)), upright)


def _longest_run(there: NDArray[np.bool_]) -> tuple[int, int]:
    """First and last row of the longest run; all rows where there is none."""
    steps = np.diff(np.concatenate([[False], there, [False]]).astype(np.int8))
    starts, ends = np.nonzero(steps > 0)[0], np.nonzero(steps < 0)[0] - 1
    if not len(starts):
        return 0, ROWS - 1
    longest = int((ends - starts).argmax())
    return int(starts[longest]), int(ends[longest])


def _ends(first: int, last: int) -> tuple[float, float, bool]:
    """Head, toes, and whether both lie on the image: an end at its edge may be a cut."""
    head_cut, toes_cut = first <= 1, last >= ROWS - 2
    length = last - first
    if length < _SHORTEST * _LENGTH or (toes_cut and first > _LOWEST_HEAD):
        return _HEAD, _HEAD + _LENGTH, False
    if head_cut == toes_cut or length >= _LENGTH:
        return first, last, not head_cut
    return (last - _LENGTH, last, False) if head_cut else (first, first + _LENGTH, False)


def _part(head: float, toes: float, share: tuple[float, float]) -> slice:
    first, last = (int(np.clip(head + each * (toes - head), 0, ROWS)) for each in share)
    first = min(first, ROWS - 8)
    return slice(first, max(last, first + 8))


def _midline(net: Array, trunk_rows: slice) -> float:
    """Median over the trunk's rows of the middle of their counts."""
    trunk = np.maximum(net[trunk_rows], 0) + LEAST
    return float(np.median(trunk @ np.arange(COLUMNS) / trunk.sum(axis=1)))
