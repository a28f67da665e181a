"""Scan to two knee crops: where they lie, and their pixels."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from djd.data.scan import Scan

Placement = Literal["study", "robust"]
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

KNEES_AT_ONCE = 64
"""Knees scaled or measured at a time. 4,000 knees at once took 1.5 times (both views: 2 times) the
memory of the result for copies on the way, and more time (2026-11-25)."""

MOST_BYTES_IN_MEMORY = 2**30
"""Of what a network sees of the knees of a training. Where they take more, each batch is made when
it is due; a machine trains a cell a core. `bench/patients.py` measures what that takes."""

MOST_BYTES_ON_GPU = 2**32
"""The same on a GPU, which has memory of its own and would wait for batches. Assumed."""

Value = TypeVar("Value", bound=np.generic)

STUDY_WINDOW = slice(510, 638)
STUDY_GAP_COLUMNS = slice(100, 150)
STUDY_SHIFT = 70

DIGEST_BYTES = 16
"""Of `crop_digests`."""

FAR_ROWS, FAR_COLUMNS = 32, 48
SURE = 0.5
"""Of `study_misplaces`."""

WINDOW_ROW = 538
"""First row of `knee_windows`; knees lie near row 602."""


@dataclass(frozen=True, eq=False)
class Places:
    """Where the crops of a scan lie: of the right knee, of the left knee.

    Attributes:
        rows: int64 (side 2,), row of the anterior view that is row 64 of the crop.
        columns: int64 (side 2,), its column that is column 64 of the crop.
        confidence: float64 (side 2,), 0 to 1, comparable between scans; 1 where a placement
            doesn't look for a knee.
        upright: Whether the head lies above the feet; None where a placement doesn't look.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    confidence: NDArray[np.float64]
    upright: bool | None = None

    @classmethod
    def in_halves(cls, rows: ArrayLike) -> "Places":
        """Crops of these rows, one or (right, left), whose columns are the halves of the image."""
        both = np.broadcast_to(np.asarray(rows, dtype=np.int64), 2)
        return cls(both, np.array([CROP_SIZE // 2, CROP_SIZE + CROP_SIZE // 2]), np.ones(2))

    @property
    def corners(self) -> list[tuple[int, int]]:
        """First row and column of each crop; below 0 where the crop begins outside of the image."""
        half = CROP_SIZE // 2
        pairs = zip(self.rows.tolist(), self.columns.tolist(), strict=True)
        return [(row - half, column - half) for row, column in pairs]


def place_knees(counts: NDArray[np.uint16], placement: Placement = "study") -> Places:
    """Where the crops of a scan lie.

    Args:
        counts: uint16 (view 2, row 1024, column 256), counts a pixel.
        placement: `study` is the study's own: the halves of the image, about the hottest row.
            `robust` finds each knee by itself; see `find_knees`.
    """
    return PLACEMENTS[placement](counts)


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


def _place_study(counts: NDArray[np.uint16]) -> Places:
    return Places.in_halves(place_study_crop(counts[0]) + CROP_SIZE // 2)


def _place_robust(counts: NDArray[np.uint16]) -> Places:
    from djd.data.knee_places import find_knees  # scipy's filters take 0.1 s of each start

    found = find_knees(counts)
    # A crop's middle is the edge of its column 64, so that a mirrored scan has mirrored crops.
    columns = np.rint(found.columns + 0.5).astype(np.int64)
    return Places(np.rint(found.rows).astype(np.int64), columns, found.confidence, found.upright)


PLACEMENTS: dict[Placement, Callable[[NDArray[np.uint16]], Places]] = {
    "study": _place_study,
    "robust": _place_robust,
}


def study_misplaces(counts: NDArray[np.uint16]) -> tuple[bool, bool]:
    """Whether the study's crop looks wrong, (right, left): its knee is found far from the middle.

    A knee counts as found from a confidence of 0.5 on. Far is 32 rows, or 48 columns, which cut the
    knee off.

    Args:
        counts: As for `place_knees`.
    """
    return misplaces(place_knees(counts, "study"), place_knees(counts, "robust"))


def misplaces(study: Places, found: Places) -> tuple[bool, bool]:
    """As `study_misplaces`, of both placements of a scan."""
    far = np.abs(found.rows - study.rows) > FAR_ROWS
    far |= np.abs(found.columns - study.columns) > FAR_COLUMNS
    right, left = (far & (found.confidence >= SURE)).tolist()
    return right, left


def crop_knees(scan: Scan, placement: Placement = "study") -> NDArray[np.uint16]:
    """Cut both knees out of both views, placed by `place_knees`; see `cut_knees`."""
    return cut_knees(scan.counts, place_knees(scan.counts, placement))


def knee_windows(scan: Scan) -> NDArray[np.uint16]:
    """Cut both knees out of both views at the same rows of every scan.

    A single bright pixel, or an empty anterior page, moves a crop of `crop_knees` by up to 134
    rows, so that a copy of a scan may have a crop of its own; these windows stay.

    Returns:
        As `cut_knees`.
    """
    return cut_knees(scan.counts, Places.in_halves(WINDOW_ROW + CROP_SIZE // 2))


def cut_knees(counts: NDArray[np.uint16], places: Places) -> NDArray[np.uint16]:
    """Cut crops out of both views, with zeros beyond the image's borders.

    The right knee lies on the left of the anterior view. The posterior view is mirrored, so that in
    both views the patient's right is on the image's left.

    Args:
        counts: As for `place_knees`.
        places: In the anterior view.

    Returns:
        uint16 (side 2, view 2, row 128, column 128), counts a pixel.
    """
    crops = np.zeros((2, 2, CROP_SIZE, CROP_SIZE), dtype=np.uint16)
    for crop, corner in zip(crops, places.corners, strict=True):
        there, here = [], []
        for first, size in zip(corner, counts.shape[1:], strict=True):
            start, stop = max(first, 0), min(first + CROP_SIZE, size)
            there.append(slice(start, stop))
            here.append(slice(start - first, stop - first))
        crop[0][tuple(here)] = counts[0][tuple(there)]
        crop[1][tuple(here)] = counts[1, :, ::-1][tuple(there)]
    return crops


def network_views(views: Views) -> int:
    """Views in a network's input; with `each`, a view is a sample of its own."""
    return 1 if views == "each" else len(VIEW_INDICES[views])


def seen_bytes(knees: int, views: Views, pixels: Pixels) -> int:
    """Bytes of what a network sees of so many knees."""
    return knees * len(VIEW_INDICES[views]) * pixels**2 * np.dtype(np.float32).itemsize


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
    # numpy sums over two short axes at once eight times slower.
    block = CROP_SIZE // pixels
    rows = crops[..., ::block, :].astype(np.uint32)
    for row in range(1, block):
        rows += crops[..., row::block, :]
    sums = rows[..., ::block].copy()
    for column in range(1, block):
        sums += rows[..., column::block]
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


def crop_digests(crops: Iterable[NDArray[np.uint16]]) -> NDArray[np.uint8]:
    """BLAKE2b of each knee's counts, uint8 (knee, byte 16); crops uint16 (view, row, column) each.

    Equal on all machines, whatever order their bytes have.
    """
    digests = [
        hashlib.blake2b(knee.astype("<u2", copy=False).tobytes(), digest_size=DIGEST_BYTES).digest()
        for knee in crops
    ]
    return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, DIGEST_BYTES).copy()


def measured(
    measure: Callable[[NDArray[np.int64]], NDArray[Value]], knees: NDArray[np.int64]
) -> NDArray[Value]:
    """What `measure` gives of knees int64 (knee,), a few of which it gets at a time."""
    firsts = range(0, max(len(knees), 1), KNEES_AT_ONCE)
    return np.concatenate([measure(knees[first : first + KNEES_AT_ONCE]) for first in firsts])
