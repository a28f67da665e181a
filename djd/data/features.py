"""Handmade measures of a knee's picture, as people would use in place of a network.

All are of counts relative to the shafts of the knee's own leg (see `djd.data.uptake`), so dose and
build cancel. Measures were chosen on the development patients of the invented cohorts of seeds 101
and 102. Profiles of rows and columns, means of compartments and a coarse picture of 6 by 6 squares
were tried beside them, and gained 0.02 of kappa over five folds at the most.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from djd.data.uptake import (
    KNEE_ROWS,
    SHAFT_COLUMNS,
    SHAFT_ROWS,
    background_of,
    relative_uptake,
    shaft_of,
)

_HALF = 32  # columns on either side of the leg's axis
_COMPARTMENTS = (slice(0, 14), slice(14, 27), slice(27, 41))  # rows: femoral, joint line, tibial
_SQUARES = (3, 5, 9)  # pixels a side, of the textures
_PEAK, _AROUND = 5, 15  # pixels a side
_HOT = (1.5, 2.0, 5.0)  # times the shafts
_FAINT = 0.05  # times the shafts: logarithms end here

FEATURES = (
    *("mean", "peak"),
    *(f"{half} peak {rows}" for rows in ("femoral", "joint", "tibial") for half in ("out", "in")),
    *(f"asymmetry {rows}" for rows in ("femoral", "joint", "tibial")),
    *("excess", "height", "shift", "spread along", "spread across", "distance from the axis"),
    *(f"area above {times:g}" for times in _HOT),
    "contrast of the peak",
    *(f"{what} of {side}" for side in _SQUARES for what in ("deviation", "steps across", "along")),
)
"""What is measured of a knee, in this order; "out" is lateral, "in" is medial."""

_Array = NDArray[np.float64]


def joint_features(crops: NDArray[np.uint16], left: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Uptake, its place, spread and texture, of each view of each knee.

    Args:
        crops: uint16 (knee, view, row 128, column 128), counts a pixel; see `Cohort.crops`.
        left: bool (knee,), left knees: they are mirrored, so that medial is on one side.

    Returns:
        float64 (knee, view, feature 30) in the order of `FEATURES`, finite; logarithms but for
        places in tens of pixels.
    """
    lateral_first = np.where(left[:, None, None, None], crops[..., ::-1], crops)
    joint = _relative_joint(lateral_first)
    squares = uniform_filter(joint, (1, 1, _PEAK, _PEAK))
    parts = [_compartments(squares), _places(squares), _hot(joint, squares), _textures(joint)]
    return np.concatenate([relative_uptake(crops), *parts], axis=-1)


def _relative_joint(crops: NDArray[np.uint16]) -> _Array:
    """The joint's counts in shafts, float64 (knee, view, row 41, column 64); 0 beyond the crop.

    The leg's axis is in the middle.
    """
    shafts = np.stack([crops[..., rows, :].mean(axis=(1, -2)) for rows in SHAFT_ROWS])
    profile = uniform_filter(shafts.sum(axis=0), (1, SHAFT_COLUMNS), mode="constant")
    # A window of an even number of columns has its middle between two, as the 64 columns have.
    columns = profile.argmax(axis=-1)[:, None] + np.arange(-_HALF, _HALF)
    inside = (columns >= 0) & (columns < crops.shape[-1])
    places = np.where(inside, columns, 0)[:, None, None]
    there = np.take_along_axis(crops[..., KNEE_ROWS, :], places, axis=-1).astype(np.float64)
    background = background_of(crops)[..., None, None]
    relative: _Array = (there - background) / shaft_of(crops)[..., None, None]
    return np.where(inside[:, None, None], relative, 0)


def _compartments(squares: _Array) -> _Array:
    """The hottest square of six compartments, and how unequal lateral and medial are."""
    halves = (slice(None, _HALF), slice(_HALF, None))
    peaks = [squares[..., rows, half].max((-2, -1)) for rows in _COMPARTMENTS for half in halves]
    logs = _log(np.stack(peaks, axis=-1))
    return np.concatenate([logs, np.abs(logs[..., ::2] - logs[..., 1::2])], axis=-1)


def _places(squares: _Array) -> _Array:
    """Excess over the shafts: how much, where, and how far spread."""
    excess = np.maximum(squares - 1, 0)
    # As much as 25 pixels of one shaft in the middle: a place of no excess is no place.
    total = excess.sum((-2, -1)) + 25
    moments = []
    for other in (-1, -2):
        shares = excess.sum(axis=other) / total[..., None]
        along = np.arange(shares.shape[-1]) - (shares.shape[-1] - 1) / 2
        mean = shares @ along
        moments.append((mean / 10, np.log(shares @ along**2 - mean**2 + 1)))
    (height, spread_along), (shift, spread_across) = moments
    spreads = (spread_along, spread_across)
    return np.stack([np.log(total), height, shift, *spreads, np.abs(shift)], axis=-1)


def _hot(joint: _Array, squares: _Array) -> _Array:
    """Areas above so many shafts, and the hottest square against the ring around it."""
    areas = [np.log((squares > times).mean((-2, -1)) + 0.005) for times in _HOT]
    flat = squares.reshape(*squares.shape[:2], -1)
    place = flat.argmax(axis=-1)[..., None]
    peak = np.take_along_axis(flat, place, axis=-1)[..., 0]
    wide = uniform_filter(joint, (1, 1, _AROUND, _AROUND)).reshape(flat.shape)
    whole = np.take_along_axis(wide, place, axis=-1)[..., 0]
    ring = (whole * _AROUND**2 - peak * _PEAK**2) / (_AROUND**2 - _PEAK**2)
    return np.stack([*areas, _log(peak) - _log(ring)], axis=-1)


def _textures(joint: _Array) -> _Array:
    """Deviation between squares of several sizes, and mean steps from pixel to pixel."""
    found = []
    for side in _SQUARES:
        smooth = uniform_filter(joint, (1, 1, side, side))
        found.append(np.log(smooth.std((-2, -1)) + 0.01))
        steps = (np.abs(np.diff(smooth, axis=axis)).mean((-2, -1)) for axis in (-1, -2))
        found += [np.log(step + 0.001) for step in steps]
    return np.stack(found, axis=-1)


def _log(relative: _Array) -> _Array:
    logs: _Array = np.log(np.maximum(relative, _FAINT))
    return logs
