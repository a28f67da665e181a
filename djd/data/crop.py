"""Scan to two knee crops: their places, their pixels, and how much the knees take up.

Uptake is measured as counts relative to the shafts of the same leg. Counts differ between patients
for reasons that have nothing to do with a joint: dose, time, build, the turnover of all bone. The
shafts of femur and tibia, above and below the joint in the same crop, share those reasons, so the
ratio leaves the joint's own part. No measure here knows where in the joint the uptake lies.

Regions were chosen on the development patients of the invented cohorts of seeds 101 and 102, by
kappa over five folds. Shafts of 16 to 32 rows and 8 to 24 columns, knees of 32 to 56 columns and
peaks of 1 to 7 pixels a side moved the kappa of mean or peak by 0.02 or less; leaving the
background in took up to 0.04. Rows 56 to 71 gave the mean 0.02 more, but they cut the joint short
and so say in part how narrow the uptake is: the whole joint was kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from djd.data.scan import Scan

Placement = Literal["study"]
Scaling = Literal["counts", "sqrt", "standard"]

Views = Literal["anterior", "posterior", "both"]
VIEW_INDICES: dict[Views, list[int]] = {"anterior": [0], "posterior": [1], "both": [0, 1]}
"""Indices of a scan's views that become channels."""

CROP_SIZE = 128
"""Rows and columns of a crop, in pixels."""

STUDY_WINDOW = slice(510, 638)
STUDY_GAP_COLUMNS = slice(100, 150)
STUDY_SHIFT = 70

MEASURES = ("mean", "peak")
"""What is measured of a knee, in this order."""

_EDGE_COLUMNS = 12  # no leg reaches both edges of a crop
_SHAFT_ROWS = (slice(0, 32), slice(96, CROP_SIZE))  # of the femur, of the tibia
_SHAFT_COLUMNS = 12
_KNEE_ROWS = slice(44, 85)  # femoral to tibial metaphysis; row 64 has the hottest pixel
_KNEE_COLUMNS = 40
_PEAK_SIZE = 5  # pixels a side, about what the camera's blur makes of a point
_LEAST = 1.0  # counts a pixel: a shaft as faint as its noise must not make any ratio huge


@dataclass(frozen=True, eq=False)
class KneeCrops:
    """Both knees of one scan.

    Attributes:
        counts: uint16 (side 2, view 2, row 128, column 128), counts a pixel; sides (right, left),
            views (anterior, posterior). The posterior view is mirrored, so that in both views the
            patient's right is on the image's left.
        first_row: Row of the scan that is row 0 of the crops.
    """

    counts: NDArray[np.uint16]
    first_row: int


def place_study_crop(anterior: NDArray[np.uint16]) -> int:
    """First row of the study's crop.

    The window is rows 510 to 637. Where row 510 has no zero in columns 100 to 149, the legs leave
    no gap there and the window moves down by 70 rows. The row of the window with the largest single
    pixel (the first on ties) is the crop's centre.

    Args:
        anterior: uint16 (row 1024, column 256), counts a pixel.
    """
    first, last = STUDY_WINDOW.start, STUDY_WINDOW.stop
    if anterior[first, STUDY_GAP_COLUMNS].all():
        first, last = first + STUDY_SHIFT, last + STUDY_SHIFT
    centre = first + int(anterior[first:last].max(axis=1).argmax())
    return centre - CROP_SIZE // 2


PLACEMENTS: dict[Placement, Callable[[NDArray[np.uint16]], int]] = {"study": place_study_crop}


def crop_knees(scan: Scan, placement: Placement = "study") -> KneeCrops:
    """Cut both knees out of both views, placed by the anterior view.

    Columns 0 to 127 of the anterior view are the right knee, 128 to 255 the left.
    """
    first_row = PLACEMENTS[placement](scan.counts[0])
    rows = slice(first_row, first_row + CROP_SIZE)
    views = np.stack([scan.counts[0, rows], scan.counts[1, rows, ::-1]])
    return KneeCrops(np.stack([views[..., :CROP_SIZE], views[..., CROP_SIZE:]]), first_row)


def scale_crops(crops: NDArray[np.uint16], scaling: Scaling) -> NDArray[np.float32]:
    """Counts to the values that a network sees.

    Args:
        crops: uint16 (..., row, column), counts a pixel.
        scaling: `counts` keeps them; `sqrt` takes the square root, which gives Poisson counts a
            nearly constant deviation; `standard` gives each crop mean 0 and deviation 1 (a crop
            without any contrast becomes 0). Each crop is scaled by itself: nothing is fitted, so
            nothing can leak between patients.

    Returns:
        float32 of the same shape.
    """
    values = crops.astype(np.float32)
    if scaling == "counts":
        return values
    if scaling == "sqrt":
        return np.sqrt(values)
    deviation = values.std(axis=(-2, -1), keepdims=True)
    values -= values.mean(axis=(-2, -1), keepdims=True)
    values /= np.where(deviation > 0, deviation, 1)
    return values


def relative_uptake(crops: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Mean and peak uptake of each knee relative to its leg's shafts, as logarithms of ratios.

    Counts are those above the background. The mean is over the joint's rows, from one metaphysis to
    the other; the peak is the hottest square of 5 by 5 pixels in these rows. The distance of legs
    from the midline varies, so a region is the brightest columns of its rows. Each knee is measured
    by itself, with the same result as its mirror image.

    Args:
        crops: uint16 (knee, view, row 128, column 128), counts a pixel; see `Cohort.crops`.

    Returns:
        float64 (knee, view, measure 2) in the order of `MEASURES`: 0 where knee and shafts take up
        the same; finite, between -11.1 and 11.1.
    """
    background = _background(crops)
    femur, tibia = (_brightest(crops, rows, _SHAFT_COLUMNS) for rows in _SHAFT_ROWS)
    knee = np.stack([_brightest(crops, _KNEE_ROWS, _KNEE_COLUMNS), _peak(crops)], axis=-1)
    shaft = (femur + tibia) / 2
    return _log(knee - background[..., None]) - _log(shaft - background)[..., None]


def _background(crops: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Counts a pixel beside the leg, float64 (knee, view).

    A mean over the fainter of the two edges: with none or one count in most pixels a median or a
    low percentile would be a whole number, mostly 0.
    """
    edges = (crops[..., :_EDGE_COLUMNS], crops[..., -_EDGE_COLUMNS:])
    one, other = (edge.mean(axis=(-2, -1)) for edge in edges)
    fainter: NDArray[np.float64] = np.minimum(one, other)
    return fainter


def _brightest(crops: NDArray[np.uint16], rows: slice, columns: int) -> NDArray[np.float64]:
    """Mean of the brightest columns over these rows, float64 (knee, view)."""
    profile = np.sort(crops[..., rows, :].mean(axis=-2), axis=-1)
    mean: NDArray[np.float64] = profile[..., -columns:].mean(axis=-1)
    return mean


def _peak(crops: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Mean of the hottest square in the joint's rows, float64 (knee, view)."""
    # Sums of whole numbers are exact, so a mirror image has the very same peak.
    sums = crops[..., _KNEE_ROWS, :].astype(np.int64)
    for axis in (-2, -1):
        sums = np.lib.stride_tricks.sliding_window_view(sums, _PEAK_SIZE, axis=axis).sum(axis=-1)
    peak: NDArray[np.float64] = sums.max(axis=(-2, -1)) / _PEAK_SIZE**2
    return peak


def _log(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithm: NDArray[np.float64] = np.log(np.maximum(counts, _LEAST))
    return logarithm
