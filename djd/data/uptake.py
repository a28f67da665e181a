"""How much a knee takes up: its counts relative to the shafts of its own leg.

Dose, time, build and the turnover of all bone change counts for reasons beside the joint. The
shafts of femur and tibia in the same crop share those reasons, so the ratio leaves the joint's own
part. No measure here knows where in the joint the uptake lies.

Regions were chosen on the development patients of the invented cohorts of seeds 101 and 102, by
kappa over five folds. Shafts of 16 to 32 rows and 8 to 24 columns, knees of 32 to 56 columns and
peaks of 1 to 7 pixels a side moved the kappa of mean or peak by 0.02 or less; leaving the
background in took up to 0.04. Rows 56 to 71 gave the mean 0.02 more, but they cut the joint short
and so measure in part how narrow the uptake is: the whole joint was kept.
"""

import numpy as np
from numpy.typing import NDArray

from djd.data.crop import CROP_SIZE, VIEW_INDICES, Views, measured

MEASURES = ("mean", "peak")
"""What is measured of a knee, in this order."""

_EDGE_COLUMNS = 12  # no leg reaches both edges of a crop
SHAFT_ROWS = (slice(0, 32), slice(96, CROP_SIZE))  # of the femur, of the tibia
SHAFT_COLUMNS = 12
KNEE_ROWS = slice(44, 85)  # femoral to tibial metaphysis; row 64 has the hottest pixel
_KNEE_COLUMNS = 40
_PEAK_SIZE = 5  # pixels a side, about what the camera's blur makes of a point
_LEAST = 1.0  # counts a pixel: a shaft as faint as its noise must not make any ratio huge


def uptake_regions() -> dict[str, list[int]]:
    """The numbers that `relative_uptake` is made of, by name: other numbers, other measures."""
    femur, tibia = SHAFT_ROWS
    return {
        "edge columns": [_EDGE_COLUMNS],
        "shaft rows": [femur.start, femur.stop, tibia.start, tibia.stop],
        "shaft columns": [SHAFT_COLUMNS],
        "knee rows": [KNEE_ROWS.start, KNEE_ROWS.stop],
        "knee columns": [_KNEE_COLUMNS],
        "peak size": [_PEAK_SIZE],
    }


def relative_uptake(crops: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Mean and peak uptake of each knee relative to its leg's shafts, as logarithms of ratios.

    Counts are those above the background. The mean is over the joint's rows, from one metaphysis to
    the other; the peak is the hottest square of 5 by 5 pixels in these rows. Legs lie nearer to or
    farther from the midline, so a region is the brightest columns of its rows. Each knee is
    measured by itself, and the same as its mirror image.

    Args:
        crops: uint16 (knee, view, row 128, column 128), counts a pixel; see `Cohort.crops`.

    Returns:
        float64 (knee, view, measure 2) in the order of `MEASURES`: 0 where the knee takes up as
        much as the shafts; finite, between -11.1 and 11.1.
    """
    background = background_of(crops)
    knee = np.stack([_brightest(crops, KNEE_ROWS, _KNEE_COLUMNS), _peak(crops)], axis=-1)
    of_knee = np.log(np.maximum(knee - background[..., None], _LEAST))
    return of_knee - np.log(shaft_of(crops))[..., None]


def uptake_measures(
    crops: NDArray[np.uint16], knees: NDArray[np.int64], views: Views
) -> NDArray[np.float32]:
    """`relative_uptake` of some knees, int64 (knee,), view by view: float32 (knee, measure).

    The views are those that a network sees.
    """
    chosen = VIEW_INDICES[views]

    def measure(some: NDArray[np.int64]) -> NDArray[np.float32]:
        found = relative_uptake(crops[some[:, None], chosen])
        return found.reshape(len(some), len(chosen) * len(MEASURES)).astype(np.float32)

    return measured(measure, knees)


def shaft_of(crops: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Counts a pixel of the shafts above the background, float64 (knee, view), 1 at least."""
    femur, tibia = (_brightest(crops, rows, SHAFT_COLUMNS) for rows in SHAFT_ROWS)
    return np.maximum((femur + tibia) / 2 - background_of(crops), _LEAST)


def background_of(crops: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Counts a pixel beside the leg, float64 (knee, view).

    A mean over the fainter of the two edges: with none or one count in most pixels a median or a
    low percentile would be a whole number, mostly 0.
    """
    edges = (crops[..., :_EDGE_COLUMNS], crops[..., -_EDGE_COLUMNS:])
    one, other = (edge.mean(axis=(-2, -1)) for edge in edges)
    fainter: NDArray[np.float64] = np.minimum(one, other)
    return fainter


def _brightest(crops: NDArray[np.uint16], rows: slice, columns: int) -> NDArray[np.float64]:
    """Mean of so many columns that are the brightest over these rows, float64 (knee, view)."""
    profile = np.sort(crops[..., rows, :].mean(axis=-2), axis=-1)
    mean: NDArray[np.float64] = profile[..., -columns:].mean(axis=-1)
    return mean


def _peak(crops: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Mean of the hottest square in the joint's rows, float64 (knee, view)."""
    # Sums of whole numbers are exact, so a mirror image has the very same peak.
    sums = crops[..., KNEE_ROWS, :].astype(np.int64)
    for axis in (-2, -1):
        sums = np.lib.stride_tricks.sliding_window_view(sums, _PEAK_SIZE, axis=axis).sum(axis=-1)
    peak: NDArray[np.float64] = sums.max(axis=(-2, -1)) / _PEAK_SIZE**2
    return peak
