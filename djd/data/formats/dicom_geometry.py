"""Images of other matrix and pixel sizes, brought to the study's matrix with their counts kept.

The pixel of the study is taken as 2.26 mm: the public whole-body scan with the same matrix
(`JPGExtended.dcm` among pydicom's test files) has this pixel.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from djd.data.scan import SCAN_SHAPE, wrong

PIXEL_MM = 2.26
ROWS, COLUMNS = SCAN_SHAPE[1:]
MOST_COUNTS = 65535

SAME_PIXEL = 0.01
"""Relative difference of a 1024x256 image's pixel that is let be: 6 rows at the knees."""
LEAST_LOST = 0.001
"""Share of the counts outside the study's field from which rows are moved."""
MOST_LOST = 0.2
"""Share of the counts that may lie outside the study's field. With a pixel of 2.4 mm, the commonest
other one, the real scan would lose 1 %, phantoms with much background 9 %, all of it background."""
LENGTHS_MM = (1000, 4000)
WIDTHS_MM = (100, 4000)
"""Sizes of an image that a whole body can have; others come from a made-up pixel."""

Spacing = tuple[float, float]
"""Distance of rows and of columns in mm."""


def to_study(views: NDArray[Any], spacing: Spacing | None) -> NDArray[np.uint16]:
    """Images in the matrix of the study.

    The middle of an image becomes the middle of the study's field: a camera's field reaches beyond
    a body at both ends, in the public scan by 96 rows above the head and 160 below the feet. Each
    pixel's counts go to the new pixels by the area that they share, and the total of an image stays
    what it is, to a half count. Where more than 0.1 % of the counts lie outside the field, the rows
    of all views are moved alike to keep the most.

    Args:
        views: Of any numeric type (view, row, column), counts a pixel, head at the top.
        spacing: None where the file doesn't say.

    Returns:
        uint16 (view, row 1024, column 256).

    Raises:
        ScanError: Counts are negative or too many, the pixel isn't known or can't be right, or the
            image is larger than the study's field.
    """
    _require_counts(views)
    size, counts = views.shape[1:], views
    if not _is_same(size, spacing):
        counts = _resampled(views.astype(np.float64), _required(spacing, size))
    counts = whole_counts(counts)
    if counts.max(initial=0) > MOST_COUNTS:
        received = f"{counts.max():g} in a pixel"
        raise wrong("counts", expected=f"at most {MOST_COUNTS}", received=received)
    return counts.astype(np.uint16)


def whole_counts(views: NDArray[Any]) -> NDArray[Any]:
    """Whole counts: what rounding one pixel leaves is carried to the next one of the row.

    The total of an image changes by a half at most, and each pixel by less than one.
    """
    if views.dtype.kind in "iu" or (views == np.rint(views)).all():
        return views
    totals = np.rint(np.cumsum(views.reshape(len(views), -1), axis=1))
    counts: NDArray[Any] = np.diff(totals, prepend=0.0).reshape(views.shape)
    return counts


def _require_counts(views: NDArray[Any]) -> None:
    if views.dtype.kind == "u":
        return
    bad = ~((views >= 0) & (views < np.inf))
    if bad.any():
        received = f"{bad.sum()} other values, such as {views[bad][0]:g}"
        raise wrong("counts", expected="none below 0", received=received)


def _is_same(shape: tuple[int, ...], spacing: Spacing | None) -> bool:
    if shape != (ROWS, COLUMNS):
        return False
    return spacing is None or all(abs(each / PIXEL_MM - 1) <= SAME_PIXEL for each in spacing)


def _required(spacing: Spacing | None, shape: tuple[int, ...]) -> Spacing:
    size = f"{shape[0]}x{shape[1]}"
    if spacing is None:
        received = f"none, for an image of {size} pixels"
        raise wrong("PixelSpacing", expected="two distances in mm", received=received)
    for pixels, distance, (low, high), what in zip(
        shape, spacing, (LENGTHS_MM, WIDTHS_MM), ("long", "wide"), strict=True
    ):
        if not low <= pixels * distance <= high:
            expected = f"an image {low} to {high} mm {what}"
            received = f"{pixels} pixels of {distance:g} mm"
            raise wrong("PixelSpacing", expected=expected, received=received)
    return spacing


def _resampled(views: NDArray[np.float64], spacing: Spacing) -> NDArray[np.float64]:
    _, old_rows, old_columns = views.shape
    rows, columns = old_rows * spacing[0] / PIXEL_MM, old_columns * spacing[1] / PIXEL_MM
    across = views @ _shares(old_columns, columns, COLUMNS, start=(COLUMNS - columns) / 2).T
    total = views.sum()
    placed = _shares(old_rows, rows, ROWS, start=(ROWS - rows) / 2) @ across
    if placed.sum() < (1 - LEAST_LOST) * total and rows > ROWS:
        placed = _with_most_counts(across, rows)
    lost = 1 - placed.sum() / total if total else 0.0
    if lost > MOST_LOST:
        field = f"{ROWS * PIXEL_MM:.0f} x {COLUMNS * PIXEL_MM:.0f} mm"
        received = f"{100 * lost:.0f} % of the counts outside of it"
        raise wrong("PixelSpacing", expected=f"a body within {field}", received=received)
    return placed


def _with_most_counts(across: NDArray[np.float64], rows: float) -> NDArray[np.float64]:
    """The rows of the study that keep the most counts, of rows about as good the middle ones."""
    new_rows = math.ceil(rows)
    whole = _shares(across.shape[1], rows, new_rows, start=0) @ across
    above = np.concatenate([[0.0], np.cumsum(whole.sum(axis=(0, 2)))])
    kept = above[ROWS:] - above[: len(above) - ROWS]
    firsts = np.flatnonzero(kept >= kept.max() - LEAST_LOST / 2 * above[-1])
    first = firsts[np.argmin(np.abs(firsts - (new_rows - ROWS) / 2))]
    return whole[:, first : first + ROWS]


def _shares(size: int, extent: float, new_size: int, *, start: float) -> NDArray[np.float64]:
    """Share of each old pixel that lies in each new one, float64 (new pixel, old pixel).

    Args:
        size: Number of old pixels.
        extent: Their length together, in new pixels.
        new_size: Number of new pixels.
        start: Where the first old pixel begins, in new pixels.
    """
    edges = start + np.linspace(0, extent, size + 1)
    low, high = edges[:-1], edges[1:]
    new = np.arange(new_size)[:, np.newaxis]
    overlap = np.minimum(high, new + 1) - np.maximum(low, new)
    shares: NDArray[np.float64] = np.clip(overlap, 0, None) / (high - low)
    return shares
