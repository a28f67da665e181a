"""Scan to two knee crops: where they lie, and their pixels."""

import hashlib
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from djd.data.scan import Scan

Placement = Literal["study"]
Scaling = Literal["counts", "sqrt", "standard"]

Views = Literal["anterior", "posterior", "both", "each"]
VIEW_INDICES: dict[Views, list[int]] = {
    "anterior": [0],
    "posterior": [1],
    "both": [0, 1],
    "each": [0, 1],
}
"""Indices of the views of a scan that batches hold."""

CROP_SIZE: Literal[128] = 128
"""Rows and columns of a crop, in pixels."""

Pixels = Literal[128, 64, 32]
"""Rows and columns that a network sees, after the counts of neighbours are summed."""

STUDY_WINDOW = slice(510, 638)
STUDY_GAP_COLUMNS = slice(100, 150)
STUDY_SHIFT = 70

DIGEST_BYTES = 16
"""Of `crop_digests`."""

WINDOW_ROW = 538
"""First row of `knee_windows`; knees lie near row 602."""


def place_study_crop(anterior: NDArray[np.uint16]) -> int:
    """First row of the study's crop.

    The crop's centre is the row of the window (rows 510 to 637) with the largest single pixel (the
    first on ties). Where row 510 has no zero in columns 100 to 149, the legs leave no gap there and
    the window moves down by 70 rows.

    Args:
        anterior: uint16 (row 1024, column 256), counts a pixel.
    """
    first, last = STUDY_WINDOW.start, STUDY_WINDOW.stop
    if anterior[first, STUDY_GAP_COLUMNS].all():
        first, last = first + STUDY_SHIFT, last + STUDY_SHIFT
    centre = first + int(anterior[first:last].max(axis=1).argmax())
    return centre - CROP_SIZE // 2


PLACEMENTS: dict[Placement, Callable[[NDArray[np.uint16]], int]] = {"study": place_study_crop}


def crop_knees(scan: Scan, placement: Placement = "study") -> NDArray[np.uint16]:
    """Cut both knees out of both views, placed by the anterior view.

    Columns 0 to 127 of the anterior view are the right knee, 128 to 255 the left. The posterior
    view is mirrored, so that in both views the patient's right is on the image's left.

    Returns:
        uint16 (side 2, view 2, row 128, column 128), counts a pixel.
    """
    return _cut(scan, PLACEMENTS[placement](scan.counts[0]))


def knee_windows(scan: Scan) -> NDArray[np.uint16]:
    """Cut both knees out of both views at the same rows of every scan.

    A single bright pixel, or an empty anterior page, moves a crop of `crop_knees` by up to 134
    rows, so that a copy of a scan may have a crop of its own; these windows stay.

    Returns:
        As `crop_knees`.
    """
    return _cut(scan, WINDOW_ROW)


def _cut(scan: Scan, first_row: int) -> NDArray[np.uint16]:
    rows = slice(first_row, first_row + CROP_SIZE)
    views = np.stack([scan.counts[0, rows], scan.counts[1, rows, ::-1]])
    return np.stack([views[..., :CROP_SIZE], views[..., CROP_SIZE:]])


def network_views(views: Views) -> int:
    """Views in a network's input; with `each`, a view is a sample of its own."""
    return 1 if views == "each" else len(VIEW_INDICES[views])


def sum_neighbours(crops: NDArray[np.uint16], pixels: Pixels) -> NDArray[np.unsignedinteger[Any]]:
    """Sum the counts of square blocks of pixels; no count is lost.

    Args:
        crops: uint16 (..., row 128, column 128), counts a pixel.
        pixels: Rows and columns of the result.

    Returns:
        uint32 (..., row, column), since a sum may pass 65,535; the crops themselves for 128.
    """
    if pixels == CROP_SIZE:
        return crops
    blocks = crops.reshape(*crops.shape[:-2], pixels, CROP_SIZE // pixels, pixels, -1)
    sums: NDArray[np.uint32] = blocks.sum(axis=(-3, -1), dtype=np.uint32)
    return sums


def scale_crops(crops: NDArray[np.unsignedinteger[Any]], scaling: Scaling) -> NDArray[np.float32]:
    """Counts to the values that a network sees.

    Args:
        crops: uint16 or uint32 (..., row, column), counts a pixel.
        scaling: `sqrt` gives Poisson counts a nearly constant deviation; `standard` gives each crop
            mean 0 and deviation 1 (a crop without contrast becomes 0). Each crop is scaled by
            itself, so nothing can leak between patients.
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


def crop_digests(crops: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """BLAKE2b of each knee's counts, uint8 (knee, byte 16); crops uint16 (knee, view, row, column).

    Equal on all machines, whatever order their bytes have.
    """
    little = crops.astype("<u2", order="C", copy=False)
    digests = [
        hashlib.blake2b(knee.tobytes(), digest_size=DIGEST_BYTES).digest() for knee in little
    ]
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, DIGEST_BYTES).copy()
