"""Whether a crop holds a knee that can be graded: simple measures of its counts, no network.

All measures are ratios of counts above the background, or signal over Poisson noise, so dose and
build cancel. The limits lie between ordinary invented knees and cases that can't be graded, of the
seeds 101 to 105; `docs/flags.md` has the rates on other seeds. They are those of the halves of the
image about the row where the study, or `data.crop=robust`, has the knee.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter, uniform_filter1d

from djd.data.crop import CROP_SIZE, Places, cut_knees
from djd.data.oddities import UPSIDE_DOWN, is_upside_down
from djd.data.uptake import KNEE_ROWS, SHAFT_ROWS, background_of
from djd.grades import SIDES

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Limit:
    """The range of a measure outside of which a crop is doubtful, and what that means."""

    measure: str
    reason: str
    low: float = -np.inf
    high: float = np.inf


LIMITS = (
    Limit("signal", "too few counts", low=30),
    Limit("likeness", "no leg that runs through", low=0.5),
    Limit("least", "cold where the knee should be", low=0.55),
    Limit("rise", "no knee between the shafts", low=0.98),
    Limit("row", "the knee is not in the middle", low=20, high=107),
    Limit("medial", "uptake between the legs", high=0.75),
    Limit("ahead", "the legs cross", low=10.5),
    Limit("middle", "the legs lie at the midline", low=36),
    Limit("beside", "a hot spot beside the leg", high=1.5),
)
"""Of each side's crop; see `measure_crops`."""

PAGES_SWAPPED = "the posterior page comes first"

NOT_FOUND = "no knee was found for sure"
LEAST_CONFIDENCE = 0.5
"""Of a crop of `data.crop=robust`."""

_SHAFT = 13  # columns, about a shaft and its blur
_KNEE = 31
_BESIDE = 24  # columns from the leg's axis that a knee doesn't reach
_EDGE = 12
_LEAST = 0.01  # counts a pixel: divisors end here

_USUAL_KNEE_ROW = 602
_FARTHEST_DOWN = (-145, 470)  # so far the bladder's rows and the trunk's lie on the image
_BLADDER_ROWS, _BLADDER_COLUMNS = slice(380, 540), slice(108, 148)
_BLADDER_SIZE = (13, 17)
_EDGE_COLUMNS = 9
_TRUNK_ROWS, _TRUNK_COLUMNS = slice(-230, -25), slice(-14, 15)  # from the bladder


def crop_doubts(counts: NDArray[np.uint16], places: Places) -> tuple[tuple[str, ...], ...]:
    """The reasons why each crop is doubtful, (right, left); none for an ordinary knee.

    Args:
        counts: uint16 (view 2, row 1024, column 256), counts a pixel, of the whole scan.
        places: Of the crops; see `place_knees`.
    """
    # A body that lies low on the image is upside down for the halves of the image alone.
    upright = not is_upside_down(counts) if places.upright is None else places.upright
    of_scan = [] if upright else [UPSIDE_DOWN]
    if not of_scan and page_order(counts, down=lower_than_usual(places)) < 0:
        of_scan.append(PAGES_SWAPPED)
    # Limits are of halves of the image, whose inner edge is the midline.
    measures = measure_crops(cut_knees(counts, Places.in_halves(places.rows)))
    return tuple(
        (
            *of_scan,
            *([NOT_FOUND] if places.confidence[side] < LEAST_CONFIDENCE else []),
            *(each.reason for each in LIMITS if _outside(measures[each.measure][side], each)),
        )
        for side in range(len(SIDES))
    )


def lower_than_usual(places: Places) -> int:
    """Rows by which a body lies lower than usual, by its knees where a placement has found them."""
    return 0 if places.upright is None else round(float(places.rows.mean())) - _USUAL_KNEE_ROW


def _outside(value: float, limit: Limit) -> bool:
    return not limit.low <= value <= limit.high  # so is NaN


def measure_crops(crops: NDArray[np.uint16]) -> dict[str, Array]:
    """What `LIMITS` are of, float64 (side 2,) each.

    Args:
        crops: uint16 (side 2, view 2, row 128, column 128), counts a pixel, of halves of the
            image; both views are added up.

    Returns:
        signal: Of the fainter shaft, over its noise.
        likeness: Correlation of the columns of both shafts.
        least: Along the leg's axis, relative to the shafts.
        rise: Of the joint's rows over those of the shafts.
        row: The row with the most counts beyond those of the shafts.
        medial: At the medial edge, relative to the shafts.
        ahead: Columns from the midline where the axis, going on, would be a crop's height below.
        middle: Columns from the midline of the knee and of the lower shaft, summed.
        beside: The hottest square lateral to the leg, relative to the shafts.
    """
    sums = crops.sum(axis=1, dtype=np.float64)
    sums[1] = sums[1, :, ::-1]  # medial is on the right in both
    background = background_of(sums[:, None])[:, 0]
    sides = [_measure_side(*each) for each in zip(sums, background, strict=True)]
    return {name: np.array([each[name] for each in sides]) for name in sides[0]}


def _measure_side(gross: Array, background: float) -> dict[str, float]:
    net = gross - background
    upper, lower, knee = (
        uniform_filter1d(net[rows].mean(axis=0), width, mode="nearest")
        for rows, width in zip((*SHAFT_ROWS, KNEE_ROWS), (_SHAFT, _SHAFT, _KNEE), strict=True)
    )
    above, below = int(upper.argmax()), int(lower.argmax())
    shafts = max((upper.max() + lower.max()) / 2, _LEAST)
    ends = [(rows.start + rows.stop - 1) / 2 for rows in SHAFT_ROWS]
    axis = np.rint(np.interp(np.arange(CROP_SIZE), ends, [above, below])).astype(np.int64)
    away = np.arange(CROP_SIZE) - axis[:, None]
    squares = uniform_filter(net, 9, mode="nearest")
    to_midline = CROP_SIZE - 1 - np.array([above, below, int(knee.argmax())])
    row, rise = _profile(np.where(np.abs(away) <= _BESIDE + 2, net, 0).sum(axis=1))
    along = np.where(np.abs(away) <= _SHAFT // 2, net, 0).sum(axis=1) / _SHAFT
    signals = [
        _signal(gross[rows], background, column)
        for rows, column in zip(SHAFT_ROWS, (above, below), strict=True)
    ]
    return {
        "signal": min(signals),
        "likeness": _likeness(net),
        "least": float(uniform_filter1d(along, 9)[20:108].min() / shafts),
        "rise": rise,
        "row": float(row),
        "medial": float(net[:, -_EDGE:].mean() / shafts),
        "ahead": float(2 * to_midline[1] - to_midline[0]),
        "middle": float(to_midline[1] + to_midline[2]),
        "beside": float(np.where(away < -_BESIDE, squares, -np.inf).max() / shafts),
    }


def _signal(rows: Array, background: float, column: int) -> float:
    """Counts of a shaft above the background over the noise of all its counts."""
    there = rows[:, max(0, column - _SHAFT // 2) : column + _SHAFT // 2 + 1]
    return float((there.sum() - background * there.size) / np.sqrt(max(there.sum(), 1)))


def _likeness(net: Array) -> float:
    upper, lower = (uniform_filter1d(net[rows].mean(axis=0), 9) for rows in SHAFT_ROWS)
    return float(np.corrcoef(upper, lower)[0, 1]) if upper.std() and lower.std() else 0.0


def _profile(leg: Array) -> tuple[int, float]:
    """The row with the largest excess over a line between both shafts, and the joint's rise."""
    smooth = uniform_filter1d(leg, 21, mode="nearest")
    first, last = 10, CROP_SIZE - 11
    line = np.interp(np.arange(CROP_SIZE), [first, last], [smooth[first], smooth[last]])
    row = 8 + int((smooth - line)[8:-8].argmax())
    shafts = max((smooth[first] + smooth[last]) / 2, _LEAST)
    return row, float(smooth[KNEE_ROWS].max() / shafts)


def page_order(counts: NDArray[np.uint16], down: int = 0) -> float:
    """Above 0 where the anterior page comes first, below 0 where the posterior page does.

    The bladder lies in front, spine, sacrum and kidneys behind: the logarithm of the bladder's
    counts in the first page over those in the second, less that of the trunk above it.

    Args:
        counts: As for `crop_doubts`.
        down: Rows by which the body lies lower than usual.
    """
    down = int(np.clip(down, *_FARTHEST_DOWN))
    pages = np.stack([counts[0], counts[1, :, ::-1]])
    strips = np.stack([pages[..., :_EDGE_COLUMNS], pages[..., -_EDGE_COLUMNS:]]).mean(axis=-1)
    edges = np.median(uniform_filter1d(strips, _EDGE_COLUMNS, axis=-1), axis=(0, 2))
    # Squares of the region alone: those of the whole scan take thirty times as long.
    half_rows, half_columns = (size // 2 for size in _BLADDER_SIZE)
    first, last = _BLADDER_ROWS.start + down, _BLADDER_ROWS.stop + down
    rows = slice(first - half_rows, last + half_rows)
    columns = slice(_BLADDER_COLUMNS.start - half_columns, _BLADDER_COLUMNS.stop + half_columns)
    around = pages[:, rows, columns] - edges[:, None, None]
    squares = uniform_filter(around, (1, *_BLADDER_SIZE))[
        :, half_rows:-half_rows, half_columns:-half_columns
    ]
    region = squares.sum(axis=0)
    below, across = np.unravel_index(int(region.argmax()), region.shape)
    row, column = int(below) + first, int(across) + _BLADDER_COLUMNS.start
    rows = slice(row + _TRUNK_ROWS.start, row + _TRUNK_ROWS.stop)
    columns = slice(column + _TRUNK_COLUMNS.start, column + _TRUNK_COLUMNS.stop)
    trunks = pages[:, rows, columns].mean(axis=(1, 2)) - edges
    bladder, trunk = np.log(np.maximum([squares[:, below, across], trunks], _LEAST))
    return float(bladder[0] - bladder[1] - trunk[0] + trunk[1])
