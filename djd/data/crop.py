"""Scan to two knee crops: where they lie, and their pixels."""

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
